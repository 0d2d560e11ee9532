//! The whole data plane on simulated cores: what `app` and `control` do for it is done here, by hand.

use crate::draw::Draw;
use crate::loader::Loader;
use ringferry::limit::{Budget, Clients, Gate, Rates, Requests};
use ringferry::listen::Peer;
use ringferry::log::{self, Batch};
use ringferry::shared::{Command, CoreStats, Event, Memory, Share, events, pending};
use ringferry::snapshot::Snapshot;
use ringferry::worker::Worker;
use ringferry_runtime::mailbox::{self, Sender};
use ringferry_runtime::sim::{Role, World};
use ringferry_runtime::{Core, JoinHandle, Settings};
use std::sync::Arc;
use tokio::sync::mpsc;

pub(crate) struct Proxy {
    commands: Vec<Sender<Command<Snapshot>>>,
    pub(crate) told: Told,
    works: Vec<JoinHandle<()>>,
    loader: Loader,
    current: Arc<Snapshot>,
}

/// What the cores tell.
pub(crate) struct Told {
    memory: Arc<Memory>,
    used_at_first: u64,
    stats: Vec<Arc<CoreStats>>,
    connections: Arc<Gate>,
    lines: mpsc::Receiver<Batch>,
    events: mpsc::Receiver<Event>,
    drained: usize,
    /// What went wrong.
    pub(crate) complaints: Vec<String>,
}

impl Proxy {
    /// As many cores as are asked for, with a configuration that `draw` decides.
    pub(crate) fn start(world: &World, count: usize, calm: bool, draw: &mut Draw) -> (Proxy, Vec<Core>) {
        let settings = settings(draw);
        let cores: Vec<Core> = (0..count).map(|_| Core::simulated(world, Role::Tested, &settings)).collect();
        let mut loader = Loader::new(world.clone(), count, calm);
        let first = loader.load(draw, &[]);
        let (queue, lines) = log::queue();
        let (told, events) = events();
        let (clients, connections) = (Arc::new(Clients::new(1024)), Arc::new(Gate::default()));
        let memory = Arc::new(Memory::new(budget(count, calm, draw)));
        let (requests, rates) = (Arc::new(Requests::new(64)), Arc::new(Rates::new(64, 1)));
        let stats: Vec<_> = (0..count).map(|_| Arc::new(CoreStats::default())).collect();
        let (handed_in, handed_out): (Vec<_>, Vec<_>) = (0..count).map(|_| mailbox::channel(8)).unzip();
        let (mut commands, mut works) = (Vec::new(), Vec::new());
        for (core, handed) in handed_out.into_iter().enumerate() {
            let (sender, receiver) = mailbox::channel(16);
            commands.push(sender);
            let others = (0..count).filter(|other| *other != core);
            let peers = others
                .map(|other| Peer { core: other, stats: stats[other].clone(), mailbox: handed_in[other].clone() })
                .collect();
            let share = Share {
                core,
                stats: stats[core].clone(),
                clients: clients.clone(),
                connections: connections.clone(),
                requests: requests.clone(),
                rates: rates.clone(),
                descriptors: 1000,
                memory: memory.clone(),
                events: told.clone(),
            };
            let log = queue.sink(first.config.log.format);
            let worker = Worker {
                share,
                kernel: Default::default(),
                log,
                snapshot: first.clone(),
                commands: receiver,
                handed,
                peers,
                restrict_ring: false,
            };
            let handle = cores[core].handle();
            works.push(handle.spawn_joinable(worker.on(handle.clone())));
        }
        let proxy = Proxy {
            commands,
            told: Told {
                used_at_first: memory.used(),
                memory,
                stats,
                connections,
                lines,
                events,
                drained: 0,
                complaints: Vec::new(),
            },
            works,
            loader,
            current: first,
        };
        (proxy, cores)
    }

    /// Puts another configuration in force.
    pub(crate) fn reload(&mut self, draw: &mut Draw) {
        let next = self.loader.load(draw, &self.current.listeners);
        self.current = next.clone();
        let (pending, _) = pending();
        self.command(|| Command::Publish { snapshot: next.clone(), pending: pending.clone() });
    }

    pub(crate) fn drain(&mut self) {
        let timeout = self.current.config.timeouts.drain;
        self.command(|| Command::Drain { timeout });
    }

    pub(crate) fn stop(&mut self) {
        self.command(|| Command::Stop);
    }

    fn command(&mut self, command: impl Fn() -> Command<Snapshot>) {
        for sender in &self.commands {
            if sender.send(command()).is_err() {
                self.told.complaints.push("a core took no command".to_owned());
            }
        }
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.told.drained >= self.commands.len()
    }

    /// What goes on.
    pub(crate) fn left(&self) -> String {
        let sum = |what: fn(&CoreStats) -> u64| self.told.stats.iter().map(|stats| what(stats)).sum::<u64>();
        let connections = sum(|stats| stats.connections.value());
        let exchanges = sum(|stats| stats.exchanges.value());
        let tunnels = sum(|stats| stats.tunnels.value());
        format!("{connections} connections, {exchanges} exchanges, {tunnels} tunnels")
    }

    /// Whether the work of every core has ended.
    pub(crate) fn has_stopped(&mut self) -> bool {
        self.works.retain_mut(|work| work.take_if_ended().is_none());
        self.works.is_empty()
    }

    /// Gives up all that is shared with the cores, but for what they tell of their ends.
    pub(crate) fn into_told(self) -> Told {
        self.told
    }
}

impl Told {
    /// Reads what the cores tell. `line` is given each line of the log.
    pub(crate) fn listen(&mut self, mut line: impl FnMut(&str)) {
        while let Ok(batch) = self.lines.try_recv() {
            String::from_utf8_lossy(batch.text()).lines().for_each(&mut line);
        }
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Drained { .. } => self.drained += 1,
                Event::Alive { .. } => {}
                Event::Panicked { message, .. } => self.complaints.push(format!("a task panicked: {message}")),
                Event::Failed { message, .. } => self.complaints.push(message),
            }
        }
    }

    /// Bytes of memory that count as used although all have gone.
    pub(crate) fn memory_left(&self) -> u64 {
        self.memory.used() - self.used_at_first
    }

    /// Connections of clients, as all cores together count them, and as each does.
    pub(crate) fn connections(&self) -> (u32, u64) {
        (self.connections.inside(), self.stats.iter().map(|stats| stats.connections.value()).sum())
    }
}

/// Often as little memory as there may be, so that it runs out.
fn budget(cores: usize, calm: bool, draw: &mut Draw) -> Budget {
    let ceiling = if !calm && draw.once_in(2) { Budget::min(cores) } else { 256 << 20 };
    Budget::new(ceiling, cores).expect("enough memory")
}

/// Small rings, so that they run out.
fn settings(draw: &mut Draw) -> Settings {
    Settings {
        submissions: 32,
        head_buffer_bytes: draw.pick(&[1024, 4096]),
        head_buffers: draw.pick(&[4, 16, 64]),
        body_buffer_bytes: draw.pick(&[4096, 65536]),
        body_buffers: draw.pick(&[2, 8]),
        datagram_buffer_bytes: 4096,
        datagram_buffers: 4,
        ..Settings::default()
    }
}
