//! What all exchanges of a core share.

use crate::limit::CoreRequests;
use crate::log::{LogSink, Record};
use crate::model::ListenerId;
use crate::shared::Share;
use crate::snapshot::Snapshot;
use crate::upstream::{PoolView, Pools};
use ringferry_runtime::Handle;
use ringferry_runtime::time::Instant;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::IpAddr;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, Waker};

/// A core's side of everything: its view of the snapshot, its connections to servers, its log; and its share in what
/// belongs to the process, to which it dereferences.
pub struct Context {
    /// The core.
    pub handle: Handle,
    share: Share,
    /// Its connections to servers.
    pub pools: Pools,
    /// Its requests in flight.
    pub(super) in_flight: Rc<CoreRequests>,
    view: RefCell<Rc<View>>,
    /// Views that still have listeners that the newest one has not, while their connections drain.
    retired: RefCell<Vec<Rc<View>>>,
    /// How many came through each listener and are still here; see [`Context::through`].
    through: RefCell<Vec<(u64, u32)>>,
    /// Some of them are to end: their listener is in no view any more.
    has_overdue: Cell<bool>,
    log: RefCell<LogSink>,
    has_left: Cell<bool>,
    draining: Cell<bool>,
    /// Who waits for the first line of a batch, and for the last connection.
    line_waiter: RefCell<Option<Waker>>,
    drain_waiter: RefCell<Option<Waker>>,
    /// Wall clock minus monotonic clock, and when it was last looked at.
    wall: Cell<(u64, Instant)>,
}

/// A snapshot as one core uses it. An exchange keeps the one that it began with.
pub struct View {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Its pools.
    pub pools: Vec<PoolView>,
}

/// A client with more connections than this is a crowd: a browser has fewer, and so have a few of them behind one
/// address.
const CROWD: u32 = 32;

/// See [`Context::through`].
pub struct Through {
    cx: Rc<Context>,
    listener: u64,
}

impl Through {
    /// The core that it came to.
    pub fn context(&self) -> &Context {
        &self.cx
    }
}

impl Drop for Through {
    fn drop(&mut self) {
        self.cx.left(self.listener);
    }
}

impl Deref for Context {
    type Target = Share;

    fn deref(&self) -> &Share {
        &self.share
    }
}

impl Context {
    /// A core's context.
    pub fn new(handle: Handle, share: Share, log: LogSink, snapshot: Arc<Snapshot>) -> Context {
        let pools = Pools::new(&handle, share.stats.clone(), share.memory.clone());
        pools.room().set_aside(share.descriptors);
        let view = Rc::new(View { pools: pools.view(&snapshot), snapshot });
        share.stats.generation.set(view.snapshot.generation);
        Context {
            in_flight: Rc::new(CoreRequests::new(share.requests.clone())),
            share,
            pools,
            view: RefCell::new(view),
            retired: RefCell::default(),
            through: RefCell::default(),
            has_overdue: Cell::new(false),
            log: RefCell::new(log),
            has_left: Cell::new(false),
            draining: Cell::new(false),
            line_waiter: RefCell::default(),
            drain_waiter: RefCell::default(),
            wall: Cell::new((0, Instant::default())),
            handle,
        }
    }

    /// The newest view.
    pub fn view(&self) -> Rc<View> {
        self.view.borrow().clone()
    }

    /// Whether a client has so many connections that they leave some memory to others. Nobody counts those of a proxy
    /// in front, which speaks for many.
    pub(super) fn is_crowd(&self, client: IpAddr) -> bool {
        self.clients.count(client) > CROWD
    }

    /// The newest view that has the listener, and the listener's id in it; false when a newer view has not: then the
    /// connection serves this request as its last. `None` when its time is over.
    pub(super) fn view_for(&self, listener: u64) -> Option<(Rc<View>, ListenerId, bool)> {
        let view = self.view();
        if let Some(id) = view.snapshot.listener(listener) {
            return Some((view, id, true));
        }
        let retired = self.retired.borrow();
        retired.iter().rev().find_map(|view| Some((view.clone(), view.snapshot.listener(listener)?, false)))
    }

    /// New exchanges use `snapshot` from now on. Returns the view before it if a listener is gone; it has to be
    /// [forgotten](Context::forget) after a while.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Option<Weak<View>> {
        self.stats.generation.set(snapshot.generation);
        self.log.borrow_mut().set_format(snapshot.config.log.format);
        let view = Rc::new(View { pools: self.pools.view(&snapshot), snapshot });
        let old = self.view.replace(view.clone());
        let lost = old.snapshot.listeners.iter().any(|bound| view.snapshot.listener(bound.key).is_none());
        lost.then(|| {
            let view = Rc::downgrade(&old);
            self.retired.borrow_mut().push(old);
            view
        })
    }

    /// Counts one that came through `listener`, or accepts on it, until the guard is dropped: as long as there are any,
    /// a view that has the listener is kept.
    pub fn through(self: &Rc<Self>, listener: u64) -> Through {
        let mut through = self.through.borrow_mut();
        match through.iter_mut().find(|(key, _)| *key == listener) {
            Some((_, count)) => *count += 1,
            None => through.push((listener, 1)),
        }
        Through { cx: self.clone(), listener }
    }

    /// The last one that came through `listener` is gone: so may views be that were kept for it.
    fn left(&self, listener: u64) {
        let mut through = self.through.borrow_mut();
        let Some(place) = through.iter().position(|(key, _)| *key == listener) else { return };
        through[place].1 -= 1;
        if through[place].1 > 0 {
            return;
        }
        through.swap_remove(place);
        let current = self.view();
        let is_needed = |key: u64| current.snapshot.listener(key).is_none() && through.iter().any(|(k, _)| *k == key);
        self.retired.borrow_mut().retain(|view| view.snapshot.listeners.iter().any(|bound| is_needed(bound.key)));
        drop(through);
        self.look_for_overdue();
    }

    /// Connections of listeners that only `view` had end now, whatever they are at.
    pub fn forget(&self, view: &Weak<View>) {
        self.retired.borrow_mut().retain(|retired| !std::ptr::eq(Rc::as_ptr(retired), view.as_ptr()));
        self.look_for_overdue();
        self.handle.wake_all();
    }

    fn look_for_overdue(&self) {
        let is_overdue = |&(listener, _): &(u64, u32)| self.view_for(listener).is_none();
        self.has_overdue.set(self.through.borrow().iter().any(is_overdue));
    }

    /// Runs `future` for one that came through `listener`: to its end, or until it is to end because its listener is gone.
    pub(super) fn while_served<T>(
        &self,
        listener: u64,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> impl Future<Output = Option<T>> {
        poll_fn(move |task| match future.as_mut().poll(task) {
            // A flag first: this is looked at whenever the task waits.
            Poll::Pending if self.has_overdue.get() && self.view_for(listener).is_none() => Poll::Ready(None),
            polled => polled.map(Some),
        })
    }

    /// Leaves what comes to our addresses to another process. Connections that are here serve their next request as the
    /// last one, and may take their time to ask.
    pub fn leave(&self) {
        self.has_left.set(true);
        self.handle.wake_all();
    }

    /// Whether [`Context::leave`] was called.
    pub fn has_left(&self) -> bool {
        self.has_left.get()
    }

    /// Ends idle connections, and others after the exchange that they are in.
    pub fn drain(&self) {
        self.draining.set(true);
        self.handle.wake_all();
    }

    /// Whether [`Context::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether nothing new is begun, for either reason.
    pub fn is_ending(&self) -> bool {
        self.has_left() || self.is_draining()
    }

    /// Writes to the access log.
    pub fn log(&self) -> std::cell::RefMut<'_, LogSink> {
        self.log.borrow_mut()
    }

    /// Adds a line to the access log.
    pub fn record(&self, record: &Record<'_>) {
        let mut log = self.log.borrow_mut();
        let was_empty = log.due_ms().is_none();
        log.push(record, self.handle.now().as_millis());
        if was_empty && log.due_ms().is_some() {
            wake(&self.line_waiter);
        }
    }

    /// Waits until a line waits to be handed over; returns when it will have waited long enough.
    pub async fn first_line(&self) -> u64 {
        poll_fn(|task| match self.log.borrow().due_ms() {
            Some(due_ms) => Poll::Ready(due_ms),
            None => {
                *self.line_waiter.borrow_mut() = Some(task.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// A connection has ended.
    pub fn connection_closed(&self) {
        self.pools.room().changed();
        if self.is_ending() {
            wake(&self.drain_waiter);
        }
    }

    /// Waits until no connection is open, and no flow.
    pub async fn drained(&self) {
        poll_fn(|task| {
            if self.stats.connections.value() == 0 && self.stats.flows.value() == 0 {
                return Poll::Ready(());
            }
            *self.drain_waiter.borrow_mut() = Some(task.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(&self) -> u64 {
        let now = self.handle.now();
        let (offset, looked) = self.wall.get();
        // Asked again each second: boards have their clocks set long after the start.
        if offset != 0 && now.since(looked).as_millis() < 1000 {
            return now.as_millis() + offset;
        }
        let unix_ms = self.handle.wall().as_millis() as u64;
        self.wall.set((unix_ms.saturating_sub(now.as_millis()), now));
        unix_ms
    }

    /// The time as an IMF-fixdate, for `Date` fields.
    pub(super) fn date(&self) -> Date {
        let unix_s = self.unix_ms() / 1000;
        let mut log = self.log.borrow_mut();
        let text = log.clock().http_date(unix_s);
        let mut date = Date([b' '; DATE_BYTES]);
        date.0.copy_from_slice(&text[..DATE_BYTES]);
        date
    }
}

/// Bytes of an IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`.
const DATE_BYTES: usize = 29;

/// The time as an IMF-fixdate.
pub(super) struct Date(pub(super) [u8; DATE_BYTES]);

fn wake(waiter: &RefCell<Option<Waker>>) {
    let waker = waiter.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}
