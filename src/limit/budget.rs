//! What a ceiling on memory is shared out for: a fixed part, and how many connections the rest is for.
//!
//! All that we hold is counted, and what the kernel holds for us: its records of a connection, the buffers of sockets
//! and pipes. Counted is what each may grow to, not what it mostly uses: most exchanges need a tenth of [`ACTIVE`]. Not
//! counted is the program itself, whose pages can be read again. This measures nothing; who has how much is in
//! `shared::Memory`.

use std::fmt;

/// A connection that waits, and a kept one to a server.
///
/// Measured with 4,000 of them (x86-64, Linux 6.18, 2026-11-24; `/proc/slabinfo` before and after, halved where both
/// ends are on one machine): `TCP` 2,370, `sock_inode_cache` 830, `filp` 190, `dentry` 200, security modules 70; for
/// the receive that is armed `io_kiocb` 256, `kmalloc-512` 520, `kmalloc-96` 96: 4.5 KB. Of ours, by PSS, 0.6 KB.
pub const IDLE: u64 = 6 * KIB;
/// What TLS adds to it: 3.3 to 4.7 KB (the same machine, 2,000 and 9,000 of them).
pub const IDLE_TLS: u64 = 6 * KIB;
/// A flow of datagrams: a socket without the queues of TCP, our side of it, and a few datagrams.
pub const FLOW: u64 = 12 * KIB;
/// A handshake of TLS: a message of 64 KiB at the most, and its answer.
pub const HANDSHAKE: u64 = 96 * KIB;
/// An exchange, a tunnel or a connection that is passed on, without much of a body: 128 KiB that its client sends
/// ahead, and as much that has come from its server and was not taken (what the kernel takes from a peer that has never
/// been read fast, `tcp_rmem`), 64 KiB that are on their way out, and 32 KiB for heads, chunks and records of TLS.
pub const ACTIVE: u64 = (128 + 128 + 64 + 32) * KIB;
/// What the kernel may hold of what was sent without anybody counting it.
pub const UNCOUNTED: usize = 32 * 1024;
/// What a body takes besides, to be moved as fast as usual: the socket of its sink holds up to 416 KiB then, and what
/// does not fit is held twice on its way through TLS. Who does not get it moves in small steps.
pub const BODY_SENT: u64 = (416 - 64) * KIB + 2 * SEALED;
/// The same for where it comes from, unless that may send ahead, which is counted apart: up to 416 KiB.
pub const BODY_RECEIVED: u64 = (416 - 128) * KIB;
/// What a large buffer becomes on its way through TLS.
pub const SEALED: u64 = 66 * KIB;
/// What a body takes besides that goes to a peer far away and is fast: 4 MiB that are on their way.
pub const FAR: u64 = 4 * MIB;

/// The default is this part of the machine's memory,
const PART_OF_MACHINE: u64 = 4;
/// and not more than this: what a home needs, and it leaves a large machine alone.
const DEFAULT_MAX: u64 = 256 * MIB;
/// Buffers and pipes of all cores may take this part of the ceiling.
const PART_FIXED: u64 = 3;
/// With less for connections nobody would call it working: that many at once.
const ACTIVE_MIN: u64 = 8;

/// The process without connections: its heap and threads, tables of clients, lines of the log on their way, the control
/// plane. An idle one has 6 MiB with one core (PSS), half of it the program.
const PROCESS: u64 = 6 * MIB;
/// A core without its buffers: its ring, stack, timers, blocks for futures, large vectors in stock.
const CORE: u64 = 1152 * KIB;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What each core maps and makes; see `ringferry_runtime::Settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// Of 4 KiB.
    pub head: u16,
    /// Of 64 KiB.
    pub body: u16,
    /// Of 68 KiB.
    pub datagram: u16,
    /// Of 256 KiB.
    pub pipes: usize,
    /// Vectors in stock, of up to 16 KiB.
    pub vectors: usize,
}

/// As many as pay, and then half as many each time, down to what still works.
const BUFFERS: [Buffers; 5] = [
    Buffers { head: 1024, body: 32, datagram: 64, pipes: 64, vectors: 192 },
    Buffers { head: 512, body: 16, datagram: 32, pipes: 32, vectors: 96 },
    Buffers { head: 256, body: 8, datagram: 16, pipes: 16, vectors: 48 },
    Buffers { head: 128, body: 4, datagram: 8, pipes: 8, vectors: 24 },
    Buffers { head: 64, body: 4, datagram: 8, pipes: 4, vectors: 12 },
];

impl Buffers {
    fn bytes(&self) -> u64 {
        let each = [
            (u64::from(self.head), 4 * KIB),
            (u64::from(self.body), 64 * KIB),
            (u64::from(self.datagram), 68 * KIB),
            (self.pipes as u64, 256 * KIB),
            (self.vectors as u64, 16 * KIB),
        ];
        each.into_iter().map(|(count, bytes)| count * bytes).sum()
    }
}

/// What a ceiling is shared out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// All of it, in bytes.
    pub ceiling: u64,
    /// What is there without any connection.
    pub fixed: u64,
    /// What each core has of it.
    pub buffers: Buffers,
    /// How many cores.
    pub cores: usize,
}

/// The ceiling is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLittle {
    /// What is asked for, in bytes.
    pub ceiling: u64,
    /// For so many cores
    pub cores: usize,
    /// this is the least.
    pub min: u64,
}

impl Budget {
    /// Shares `ceiling` out for so many cores.
    pub fn new(ceiling: u64, cores: usize) -> Result<Budget, TooLittle> {
        let min = Budget::min(cores);
        if ceiling < min {
            return Err(TooLittle { ceiling, cores, min });
        }
        let fits = |buffers: &&Buffers| fixed(buffers, cores) <= ceiling / PART_FIXED;
        let buffers = *BUFFERS.iter().find(fits).unwrap_or(&BUFFERS[BUFFERS.len() - 1]);
        Ok(Budget { ceiling, fixed: fixed(&buffers, cores), buffers, cores })
    }

    /// The same where nobody has said how much: a quarter of what the machine has, within reason. It never fails, since
    /// whoever has written nothing has written nothing wrong.
    pub fn for_machine(memory: Option<u64>, cores: usize) -> Budget {
        let min = Budget::min(cores);
        let ceiling = memory.map_or(DEFAULT_MAX, |bytes| bytes / PART_OF_MACHINE).min(DEFAULT_MAX).max(min);
        // Whole MiB are easier to read, and to compare with what is written elsewhere.
        let whole = (ceiling / MIB * MIB).max(min);
        let buffers = BUFFERS[BUFFERS.len() - 1];
        Budget::new(whole, cores).unwrap_or(Budget { ceiling: min, fixed: fixed(&buffers, cores), buffers, cores })
    }

    /// The least that works for so many cores, in whole MiB.
    pub fn min(cores: usize) -> u64 {
        let connections = ACTIVE_MIN * (ACTIVE + 2 * IDLE) * 8 / 7;
        (fixed(&BUFFERS[BUFFERS.len() - 1], cores) + connections).div_ceil(MIB) * MIB
    }

    /// What may be taken in all for work: an eighth is left for those who come, and for what is not counted one by one.
    /// That is what small answers leave in the kernel until their clients acknowledge them, and what clients that wait
    /// go on to send.
    pub fn work_max(&self) -> u64 {
        self.fixed + self.rest() / 8 * 7
    }

    /// What may be taken in all for work by clients that have a lot of it already: the last eighth of what there is for
    /// work is left to others.
    pub fn crowd_max(&self) -> u64 {
        self.fixed + self.rest() / 4 * 3
    }

    /// What may be taken in all by what only makes something faster.
    pub fn spare_max(&self) -> u64 {
        self.fixed + self.rest() / 2
    }

    /// What may be taken in all by what makes a few of them faster still.
    pub fn ample_max(&self) -> u64 {
        self.fixed + self.rest() / 4
    }

    /// What may be taken in all when somebody comes: half of what work leaves, so that whoever has something to do can
    /// at least say so.
    pub fn come_max(&self) -> u64 {
        self.fixed + self.rest() / 16 * 15
    }

    /// What connections may take of it while they are idle, all together: they leave a quarter to work.
    pub fn idle_max(&self) -> u64 {
        self.rest() / 8 * 5
    }

    /// The most that one client may ask for at once: what is there for work however many connections there are.
    pub fn work_most(&self) -> u64 {
        self.work_max() - self.fixed - self.idle_max()
    }

    /// How many connections may wait, if none does anything.
    pub fn idle(&self) -> u64 {
        self.idle_max() / IDLE
    }

    /// How many exchanges there may be at once, each with the connections of its client and its server.
    pub fn active(&self) -> u64 {
        (self.work_max() - self.fixed) / (ACTIVE + 2 * IDLE)
    }

    /// What is left for connections.
    fn rest(&self) -> u64 {
        self.ceiling - self.fixed
    }
}

fn fixed(buffers: &Buffers, cores: usize) -> u64 {
    PROCESS + (CORE + buffers.bytes()) * cores as u64
}

/// `64 MiB = 4,760 idle or 109 active connections; 20 MiB of it for buffers of 4 cores`
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (idle, active) = (Thousands(self.idle()), Thousands(self.active()));
        let cores = if self.cores == 1 { "1 core".to_owned() } else { format!("{} cores", self.cores) };
        let (ceiling, fixed) = (self.ceiling / MIB, self.fixed.div_ceil(MIB));
        write!(
            f,
            "{ceiling} MiB = {idle} idle or {active} active connections; {fixed} MiB of it for buffers of {cores}"
        )
    }
}

impl fmt::Display for TooLittle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (cores, min) = (self.cores, self.min / MIB);
        let (have, plural) = (self.ceiling / KIB, if cores == 1 { "" } else { "s" });
        write!(f, "resources.memory: {have} KiB are too little for {cores} core{plural}: their buffers and ")?;
        write!(f, "{ACTIVE_MIN} busy connections take {min} MiB; write memory = \"{min}MiB\" or more")?;
        if cores > 1 { f.write_str(", or a lower number of `cores`") } else { Ok(()) }
    }
}

/// A number as people read it: `12,345`.
struct Thousands(u64);

impl fmt::Display for Thousands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1000 {
            return write!(f, "{}", self.0);
        }
        write!(f, "{},{:03}", Thousands(self.0 / 1000), self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rng;

    #[test]
    fn the_parts_of_a_budget_never_exceed_its_ceiling() {
        let mut random = Rng::new(7);
        for _ in 0..2_000 {
            let cores = 1 + random.below(64) as usize;
            let ceiling = Budget::min(cores) + random.below(2 << 30);
            let budget = Budget::new(ceiling, cores).unwrap();
            let maxima = [budget.fixed, budget.ample_max(), budget.spare_max(), budget.crowd_max(), budget.work_max()];
            assert!(maxima.is_sorted_by(|less, more| less < more), "{budget:?}");
            assert!(budget.work_max() < budget.come_max() && budget.come_max() <= ceiling, "{budget:?}");
            assert!(budget.work_most() >= 2 * ACTIVE, "{budget:?}");
            assert!(budget.active() >= ACTIVE_MIN && budget.idle() > budget.active(), "{budget}");
            let Buffers { head, body, datagram, pipes, vectors } = budget.buffers;
            assert!(head.is_power_of_two() && body.is_power_of_two() && datagram.is_power_of_two());
            assert!(pipes > 0 && vectors > 0);
        }
    }

    #[test]
    fn more_memory_never_means_fewer_connections_of_the_same_buffers() {
        for cores in [1, 2, 4, 8] {
            let mut before = Budget::new(Budget::min(cores), cores).unwrap();
            for mib in (Budget::min(cores) / MIB)..1024 {
                let budget = Budget::new(mib * MIB, cores).unwrap();
                let grows = budget.buffers != before.buffers;
                assert!(grows || budget.active() >= before.active(), "{before} and {budget}");
                assert!(budget.fixed >= before.fixed, "{before} and {budget}");
                before = budget;
            }
        }
    }

    #[test]
    fn a_ceiling_that_is_too_low_is_refused_with_what_would_do() {
        for cores in [1, 2, 4, 64] {
            let min = Budget::min(cores);
            let budget = Budget::new(min, cores).unwrap();
            assert_eq!(budget.buffers, BUFFERS[4]);
            assert_eq!(Budget::new(min - 1, cores).unwrap_err(), TooLittle { ceiling: min - 1, cores, min });
        }
        let told = Budget::new(4 * MIB, 4).unwrap_err().to_string();
        let expect = "resources.memory: 4096 KiB are too little for 4 cores: their buffers and 8 busy connections take \
                      23 MiB; write memory = \"23MiB\" or more, or a lower number of `cores`";
        assert_eq!(told, expect);
        assert!(!Budget::new(0, 1).unwrap_err().to_string().contains("cores`"));
    }

    #[test]
    fn the_default_is_a_quarter_of_the_board_within_reason() {
        #[track_caller]
        fn check(machine: Option<u64>, cores: usize, expect_mib: u64) {
            assert_eq!(Budget::for_machine(machine, cores).ceiling / MIB, expect_mib);
        }
        check(Some(512 * MIB), 4, 128);
        check(Some(905 * MIB + 12_345), 4, 226);
        check(Some(8 << 30), 4, 256);
        check(None, 1, 256);
        check(Some(16 * MIB), 1, Budget::min(1) / MIB);
        check(Some(0), 4, Budget::min(4) / MIB);
    }

    #[test]
    fn a_budget_is_told_in_one_line() {
        let told = Budget::new(64 * MIB, 4).unwrap().to_string();
        assert_eq!(told, "64 MiB = 4,760 idle or 109 active connections; 20 MiB of it for buffers of 4 cores");
        assert_eq!(Thousands(1_234_005).to_string(), "1,234,005");
        assert!(Budget::new(64 * MIB, 1).unwrap().to_string().ends_with("of 1 core"));
    }
}
