//! The cores, all that is on them, and each operation of a script.

mod connections;
mod finish;
mod pipes;

use super::bytes::Script;
use super::datagrams::Datagrams;
use super::end::{self, End};
use super::held::Hand;
use super::ledger::Ledger;
use super::watch::Watch;
use connections::{Arrived, Closing, Connecting, Listening};
use pipes::Piping;
use ringferry_runtime::mailbox::Sender;
use ringferry_runtime::sim::{Fault, Faults, Role, World};
use ringferry_runtime::time::{Alarm, Instant};
use ringferry_runtime::{Core, Handle, Recycled, Settings, Socket};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

/// See the module.
pub(super) struct Stage {
    world: World,
    /// `None` once it has ended.
    cores: [Option<Core>; 3],
    handles: [Handle; 3],
    /// Where connections come to; `None` once it has been given up.
    addresses: [SocketAddr; 2],
    sockets: [Option<Socket>; 2],
    listening: Vec<Listening>,
    connecting: Vec<Connecting>,
    closing: Vec<Closing>,
    /// To a task of each core, which makes connections of what comes.
    senders: Vec<Sender<Socket>>,
    arrived: Arrived,
    ends: Vec<End>,
    ledger: Ledger,
    hand: Hand,
    pipes: Vec<Piping>,
    alarms: Vec<Ringing>,
    datagrams: Datagrams,
    recycled: Vec<Recycled<[u8; 100]>>,
    settles: bool,
    cores_end_first: bool,
}

struct Ringing {
    core: usize,
    alarm: Alarm,
    deadline: Option<Instant>,
    rings: Watch,
}

/// How much there may be of anything else than connections.
const OTHERS_MAX: usize = 8;

impl Stage {
    pub(super) fn new(script: &mut Script<'_>) -> Stage {
        let (flags, seed, faults) = (script.byte(), script.byte(), script.byte());
        let faults = if faults == 0 { Faults::none() } else { Faults::drawn(faults.into()) };
        let world = World::new(seed.into(), faults);
        let settings = Settings {
            head_buffer_bytes: 256,
            head_buffers: 8,
            body_buffer_bytes: 8192,
            body_buffers: 4,
            datagram_buffer_bytes: 2048,
            datagram_buffers: 8,
            ..Settings::default()
        };
        let second = if flags & 2 == 0 { Role::Tested } else { Role::Outside };
        let cores = [Role::Tested, second, Role::Outside].map(|role| Core::simulated(&world, role, &settings));
        let handles = [0, 1, 2].map(|core: usize| cores[core].handle());
        let addresses = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| address.parse().expect("an address"));
        let sockets = addresses.map(|address| world.listen(address, 1).1.pop());
        let arrived = Arrived::default();
        let senders = (0..3).map(|core| connections::open_mailbox(core, &handles[core], &arrived)).collect();
        let listening =
            (0..2).filter_map(|place| connections::listen(place, &handles, sockets[place].as_ref())).collect();
        Stage {
            datagrams: Datagrams::new(&world),
            world,
            cores: cores.map(Some),
            handles,
            addresses,
            sockets,
            listening,
            connecting: Vec::new(),
            closing: Vec::new(),
            senders,
            arrived,
            ends: Vec::new(),
            ledger: Ledger::default(),
            hand: Hand::default(),
            pipes: Vec::new(),
            alarms: Vec::new(),
            recycled: Vec::new(),
            settles: flags & 4 == 0,
            cores_end_first: flags & 8 != 0,
        }
    }

    /// The next operation.
    pub(super) fn perform(&mut self, script: &mut Script<'_>) {
        match script.byte() % 32 {
            0..=3 => drop(self.turn(1 + script.below(3))),
            4 => self.turn_one(script.below(3)),
            5 => self.connect(script),
            6 => self.poll_connect(script),
            7 | 8 => self.poll_accept(script),
            9 => self.change_listener(script),
            10 => self.fetch_arrived(),
            11 => self.pipe(script),
            12 => self.fill(script),
            13 => self.empty(script),
            14 => self.alarm(script),
            15 => self.datagrams.perform(script, &self.handles),
            16 => self.world.jump(Duration::from_millis(1 << script.below(18))),
            17 => self.change_faults(script),
            18 => self.change_core(script),
            19 => match script.byte() % 3 {
                0 => drop(self.hand.give(script.below(3), script)),
                1 => self.hand.scribble(script.below(3), script),
                _ => self.recycle(script),
            },
            code => self.perform_on_end(code, script),
        }
    }

    /// What is done with one end of a connection.
    fn perform_on_end(&mut self, code: u8, script: &mut Script<'_>) {
        if self.ends.is_empty() {
            return self.poll_all();
        }
        let (place, is_cut) = (script.below(self.ends.len()), may_be_cut(&self.world));
        let end = &mut self.ends[place];
        match code {
            20 | 21 => end.send(script, &mut self.hand),
            22 => drop(end.poll_send()),
            23 => end.set_mode(end::mode(script.byte())),
            24 | 25 => drop(end.receive(&mut self.hand, script.byte(), is_cut)),
            26 => match script.byte() % 3 {
                0 => end.arm(),
                1 => end.look(),
                _ => end.quieten(&mut self.hand, script.byte()),
            },
            27 => match script.byte() % 3 {
                0 => end.drop_receiver(),
                1 => end.drop_send(),
                _ => end.drop_stream(),
            },
            28 => end.shut_down(script.pick(&[Shutdown::Write, Shutdown::Both, Shutdown::Read])),
            29 => end.wait(script.byte()),
            30 => match script.byte() {
                what if what % 3 == 0 => {
                    let world = self.world.clone();
                    end.read_in_task(&self.handles[end.core], script.flag(), move || may_be_cut(&world));
                }
                which => end.tweak(which, script.flag()),
            },
            _ => return drop(self.ends.swap_remove(place)),
        }
        self.ends[place].note_whether_closed();
    }

    fn alarm(&mut self, script: &mut Script<'_>) {
        let (what, core) = (script.byte() % 6, script.below(3));
        if what == 0 && self.alarms.len() < OTHERS_MAX {
            let alarm = Alarm::new(&self.handles[core]);
            self.alarms.push(Ringing { core, alarm, deadline: None, rings: Watch::new() });
        }
        if self.alarms.is_empty() {
            return;
        }
        let place = script.below(self.alarms.len());
        let Ringing { core, alarm, deadline, rings } = &mut self.alarms[place];
        match what {
            1 | 2 => {
                let at = self.handles[*core].now() + Duration::from_micros(1 << script.below(36));
                alarm.set_at(at);
                *deadline = Some(at);
                rings.ask_anew();
            }
            3 => {
                alarm.clear();
                *deadline = None;
                rings.ask_anew();
            }
            4 => drop(self.alarms.swap_remove(place)),
            _ => drop(poll_alarm(&mut self.alarms[place], &self.handles)),
        }
    }

    fn change_faults(&mut self, script: &mut Script<'_>) {
        let faults = match script.byte() % 3 {
            0 => Faults::none(),
            1 => Faults::drawn(script.byte().into()),
            _ => Faults::none().with(script.pick(&Fault::ALL), script.pick(&[1000, 500, 100, 10])),
        };
        self.world.set_faults(faults);
    }

    /// Seldom a core ends; what is on it stays where it is.
    fn change_core(&mut self, script: &mut Script<'_>) {
        let (core, what) = (script.below(3), script.byte());
        match what {
            7 => self.end_core(core),
            _ => self.handles[core].wake_all(),
        }
    }

    fn end_core(&mut self, core: usize) {
        self.cores[core] = None;
        self.datagrams.forget(core);
    }

    fn recycle(&mut self, script: &mut Script<'_>) {
        let handle = &self.handles[script.below(3)];
        if self.recycled.len() < OTHERS_MAX {
            let bytes = [script.byte(); 100];
            self.recycled.push(handle.recycle(bytes));
            let mut bytes = handle.take_bytes_for(script.size());
            bytes.push(0);
            handle.give_bytes(bytes);
        } else {
            self.recycled.clear();
        }
    }

    /// Turns all cores; false when nothing is ever going to happen.
    fn turn(&mut self, times: usize) -> bool {
        let mut cores: Vec<&mut Core> = self.cores.iter_mut().flatten().collect();
        (0..times).all(|_| self.world.step(&mut cores))
    }

    /// Turns one core; the others are slow.
    fn turn_one(&mut self, core: usize) {
        if let Some(core) = &mut self.cores[core] {
            self.world.step(&mut [core]);
        }
    }
}

/// Whether the network may have made an end or a reset of its own.
fn may_be_cut(world: &World) -> bool {
    let cuts = [Fault::EndedByNetwork, Fault::ResetByNetwork];
    world.fault_counts().iter().any(|(fault, count)| cuts.contains(fault) && *count > 0)
}

/// Whether it rings: just when its time has come.
fn poll_alarm(ringing: &mut Ringing, handles: &[Handle; 3]) -> bool {
    let Ringing { core, alarm, deadline, rings } = ringing;
    let is_due = deadline.is_some_and(|deadline| deadline <= handles[*core].now());
    // It may come before its timer, which has ticks: so who asks by chance may find it.
    if is_due {
        rings.ask_anew();
    }
    let is_ready = rings.poll(|cx| alarm.poll_elapsed(cx)).is_ready();
    assert_eq!(is_ready, is_due, "an alarm rings at another time than its own");
    if is_ready {
        alarm.clear();
        *deadline = None;
    }
    is_ready
}
