//! The threads of the data plane: on which processors, and started all or none.

use super::Failure;
use super::privilege::give_up_capabilities;
use crate::control::Core;
use crate::limit::{Clients, Gate, Rates, Requests};
use crate::listen::Peer;
use crate::log::LogQueue;
use crate::model::{Cores, KernelChoice};
use crate::shared::{CoreStats, Events, Memory, Share};
use crate::snapshot::Snapshot;
use crate::worker::Worker;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringferry_runtime::{self as runtime, CoreThread, KernelError, KernelKind, RingRestriction, Settings};
use ringferry_runtime::{available_cpus, mailbox, spawn_pinned};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

/// What all cores share.
pub(super) struct Shared {
    pub(super) clients: Arc<Clients>,
    pub(super) connections: Arc<Gate>,
    pub(super) memory: Arc<Memory>,
    pub(super) requests: Arc<Requests>,
    pub(super) rates: Arc<Rates>,
    /// For each core; see [`descriptors`](super::descriptors).
    pub(super) descriptors: u64,
    pub(super) events: Events,
    pub(super) log: LogQueue,
    pub(super) snapshot: Arc<Snapshot>,
    /// Rings refuse what a proxy never asks of them.
    pub(super) restrict_rings: bool,
    /// There are capabilities for the control plane, which cores do without.
    pub(super) give_up_capabilities: bool,
}

/// Commands that a core has not read.
const COMMANDS: usize = 16;
/// Connections that a core was handed and has not taken over.
const HANDED: usize = 256;

/// Every connection is a descriptor, two with its server: as many as the system lets us have.
pub(super) fn raise_descriptor_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// The processors to run on.
pub(super) fn choose(cores: &Cores) -> Result<Vec<usize>, Failure> {
    let available = available_cpus();
    let chosen = match cores {
        Cores::All => available,
        Cores::Count(count) if *count > available.len() => {
            let have = available.len();
            return Err(Failure::Configuration(format!(
                "cores: {count} are asked for, this process may use {have}; write a number from 1 to {have}"
            )));
        }
        Cores::Count(count) => available.into_iter().take(*count).collect(),
        Cores::List(list) => {
            if let Some(missing) = list.iter().find(|cpu| !available.contains(cpu)) {
                return Err(Failure::Configuration(format!(
                    "cores: processor {missing} is not there or not allowed; this process may use {available:?}"
                )));
            }
            list.clone()
        }
    };
    Ok(chosen)
}

/// What does the I/O of all cores.
pub(super) struct Kernel {
    /// What each core has to be told, so that all have the same.
    pub(super) choice: runtime::KernelChoice,
    pub(super) kind: KernelKind,
    /// Why it is no ring, where one was wanted.
    pub(super) refused: Option<String>,
    /// It is a ring, and may be epoll instead.
    may_go_without_ring: bool,
}

/// Finds out by making a core, which is not kept: versions and files tell less.
pub(super) fn kernel(wanted: KernelChoice, restrict_ring: bool) -> Result<Kernel, Failure> {
    let kernel = match wanted {
        KernelChoice::Auto => runtime::KernelChoice::Auto,
        KernelChoice::Uring => runtime::KernelChoice::Uring,
        KernelChoice::Epoll => runtime::KernelChoice::Epoll,
    };
    let core = runtime::Core::new(&Settings { kernel, restrict_ring, ..Settings::default() }).map_err(|error| {
        let instead =
            if wanted == KernelChoice::Uring { "; or leave the choice to us with kernel = \"auto\"" } else { "" };
        Failure::Resource(format!("{error}{instead}"))
    })?;
    let choice = match core.kernel() {
        KernelKind::Uring => runtime::KernelChoice::Uring,
        KernelKind::Epoll => runtime::KernelChoice::Epoll,
    };
    let refused = core.refused().map(ToString::to_string);
    let may_go_without_ring = wanted == KernelChoice::Auto && core.kernel() == KernelKind::Uring;
    Ok(Kernel { choice, kind: core.kernel(), refused, may_go_without_ring })
}

impl Kernel {
    /// Epoll for all, since there is not a ring for each.
    fn without_rings(why: &KernelError) -> Kernel {
        Kernel {
            choice: runtime::KernelChoice::Epoll,
            kind: KernelKind::Epoll,
            refused: Some(why.to_string()),
            may_go_without_ring: false,
        }
    }
}

/// The threads of the cores, how to command them, what does their I/O, and what became of their rings.
pub(super) struct Started {
    pub(super) kernel: Kernel,
    pub(super) threads: Vec<CoreThread<()>>,
    pub(super) cores: Vec<Core<Snapshot>>,
    pub(super) restrictions: Vec<RingRestriction>,
}

/// Starts a core on each processor.
pub(super) fn start(cpus: &[usize], kernel: Kernel, shared: &Shared) -> Result<Started, Failure> {
    match start_on(cpus, kernel, shared) {
        // Rings take locked memory, which may have been enough for the first of them.
        Err(NotStarted::Core(kernel, error)) if kernel.may_go_without_ring => {
            start_on(cpus, Kernel::without_rings(&error), shared)
        }
        started => started,
    }
    .map_err(|not| match not {
        NotStarted::Core(_, error) => Failure::Resource(error.to_string()),
        NotStarted::Thread(why) => Failure::Resource(why),
    })
}

/// Why a core has not started. Those before it end by themselves, since nobody can command them any more.
enum NotStarted {
    Core(Kernel, KernelError),
    Thread(String),
}

fn start_on(cpus: &[usize], kernel: Kernel, shared: &Shared) -> Result<Started, NotStarted> {
    let stats: Vec<_> = cpus.iter().map(|_| Arc::new(CoreStats::default())).collect();
    let (handed_in, handed_out): (Vec<_>, Vec<_>) = cpus.iter().map(|_| mailbox::channel(HANDED)).unzip();
    let mut all = Started { kernel, threads: Vec::new(), cores: Vec::new(), restrictions: Vec::new() };
    for (core, handed) in handed_out.into_iter().enumerate() {
        let (commands, command_queue) = mailbox::channel(COMMANDS);
        let others = (0..cpus.len()).filter(|other| *other != core);
        let worker = Worker {
            share: Share {
                core,
                stats: stats[core].clone(),
                clients: shared.clients.clone(),
                connections: shared.connections.clone(),
                memory: shared.memory.clone(),
                requests: shared.requests.clone(),
                rates: shared.rates.clone(),
                descriptors: shared.descriptors,
                events: shared.events.clone(),
            },
            kernel: all.kernel.choice,
            log: shared.log.sink(shared.snapshot.config.log.format),
            snapshot: shared.snapshot.clone(),
            commands: command_queue,
            handed,
            peers: others
                .map(|other| Peer { core: other, stats: stats[other].clone(), mailbox: handed_in[other].clone() })
                .collect(),
            restrict_ring: shared.restrict_rings,
        };
        let give_up = shared.give_up_capabilities;
        let (started, outcome) = sync_channel(1);
        let thread = spawn_pinned(format!("core-{core}"), cpus[core], move || {
            if give_up {
                give_up_capabilities();
            }
            worker.run(&started);
        });
        let thread =
            thread.map_err(|error| NotStarted::Thread(format!("cannot start a thread for core {core}: {error}")))?;
        match outcome.recv() {
            Ok(Ok(restriction)) => all.restrictions.push(restriction),
            Ok(Err(error)) => return Err(NotStarted::Core(all.kernel, error)),
            Err(_) => return Err(NotStarted::Thread(format!("core {core} ended as it started; this is a bug"))),
        }
        all.threads.push(thread);
        all.cores
            .push(Core { link: Box::new(move |command| commands.send(command).is_ok()), stats: stats[core].clone() });
    }
    Ok(all)
}
