//! The seam: what the runtime asks of a kernel, and the kernels that answer.
//!
//! Everything above talks to [`Kernel`] and to nothing else: ring operations, the few synchronous calls, clock and
//! randomness. A kernel owns the memory of an operation from [`Kernel::submit`] until the completion that ends it; that
//! is what makes a dropped future harmless.
#![allow(unsafe_code)]

mod epoll;
mod operation;
#[cfg(feature = "sim")]
mod sim;
mod uring;

pub use crate::sys::message::LocalAddress;
pub use crate::sys::owned::Socket;
pub use crate::sys::ring::{KernelError, RingRestriction};
pub use crate::sys::segments::Segments;
pub(crate) use operation::{Completion, Held, Op, RawDescriptor, Token, Wait};

use crate::buf::{Group, GroupSettings, Groups, Ticket};
use crate::sys::hold::{self, Hold, Way};
use crate::sys::ktls::{self, ControlRecord, RecordKey};
use crate::sys::pipe;
pub(crate) use crate::sys::pipe::PipeEnds;
use crate::sys::{Remote, clock, datagram, socket};
use crate::time::Instant;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// How a kernel is set up.
#[derive(Clone, Debug)]
pub(crate) struct KernelSettings {
    pub(crate) submissions: u32,
    /// The ring refuses what the runtime never asks of it.
    pub(crate) restrict: bool,
    /// In the order of [`Group::ALL`].
    pub(crate) groups: [GroupSettings; 3],
}

/// The kernels.
pub(crate) enum Kernel {
    Uring(Box<uring::Uring>),
    Epoll(Box<epoll::Epoll>),
    /// Plain data; see [`sim`](crate::sim).
    #[cfg(feature = "sim")]
    Sim(Box<sim::Sim>),
}

/// What a ring was found to have, of what not every kernel that is new enough has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingFeatures {
    /// Its work is done when the core waits, and not in between (6.1).
    pub deferred: bool,
    /// Waiting is not counted as waiting for a disk (6.15).
    pub no_iowait: bool,
    /// Whether it refuses what the runtime never asks of it.
    pub restriction: RingRestriction,
}

/// Which kernel a core is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelChoice {
    /// io_uring; where it is refused or missing, epoll.
    #[default]
    Auto,
    /// io_uring, or none.
    Uring,
    /// epoll, whatever else there is.
    Epoll,
}

/// Which kernel a core has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelKind {
    /// One io_uring.
    Uring,
    /// Readiness by epoll, and a call for each operation.
    Epoll,
}

impl KernelKind {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            KernelKind::Uring => "io_uring",
            KernelKind::Epoll => "epoll",
        }
    }
}

/// What the kernel in force does.
macro_rules! each {
    ($self:expr, $kernel:ident => $does:expr) => {
        match $self {
            Kernel::Uring($kernel) => $does,
            Kernel::Epoll($kernel) => $does,
            #[cfg(feature = "sim")]
            Kernel::Sim($kernel) => $does,
        }
    };
}

/// Returns what a simulated kernel says to a synchronous call. All others are one system, and ask it.
macro_rules! simulated {
    ($self:expr, $kernel:ident => $does:expr) => {
        #[cfg(feature = "sim")]
        if let Kernel::Sim($kernel) = $self {
            return $does;
        }
    };
}

impl Kernel {
    /// A kernel of the chosen kind, and why it is no ring, where one was wanted.
    pub(crate) fn new(
        choice: KernelChoice,
        settings: &KernelSettings,
        remote: Arc<Remote>,
    ) -> Result<(Kernel, Option<KernelError>), KernelError> {
        let refused = match choice {
            KernelChoice::Epoll => None,
            KernelChoice::Auto | KernelChoice::Uring => match uring::Uring::new(settings, remote.clone()) {
                Ok(uring) => return Ok((Kernel::Uring(Box::new(uring)), None)),
                Err(error) if choice == KernelChoice::Uring => return Err(error),
                Err(error) => Some(error),
            },
        };
        let epoll = epoll::Epoll::new(settings, remote)?;
        Ok((Kernel::Epoll(Box::new(epoll)), refused))
    }

    pub(crate) fn kind(&self) -> KernelKind {
        match self {
            Kernel::Uring(_) => KernelKind::Uring,
            Kernel::Epoll(_) => KernelKind::Epoll,
            #[cfg(feature = "sim")]
            Kernel::Sim(_) => panic!("a simulated core has no kernel of the system"),
        }
    }

    /// A kernel of a simulated world.
    #[cfg(feature = "sim")]
    pub(crate) fn simulated(
        settings: &KernelSettings,
        world: &crate::sim::World,
        role: crate::sim::Role,
        remote: Arc<Remote>,
    ) -> Result<Kernel, KernelError> {
        let sim = sim::Sim::new(settings, world, role, remote).map_err(KernelError::Resources)?;
        Ok(Kernel::Sim(Box::new(sim)))
    }

    /// Itself, if it is simulated.
    #[cfg(feature = "sim")]
    pub(crate) fn as_simulated(&self) -> Option<&sim::Sim> {
        match self {
            Kernel::Sim(sim) => Some(sim),
            _ => None,
        }
    }

    /// Queues an operation; the next [`Kernel::wait`] at the latest hands it over. `token.index` must not be in use.
    pub(crate) fn submit(&mut self, token: Token, op: Op) {
        each!(self, kernel => kernel.submit(token, op))
    }

    /// Queues an operation whose completion nobody needs.
    pub(crate) fn submit_detached(&mut self, op: Op) {
        each!(self, kernel => kernel.submit_detached(op))
    }

    /// Hands queued operations over and waits until something completes, `timeout` passes (zero: do not wait) or the
    /// core is woken. Completions are then read with [`Kernel::next`].
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, now: Instant) {
        each!(self, kernel => kernel.wait(timeout, now))
    }

    /// The next completion that the last wait brought.
    pub(crate) fn next(&mut self) -> Option<Completion> {
        each!(self, kernel => kernel.next())
    }

    /// A receive in `group` found no buffer: [`Kernel::wait`] wakes `waker` when there is one.
    pub(crate) fn wait_for_buffer(&mut self, group: Group, waker: &Waker, now: Instant) -> Ticket {
        self.groups().wait(group, waker, now)
    }

    /// Whether `ticket` still waits for a buffer of `group`; then `waker` is the one to wake.
    pub(crate) fn still_waits_for_buffer(&mut self, group: Group, ticket: Ticket, waker: &Waker) -> bool {
        self.groups().of(group).still_waits(ticket, waker)
    }

    /// Whoever waited for a buffer is gone.
    pub(crate) fn stop_waiting_for_buffer(&mut self, group: Group, ticket: Ticket) {
        self.groups().of(group).stop_waiting(ticket)
    }

    /// Wakes another core: through the ring where the kernel can, with the next [`Kernel::wait`].
    pub(crate) fn wake(&mut self, remote: Arc<Remote>) {
        each!(self, kernel => kernel.wake(remote))
    }

    /// How many cores were woken through the ring.
    pub(crate) fn messages(&self) -> u64 {
        each!(self, kernel => kernel.messages())
    }

    /// Operations that the kernel still has, and entries for which its queue has had no room.
    pub(crate) fn unfinished(&self) -> usize {
        each!(self, kernel => kernel.unfinished())
    }

    /// Buffers of `group` that are lent out, and how many there are.
    pub(crate) fn lent(&self, group: Group) -> (usize, usize) {
        self.groups().lent(group)
    }

    fn groups(&self) -> &Groups {
        each!(self, kernel => &kernel.groups)
    }

    /// Whether it refuses what the runtime never asks of it.
    pub(crate) fn restriction(&self) -> &RingRestriction {
        each!(self, kernel => kernel.restriction())
    }

    /// What its ring has; `None` where there is no ring.
    pub(crate) fn features(&self) -> Option<RingFeatures> {
        match self {
            Kernel::Uring(uring) => Some(uring.features()),
            _ => None,
        }
    }

    /// System calls made to enter the kernel so far.
    pub(crate) fn enters(&self) -> u64 {
        each!(self, kernel => kernel.enters())
    }

    // The synchronous calls. They never wait.

    pub(crate) fn socket_tcp(&mut self, to: &SocketAddr) -> io::Result<RawDescriptor> {
        simulated!(self, sim => sim.socket());
        socket::tcp(to)
    }

    pub(crate) fn socket_unix(&mut self) -> io::Result<RawDescriptor> {
        simulated!(self, sim => sim.socket());
        socket::unix()
    }

    /// A UDP socket that is connected to `to`.
    pub(crate) fn socket_udp(&mut self, to: &SocketAddr) -> io::Result<RawDescriptor> {
        simulated!(self, sim => sim.socket_udp(*to));
        datagram::connect(to)
    }

    /// Sends datagrams, those that go without waiting; see [`datagram::send`].
    pub(crate) fn send_datagrams(
        &mut self,
        fd: RawDescriptor,
        datagrams: Segments<'_>,
        to: Option<SocketAddr>,
        from: Option<LocalAddress>,
    ) -> io::Result<usize> {
        simulated!(self, sim => sim.send_datagrams(fd, datagrams, to, from));
        datagram::send(fd, datagrams, to, from)
    }

    pub(crate) fn stop_receiving(&mut self, fd: RawDescriptor) -> io::Result<()> {
        simulated!(self, sim => sim.stop_receiving(fd));
        datagram::stop_receiving(fd)
    }

    /// A second descriptor of a socket, for the core.
    pub(crate) fn duplicate(&mut self, socket: &Socket) -> io::Result<RawDescriptor> {
        socket.duplicate()
    }

    /// The core takes a socket over.
    pub(crate) fn adopt(&mut self, socket: Socket) -> RawDescriptor {
        socket.into_raw()
    }

    /// The core gives up a descriptor that it alone has.
    pub(crate) fn release(&mut self, fd: RawDescriptor) -> Socket {
        simulated!(self, sim => sim.release(fd));
        self.forget(fd);
        Socket::own(fd)
    }

    /// A connection that waits to be accepted; an error if there is none.
    pub(crate) fn accept(&mut self, fd: RawDescriptor) -> io::Result<RawDescriptor> {
        simulated!(self, sim => sim.accept(fd));
        socket::accept(fd)
    }

    pub(crate) fn stop_listening(&mut self, fd: RawDescriptor) {
        simulated!(self, sim => sim.world().stop_listening(fd));
        socket::stop_listening(fd);
    }

    pub(crate) fn peer(&self, fd: RawDescriptor) -> Option<SocketAddr> {
        simulated!(self, sim => sim.world().peer(fd));
        socket::peer(fd)
    }

    pub(crate) fn local(&self, fd: RawDescriptor) -> Option<SocketAddr> {
        simulated!(self, sim => sim.world().local(fd));
        socket::local(fd)
    }

    pub(crate) fn acknowledged(&self, fd: RawDescriptor) -> Option<u64> {
        simulated!(self, sim => sim.world().acknowledged(fd));
        socket::acknowledged(fd)
    }

    pub(crate) fn is_near(&self, fd: RawDescriptor) -> bool {
        simulated!(self, sim => sim.world().is_near(fd));
        socket::is_near(fd)
    }

    pub(crate) fn pipe(&mut self) -> io::Result<PipeEnds> {
        simulated!(self, sim => sim.pipe());
        pipe::pipe()
    }

    /// Moves up to `len` bytes, and no more than it takes, from a socket into a pipe: 0 at the end of the stream.
    pub(crate) fn fill_pipe(&mut self, ends: &PipeEnds, from: RawDescriptor, len: usize) -> io::Result<usize> {
        simulated!(self, sim => sim.fill_pipe(ends, from, len));
        ends.fill(from, len)
    }

    /// Moves up to `len` bytes from a pipe into a socket.
    pub(crate) fn empty_pipe(&mut self, ends: &PipeEnds, to: RawDescriptor, len: usize) -> io::Result<usize> {
        simulated!(self, sim => sim.empty_pipe(ends, to, len));
        ends.empty(to, len)
    }

    pub(crate) fn shutdown(&mut self, fd: RawDescriptor, how: Shutdown) -> io::Result<()> {
        simulated!(self, sim => sim.shutdown(fd, how));
        socket::shutdown(fd, how)
    }

    pub(crate) fn endure(&mut self, fd: RawDescriptor) {
        simulated!(self, sim => sim.stands(fd));
        socket::endure(fd);
    }

    pub(crate) fn hold(&mut self, fd: RawDescriptor, way: Way, hold: Hold) {
        // What a world holds of a connection is drawn by it.
        simulated!(self, sim => sim.stands(fd));
        hold::hold(fd, way, hold);
    }

    pub(crate) fn unacknowledged(&mut self, fd: RawDescriptor) -> usize {
        simulated!(self, sim => sim.world().unacknowledged(fd));
        socket::unacknowledged(fd)
    }

    pub(crate) fn unreceived(&mut self, fd: RawDescriptor) -> usize {
        simulated!(self, sim => sim.world().unreceived(fd));
        socket::unreceived(fd)
    }

    pub(crate) fn reset_on_close(&mut self, fd: RawDescriptor, reset: bool) {
        simulated!(self, sim => sim.world().resets_on_close(fd, reset));
        socket::reset_on_close(fd, reset);
    }

    pub(crate) fn attach_records(&mut self, fd: RawDescriptor) -> io::Result<()> {
        simulated!(self, _kernel => sim::no_records());
        ktls::attach(fd)
    }

    pub(crate) fn set_record_keys(
        &mut self,
        fd: RawDescriptor,
        send: &RecordKey<'_>,
        receive: &RecordKey<'_>,
    ) -> io::Result<()> {
        simulated!(self, _kernel => sim::no_records());
        if let Kernel::Epoll(epoll) = self {
            epoll.has_records(fd);
        }
        ktls::set_keys(fd, send, receive)
    }

    pub(crate) fn control_record(&mut self, fd: RawDescriptor) -> io::Result<ControlRecord> {
        simulated!(self, _kernel => sim::no_records());
        ktls::control_record(fd)
    }

    pub(crate) fn send_control(&mut self, fd: RawDescriptor, kind: u8, bytes: &[u8]) -> io::Result<()> {
        simulated!(self, _kernel => sim::no_records());
        ktls::send_control(fd, kind, bytes)
    }

    pub(crate) fn close(&mut self, fd: RawDescriptor) {
        simulated!(self, sim => sim.close(fd));
        self.forget(fd);
        drop(Socket::own(fd));
    }

    /// What is kept about a descriptor between its operations ends with it.
    fn forget(&mut self, fd: RawDescriptor) {
        if let Kernel::Epoll(epoll) = self {
            epoll.forget(fd);
        }
    }

    /// Memory that has been freed goes back to the system.
    pub(crate) fn release_heap(&mut self) {
        match self {
            Kernel::Uring(_) | Kernel::Epoll(_) => crate::sys::release_heap(),
            #[cfg(feature = "sim")]
            Kernel::Sim(_) => {}
        }
    }

    pub(crate) fn now(&self) -> Instant {
        simulated!(self, sim => sim.world().now());
        clock::monotonic()
    }

    pub(crate) fn wall(&self) -> Duration {
        simulated!(self, sim => sim.world().wall());
        clock::wall()
    }

    pub(crate) fn random(&mut self) -> u64 {
        simulated!(self, sim => sim.world().random());
        clock::random_u64()
    }
}
