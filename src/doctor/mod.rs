//! What matters on this machine for Ringferry, and what to do about it: `ringferry doctor`.
//!
//! Each file reads a part of the machine, and judges it: `read` does the I/O and decides nothing, `judge` is pure. What
//! other parts of the program know already is asked of them, so that the doctor never says something else than they do.
//! Nothing is changed, nothing is sent but a question to the resolver of the system, and no answer is waited for longer
//! than [`PATIENCE`]. How it is shown is for `cli`.

mod board;
mod certificates;
mod clock;
mod container;
mod crypto;
mod file;
mod files;
mod kernel;
mod limits;
mod network;
mod patience;
mod ports;
mod ring;
mod service;
mod sockets;
mod storage;

pub use file::ConfigFile;
pub use service::Running;

use crate::app::budget;
use crate::config::usual;
use crate::tls::{cipher_order, has_aes};
use container::Container;
use files::Files;
use ringferry_runtime::{available_cpus, probe};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long an answer is waited for: of the Ringferry that runs, and then of the resolver and of programs, all at once.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How a finding is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be, or as it is.
    Ok,
    /// It works, and could be better; or it cannot be told.
    Hint,
    /// It does not work, or not for long.
    Bad,
}

/// What was seen of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// One of [`SUBJECTS`].
    pub subject: &'static str,
    /// How it is meant.
    pub level: Level,
    /// In one line.
    pub seen: String,
    /// What to do, in one line: a command where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub todo: Option<String>,
}

/// What is looked at, in this order. Each has a finding at least; addresses, names and certificates have one each that is
/// not well. The names are an interface: add, never rename.
pub const SUBJECTS: [&str; 20] = [
    "kernel",
    "io_uring",
    "page_size",
    "ciphers",
    "memlock",
    "descriptors",
    "pipes",
    "socket_buffers",
    "backlog",
    "memory",
    "disk",
    "clock",
    "throttling",
    "container",
    "dns",
    "ipv6",
    "configuration",
    "certificates",
    "upstreams",
    "ports",
];

impl Finding {
    fn ok(subject: &'static str, seen: impl Into<String>) -> Finding {
        Finding { subject, level: Level::Ok, seen: seen.into(), todo: None }
    }

    fn hint(subject: &'static str, seen: impl Into<String>, todo: impl Into<String>) -> Finding {
        Finding { subject, level: Level::Hint, seen: seen.into(), todo: Some(todo.into()) }
    }

    fn bad(subject: &'static str, seen: impl Into<String>, todo: impl Into<String>) -> Finding {
        Finding { level: Level::Bad, ..Finding::hint(subject, seen, todo) }
    }
}

/// Facts about the machine. The names are an interface: add, never rename.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// `Raspberry Pi 4 Model B Rev 1.4`, where the board tells.
    pub model: Option<String>,
    /// The release of the kernel.
    pub kernel: String,
    /// What the kernel runs on: `aarch64`.
    pub architecture: String,
    /// What this program was built for.
    pub program_architecture: &'static str,
    /// Processors that it may use.
    pub processors: usize,
    /// Bytes of a page.
    pub page_bytes: usize,
    /// Bytes of memory, or what our control group may have of it.
    pub memory_bytes: Option<u64>,
    /// What of the machine's is free, or can be freed.
    pub memory_available_bytes: Option<u64>,
    /// The processor has AES instructions.
    pub aes: bool,
    /// The kind of container that this runs in.
    pub container: Option<String>,
    /// What a ring has; `null` where there is none.
    pub io_uring: Option<Ring>,
    /// The clock of the wall, in seconds since 1970.
    pub unix_s: u64,
}

/// What a ring has, of what not every kernel gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ring {
    /// Its work is done when a core waits (Linux 6.1).
    pub deferred: bool,
    /// It refuses what a proxy never asks of it.
    pub restricted: bool,
    /// Waiting is not shown as waiting for a disk (Linux 6.15).
    pub no_iowait: bool,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Of the program.
    pub version: &'static str,
    /// Facts.
    pub machine: Machine,
    /// How many findings there are of each level.
    pub counts: Counts,
    /// What was seen, in the order of [`SUBJECTS`].
    pub findings: Vec<Finding>,
}

/// How many findings there are of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Of [`Level::Bad`].
    pub bad: usize,
    /// Of [`Level::Hint`].
    pub hint: usize,
    /// Of [`Level::Ok`].
    pub ok: usize,
}

impl Counts {
    fn of(findings: &[Finding]) -> Counts {
        let count = |level| findings.iter().filter(|finding| finding.level == level).count();
        Counts { bad: count(Level::Bad), hint: count(Level::Hint), ok: count(Level::Ok) }
    }
}

/// Looks at everything: at this machine, at the configuration in `file`, and at what `running` says of itself.
pub fn examine(path: &Path, file: &ConfigFile, running: &Running) -> Report {
    let files = Files::System;
    let usual = usual();
    let config = file.config().unwrap_or(&usual);
    // First, since it waits for others.
    let questions = network::ask(file.config());
    let model = board::model(&files);
    let throttled = board::ask(&files, model.as_deref());

    let container = container::read(&files);
    let kernel = kernel::read(&files);
    let ring = probe::ring();
    let memory = storage::read_memory(&files);
    let budget = budget(config);
    let cores = budget.as_ref().map_or_else(|_| available_cpus().len(), |budget| budget.cores);
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let aes = has_aes();

    let machine = Machine {
        model,
        kernel: kernel.release.clone(),
        architecture: kernel.machine.clone(),
        program_architecture: std::env::consts::ARCH,
        processors: available_cpus().len(),
        page_bytes: probe::page_bytes(),
        memory_bytes: memory.total,
        memory_available_bytes: memory.available,
        aes,
        container: container.as_ref().map(|container| container.kind.clone()),
        io_uring: ring.as_ref().ok().map(ring::facts),
        unix_s: now_s,
    };
    let advice = Advice { container: container.as_ref() };
    let seccomp = ring::seccomp(&files);
    let mut findings = vec![
        kernel::judge(&kernel, machine.model.as_deref()),
        ring::judge(ring, &kernel, seccomp, config.kernel, running, &advice),
        kernel::judge_page(machine.page_bytes),
        crypto::judge(aes, &cipher_order(aes)),
        limits::judge_memlock(limits::memlock(&files, running), &kernel, cores, &advice),
        limits::judge_descriptors(limits::descriptors(&files, running), config.limits.connections, cores, &advice),
        limits::judge_pipes(&limits::pipes(&files), budget.as_ref().ok(), machine.page_bytes, &advice),
    ];
    let sockets = sockets::read(&files);
    findings.extend([sockets::judge_buffers(&sockets, &advice), sockets::judge_backlog(&sockets, &advice)]);
    findings.push(storage::judge_memory(&memory, budget));
    findings.push(storage::judge_disk(&storage::read_disk(config)));
    findings.push(clock::judge(&clock::read(&files, now_s), &advice));
    findings.push(board::judge(&throttled.answer()));
    findings.push(container::judge(container.as_ref()));
    let network = questions.answers();
    findings.push(network::judge_dns(&network::name_servers(&files), &network));
    findings.push(network::judge_ipv6(&network::read_ipv6(&files)));
    findings.push(file::judge(path, file, running));
    findings.extend(certificates::judge(path, file.config(), now_s));
    findings.extend(network::judge_upstreams(file.config(), &network));
    findings.extend(ports::judge_all(&ports::read(config), file.config().is_some(), running));
    Report { version: env!("CARGO_PKG_VERSION"), machine, counts: Counts::of(&findings), findings }
}

/// Commands as they have to be typed on this machine.
struct Advice<'a> {
    container: Option<&'a Container>,
}

impl Advice<'_> {
    /// A command for the machine itself, of which a container has a part.
    fn on_host(&self, command: &str) -> String {
        if self.container.is_some() { format!("on the host: {command}") } else { command.to_owned() }
    }

    /// How settings of the kernel are changed: `net.core.rmem_max=4194304`. A container cannot change them, if it has any.
    fn sysctl(&self, settings: &[String]) -> String {
        self.on_host(&format!("sudo sysctl -w {}", settings.join(" ")))
    }

    /// How much a process may lock is changed.
    fn memlock(&self, wanted: u64) -> String {
        match self.container {
            Some(container) if container.is_docker() => format!("docker run --ulimit memlock={wanted}"),
            _ => format!("LimitMEMLOCK={wanted} in the unit of the service, or `ulimit -l {}`", wanted >> 10),
        }
    }

    /// How many descriptors a process may have is changed.
    fn descriptors(&self, wanted: u64) -> String {
        match self.container {
            Some(container) if container.is_docker() => format!("docker run --ulimit nofile={wanted}"),
            _ => format!("LimitNOFILE={wanted} in the unit of the service, or `ulimit -n {wanted}` in a shell of root"),
        }
    }
}

/// A size without the decimals that say nothing: `256 KiB`.
fn size(count: u64) -> String {
    crate::model::bytes(count).replace(".0 ", " ")
}

#[cfg(test)]
mod tests;
