//! Kept connections to one server, on one core.
//!
//! A connection that waits here has a receive armed: if the server closes it, or says something that nobody asked for,
//! the receive completes and the connection is not used again. That is the probe before reuse, and it costs no call.

use crate::limit::{IDLE, IDLE_TLS};
use crate::relay;
use crate::shared::{CoreStats, Memory, Place};
use crate::wire::{Inbox, Intake, Outlet};
use ringferry_runtime::Group;
use ringferry_runtime::net::Mode;
use ringferry_runtime::time::{Alarm, Instant};
use std::cell::RefCell;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

/// A connection to a server.
pub struct Connection {
    /// Its sending half.
    pub outlet: Outlet,
    /// Its receiving half.
    pub intake: Intake,
    /// Received and not yet used.
    pub inbox: Inbox,
    /// Rings when the server is silent for too long. Kept with the connection: moving it costs less than a new one.
    pub alarm: Alarm,
    /// Its last response was larger than a buffer: the next one will be, too.
    pub bulky: bool,
    /// Memory for it while it is kept; taken once, when it is kept for the first time.
    pub place: Option<Place>,
}

/// The stock, last in first out: the warmest connection serves next, the coldest ones time out.
pub(super) struct Idle {
    stock: RefCell<Vec<(Box<Connection>, Instant)>>,
    stats: Arc<CoreStats>,
    memory: Arc<Memory>,
}

impl Idle {
    pub(super) fn new(stats: Arc<CoreStats>, memory: Arc<Memory>) -> Idle {
        Idle { stock: RefCell::default(), stats, memory }
    }

    /// The connection used last that still stands.
    pub(super) fn take(&self) -> Option<Box<Connection>> {
        self.change(|stock| {
            let kept = std::iter::from_fn(|| stock.pop());
            kept.map(|(connection, _)| connection)
                .find_map(|mut connection| (!connection.intake.is_spent()).then_some(connection))
        })
    }

    /// Keeps a connection, unless it has more to say, there are `max` already, or memory is short. `janitor` is woken
    /// when it ends. Returns when it will have waited for too long.
    pub(super) fn put(
        &self,
        mut connection: Box<Connection>,
        max: usize,
        timeout: Duration,
        now: Instant,
        janitor: &Waker,
    ) -> Option<Instant> {
        // A stream of receives costs less for small responses; it has to be ended before a body can be spliced.
        connection.intake.set_mode(if connection.bulky { Mode::Once(Group::Head) } else { Mode::Stream });
        let quiet = connection.intake.poll_recv(&mut Context::from_waker(janitor)).is_pending();
        connection.alarm.clear();
        if connection.place.is_none() {
            let bytes = if connection.intake.is_plain() { IDLE } else { IDLE + IDLE_TLS };
            connection.place = Memory::try_place(&self.memory, bytes);
        }
        let end = end(&connection, now, timeout);
        let has_memory = connection.place.is_some() && !(is_ahead(&connection) && self.memory.is_scarce());
        self.change(|stock| {
            let is_kept = quiet && has_memory && stock.len() < max;
            is_kept.then(|| {
                stock.push((connection, now));
                end
            })
        })
    }

    /// Closes what has ended or has waited for `timeout`. Returns when the next one will have.
    pub(super) fn sweep(&self, timeout: Duration, now: Instant, janitor: &Waker) -> Option<Instant> {
        self.change(|stock| {
            stock.retain_mut(|(connection, since)| {
                // Asked again with this waker: the one it was put with may have been used up.
                now < end(connection, *since, timeout)
                    && connection.intake.poll_recv(&mut Context::from_waker(janitor)).is_pending()
            });
            stock.iter().map(|(connection, since)| end(connection, *since, timeout)).min()
        })
    }

    /// Closes those whose servers may send far ahead: memory is wanted.
    pub(super) fn give_up_ahead(&self) {
        self.change(|stock| stock.retain(|(connection, _)| !is_ahead(connection)));
    }

    /// Since when the one waits that was put here first.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.stock.borrow().first().map(|(_, since)| *since)
    }

    /// Closes that one.
    pub(super) fn give_up_oldest(&self) {
        self.change(|stock| {
            if !stock.is_empty() {
                stock.remove(0);
            }
        });
    }

    /// Changes the stock, and keeps count.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<(Box<Connection>, Instant)>) -> T) -> T {
        let mut stock = self.stock.borrow_mut();
        self.stats.upstream_idle.sub(stock.len() as u64);
        let result = change(&mut stock);
        self.stats.upstream_idle.add(stock.len() as u64);
        result
    }
}

/// One whose server may send far ahead has more memory than others, and is kept for as long as a page may go on to load.
const AHEAD_TIMEOUT: Duration = Duration::from_secs(5);

fn end(connection: &Connection, since: Instant, timeout: Duration) -> Instant {
    since + if is_ahead(connection) { timeout.min(AHEAD_TIMEOUT) } else { timeout }
}

fn is_ahead(connection: &Connection) -> bool {
    relay::is_ahead(connection.outlet.stream())
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.change(Vec::clear);
    }
}
