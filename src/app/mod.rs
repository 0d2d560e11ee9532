//! Boot and end: the order in which everything is made, and who knows whom. No decision of its own.
//!
//! bind → cores (threads, rings) → announce → control plane until a signal → join.

mod certificates;
mod cores;
mod descriptors;
mod disk;
mod holder;
mod listeners;
mod load;
mod machine;
mod state;
#[cfg(test)]
mod tests;
mod tls;

pub use certificates::{Certificates, Finding, SiteCertificates, terminations, upstream_findings};
pub use state::State;

use crate::control::{AdminSocket, Control, KernelStatus, Loaded};
use crate::limit::{Clients, Gate, Rates, Requests};
use crate::log;
use crate::model::{Config, Cores, KernelChoice};
use crate::shared::events;
use crate::snapshot::Snapshot;
use load::Loader;
use ringferry_runtime::time::monotonic;
use ringferry_runtime::{KernelKind, random, release_heap};
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
    let Boot { config, file, cores, kernel, admin, quiet } = boot;
    cores::raise_descriptor_limit();
    let cpus = cores::choose(cores.as_ref().unwrap_or(&config.cores))?;
    let kernel = cores::kernel(kernel.unwrap_or(config.kernel))?;
    let admin = admin.map(|path| {
        AdminSocket::bind(&path).map_err(|error| {
            let path = path.display();
            Failure::Resource(format!("cannot open the admin socket {path}: {error}; choose another with --admin PATH"))
        })
    });
    let admin = admin.transpose()?;
    let mut loader = Loader::new(file, cpus.len(), quiet);
    let in_force = loader.first(config)?;

    let descriptors = descriptors::limit();
    let (log, lines) = log::queue();
    let (events, event_queue) = events();
    let shared = cores::Shared {
        clients: Arc::new(Clients::new(CLIENTS)),
        connections: Arc::new(Gate::default()),
        requests: Arc::new(Requests::new(CLIENTS)),
        rates: Arc::new(Rates::new(RATES, random())),
        descriptors: descriptors::for_connections(descriptors, cpus.len()),
        events,
        log: log.clone(),
        snapshot: in_force.snapshot.clone(),
    };
    let (threads, cores) = cores::start(&cpus, kernel.choice, shared)?;
    let kernel = KernelStatus { name: kernel.kind.name().to_owned(), refused: kernel.refused };
    let output = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    let loader = Rc::new(RefCell::new(loader));
    let caretaker = loader.clone();
    let control = Control {
        cores,
        events: event_queue,
        log,
        lines,
        output: output.map_err(|error| Failure::Resource(format!("cannot use stderr: {error}")))?,
        announce: announcement(&in_force, cpus.len(), &kernel, descriptors),
        may_make_ring: kernel.name == KernelKind::Uring.name(),
        kernel,
        in_force,
        reload: Box::new(move |generation, in_force| {
            let loaded = loader.borrow_mut().again(generation, in_force);
            // The text of a configuration, what came of it on the way, and files of certificates.
            release_heap();
            loaded
        }),
        look_after: Box::new(move |generation, in_force| caretaker.borrow_mut().look_after(generation, in_force)),
        admin,
        now_ms: || monotonic().as_millis(),
    };
    let ended = control.run();
    for thread in threads {
        let _ = thread.join();
    }
    ended.map(drop).map_err(|error| Failure::Resource(format!("the control plane could not run: {error}")))
}

/// What is not well, one line for each address, and one that says that it has begun.
fn announcement(in_force: &Loaded<Snapshot>, cores: usize, kernel: &KernelStatus, descriptors: u64) -> String {
    let snapshot = &in_force.snapshot;
    let mut text: String = in_force.warnings.iter().map(|warning| format!("{warning}\n")).collect();
    if let Some(why) = &kernel.refused {
        let name = &kernel.name;
        text += &format!("warning: this runs on {name}: {why}; to be told no more, write kernel = {name:?}\n");
    }
    text += &descriptors::remark(snapshot.config.limits.connections, descriptors, cores);
    for bound in &snapshot.listeners {
        let shared = if bound.listener.dual_stack && bound.address.is_ipv6() { " (IPv4 and IPv6)" } else { "" };
        text += &format!("listening on {}{shared}\n", bound.url());
    }
    let sites = snapshot.config.sites.len();
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let kernel_tls = if snapshot.tls.is_offloaded() { ", kernel TLS" } else { "" };
    let (sites, cores) = (plural(sites, "site"), plural(cores, "core"));
    text + &format!("ready: {sites}, {cores}, {}{kernel_tls}\n", kernel.name)
}
