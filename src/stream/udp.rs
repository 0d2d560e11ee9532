//! Listening for datagrams: which flow each belongs to, flows that begin, and flows that end because they are idle.

use super::flow::{Base, Flow, NoPlace, Parts, Place, Table, answers};
use super::flows::{FLOWS_MAX, Flows, Key};
use super::host::{Host, Plan};
use crate::balance::address_hash;
use crate::model::Stream;
use crate::proto::error::{Cause, Error, Stage};
use crate::shared::{Event, Resolution, Share};
use crate::snapshot::Bound;
use crate::upstream::{Attempt, Obtain, Tried};
use nix::errno::Errno;
use ringferry_runtime::Handle;
use ringferry_runtime::net::{Datagram, DatagramReceiver, Udp};
use ringferry_runtime::time::{Alarm, Sleep};
use std::cell::Cell;
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long receiving rests after an error.
const REST: Duration = Duration::from_millis(50);

/// A flow has no end of its own: while the core drains, one that is quiet for this long is over.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// Idle flows may stay this much longer, an eighth of their time at most, so that many end at once.
const SWEEP_STEP: Duration = Duration::from_secs(1);

/// Passes on what comes to one socket of an address until the snapshot has it no more, or the core is to end and the
/// last flow has ended. Wants to be woken ([`Handle::wake_all`]) when either changes.
pub async fn serve_udp(host: Rc<dyn Host>, share: Share, handle: Handle, bound: Arc<Bound>, socket: usize) {
    serve(host, share, handle, bound, socket, FLOWS_MAX).await;
}

/// The same, with another maximum.
pub(super) async fn serve(
    host: Rc<dyn Host>,
    share: Share,
    handle: Handle,
    bound: Arc<Bound>,
    socket: usize,
    flows_max: usize,
) {
    let socket = match Udp::new(&handle, &bound.sockets[socket]) {
        Ok(socket) => socket,
        Err(error) => {
            let message = format!("cannot receive on {}: {error}", bound.address);
            share.events.send(Event::Failed { core: share.core, message });
            return;
        }
    };
    let base = Rc::new(Base { host, share, handle, socket: socket.clone(), address: bound.address });
    let listener = Listener {
        base: base.clone(),
        key: bound.key,
        table: Rc::new(Table::new(Flows::new(flows_max))),
        generation: Cell::new(0),
        idle: Cell::default(),
        is_draining: Cell::default(),
        has_left: Cell::default(),
    };
    let mut receiver = Some(socket.receiver());
    let mut alarm = Alarm::new(&base.handle);
    while let Next::Rest = poll_fn(|cx| listener.poll(&mut receiver, &mut alarm, cx)).await {
        base.share.stats.accept_errors.add(1);
        Sleep::new(&base.handle, REST).await;
    }
    if !listener.has_left.get() {
        // It cannot fail but for want of memory, and then the descriptor's end does it a little later.
        let _ = socket.stop();
    }
}

struct Listener {
    base: Rc<Base>,
    /// [`Bound::key`].
    key: u64,
    table: Rc<Table>,
    /// Of the snapshot that flows were last compared with.
    generation: Cell<u64>,
    /// How long a flow may be idle.
    idle: Cell<Duration>,
    is_draining: Cell<bool>,
    has_left: Cell<bool>,
}

enum Next {
    /// Receiving failed.
    Rest,
    Stop,
}

impl Listener {
    fn poll(&self, receiver: &mut Option<DatagramReceiver>, alarm: &mut Alarm, cx: &mut Context<'_>) -> Poll<Next> {
        if !self.is_wanted() {
            return Poll::Ready(Next::Stop);
        }
        // Not endless: the kernel brings more only between two turns.
        while let Some(Poll::Ready(received)) = receiver.as_mut().map(|receiver| receiver.poll_recv(cx)) {
            match received {
                Ok(datagram) => self.pass_on(&datagram),
                Err(_) => return Poll::Ready(Next::Rest),
            }
        }
        if self.has_left.get() {
            // What comes is for whoever has the socket now. Answers go out as before.
            *receiver = None;
        }
        self.end_idle(alarm, cx);
        if self.is_draining.get() && self.table.borrow().len() == 0 { Poll::Ready(Next::Stop) } else { Poll::Pending }
    }

    /// Looks at what is in force; false when the snapshot has the listener no more. Flows whose server is
    /// gone, or whose client may not come any more, end.
    fn is_wanted(&self) -> bool {
        let mut is_wanted = false;
        let mut over = Vec::new();
        self.base.host.lend(&mut |plan| {
            let Some(stream) = plan.stream(self.key) else { return };
            is_wanted = true;
            self.is_draining.set(plan.is_draining);
            self.has_left.set(plan.has_left);
            self.idle.set(if plan.is_draining { stream.udp_idle.min(DRAIN_IDLE) } else { stream.udp_idle });
            if self.generation.replace(plan.snapshot.generation) != plan.snapshot.generation {
                over = self.table.borrow_mut().take_all(|flow| !flow.is_wanted(plan, stream));
            }
        });
        is_wanted
    }

    /// Ends what has been idle for long enough, and sets the alarm for the next that will be.
    fn end_idle(&self, alarm: &mut Alarm, cx: &mut Context<'_>) {
        let idle = self.idle.get();
        loop {
            let now = self.base.handle.now();
            // A statement of its own: the end of a flow must not find the table in use.
            let ended = self.table.borrow_mut().take_idle(idle, now);
            if let Some(flow) = ended {
                flow.ends(None);
                continue;
            }
            let Some(next) = self.table.borrow().next_idle(idle) else { return alarm.clear() };
            alarm.set_at(next + SWEEP_STEP.min(idle / 8));
            if alarm.poll_elapsed(cx).is_pending() {
                return;
            }
        }
    }

    fn pass_on(&self, datagram: &Datagram) {
        let datagrams = datagram.segments();
        if datagram.is_truncated {
            return self.base.dropped(datagrams.count());
        }
        let key = Key { client: datagram.peer, local: datagram.local };
        let known = self.table.borrow_mut().find(&key, self.base.handle.now()).cloned();
        let mut avoid = None;
        if let Some(flow) = known {
            let Err(error) = flow.up(datagrams) else { return };
            // What was sent before found nobody. This goes to another server, if there is one.
            flow.failed(&error);
            avoid = Some(flow.server);
            self.end(&flow);
        }
        match self.begin(key, avoid) {
            Some(flow) => {
                if let Err(error) = flow.up(datagrams) {
                    flow.failed(&error);
                    self.end(&flow);
                    self.base.dropped(datagrams.count());
                }
            }
            None => self.base.dropped(datagrams.count()),
        }
    }

    fn end(&self, flow: &Flow) {
        let ended = self.table.borrow_mut().take(flow.slot());
        drop(ended);
    }

    /// A new flow, to a server other than the one to `avoid` if there is another.
    fn begin(&self, key: Key, avoid: Option<usize>) -> Option<Rc<Flow>> {
        let mut begun = None;
        self.base.host.lend(&mut |plan| begun = self.begin_with(plan, key, avoid));
        begun
    }

    fn begin_with(&self, plan: &Plan<'_>, key: Key, avoid: Option<usize>) -> Option<Rc<Flow>> {
        // The last that come before another process takes them are served here.
        if plan.is_draining && !plan.has_left {
            return None;
        }
        let stream = plan.stream(self.key)?;
        let client = key.client.ip().to_canonical();
        if !stream.access.lets_in(client) {
            self.base.share.stats.denied.add(1);
            return None;
        }
        let place = self.place(plan, stream, client)?;
        let (pool, state) = plan.snapshot.pool(stream.pool);
        let obtain = Obtain {
            pools: plan.pools,
            view: &plan.views[stream.pool.index()],
            pool,
            state,
            key: address_hash(client),
            connect_timeout: Duration::ZERO,
            handle: &self.base.handle,
        };
        let (server, attempt, socket) = reach(&obtain, avoid)?;
        let Key { client, local } = key;
        let parts = Parts { client, local, socket, attempt, server, policy: state.policy, place };
        if self.table.borrow().is_full() {
            self.end_oldest();
        }
        let mut begun = None;
        let now = self.base.handle.now();
        self.table.borrow_mut().insert(key, now, |slot| begun.insert(Flow::new(&self.base, parts, slot)).clone());
        let flow = begun?;
        self.base.handle.spawn(answers(Rc::downgrade(&flow), self.table.clone()));
        Some(flow)
    }

    /// A place for a flow, at the cost of the one that was used longest ago where there is none.
    fn place(&self, plan: &Plan<'_>, stream: &Stream, client: IpAddr) -> Option<Place> {
        match Place::take(&self.base, plan, stream, client) {
            Ok(place) => Some(place),
            Err(NoPlace::Full) if self.end_oldest() => Place::take(&self.base, plan, stream, client).ok(),
            // What a client has too much of is not made room for at the cost of others.
            Err(NoPlace::Full | NoPlace::ClientFull) => None,
        }
    }

    fn end_oldest(&self) -> bool {
        let oldest = self.table.borrow_mut().take_oldest();
        let Some(flow) = oldest else { return false };
        flow.ends(Some(Error::internal(Stage::Tunnel, Cause::Overloaded)));
        true
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The tasks of the flows hold the table. What is in it they do not.
        let cut_off = self.table.borrow_mut().take_all(|_| true);
        drop(cut_off);
    }
}

/// A server that is up, and a socket to it.
fn reach(obtain: &Obtain<'_>, avoid: Option<usize>) -> Option<(usize, Attempt, Udp)> {
    let mut tried = Tried::default();
    if let Some(server) = avoid {
        tried.skip(server);
    }
    let mut may_fall_back = avoid.is_some();
    loop {
        let Some((server, mut attempt)) = obtain.claim(&mut tried) else {
            // The one to avoid is better than none.
            if !std::mem::take(&mut may_fall_back) {
                return None;
            }
            tried = Tried::default();
            continue;
        };
        match connect(&attempt, obtain.handle) {
            Ok(socket) => return Some((server, attempt, socket)),
            Err(Some(error)) => {
                attempt.server().look_up_again();
                attempt.failed(error.label(), obtain.state);
            }
            // That is none of the server's. Nobody gives way: who forges addresses would have all of them do so.
            Err(None) => return None,
        }
    }
}

/// A socket to a server; where there is none, what the server has done wrong, if anything.
fn connect(attempt: &Attempt, handle: &Handle) -> Result<Udp, Option<Error>> {
    let failed = |cause| Some(Error::upstream(Stage::Connect, cause));
    let server = attempt.server();
    let to = match &**server.resolution() {
        // With each failure the next one's turn comes: which of them answers cannot be known beforehand.
        Resolution::Addresses(addresses) => addresses[server.failures.load(Relaxed) as usize % addresses.len()],
        Resolution::Unresolved { .. } => return Err(failed(Cause::NotResolved)),
        Resolution::Unix(_) => return Err(failed(Cause::Io)),
    };
    Udp::connect(handle, to).map_err(|error| {
        let is_ours = matches!(
            error.raw_os_error().map(Errno::from_raw),
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
        );
        if is_ours { None } else { failed(Cause::Io) }
    })
}
