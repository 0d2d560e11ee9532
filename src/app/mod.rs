//! Boot and end: the order in which everything is made, and who knows whom. No decision of its own.
//!
//! another user → kernel → bind → paths → cores (threads, rings) → system calls → announce → control plane → join.

mod certificates;
mod cores;
mod descriptors;
mod disk;
mod holder;
mod inherited;
mod listeners;
mod load;
mod machine;
mod predecessor;
mod privilege;
mod state;
#[cfg(test)]
mod tests;
mod tls;

pub use certificates::{Certificates, Finding, SiteCertificates, terminations, upstream_findings};
pub use descriptors::for_connections as descriptors_for_connections;
pub use holder::{Holder, Process};
pub use listeners::{Obstacle, obstacle};
pub use machine::{meminfo, memory as machine_memory};
pub use predecessor::SERVES;
pub use state::{State, wants_authority};

use crate::control::{AdminSocket, Control, KernelStatus, Loaded, PrivilegeStatus, Start};
use crate::limit::{Budget, Clients, Gate, Rates, Requests};
use crate::log;
use crate::model::{Config, Cores, KernelChoice};
use crate::shared::{Memory, events};
use crate::snapshot::Snapshot;
use cores::Started;
use inherited::Inherited;
use load::Loader;
use predecessor::Predecessor;
use privilege::{Plan, UserChange, change_user};
use ringferry_runtime::available_cpus;
use ringferry_runtime::net::records_available;
use ringferry_runtime::time::monotonic;
use ringferry_runtime::{KernelKind, Socket, left_open, random, release_heap};
use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

/// What is to be served, and how.
#[derive(Debug)]
pub struct Boot {
    /// The configuration to start with.
    pub config: Config,
    /// Where a reload reads it again; `None` where there is no file.
    pub file: Option<PathBuf>,
    /// Wins over `cores` of the file, also after a reload.
    pub cores: Option<Cores>,
    /// Wins over `kernel` of the file.
    pub kernel: Option<KernelChoice>,
    /// The admin socket to open.
    pub admin: Option<PathBuf>,
    /// No access log.
    pub quiet: bool,
    /// A folder that the caller removes when it has ended, with all in it.
    pub scratch: Option<PathBuf>,
}

/// Why it did not start, or did not go on. The text is for the operator: what, where, why, what to do.
#[derive(Debug)]
pub enum Failure {
    /// An address, a socket or a ring could not be had.
    Resource(String),
    /// The configuration asks for what this machine has not.
    Configuration(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Resource(text) | Failure::Configuration(text) => f.write_str(text),
        }
    }
}

/// Client addresses that are counted at once; beyond it some are admitted uncounted.
const CLIENTS: usize = 16 * 1024;
/// Pairs of client and route whose rate is known at once; the stalest give way.
const RATES: usize = 32 * 1024;

/// Serves until a signal ends it.
pub fn run(boot: Boot) -> Result<(), Failure> {
    let Boot { config, file, cores, kernel, admin: admin_path, quiet, scratch } = boot;
    cores::raise_descriptor_limit();
    let start = match &scratch {
        None => Start::of_process(),
        Some(_) => Err("it is a demo, which ends with its terminal".to_owned()),
    };
    // Before anything is opened that stays open, and could have a number of theirs.
    let left_open = left_open();
    let (mut predecessor, passed) = Predecessor::of_environment()?.unzip();
    let inherited = Inherited::of(passed.into_iter().flatten().chain(left_open).collect());
    let cpus = cores::choose(cores.as_ref().unwrap_or(&config.cores))?;
    let memory = Arc::new(Memory::new(share_out(&config, cpus.len())?));
    let admin = admin_path.as_deref().map(|path| {
        let bound = match predecessor.as_mut().and_then(|predecessor| predecessor.take_admin(path)) {
            Some(listener) => Ok(AdminSocket::adopt(path, listener)),
            None => AdminSocket::bind(path),
        };
        bound.map_err(|error| {
            let path = path.display();
            Failure::Resource(format!("cannot open the admin socket {path}: {error}; choose another with --admin PATH"))
        })
    });
    let admin = admin.transpose()?;
    let wanted = config.privileges.clone();
    let state = State::of(&config).ok();
    if wanted.user.is_some() {
        before_another_user(&config, &inherited)?;
    }
    let UserChange { status: user, changed } =
        change_user(&config, file.as_deref(), admin_path.as_deref(), state.as_ref());
    // As the user that cores will be, since a system may leave rings to root alone; and while files tell why it does.
    let kernel = cores::kernel(kernel.unwrap_or(config.kernel), wanted.restrict_rings)?;
    let mut privileges = PrivilegeStatus { user, ..PrivilegeStatus::default() };

    let folder = state.map(|state| state.folder().to_path_buf());
    let mut loader = Loader::new(file.clone(), folder.clone(), wanted.clone(), cpus.len(), quiet, inherited);
    let in_force = loader.first(config)?;
    let plan = Plan::of(&in_force.snapshot.config, file.as_deref(), folder.as_deref());
    let plan = plan.with_system().with_end(admin_path.as_deref(), scratch.as_deref()).in_force();
    privilege::confine(&wanted, &plan, &mut privileges);
    if privileges.landlock.is_on() {
        loader.confined_to(plan);
    }

    let descriptors = descriptors::limit();
    let (log, lines) = log::queue();
    let (events, event_queue) = events();
    let shared = cores::Shared {
        clients: Arc::new(Clients::new(CLIENTS)),
        connections: Arc::new(Gate::default()),
        memory: memory.clone(),
        requests: Arc::new(Requests::new(CLIENTS)),
        rates: Arc::new(Rates::new(RATES, random())),
        descriptors: descriptors::for_connections(descriptors, cpus.len()),
        events,
        log: log.clone(),
        snapshot: in_force.snapshot.clone(),
        restrict_rings: wanted.restrict_rings,
        give_up_capabilities: changed,
    };
    let Started { kernel, threads, cores, restrictions } = cores::start(&cpus, kernel, &shared)?;
    // The queues of log and events end when cores and control plane have.
    drop(shared);
    privileges.rings = privilege::rings(&restrictions);
    let kernel = KernelStatus { name: kernel.kind.name().to_owned(), refused: kernel.refused };
    let output = match &predecessor {
        Some(predecessor) => predecessor.log(),
        None => io::stderr().as_fd().try_clone_to_owned().map(File::from),
    };
    let loader = Rc::new(RefCell::new(loader));
    let caretaker = loader.clone();
    let control = Control {
        cores,
        events: event_queue,
        log,
        lines,
        output: output.map_err(|error| Failure::Resource(format!("cannot use stderr: {error}")))?,
        begin: {
            let (warnings, ready) = announcement(&in_force, cpus.len(), &kernel, descriptors);
            Box::new(move || {
                predecessor.map_or(Ok(()), Predecessor::make_way)?;
                privilege::seal(&wanted, &mut privileges);
                let refusals: String = privilege::refusals(&privileges).map(|line| line + "\n").collect();
                let text = format!("{warnings}{refusals}{ready}{}\n", privilege::summary(&privileges));
                Ok((privileges, text))
            })
        },
        may_make_ring: kernel.name == KernelKind::Uring.name(),
        kernel,
        in_force,
        reload: Box::new(move |generation, in_force| {
            let loaded = loader.borrow_mut().again(generation, in_force);
            // The text of a configuration, what came of it on the way, and files of certificates.
            release_heap();
            loaded
        }),
        sockets: Box::new(|snapshot: &Snapshot| {
            snapshot.listeners.iter().flat_map(|bound| &bound.sockets).map(Socket::to_pass).collect()
        }),
        start,
        look_after: Box::new(move |generation, in_force| caretaker.borrow_mut().look_after(generation, in_force)),
        admin,
        memory,
        now_ms: || monotonic().as_millis(),
    };
    let ended = control.run();
    for thread in threads {
        let _ = thread.join();
    }
    ended.map(drop).map_err(|error| Failure::Resource(format!("the control plane could not run: {error}")))
}

/// What only root can do or see, and what is done later by another user.
fn before_another_user(config: &Config, inherited: &Inherited) -> Result<(), Failure> {
    if config.kernel_tls {
        // Asking loads the module of the kernel, if it may.
        let _ = records_available();
    }
    listeners::all_available(&config.listeners, inherited)
}

/// What the ceiling on memory is shared out for with this configuration, on this machine.
pub fn budget(config: &Config) -> Result<Budget, Failure> {
    // Not whether they are there: a file may be looked at on another machine than it is for.
    let cores = match &config.cores {
        Cores::All => available_cpus().len(),
        Cores::Count(count) => *count,
        Cores::List(list) => list.len(),
    };
    share_out(config, cores)
}

fn share_out(config: &Config, cores: usize) -> Result<Budget, Failure> {
    match config.resources.memory {
        Some(ceiling) => Budget::new(ceiling, cores).map_err(|error| Failure::Configuration(error.to_string())),
        None => Ok(Budget::for_machine(machine::memory(), cores)),
    }
}

/// What is not well; then one line for each address, and one that says that it has begun.
fn announcement(
    in_force: &Loaded<Snapshot>,
    cores: usize,
    kernel: &KernelStatus,
    descriptors: u64,
) -> (String, String) {
    let snapshot = &in_force.snapshot;
    let mut warnings: String = in_force.warnings.iter().map(|warning| format!("{warning}\n")).collect();
    if let Some(why) = &kernel.refused {
        let name = &kernel.name;
        warnings += &format!("warning: this runs on {name}: {why}; to be told no more, write kernel = {name:?}\n");
    }
    warnings += &descriptors::remark(snapshot.config.limits.connections, descriptors, cores);
    let mut text = String::new();
    for bound in &snapshot.listeners {
        let shared = if bound.listener.dual_stack && bound.address.is_ipv6() { " (IPv4 and IPv6)" } else { "" };
        text += &format!("listening on {}{shared}\n", bound.url());
    }
    let sites = snapshot.config.sites.len();
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let kernel_tls = if snapshot.tls.is_offloaded() { ", kernel TLS" } else { "" };
    let (sites, cores) = (plural(sites, "site"), plural(cores, "core"));
    text += &format!("ready: {sites}, {cores}, {}{kernel_tls}", kernel.name);
    (warnings, text)
}
