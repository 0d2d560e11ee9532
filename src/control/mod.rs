//! The control plane: one thread that does everything which is not traffic. Signals, reload, the admin socket, name
//! resolution, writing the log, and the order of the end.
//!
//! It never meets the data plane: it holds what `shared` and `log` define, and commands cores through closures. It
//! sleeps while nothing happens. It runs on tokio-uring where the kernel gives a ring (the log goes through it) and the
//! cores have rings as well, else on plain tokio; sockets, signals and timers are tokio's own on both.

mod admin;
mod client;
mod protocol;
mod resolve;
mod signals;
mod start;
mod status;
mod succession;
mod supervisor;
mod writer;

pub use admin::AdminSocket;
pub use client::{ANSWER_TIMEOUT, exchange};
pub use protocol::{Answer, Request};
pub use start::{FileId, PREDECESSOR, Start, control_group, running_program};
pub use status::{
    CertificateStatus, CoreStatus, KernelStatus, ListenerStatus, MeasureState, MeasureStatus, MemoryStatus, Numbers,
    PoolStatus, PrivilegeStatus, ServerState, ServerStatus, SnapshotStatus, Status, TlsStatus,
};

use crate::log::{Batch, LogQueue};
use crate::shared::{self, Command, CoreLink, CoreStats, Event, Memory, ServerCell};
use admin::Asked;
use protocol::Reply;
use resolve::Resolver;
use signals::Signal;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use supervisor::Supervisor;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};
use writer::Output;

/// What the control plane works with; the program fills it in and calls [`Control::run`].
pub struct Control<S> {
    /// The cores, already serving `in_force`.
    pub cores: Vec<Core<S>>,
    /// What the cores tell.
    pub events: mpsc::Receiver<Event>,
    /// For messages of our own. The log ends when this and every core's sink are gone: keep no other one.
    pub log: LogQueue,
    /// The lines to write.
    pub lines: mpsc::Receiver<Batch>,
    /// Where they are written.
    pub output: File,
    /// What does the I/O of the cores.
    pub kernel: KernelStatus,
    /// Whether a ring of our own may be made.
    pub may_make_ring: bool,
    /// The snapshot in force at the start, of generation 1.
    pub in_force: Loaded<S>,
    /// Reads the configuration again and builds a snapshot, without any effect until it is published.
    pub reload: Reload<S>,
    /// See [`LookAfter`].
    pub look_after: LookAfter<S>,
    /// See [`Begin`].
    pub begin: Begin,
    /// See [`Sockets`].
    pub sockets: Sockets<S>,
    /// How this process was started; or why none can be started like it.
    pub start: Result<Start, String>,
    /// `status` and `reload` of the command line talk to it.
    pub admin: Option<AdminSocket>,
    /// What is taken of the ceiling on memory.
    pub memory: Arc<Memory>,
    /// The monotonic clock that the cores use.
    pub now_ms: fn() -> u64,
}

/// See [`Control::reload`]. It is given the generation that the snapshot will have, and the snapshot in force; an error
/// is text for a human, several lines perhaps.
pub type Reload<S> = Box<dyn FnMut(u64, &S) -> Result<Loaded<S>, String>>;

/// Called every minute, with what [`Reload`] is given: a snapshot to publish, if one is due without anybody asking.
pub type LookAfter<S> = Box<dyn FnMut(u64, &S) -> Option<Result<Loaded<S>, String>>>;

/// Called once everything that needs a ring has one, and signals are heeded: until then one would end the process
/// without a drain. Takes over from a predecessor, if there is one, and gives up what is not needed from here on; an error
/// is the end. What it returns is who we are from then on, to the admin socket and to people.
pub type Begin = Box<dyn FnOnce() -> Result<(PrivilegeStatus, String), String>>;

/// The listening sockets of a snapshot, for another process.
pub type Sockets<S> = Box<dyn Fn(&S) -> io::Result<Vec<OwnedFd>>>;

/// One core, seen from here.
pub struct Core<S> {
    /// Commands it.
    pub link: CoreLink<S>,
    /// What it counts.
    pub stats: Arc<CoreStats>,
}

/// A snapshot, and what the control plane must know of it.
pub struct Loaded<S> {
    /// For the cores.
    pub snapshot: Arc<S>,
    /// The file that it was read from.
    pub source: String,
    /// The addresses that it accepts on.
    pub listeners: Vec<String>,
    /// Its sites that end TLS.
    pub tls: Vec<TlsStatus>,
    /// Its servers, those of a pool together.
    pub servers: Vec<Arc<ServerCell>>,
    /// How long exchanges in flight may take at the end.
    pub drain_timeout: Duration,
    /// What the operator should know although it is valid.
    pub warnings: Vec<String>,
}

/// How the end came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything in flight had ended.
    Drained,
    /// The drain timeout was over first.
    TimedOut,
    /// A second signal did not want to wait.
    Stopped,
    /// No core is left to serve.
    Failed,
}

impl<S: 'static> Control<S> {
    /// Works until a signal ends it. When it returns, every core has been told to stop and has closed its log, or has
    /// not done so within a second.
    pub fn run(self) -> io::Result<Exit> {
        let ring = self.may_make_ring.then(|| tokio_uring::Runtime::new(tokio_uring::builder().entries(RING_ENTRIES)));
        match ring {
            Some(Ok(ring)) => ring.block_on(self.serve(|file| Output::Ring(tokio_uring::fs::File::from_std(file)))),
            // No ring for this process: an old kernel, a container that forbids it, or nobody wants one. Same service,
            // more threads.
            Some(Err(_)) | None => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let exit = LocalSet::new().block_on(&runtime, self.serve(|file| Output::Thread(Arc::new(file))));
                // Not a plain drop, which would wait for a look-up or a write that hangs.
                runtime.shutdown_background();
                exit
            }
        }
    }

    async fn serve(self, output: impl FnOnce(File) -> Output) -> io::Result<Exit> {
        let signals = signals::listen()?;
        self.serve_signals(output, signals).await
    }

    async fn serve_signals(
        self,
        output: impl FnOnce(File) -> Output,
        signals: mpsc::Receiver<Signal>,
    ) -> io::Result<Exit> {
        let (privileges, announcement) = (self.begin)().map_err(io::Error::other)?;
        self.log.note(announcement.trim_end());
        let writer = spawn_local(writer::write(self.lines, output(self.output)));
        let (sender, requests) = mpsc::channel(1);
        let to_pass = self.admin.as_ref().and_then(AdminSocket::to_pass);
        let admin = self.admin.map(|socket| spawn_local(socket.serve(sender)));
        let mut resolver = Resolver::new(self.log.clone());
        resolver.watch(&self.in_force.servers);
        let supervisor = Supervisor::of_environment(self.cores.len());
        supervisor.ready(&serving(1, &self.in_force.source));

        let running = Running {
            kernel: self.kernel,
            alive: vec![true; self.cores.len()],
            cores: self.cores,
            log: self.log,
            in_force: self.in_force,
            generation: 1,
            reload: self.reload,
            look_after: self.look_after,
            resolver,
            privileges,
            memory: self.memory,
            now_ms: self.now_ms,
            started: Instant::now(),
            published_unix_s: unix_s(),
            draining: None,
            supervisor,
            sockets: self.sockets,
            start: self.start,
            leaving: None,
            admin: to_pass,
        };
        let exit = running.until_the_end(signals, self.events, requests).await;
        end(admin, writer).await;
        Ok(exit)
    }
}

/// The state of the control loop, which alone touches it.
struct Running<S> {
    kernel: KernelStatus,
    cores: Vec<Core<S>>,
    /// Which cores have not failed.
    alive: Vec<bool>,
    log: LogQueue,
    in_force: Loaded<S>,
    generation: u64,
    reload: Reload<S>,
    look_after: LookAfter<S>,
    resolver: Resolver,
    privileges: PrivilegeStatus,
    memory: Arc<Memory>,
    now_ms: fn() -> u64,
    started: Instant,
    published_unix_s: u64,
    draining: Option<Draining>,
    supervisor: Supervisor,
    sockets: Sockets<S>,
    /// To be passed on with these.
    admin: Option<OwnedFd>,
    start: Result<Start, String>,
    /// Another process has taken over; until then, connections may ask once more.
    leaving: Option<tokio::time::Instant>,
}

/// The time between the first signal and the end.
struct Draining {
    deadline: tokio::time::Instant,
    /// Which cores still have something in flight.
    busy: Vec<bool>,
}

impl<S: 'static> Running<S> {
    async fn until_the_end(
        mut self,
        mut signals: mpsc::Receiver<Signal>,
        mut events: mpsc::Receiver<Event>,
        mut requests: mpsc::Receiver<Asked>,
    ) -> Exit {
        let mut minute = interval(LOOK_AFTER);
        minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let exit = loop {
            let deadline = self.draining.as_ref().map(|draining| draining.deadline);
            tokio::select! {
                Some(signal) = signals.recv() => match signal {
                    Signal::Reload => drop(self.reload(false).await), // the log has told
                    Signal::Drain if self.draining.is_none() => self.drain().await,
                    Signal::Drain => break Exit::Stopped,
                },
                Some(event) = events.recv() => self.note_event(event),
                Some((request, answer)) = requests.recv() => {
                    // A client that is gone needs no answer.
                    _ = answer.send(self.answer(request).await);
                }
                _ = minute.tick() => self.look_after().await,
                () = self.supervisor.beat() => self.ask_cores(),
                () = reached(deadline) => break Exit::TimedOut,
                () = reached(self.leaving), if self.draining.is_none() => self.drain().await,
            }
            if !self.alive.contains(&true) {
                break Exit::Failed;
            }
            if self.draining.as_ref().is_some_and(|draining| !draining.busy.contains(&true)) {
                break Exit::Drained;
            }
        };
        self.supervisor.stopping("ending");
        self.log.note(match exit {
            Exit::Drained => "drained, ending",
            Exit::TimedOut => "the drain timeout is over, closing what is left",
            Exit::Stopped => "a second signal: closing what is left",
            Exit::Failed => "no core is left to serve, ending",
        });
        self.tell_cores(|| Command::Stop).await;
        exit
    }

    async fn answer(&mut self, request: Request) -> Reply {
        let answer = match request {
            Request::Ping {} => Answer::Pong { version: VERSION.to_owned(), pid: std::process::id() },
            Request::Status {} => Answer::Status(Box::new(self.status())),
            Request::Reload { dry_run } => self.reload(dry_run).await,
            Request::Start {} => self.started(),
            Request::Sockets {} => return self.pass_sockets(),
            Request::Yield { to, admin } => return self.yield_to(to, admin).await,
        };
        answer.into()
    }

    /// Publishes what the configuration says now. When it is wrong nothing changes.
    async fn reload(&mut self, dry_run: bool) -> Answer {
        if self.is_ending() {
            return self.refuse("it is draining and takes no new configuration".to_owned());
        }
        if dry_run {
            return match (self.reload)(self.generation + 1, &self.in_force.snapshot) {
                Ok(Loaded { warnings, .. }) => Answer::Reloaded { generation: self.generation + 1, dry_run, warnings },
                Err(why) => self.refuse(why),
            };
        }
        self.supervisor.reloading();
        let answer = match (self.reload)(self.generation + 1, &self.in_force.snapshot) {
            Ok(loaded) => {
                let warnings = loaded.warnings.clone();
                self.publish(loaded).await;
                self.log.note(&format!("reloaded {}, snapshot {}", self.in_force.source, self.generation));
                Answer::Reloaded { generation: self.generation, dry_run, warnings }
            }
            Err(why) => self.refuse(why),
        };
        self.supervisor.ready(&serving(self.generation, &self.in_force.source));
        answer
    }

    async fn publish(&mut self, loaded: Loaded<S>) {
        for warning in &loaded.warnings {
            self.log.note(warning);
        }
        self.in_force = loaded;
        self.generation += 1;
        self.published_unix_s = unix_s();
        self.resolver.watch(&self.in_force.servers);
        let (pending, adopted) = shared::pending();
        let snapshot = self.in_force.snapshot.clone();
        self.tell_cores(|| Command::Publish { snapshot: snapshot.clone(), pending: pending.clone() }).await;
        drop(pending);
        // Whoever is told of a reload relies on it with the next request.
        if timeout(ADOPTION, adopted.wait()).await.is_err() {
            self.log.note(&format!("not every core serves snapshot {} yet", self.generation));
        }
    }

    /// Publishes what is due without anybody asking. When it cannot be had, the next minute tries again.
    async fn look_after(&mut self) {
        if self.is_ending() {
            return;
        }
        match (self.look_after)(self.generation + 1, &self.in_force.snapshot) {
            Some(Ok(loaded)) => {
                self.publish(loaded).await;
                self.log.note(&format!("certificates renewed, snapshot {}", self.generation));
            }
            Some(Err(why)) => {
                self.log.note(&format!("certificates cannot be renewed: {why}"));
            }
            None => {}
        }
    }

    fn refuse(&self, message: String) -> Answer {
        self.log.note(&format!("not reloaded, nothing has changed: {message}"));
        Answer::Error { message }
    }

    fn is_ending(&self) -> bool {
        self.draining.is_some() || self.leaving.is_some()
    }

    async fn drain(&mut self) {
        let timeout = self.in_force.drain_timeout;
        self.supervisor.stopping("draining");
        self.log.note(&format!("draining for at most {} s; a second signal ends at once", timeout.as_secs()));
        self.draining = Some(Draining { deadline: tokio::time::Instant::now() + timeout, busy: self.alive.clone() });
        self.tell_cores(|| Command::Drain { timeout }).await;
    }

    fn note_event(&mut self, event: Event) {
        match event {
            Event::Drained { core } => self.no_longer_busy(core),
            Event::Alive { core } => self.supervisor.answered(core),
            Event::Panicked { core, message } => {
                self.log.note(&format!("core {core}: a bug closed one connection, please report it: {message}"));
            }
            Event::Failed { core, message } => {
                self.log.note(&format!("core {core} has ended: {message}"));
                if let Some(alive) = self.alive.get_mut(core) {
                    *alive = false;
                }
                self.no_longer_busy(core);
            }
        }
    }

    fn no_longer_busy(&mut self, core: usize) {
        if let Some(busy) = self.draining.as_mut().and_then(|draining| draining.busy.get_mut(core)) {
            *busy = false;
        }
    }

    /// Tells who watches us that all cores live, if they do, and asks them again. One that takes no question does not.
    fn ask_cores(&mut self) {
        self.supervisor.tell_if_alive();
        for core in &self.cores {
            (core.link)(Command::Ping);
        }
    }

    /// Gives each core its command. A core whose queue is full gets a moment to empty it: a snapshot must not be lost.
    async fn tell_cores(&self, command: impl Fn() -> Command<S>) {
        for (number, core) in self.cores.iter().enumerate().filter(|&(number, _)| self.alive[number]) {
            let mut tries = 0;
            while !(core.link)(command()) {
                tries += 1;
                if tries == TELL_TRIES {
                    self.log.note(&format!("core {number} takes no commands"));
                    break;
                }
                sleep(TELL_RETRY).await;
            }
        }
    }

    fn status(&self) -> Status {
        let (cores, totals) = status::cores(self.cores.iter().map(|core| &*core.stats));
        Status {
            version: VERSION.to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            draining: self.is_ending(),
            kernel: self.kernel.clone(),
            snapshot: SnapshotStatus {
                generation: self.generation,
                published_unix_s: self.published_unix_s,
                source: self.in_force.source.clone(),
            },
            listeners: self
                .in_force
                .listeners
                .iter()
                .map(|address| ListenerStatus { address: address.clone() })
                .collect(),
            tls: self.in_force.tls.clone(),
            privileges: self.privileges.clone(),
            memory: MemoryStatus {
                ceiling_bytes: self.memory.budget().ceiling,
                used_bytes: self.memory.used(),
                waiting: self.memory.waiting(),
            },
            totals,
            cores,
            pools: status::pools(&self.in_force.servers, (self.now_ms)()),
        }
    }
}

/// After the cores have been told to stop: no more clients, and the last lines out. The queue of lines ends by itself
/// when the cores are gone.
async fn end(admin: Option<JoinHandle<io::Result<()>>>, writer: JoinHandle<()>) {
    if let Some(admin) = admin {
        admin.abort();
        _ = admin.await; // removes the socket's file
    }
    _ = timeout(LAST_LINES, writer).await;
}

async fn reached(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// What it does, for whoever asks the supervisor.
fn serving(generation: u64, source: &str) -> String {
    format!("serving {source}, snapshot {generation}")
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// One write is under way at a time; the rest is room for cancelling it.
const RING_ENTRIES: u32 = 8;

/// How often, and how many times, a core that takes no command is asked again: a second in all.
const TELL_RETRY: Duration = Duration::from_millis(20);
const TELL_TRIES: u32 = 50;

/// How often [`Control::look_after`] is called.
const LOOK_AFTER: Duration = Duration::from_secs(60);

/// How long cores may take to serve by a new snapshot before its reload is answered without.
const ADOPTION: Duration = Duration::from_secs(1);

/// How long cores and writer may take for the last lines of the log.
const LAST_LINES: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
