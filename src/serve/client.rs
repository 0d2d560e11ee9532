//! The client's side of a connection.

use super::context::Context;
use super::work::Work;
use crate::limit::{Ticket, UNCOUNTED};
use crate::model::SiteId;
use crate::proto::error::{Cause, Error, Stage};
use crate::proto::headers::AddressText;
use crate::relay::{is_ahead, while_taken};
use crate::tls::PolicyId;
use crate::wire::{Inbox, Intake, Outlet};
use ringferry_parser::proxy_protocol::Addresses;
use ringferry_runtime::Group;
use ringferry_runtime::net::{Hold, Mode, Posted, Stream};
use ringferry_runtime::time::{Alarm, Elapsed, Instant};
use std::cell::Cell;
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{self, Poll};
use std::time::Duration;

/// A client and what it has sent. Small: ten thousand of them may be idle.
pub(super) struct Client {
    pub(super) outlet: Outlet,
    pub(super) intake: Intake,
    pub(super) inbox: Inbox,
    pub(super) alarm: Alarm,
    pub(super) address: IpAddr,
    /// [`Bound::key`](crate::snapshot::Bound::key) of the listener that it came through.
    pub(super) listener: u64,
    /// Whom a proxy in front speaks for.
    pub(super) proxied: Option<Box<Proxied>>,
    /// What the handshake of TLS was made for.
    pub(super) shaken: Option<Box<Shaken>>,
    /// Its last request had a large body: the next one will, too.
    pub(super) bulky: bool,
    /// The last answer, if it was small: the exchange has ended without it.
    pub(super) answer: Option<Posted>,
    /// Memory for what it does: for a long answer until the client has taken it, for a small one until that has left, which
    /// keeps it then.
    pub(super) work: Option<Work>,
    /// It was a long one.
    pub(super) is_untaken: bool,
    /// While it is idle: what it holds is looked at again, soon.
    settles: bool,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Client>() <= 200);

/// A client that a proxy in front speaks for.
pub(super) struct Proxied {
    cx: Rc<Context>,
    addresses: Addresses,
    /// Counts as one of that client's connections; `None` for one that is a proxy itself.
    ticket: Option<Ticket>,
}

impl Proxied {
    pub(super) fn new(cx: &Rc<Context>, addresses: Addresses, ticket: Option<Ticket>) -> Proxied {
        Proxied { cx: cx.clone(), addresses, ticket }
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.cx.clients.leave(ticket);
        }
    }
}

/// A handshake: which clients it was made for, and a site that it has been found good for.
pub(super) struct Shaken {
    pub(super) policy: PolicyId,
    /// Generation of the snapshot, and number of the site.
    pub(super) good_for: Cell<Option<(u64, SiteId)>>,
}

impl Shaken {
    pub(super) fn new(policy: PolicyId) -> Shaken {
        Shaken { policy, good_for: Cell::new(None) }
    }
}

impl Client {
    pub(super) fn new(cx: &Context, stream: Stream, address: IpAddr, listener: u64) -> Client {
        let intake = Intake::plain(stream.receiver(Mode::Stream));
        let outlet = Outlet::plain(stream);
        let alarm = Alarm::new(&cx.handle);
        Client {
            outlet,
            intake,
            inbox: Inbox::Empty,
            alarm,
            address,
            listener,
            proxied: None,
            shaken: None,
            bulky: false,
            answer: None,
            work: None,
            is_untaken: false,
            settles: false,
        }
    }

    /// The two ends of the connection, as a server behind us should see them.
    pub(super) fn ends(&self) -> Option<Addresses> {
        let stream = self.outlet.stream();
        self.proxied
            .as_ref()
            .map(|proxied| proxied.addresses)
            .or_else(|| Some(Addresses { source: stream.peer()?, destination: stream.local()? }))
    }

    /// The peer's address as text.
    pub(super) fn address_text(&self) -> AddressText {
        AddressText::new(self.address)
    }

    /// Waits for the first byte of a request. False when there will be none: the client closed, was silent for too
    /// long, or the connection is to end.
    pub(super) fn wait(&mut self, cx: &Rc<Context>, is_fresh: bool) -> impl Future<Output = bool> {
        if self.inbox.is_empty() {
            let view = cx.view();
            let timeouts = &view.snapshot.config.timeouts;
            // A handshake has been received as a stream: to end that would cost more than it may spare.
            let once = is_fresh && self.shaken.is_none();
            self.intake.set_mode(if once { Mode::Once(Group::Head) } else { self.head_mode() });
            self.alarm.set(if is_fresh { timeouts.head } else { timeouts.idle });
        }
        self.idle(cx, is_fresh)
    }

    /// Waits for a byte while nothing of the client's is here: it is idle, and may be ended for others to come, once its
    /// answer has left. False when there will be none. Not an `async fn`, for its size.
    pub(super) fn idle(&mut self, cx: &Rc<Context>, is_fresh: bool) -> impl Future<Output = bool> {
        let mut place = cx.pools.room().place(is_fresh);
        let idle_until = self.alarm.deadline();
        self.settle(cx.handle.now(), idle_until, true);
        std::future::poll_fn(move |task| {
            if self.settles && self.alarm.poll_elapsed(task).is_ready() {
                self.settle(cx.handle.now(), idle_until, false);
            }
            let has_more = self.poll_more(cx, task);
            if let Some(answer) = &mut self.answer
                && answer.poll_failed(task).is_ready()
            {
                self.answer = None;
                return Poll::Ready(false);
            }
            if has_more.is_pending() {
                place.take(self.outlet.stream());
            }
            has_more
        })
    }

    fn poll_more(&mut self, cx: &Rc<Context>, task: &mut task::Context<'_>) -> Poll<bool> {
        if !self.inbox.is_empty() {
            return Poll::Ready(true);
        }
        if let Poll::Ready(received) = self.intake.poll_recv(task) {
            let Ok(Some(received)) = received else { return Poll::Ready(false) };
            self.inbox.add(received, &cx.handle);
            return Poll::Ready(true);
        }
        // Woken without bytes: because time is up, or because the core looks for connections to end.
        if cx.is_draining() || self.alarm.poll_elapsed(task).is_ready() || cx.view_for(self.listener).is_none() {
            return Poll::Ready(false);
        }
        Poll::Pending
    }

    /// Gives back the memory of a long answer if the client has taken nearly all of it.
    pub(super) fn let_go_of_taken(&mut self) {
        if self.is_untaken && self.outlet.stream().unacknowledged() <= UNCOUNTED {
            self.is_untaken = false;
            self.work = None;
        }
    }

    /// Gives back the memory of a long answer once the client has taken nearly all of it; and, unless it has just become
    /// idle, that of a long request.
    fn settle(&mut self, now: Instant, idle_until: Instant, is_first: bool) {
        self.let_go_of_taken();
        let stream = self.outlet.stream();
        if !is_first && is_ahead(stream) {
            stream.hold_received(Hold::Usual);
        }
        self.settles = self.is_untaken || is_ahead(stream);
        if self.settles || !is_first {
            self.alarm.set_at(if self.settles { idle_until.min(now + LOOK_AGAIN) } else { idle_until });
        }
    }

    /// Whether the last answer has not left yet.
    pub(super) fn is_answering(&self) -> bool {
        self.answer.as_ref().is_some_and(Posted::is_going)
    }

    /// Waits until the last answer has left, if it has not yet: there is more to say, or the end has come. False when it
    /// will not.
    pub(super) async fn answered(&mut self, cx: &Rc<Context>) -> bool {
        let Some(answer) = self.answer.take() else { return true };
        let idle = cx.view().snapshot.config.timeouts.body_idle;
        match while_taken(answer, self.outlet.stream(), &mut self.alarm, idle).await {
            Ok(result) => result.is_ok(),
            Err(Elapsed) => false,
        }
    }

    /// How to wait for a head. A stream of receives costs less, but would fill small buffers with the body behind it.
    pub(super) fn head_mode(&self) -> Mode {
        if self.bulky { Mode::Once(Group::Head) } else { Mode::Stream }
    }

    /// Receives more of a head until `deadline`; returns when another look at it is worth while.
    pub(super) async fn more_head(
        &mut self,
        cx: &Rc<Context>,
        deadline: Instant,
        bytes_max: usize,
    ) -> Result<(), Error> {
        self.alarm.set_at(deadline);
        loop {
            let cause = match self.alarm.guard(pin!(self.intake.recv())).await {
                Ok(Ok(Some(received))) => {
                    // A head that comes byte by byte is not parsed anew for each of them, only for each line.
                    let is_line = received.contains(&b'\n');
                    self.inbox.add(received, &cx.handle);
                    if is_line || self.inbox.bytes().len() > bytes_max {
                        return Ok(());
                    }
                    continue;
                }
                Ok(Ok(None)) => Cause::Truncated,
                Ok(Err(_)) => Cause::Io,
                Err(Elapsed) => Cause::TimedOut,
            };
            return Err(Error::downstream(Stage::RequestHead, cause));
        }
    }

    /// Closes so that what was sent last arrives: with unread bytes on our side a close would make the kernel reset the
    /// connection, and the client would lose an answer that it has not read (RFC 9112 section 9.6).
    pub(super) async fn linger(&mut self, cx: &Rc<Context>) {
        self.inbox.clear(&cx.handle);
        self.answered(cx).await;
        if self.outlet.shutdown().await.is_err() {
            return;
        }
        self.alarm.set(LINGER_TIME);
        let mut left = LINGER_BYTES_MAX;
        while let Ok(Ok(Some(received))) = self.alarm.guard(pin!(self.intake.recv())).await {
            if received.len() >= left {
                return;
            }
            left -= received.len();
        }
    }
}

/// How long a client has to take what it was sent last, before somebody looks whether it has; and to send more.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A lingering close waits this long for the client to close as well,
const LINGER_TIME: Duration = Duration::from_secs(2);
/// and reads at most this much, to throw it away.
const LINGER_BYTES_MAX: usize = 1 << 20;
