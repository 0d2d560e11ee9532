//! A core: one ring, its tasks, timers and buffers, and the turn that joins them.

mod ebb;
mod handle;
#[cfg(feature = "sim")]
mod simulated;

use crate::buf::{Chunk, GroupSettings, Pool};
use crate::driver::{After, Slots};
use crate::kernel::{
    Kernel, KernelChoice, KernelError, KernelKind, KernelSettings, Op, PipeEnds, RingFeatures, RingRestriction,
};
use crate::sys::hold;
use crate::sys::{Remote, Woken};
use crate::task::{self, Outcome, Registered, RunQueue, Shelf, TaskTable, Turning};
use crate::time::{Instant, Wheel};
use ebb::Ebb;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

/// How a core is set up. The defaults suit a small board.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What performs the operations.
    pub kernel: KernelChoice,
    /// Submission-queue entries; a power of two.
    pub submissions: u32,
    /// The ring refuses what the runtime never asks of it.
    pub restrict_ring: bool,
    /// Bytes of a small receive buffer, for heads.
    pub head_buffer_bytes: u32,
    /// How many of them; a power of two.
    pub head_buffers: u16,
    /// Bytes of a large receive buffer, for bodies.
    pub body_buffer_bytes: u32,
    /// How many of them; a power of two.
    pub body_buffers: u16,
    /// Bytes of a buffer for datagrams. What is told about a datagram takes some of them, up to 112.
    pub datagram_buffer_bytes: u32,
    /// How many of them; a power of two.
    pub datagram_buffers: u16,
    /// Pipes that may be in use at once. An unprivileged user gets some hundred of our size for all of its processes.
    pub pipes: usize,
    /// Byte vectors that are kept for the next one who needs one, each of up to 16 KiB.
    pub vectors: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            kernel: KernelChoice::Auto,
            submissions: 512,
            restrict_ring: true,
            head_buffer_bytes: 4 * 1024,
            head_buffers: 1024,
            body_buffer_bytes: 64 * 1024,
            body_buffers: 32,
            // The largest datagram of all fits: 65,535 bytes, and what is told about it.
            datagram_buffer_bytes: 68 * 1024,
            // Twice what the kernel brings of one socket at a time.
            datagram_buffers: 64,
            pipes: 64,
            // Three for each of 64 exchanges.
            vectors: 192,
        }
    }
}

impl Settings {
    fn for_kernel(&self) -> KernelSettings {
        let group = |bytes, count, published: u16| GroupSettings { bytes, count, published: published.min(count) };
        KernelSettings {
            submissions: self.submissions,
            restrict: self.restrict_ring,
            groups: [
                group(self.head_buffer_bytes, self.head_buffers, HEAD_BUFFERS_PUBLISHED),
                group(self.body_buffer_bytes, self.body_buffers, BODY_BUFFERS_PUBLISHED),
                group(self.datagram_buffer_bytes, self.datagram_buffers, DATAGRAM_BUFFERS_PUBLISHED),
            ],
        }
    }
}

/// Buffers that are published before any load: few, since published buffers become warm memory.
const HEAD_BUFFERS_PUBLISHED: u16 = 32;
const BODY_BUFFERS_PUBLISHED: u16 = 4;
const DATAGRAM_BUFFERS_PUBLISHED: u16 = 8;

/// A timer that is so far away may be late by as much as a turn takes: to ask for the time costs more than it is worth.
const FAR: Duration = Duration::from_millis(100);

/// Tasks polled before what they submitted is handed to the kernel.
const POLLS_PER_TURN: usize = 256;

/// One event loop. It lives on the thread that made it.
pub struct Core {
    inner: Rc<Inner>,
    remote: Arc<Remote>,
    woken: Woken,
    ebb: Ebb,
    refused: Option<KernelError>,
    _registered: Registered,
}

/// Pipes of a core: those that wait, and how many are in use.
struct Pipes {
    /// See [`Settings`].
    max: usize,
    idle: Vec<PipeEnds>,
    in_use: usize,
}

/// Pipes that are kept while nobody uses them.
const PIPES_IDLE_MAX: usize = 16;

/// How tasks reach their core. Cheap to clone, never leaves the thread.
#[derive(Clone)]
pub struct Handle(Rc<Inner>);

struct Inner {
    kernel: RefCell<Kernel>,
    slots: RefCell<Slots>,
    tasks: RefCell<TaskTable>,
    queue: Rc<RunQueue>,
    wheel: RefCell<Wheel>,
    pool: Pool,
    shelf: Rc<Shelf>,
    pipes: RefCell<Pipes>,
    now: Cell<Instant>,
    /// The ring takes nothing any more.
    closed: Cell<bool>,
    counts: Counts,
    on_panic: RefCell<Option<PanicReport>>,
}

/// What has been done; see [`Stats`](crate::driver::Stats).
#[derive(Default)]
struct Counts {
    turns: Cell<u64>,
    completions: Cell<u64>,
    polls: Cell<u64>,
    panics: Cell<u64>,
}

fn add(count: &Cell<u64>, more: u64) {
    count.set(count.get() + more);
}

/// Told the message of a task's panic.
type PanicReport = Rc<dyn Fn(&str)>;

impl Core {
    /// A core with a ring of its own, or what takes its place ([`Settings::kernel`]). It must be turned on the thread
    /// that makes it.
    pub fn new(settings: &Settings) -> Result<Core, KernelError> {
        // Now, since nobody may open files later.
        hold::learn();
        let remote = Arc::new(Remote::new().map_err(KernelError::Resources)?);
        let registered = task::register(remote.clone())
            .ok_or_else(|| KernelError::Resources(io::Error::other("too many cores in one process")))?;
        let (kernel, refused) = Kernel::new(settings.kernel, &settings.for_kernel(), remote.clone())?;
        Ok(Core::with(kernel, refused, settings, remote, registered))
    }

    fn with(
        kernel: Kernel,
        refused: Option<KernelError>,
        settings: &Settings,
        remote: Arc<Remote>,
        registered: Registered,
    ) -> Core {
        let now = kernel.now();
        let inner = Inner {
            kernel: RefCell::new(kernel),
            slots: RefCell::default(),
            tasks: RefCell::default(),
            queue: Rc::new(RunQueue::new(registered.id)),
            wheel: RefCell::new(Wheel::new(now)),
            pool: Pool::new(settings.vectors),
            shelf: Rc::default(),
            pipes: RefCell::new(Pipes { max: settings.pipes, idle: Vec::new(), in_use: 0 }),
            now: Cell::new(now),
            closed: Cell::new(false),
            counts: Counts::default(),
            on_panic: RefCell::default(),
        };
        Core {
            inner: Rc::new(inner),
            remote,
            woken: Woken::default(),
            ebb: Ebb::default(),
            refused,
            _registered: registered,
        }
    }

    /// What performs the operations.
    pub fn kernel(&self) -> KernelKind {
        self.inner.kernel.borrow().kind()
    }

    /// Why it is no ring, where one was wanted.
    pub fn refused(&self) -> Option<&KernelError> {
        self.refused.as_ref()
    }

    /// The handle for tasks.
    pub fn handle(&self) -> Handle {
        Handle(self.inner.clone())
    }

    /// What its ring has; `None` where there is no ring.
    pub fn ring_features(&self) -> Option<RingFeatures> {
        self.inner.kernel.borrow().features()
    }

    /// Whether its ring refuses what the runtime never asks of it.
    pub fn restriction(&self) -> RingRestriction {
        self.inner.kernel.borrow().restriction().clone()
    }

    /// Runs until `future` is ready, then ends all other tasks and waits for their operations.
    pub fn run<F: Future + 'static>(mut self, future: F) -> Option<F::Output> {
        let mut main = self.handle().spawn_joinable(future);
        let output = loop {
            let _turning = Turning::enter(self.inner.queue.clone());
            self.run_ready();
            if let Some(output) = main.take_if_ended() {
                break output;
            }
            self.wait(None);
        };
        self.shut_down();
        output
    }

    /// One turn: run ready tasks, hand over what they submitted, wait at most `timeout`, complete, fire timers.
    pub fn turn(&mut self, timeout: Option<Duration>) {
        let _turning = Turning::enter(self.inner.queue.clone());
        self.run_ready();
        self.wait(timeout);
    }

    fn run_ready(&mut self) {
        self.inner.queue.open_outbox();
        self.inner.run_tasks();
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        let inner = self.inner.clone();
        inner.send_messages();
        let timeout = self.give_memory_back(timeout);
        let timeout = if inner.queue.len() > 0 { Some(Duration::ZERO) } else { inner.wait_time(timeout) };
        let may_sleep = timeout != Some(Duration::ZERO) && self.remote.doze().fall_asleep();
        inner.kernel.borrow_mut().wait(if may_sleep { timeout } else { Some(Duration::ZERO) }, inner.now.get());
        if may_sleep {
            self.remote.doze().stay_awake();
        }
        inner.now.set(inner.kernel.borrow().now());
        inner.complete();
        if self.remote.doze().take_woken(&mut self.woken) {
            inner.wake_foreign(&mut self.woken);
        }
        inner.fire_timers();
        add(&inner.counts.turns, 1);
    }

    /// After many tasks have ended. How long a wait of `timeout` may last until this has to be looked at again.
    fn give_memory_back(&mut self, timeout: Option<Duration>) -> Option<Duration> {
        let (inner, now) = (&self.inner, self.inner.now.get());
        if self.ebb.is_due(inner.tasks.borrow().len(), now) {
            inner.pool.clear();
            inner.kernel.borrow_mut().release_heap();
        }
        [timeout, self.ebb.wait_time(now)].into_iter().flatten().min()
    }

    /// Ends all tasks, cancels what they had in flight, and waits until the kernel has let go of all of it.
    fn shut_down(&mut self) {
        let inner = self.inner.clone();
        // From here on nothing is spawned, submitted or closed through the ring: destructors of tasks try.
        if inner.closed.replace(true) {
            return;
        }
        let _turning = Turning::enter(inner.queue.clone());
        inner.send_messages();
        let tasks = inner.tasks.borrow_mut().take_all();
        for (index, task) in tasks {
            inner.queue.shut(index);
            task::drop_caught(task);
            inner.tasks.borrow_mut().remove(index);
        }
        // Operations of tasks have been cancelled with them. Others belong to whoever kept a connection outside of a
        // task; they end as well, since the ring does.
        inner.kernel.borrow_mut().submit_detached(Op::CancelAll);
        let give_up = inner.kernel.borrow().now() + SHUTDOWN_MAX;
        while inner.kernel.borrow().unfinished() > 0 && inner.kernel.borrow().now() < give_up {
            inner.kernel.borrow_mut().wait(Some(SHUTDOWN_STEP), inner.now.get());
            inner.complete();
        }
        // What needs no completion goes out before the ring does: messages to other cores.
        inner.kernel.borrow_mut().wait(Some(Duration::ZERO), inner.now.get());
        inner.complete();
        // It may hold a handle, which would keep all this alive.
        inner.on_panic.take();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // After a panic of the loop itself its state cannot be trusted: ring and memory stay as they are, for good.
        if !std::thread::panicking() {
            self.shut_down();
        }
    }
}

/// How long shutting down waits for completions at a time.
const SHUTDOWN_STEP: Duration = Duration::from_millis(100);
/// How long it waits in all. What has not ended by then keeps its memory, its descriptor and the ring for good.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

impl Inner {
    fn run_tasks(&self) {
        for _ in 0..POLLS_PER_TURN {
            let Some((index, generation)) = self.queue.pop() else { return };
            let Some(task) = self.tasks.borrow_mut().take(index) else { continue };
            let waker = task::waker(self.queue.core(), index, generation);
            add(&self.counts.polls, 1);
            match task::poll(task, &mut Context::from_waker(&waker)) {
                Outcome::Pending(task) => self.tasks.borrow_mut().put_back(index, task),
                Outcome::Done => self.end(index),
                Outcome::Panicked(message) => {
                    self.end(index);
                    add(&self.counts.panics, 1);
                    let report = self.on_panic.borrow().clone();
                    if let Some(report) = report {
                        report(&message);
                    }
                }
            }
        }
    }

    fn end(&self, index: u32) {
        self.queue.shut(index);
        self.tasks.borrow_mut().remove(index);
    }

    fn wait_time(&self, limit: Option<Duration>) -> Option<Duration> {
        let next = self.wheel.borrow().next();
        let timer = next.map(|at| match at.since(self.now.get()) {
            far if far >= FAR => far,
            // The time of this turn is its beginning; the tasks have taken some since.
            _ => at.since(self.kernel.borrow().now()),
        });
        match (limit, timer) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn send_messages(&self) {
        for remote in self.queue.close_outbox() {
            self.kernel.borrow_mut().wake(remote);
        }
    }

    fn fire_timers(&self) {
        loop {
            let Some(waker) = self.wheel.borrow_mut().pop(self.now.get()) else { return };
            waker.wake();
        }
    }

    fn complete(&self) {
        loop {
            let Some(completion) = self.kernel.borrow_mut().next() else { return };
            add(&self.counts.completions, 1);
            let after = self.slots.borrow_mut().complete(completion);
            match after {
                After::Nothing => {}
                After::Wake(waker) => waker.wake(),
                After::HoldBack(token, waker) => {
                    self.kernel.borrow_mut().submit_detached(Op::Cancel { target: token });
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
                After::Close(fd) => self.kernel.borrow_mut().close(fd),
                After::Ended(waker) => {
                    let (chunk, _counted) = self.slots.borrow_mut().take_ended();
                    if let Some(Chunk::Bytes(bytes, _)) = chunk {
                        self.pool.give_back(bytes);
                    }
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
            }
        }
    }

    fn wake_foreign(&self, woken: &mut Woken) {
        for (index, generation) in woken.tasks.drain(..) {
            self.queue.wake(index, generation);
        }
        if std::mem::take(&mut woken.everyone) {
            self.queue.wake_all();
        }
    }
}
