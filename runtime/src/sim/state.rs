//! What a world is made of: descriptors, what they are of, what is on its way, and the clock.
//!
//! Descriptors have numbers that are given once and never again, beyond those that the system gives: one that is used or
//! closed after it was closed is found out, and one that gets to the system by mistake is none there.

use super::datagram::{Datagram, Udp};
use super::faults::{Fault, Faults};
use super::listener::Listening;
use super::pipe::PipeBytes;
use super::random::Random;
use super::stream::{End, Packet};
use super::trace::{Trace, digest};
use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// See the module.
pub(crate) struct State {
    pub(super) seed: u64,
    pub(super) now: Instant,
    /// Decides orders and faults.
    pub(super) random: Random,
    /// What tasks ask for.
    pub(super) values: Random,
    pub(super) faults: Faults,
    pub(super) counts: [u64; Fault::ALL.len()],
    pub(super) trace: Trace,
    numbers: Vec<Number>,
    files: Vec<Option<Box<File>>>,
    events: BTreeMap<(Instant, u64), Event>,
    scheduled: u64,
    pub(super) cores: Vec<Inhabitant>,
    /// Listeners of TCP by port.
    pub(super) tcp: BTreeMap<u16, Vec<FileId>>,
    /// Sockets of UDP by port.
    pub(super) udp: BTreeMap<u16, Vec<FileId>>,
    pub(super) unix: BTreeMap<PathBuf, FileId>,
    pub(super) last_port: u16,
    /// Somebody turns several cores and sees to the clock.
    pub(super) driven: bool,
    /// Rounds of all cores in which nothing has happened, and those at this instant.
    pub(super) rounds_without_event: u32,
    pub(super) rounds_at_instant: u32,
}

/// A core in a world.
pub(super) struct Inhabitant {
    pub(super) role: Role,
    /// Where its connections come from, if that was said.
    pub(super) addresses: Vec<IpAddr>,
}

/// Whose core it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It runs what is tested: its kernel has faults.
    Tested,
    /// It runs clients or servers around it: its kernel does all that it is asked to, on a network that has faults.
    Outside,
}

/// Which core of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CoreNumber(pub(super) usize);

impl CoreNumber {
    /// For traces.
    pub(crate) fn number(self) -> i64 {
        self.0 as i64
    }
}

/// What descriptors are of: a socket, a pipe. It may have several, and one at least while something depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(pub(super) usize);

pub(super) struct File {
    descriptors: usize,
    /// Counts what might let an operation go on that could not.
    version: u64,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// A stream socket that is not connected.
    Socket(Connecting),
    End(End),
    Listening(Listening),
    Udp(Udp),
    Pipe(PipeBytes),
}

/// How far a stream socket has come.
pub(super) enum Connecting {
    NotYet,
    Asked,
    /// An errno, told once.
    Failed(i32),
}

/// A descriptor, as far as the ledger knows.
enum Number {
    Open { file: FileId, origin: &'static str },
    Closed { origin: &'static str },
}

/// What happens by itself at its time.
pub(super) enum Event {
    Packet { from: FileId, to: FileId, packet: Packet },
    Connect { file: FileId, from: SocketAddr, to: SocketAddr, tries: u32 },
    ConnectFails { file: FileId, errno: i32 },
    Datagram { sender: FileId, datagram: Datagram },
}

/// The first number of a descriptor.
const FIRST_DESCRIPTOR: i32 = 1 << 20;
/// The time at which a world begins: late enough for what is reckoned backwards.
const BEGINNING: Instant = Instant::from_nanos(86_400_000_000_000);
/// Time since 1970 at the beginning: 2026-01-01.
const WALL_AT_BEGINNING: Duration = Duration::from_secs(1_767_225_600);

impl State {
    pub(super) fn new(seed: u64, faults: Faults) -> State {
        State {
            seed,
            now: BEGINNING,
            random: Random::new(seed),
            values: Random::new(!seed),
            faults,
            counts: [0; Fault::ALL.len()],
            trace: Trace::new(),
            numbers: Vec::new(),
            files: Vec::new(),
            events: BTreeMap::new(),
            scheduled: 0,
            cores: Vec::new(),
            tcp: BTreeMap::new(),
            udp: BTreeMap::new(),
            unix: BTreeMap::new(),
            last_port: 0,
            driven: false,
            rounds_without_event: 0,
            rounds_at_instant: 0,
        }
    }

    pub(super) fn wall(&self) -> Duration {
        WALL_AT_BEGINNING + self.now.since(BEGINNING)
    }

    /// Whether `fault` happens now. `core` is whose kernel it would be, and does not matter to faults of the network.
    pub(super) fn hits(&mut self, fault: Fault, core: Option<CoreNumber>) -> bool {
        let concerned =
            fault.is_of_network() || core.is_some_and(|CoreNumber(core)| self.cores[core].role == Role::Tested);
        let rate = u64::from(self.faults.rate(fault));
        // Nothing is drawn for what never happens, so that another rate of another fault changes no more than it must.
        let hit = concerned && rate > 0 && self.random.below(1000) < rate;
        if hit {
            self.counts[fault as usize] += 1;
            self.note("fault", [fault as i64, 0, 0]);
        }
        hit
    }

    pub(super) fn note(&mut self, what: &str, numbers: [i64; 3]) {
        self.trace.note(self.now, what, numbers);
    }

    // Descriptors and what they are of.

    pub(super) fn add_file(&mut self, kind: Kind) -> FileId {
        self.files.push(Some(Box::new(File { descriptors: 0, version: 0, kind })));
        FileId(self.files.len() - 1)
    }

    /// What `id` is, unless it is gone.
    pub(super) fn file(&mut self, id: FileId) -> Option<&mut Kind> {
        self.files[id.0].as_mut().map(|file| &mut file.kind)
    }

    pub(super) fn remove_file(&mut self, id: FileId) {
        self.files[id.0] = None;
    }

    /// Something has changed for operations on `id`.
    pub(super) fn touch(&mut self, id: FileId) {
        if let Some(file) = &mut self.files[id.0] {
            file.version += 1;
        }
    }

    /// A new descriptor of `file`.
    pub(super) fn open(&mut self, file: FileId, origin: &'static str) -> i32 {
        let Some(target) = &mut self.files[file.0] else { panic!("seed {}: {origin} of what is gone", self.seed) };
        target.descriptors += 1;
        self.numbers.push(Number::Open { file, origin });
        let number = FIRST_DESCRIPTOR + (self.numbers.len() - 1) as i32;
        self.note(origin, [number.into(), file.0 as i64, 0]);
        number
    }

    /// What a descriptor is of.
    pub(super) fn file_of(&self, number: i32) -> FileId {
        match self.number(number) {
            Some(Number::Open { file, .. }) => *file,
            Some(Number::Closed { origin }) => {
                panic!("seed {}: descriptor {number} ({origin}) is used after it was closed", self.seed)
            }
            None => panic!("seed {}: descriptor {number} is none of this world", self.seed),
        }
    }

    /// Counts what might let an operation on this descriptor go on.
    pub(super) fn version(&self, number: i32) -> u64 {
        self.files[self.file_of(number).0].as_ref().map_or(0, |file| file.version)
    }

    pub(super) fn duplicate(&mut self, number: i32) -> i32 {
        let file = self.file_of(number);
        self.open(file, "duplicate")
    }

    pub(super) fn close(&mut self, number: i32) {
        let (file, origin) = match self.number(number) {
            Some(Number::Open { file, origin }) => (*file, *origin),
            Some(Number::Closed { origin }) => {
                panic!("seed {}: descriptor {number} ({origin}) is closed twice", self.seed)
            }
            None => panic!("seed {}: descriptor {number} is closed, and none of this world", self.seed),
        };
        self.note("close", [number.into(), file.0 as i64, 0]);
        self.numbers[(number - FIRST_DESCRIPTOR) as usize] = Number::Closed { origin };
        let Some(target) = &mut self.files[file.0] else { return };
        target.descriptors -= 1;
        if target.descriptors > 0 {
            return;
        }
        match &target.kind {
            Kind::End(_) => self.close_end(file),
            Kind::Listening(_) => {
                self.stop_listening(file);
                self.remove_file(file);
            }
            Kind::Udp(_) => {
                self.leave_port(file);
                self.remove_file(file);
            }
            Kind::Socket(_) | Kind::Pipe(_) => self.remove_file(file),
        }
    }

    /// Open descriptors: number, where it came from, what it is of.
    pub(super) fn open_descriptors(&self) -> Vec<(i32, &'static str, FileId)> {
        let open = |(place, number): (usize, &Number)| match number {
            Number::Open { file, origin } => Some((FIRST_DESCRIPTOR + place as i32, *origin, *file)),
            Number::Closed { .. } => None,
        };
        self.numbers.iter().enumerate().filter_map(open).collect()
    }

    pub(super) fn is_open(&self, number: i32) -> bool {
        matches!(self.number(number), Some(Number::Open { .. }))
    }

    fn number(&self, number: i32) -> Option<&Number> {
        self.numbers.get(usize::try_from(number.checked_sub(FIRST_DESCRIPTOR)?).ok()?)
    }

    // The clock, and what it brings.

    pub(super) fn schedule(&mut self, at: Instant, event: Event) {
        debug_assert!(at > self.now);
        self.scheduled += 1;
        self.events.insert((at, self.scheduled), event);
    }

    /// When something happens by itself.
    pub(super) fn next_event(&self) -> Option<Instant> {
        self.events.keys().next().map(|(at, _)| *at)
    }

    /// Lets time pass, and happen what happens meanwhile.
    pub(super) fn advance(&mut self, to: Instant) {
        let to = to.max(self.now);
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= to) {
            let ((at, _), event) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = to;
        self.note("clock", [0; 3]);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Packet { from, to, packet } => self.arrive(from, to, packet),
            Event::Connect { file, from, to, tries } => self.establish(file, from, to, tries),
            Event::ConnectFails { file, errno } => self.fail_to_connect(file, errno),
            Event::Datagram { sender, datagram } => self.arrive_datagram(sender, datagram),
        }
    }

    /// A port that nobody has.
    pub(super) fn free_port(&mut self) -> u16 {
        loop {
            self.last_port = if self.last_port < PORTS_FROM { PORTS_FROM } else { self.last_port.wrapping_add(1) };
            let port = self.last_port;
            if port >= PORTS_FROM && !self.tcp.contains_key(&port) && !self.udp.contains_key(&port) {
                return port;
            }
        }
    }

    /// Where a socket of `core` sends from to `to`: from the address that it is sent to, as in one machine, unless the core
    /// has some of its own.
    pub(super) fn source(&mut self, core: Option<CoreNumber>, to: IpAddr) -> SocketAddr {
        let given = core.map_or(&[][..], |CoreNumber(core)| &self.cores[core].addresses);
        let fitting: Vec<_> = given.iter().copied().filter(|ip| ip.is_ipv4() == to.is_ipv4()).collect();
        let ip = match (&fitting[..], to) {
            ([], IpAddr::V4(ip)) if ip.is_loopback() => std::net::Ipv4Addr::LOCALHOST.into(),
            ([], _) => to,
            ([one], _) => *one,
            (several, _) => several[self.random.below(several.len() as u64) as usize],
        };
        SocketAddr::new(ip, self.free_port())
    }
}

/// Ports from here on are for those who do not mind.
const PORTS_FROM: u16 = 32_768;

/// The same number for the same two addresses: a client stays with one of several sockets.
pub(super) fn spread(a: SocketAddr, b: SocketAddr, count: usize) -> usize {
    let mut bytes = Vec::new();
    for address in [a, b] {
        match address.ip().to_canonical() {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
        bytes.extend(address.port().to_be_bytes());
    }
    // The upper half: the lower one is mixed less.
    (digest(&bytes) as u64 >> 32) as usize % count
}

/// Whether a socket that is bound to `bound` gets what is sent to `to`; `both` tells that it takes IPv4 as well as IPv6.
pub(super) fn is_for(bound: IpAddr, both: bool, to: IpAddr) -> bool {
    let to = to.to_canonical();
    bound.to_canonical() == to || bound.is_unspecified() && (bound.is_ipv4() == to.is_ipv4() || both)
}

/// An address as a socket of this family sees it.
pub(super) fn seen_by(is_ipv6: bool, address: SocketAddr) -> SocketAddr {
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) if is_ipv6 => IpAddr::V6(ip.to_ipv6_mapped()),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
