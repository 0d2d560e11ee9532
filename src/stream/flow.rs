//! One flow: what a client sends to one address of ours goes to one server, and what that answers goes back.

use super::flows::{Flows, Slot};
use super::host::{FlowEnd, Host, Plan};
use crate::health::Policy;
use crate::limit::{FLOW, Inside, Ticket};
use crate::model::Stream;
use crate::proto::error::{Cause, Error, Stage};
use crate::shared::{self, Memory, Share};
use crate::upstream::Attempt;
use ringferry_runtime::Handle;
use ringferry_runtime::net::{Datagram, LocalAddress, Segments, Udp};
use ringferry_runtime::time::Instant;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

/// What all flows of a listener share.
pub(super) struct Base {
    pub(super) host: Rc<dyn Host>,
    pub(super) share: Share,
    pub(super) handle: Handle,
    /// The listening socket: answers leave by it.
    pub(super) socket: Udp,
    /// Where it listens.
    pub(super) address: SocketAddr,
}

/// The table of flows. It alone keeps them: one that is taken out has ended.
pub(super) type Table = RefCell<Flows<Rc<Flow>>>;

/// See the module. Dropping it ends it.
pub(super) struct Flow {
    base: Rc<Base>,
    client: SocketAddr,
    local: Option<LocalAddress>,
    /// Connected to the server.
    socket: Udp,
    attempt: RefCell<Attempt>,
    /// The server's place in its pool.
    pub(super) server: usize,
    policy: Policy,
    /// `None` once it has been given up.
    place: Option<Place>,
    slot: Slot,
    began: Instant,
    used: Cell<Instant>,
    is_answered: Cell<bool>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    packets_in: Cell<u64>,
    packets_out: Cell<u64>,
    error: Cell<Option<Error>>,
    /// Of the task that waits for answers.
    task: RefCell<Option<Waker>>,
}

/// What a flow is made from.
pub(super) struct Parts {
    pub(super) client: SocketAddr,
    pub(super) local: Option<LocalAddress>,
    pub(super) socket: Udp,
    pub(super) attempt: Attempt,
    pub(super) server: usize,
    pub(super) policy: Policy,
    pub(super) place: Place,
}

impl Flow {
    pub(super) fn new(base: &Rc<Base>, parts: Parts, slot: Slot) -> Rc<Flow> {
        let Parts { client, local, socket, attempt, server, policy, place } = parts;
        base.share.stats.flows.add(1);
        base.share.stats.flows_total.add(1);
        let now = base.handle.now();
        Rc::new(Flow {
            base: base.clone(),
            client,
            local,
            socket,
            attempt: RefCell::new(attempt),
            server,
            policy,
            place: Some(place),
            slot,
            began: now,
            used: Cell::new(now),
            is_answered: Cell::new(false),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            packets_in: Cell::new(0),
            packets_out: Cell::new(0),
            // Unless somebody says otherwise, it ends with its listener or its core.
            error: Cell::new(Some(Error::internal(Stage::Tunnel, Cause::CutOff))),
            task: RefCell::default(),
        })
    }

    /// Passes on what its client sent. An error says that the server is not there: nothing was sent then.
    pub(super) fn up(&self, datagrams: Segments<'_>) -> io::Result<()> {
        let sent = match self.socket.send(datagrams) {
            Ok(sent) => sent,
            Err(error) if is_gone(&error) => return Err(error),
            // No room in the socket, or too large for the way.
            Err(_) => 0,
        };
        self.base.dropped(datagrams.count() - sent);
        let bytes = datagrams.bytes().len() as u64;
        self.bytes_in.set(self.bytes_in.get() + bytes);
        self.packets_in.set(self.packets_in.get() + datagrams.count() as u64);
        self.base.share.stats.bytes_in.add(bytes);
        self.used.set(self.base.handle.now());
        Ok(())
    }

    /// Passes on what the server answered.
    fn down(&self, datagram: &Datagram) {
        if !self.is_answered.replace(true) {
            self.attempt.borrow_mut().succeeded();
        }
        self.used.set(self.base.handle.now());
        let datagrams = datagram.segments();
        if datagram.is_truncated {
            return self.base.dropped(datagrams.count());
        }
        // A client that is not there any more is not told by UDP, and nothing follows from it.
        let sent = self.base.socket.send_to(datagrams, self.client, self.local).unwrap_or(0);
        self.base.dropped(datagrams.count() - sent);
        let bytes = datagrams.bytes_of(sent) as u64;
        self.bytes_out.set(self.bytes_out.get() + bytes);
        self.packets_out.set(self.packets_out.get() + sent as u64);
        self.base.share.stats.bytes_out.add(bytes);
    }

    /// The server is not there. Whoever calls this takes the flow out of the table.
    pub(super) fn failed(&self, error: &io::Error) {
        let cause = if error.kind() == io::ErrorKind::ConnectionRefused { Cause::Refused } else { Cause::Io };
        let failure = Error::upstream(Stage::Connect, cause);
        self.error.set(Some(failure));
        let mut attempt = self.attempt.borrow_mut();
        attempt.server().look_up_again();
        attempt.failed_under(failure.label(), &self.policy);
    }

    /// Why it is about to end.
    pub(super) fn ends(&self, error: Option<Error>) {
        self.error.set(error);
    }

    /// Whether the stream has its server and lets its client in, as it is now.
    pub(super) fn is_wanted(&self, plan: &Plan<'_>, stream: &Stream) -> bool {
        let has_server = plan.views[stream.pool.index()].has(self.attempt.borrow().server());
        has_server && stream.access.lets_in(self.client.ip())
    }

    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    fn wake_at_end(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        match &mut *task {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *task = Some(cx.waker().clone()),
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let stats = &self.base.share.stats;
        stats.flows.sub(1);
        self.place = None;
        if let Some(task) = self.task.take() {
            // Nobody waits for answers any more.
            task.wake();
        }
        let local = self.local.map_or(self.base.address.ip(), |local| local.ip);
        self.base.host.ended(&FlowEnd {
            client: canonical(self.client.ip(), self.client.port()),
            local: canonical(local, self.base.address.port()),
            server: &self.attempt.borrow().server().name,
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            packets_in: self.packets_in.get(),
            packets_out: self.packets_out.get(),
            duration: self.used.get().since(self.began),
            error: self.error.get(),
        });
    }
}

/// Passes answers on until the flow has ended.
pub(super) async fn answers(flow: Weak<Flow>, table: Rc<Table>) {
    let Some(mut receiver) = flow.upgrade().map(|flow| flow.socket.receiver()) else { return };
    while let Some((flow, received)) = poll_fn(|cx| {
        let Some(flow) = flow.upgrade() else { return Poll::Ready(None) };
        match receiver.poll_recv(cx) {
            Poll::Ready(received) => Poll::Ready(Some((flow, received))),
            Poll::Pending => {
                flow.wake_at_end(cx);
                Poll::Pending
            }
        }
    })
    .await
    {
        match received {
            Ok(datagram) => {
                table.borrow_mut().touch(flow.slot, flow.base.handle.now());
                flow.down(&datagram);
            }
            Err(error) => {
                if is_gone(&error) {
                    flow.failed(&error);
                }
                // In a statement of its own: the end of a flow must not find the table in use.
                let ended = table.borrow_mut().take(flow.slot);
                drop(ended);
            }
        }
    }
}

impl Base {
    /// Counts datagrams that were not passed on.
    pub(super) fn dropped(&self, count: usize) {
        if count > 0 {
            self.share.stats.datagrams_dropped.add(count as u64);
        }
    }
}

/// What a flow takes of the maxima, until dropped: it counts as a connection of its client.
pub(super) struct Place {
    base: Rc<Base>,
    ticket: Option<Ticket>,
    /// It counts among the connections of the process.
    is_connection: bool,
    _inside: Option<Inside>,
    _memory: shared::Place,
}

/// Flows leave one in this many connections of the process to those who connect, and half of the core's descriptors:
/// whoever forges addresses has as many flows as there may be.
const PART_LEFT: u32 = 8;

/// Why there is no place for a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// All clients together have as many as they may, or as there is memory for.
    Full,
    /// This client has.
    ClientFull,
}

impl Place {
    pub(super) fn take(base: &Rc<Base>, plan: &Plan<'_>, stream: &Stream, client: IpAddr) -> Result<Place, NoPlace> {
        let config = &plan.snapshot.config;
        let memory = Memory::try_place(&base.share.memory, FLOW).ok_or(NoPlace::Full)?;
        let mut place =
            Place { base: base.clone(), ticket: None, is_connection: false, _inside: None, _memory: memory };
        // A trusted proxy speaks for many clients.
        if !config.trusted_proxies.iter().any(|set| set.contains(client)) {
            let max = config.limits.connections_per_client.try_into().unwrap_or(u32::MAX);
            place.ticket = Some(base.share.clients.enter(client, max).map_err(|_| NoPlace::ClientFull)?);
        }
        if base.share.stats.flows.value() >= base.share.descriptors / 2 {
            return Err(NoPlace::Full);
        }
        let max: u32 = config.limits.connections.try_into().unwrap_or(u32::MAX);
        place.is_connection = base.share.connections.try_enter(max - max / PART_LEFT);
        if !place.is_connection {
            return Err(NoPlace::Full);
        }
        if let Some(gate) = plan.gate {
            let inside = gate.enter(stream.max_connections.unwrap_or(u32::MAX));
            place._inside = Some(inside.ok_or(NoPlace::Full)?);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.base.share.clients.leave(ticket);
        }
        if self.is_connection {
            self.base.share.connections.leave();
        }
    }
}

/// Whether an error tells that nobody is there, rather than that this one datagram could not go.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}

fn canonical(ip: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip.to_canonical(), port)
}
