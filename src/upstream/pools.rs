//! The pools as one core sees them: the shared cells of their servers, and its own kept connections and pickers.

use super::idle::{Connection, Idle};
use crate::balance::Picker;
use crate::room::Room;
use crate::shared::{CoreStats, Memory, ServerCell};
use crate::snapshot::Snapshot;
use ringferry_runtime::Handle;
use ringferry_runtime::time::{Instant, Sleep};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// A server on this core. Dereferences to its shared cell.
#[derive(Clone)]
pub struct Server(Rc<Slot>);

pub(super) struct Slot {
    cell: Arc<ServerCell>,
    pub(super) idle: Idle,
}

impl Deref for Server {
    type Target = ServerCell;

    fn deref(&self) -> &ServerCell {
        &self.0.cell
    }
}

impl Server {
    pub(super) fn idle(&self) -> &Idle {
        &self.0.idle
    }
}

/// One pool in a core's view of a snapshot.
pub struct PoolView {
    pub(super) servers: Vec<Server>,
    pub(super) picker: RefCell<Picker>,
    /// A held request looks whether a server is back; the others wait to hear of it.
    pub(super) looking: Cell<bool>,
}

impl PoolView {
    /// Whether a server is one of the pool.
    pub fn has(&self, server: &Server) -> bool {
        self.servers.iter().any(|other| Rc::ptr_eq(&other.0, &server.0))
    }
}

/// All servers that a core knows, whichever snapshot named them, and what closes their kept connections.
pub struct Pools {
    handle: Handle,
    stats: Arc<CoreStats>,
    memory: Arc<Memory>,
    room: Room,
    known: RefCell<Vec<Weak<Slot>>>,
    /// The waker of the janitor's task.
    janitor: RefCell<Option<Waker>>,
    /// When it will look by itself.
    next_look: Cell<Option<Instant>>,
    idle_timeout: Cell<Duration>,
    idle_max: Cell<usize>,
}

impl Pools {
    /// No servers yet.
    pub fn new(handle: &Handle, stats: Arc<CoreStats>, memory: Arc<Memory>) -> Pools {
        Pools {
            handle: handle.clone(),
            room: Room::new(handle, stats.clone()),
            stats,
            memory,
            known: RefCell::default(),
            janitor: RefCell::default(),
            next_look: Cell::new(None),
            idle_timeout: Cell::new(Duration::ZERO),
            idle_max: Cell::new(0),
        }
    }

    /// The pools of a snapshot. A server that this core knows already keeps its connections.
    pub fn view(&self, snapshot: &Snapshot) -> Vec<PoolView> {
        self.idle_timeout.set(snapshot.config.timeouts.upstream_idle);
        self.idle_max.set(snapshot.config.limits.idle_per_server);
        self.known.borrow_mut().retain(|slot| slot.strong_count() > 0);
        let pools = snapshot.config.pools.iter().zip(&snapshot.pools);
        let view = pools.map(|(pool, state)| PoolView {
            servers: state.servers.iter().map(|cell| self.server(cell)).collect(),
            picker: RefCell::new(Picker::new(pool, self.handle.random())),
            looking: Cell::new(false),
        });
        view.collect()
    }

    fn server(&self, cell: &Arc<ServerCell>) -> Server {
        let mut known = self.known.borrow_mut();
        let same = known.iter().filter_map(Weak::upgrade).find(|slot| Arc::ptr_eq(&slot.cell, cell));
        Server(same.unwrap_or_else(|| {
            let slot = Rc::new(Slot { cell: cell.clone(), idle: Idle::new(self.stats.clone(), self.memory.clone()) });
            known.push(Rc::downgrade(&slot));
            slot
        }))
    }

    /// What this core can give up besides kept connections, and who waits for that.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// There was no descriptor left: gives up what is needed least. A kept connection to a server goes first, the one that
    /// has waited for the longest, since it can be made anew without anybody noticing; then an idle client. False where
    /// there is neither.
    pub fn give_up(&self) -> bool {
        self.give_up_kept() || self.room.end_oldest()
    }

    /// Somebody waits for memory: kept connections that have much are closed.
    pub fn give_up_ahead(&self) {
        self.known.borrow().iter().filter_map(Weak::upgrade).for_each(|slot| slot.idle.give_up_ahead());
    }

    fn give_up_kept(&self) -> bool {
        let slots: Vec<_> = self.known.borrow().iter().filter_map(Weak::upgrade).collect();
        let oldest = slots.iter().filter_map(|slot| Some((slot.idle.oldest()?, slot))).min_by_key(|(since, _)| *since);
        let Some((_, slot)) = oldest else { return false };
        slot.idle.give_up_oldest();
        self.stats.upstream_ended.add(1);
        true
    }

    /// Keeps a connection for later.
    pub(super) fn keep(&self, server: &Server, connection: Box<Connection>) {
        let janitor = self.janitor.borrow();
        let Some(janitor) = &*janitor else { return };
        let (max, timeout) = (self.idle_max.get(), self.idle_timeout.get());
        if let Some(end) = server.idle().put(connection, max, timeout, self.handle.now(), janitor)
            && self.next_look.get().is_none_or(|at| end < at)
        {
            self.next_look.set(Some(end));
            janitor.wake_by_ref();
        }
        self.room.changed();
    }

    /// Closes kept connections when the server has closed them or their time is over. A task of its own, for ever.
    pub async fn janitor(&self) {
        loop {
            let next = poll_fn(|cx| {
                *self.janitor.borrow_mut() = Some(cx.waker().clone());
                let slots: Vec<_> = self.known.borrow().iter().filter_map(Weak::upgrade).collect();
                let (timeout, now) = (self.idle_timeout.get(), self.handle.now());
                Poll::Ready(slots.iter().filter_map(|slot| slot.idle.sweep(timeout, now, cx.waker())).min())
            })
            .await;
            self.next_look.set(next);
            let mut sleep = next.map(|at| Sleep::new(&self.handle, at.since(self.handle.now())));
            let mut first = true;
            // Woken by the deadline, by a connection that has ended, or by one that will end before the deadline.
            poll_fn(|cx| {
                let due = match &mut sleep {
                    Some(sleep) => pin!(sleep).poll(cx).is_ready(),
                    None => false,
                };
                if due || !std::mem::take(&mut first) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }
}
