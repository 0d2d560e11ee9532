//! What is true of one server for the whole process, whichever core or snapshot asks.

use super::Waiters;
use crate::health;
use crate::model::{ServerAddress, UpstreamTls};
use arc_swap::{ArcSwap, Guard};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// Which server it is: the same in the next snapshot if its pool and its address are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerKey {
    /// The name of its pool.
    pub pool: String,
    /// Where it is, as configured.
    pub address: ServerAddress,
    /// How it is reached: kept connections are of one kind.
    pub tls: Option<UpstreamTls>,
}

/// Where to connect to reach a server, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Its name leads nowhere, and never has: it cannot be tried.
    Unresolved {
        /// For the log and for `status`.
        why: String,
    },
    /// To try in this order; never empty.
    Addresses(Box<[SocketAddr]>),
    /// To a unix socket.
    Unix(PathBuf),
}

/// The last failure of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastError {
    /// In a word or two.
    pub cause: &'static str,
    /// When, on the monotonic clock.
    pub at_ms: u64,
}

/// The shared state of one server.
pub struct ServerCell {
    /// Which server it is.
    pub key: ServerKey,
    /// What `key.address` reads like, for logs.
    pub name: String,
    /// Whether it is up, judged by what exchanges saw of it.
    pub health: health::State,
    /// Requests sent to it since it is known.
    pub requests: AtomicU64,
    /// Tries that failed, since it is known.
    pub failures: AtomicU64,
    /// The requests that wait for a server of its pool.
    pub waiters: Arc<Waiters>,
    in_use: AtomicU32,
    resolution: ArcSwap<Resolution>,
    look_up: Arc<Notify>,
    last_error: Mutex<Option<LastError>>,
}

impl ServerCell {
    /// A server that nobody has tried yet. Only a name needs to be resolved.
    pub(super) fn new(key: ServerKey, waiters: Arc<Waiters>) -> ServerCell {
        let resolution = match &key.address {
            ServerAddress::Ip(address) => Resolution::Addresses([*address].into()),
            ServerAddress::Name { .. } => Resolution::Unresolved { why: "not looked up yet".to_owned() },
            ServerAddress::Unix(path) => Resolution::Unix(path.clone()),
        };
        ServerCell {
            name: key.address.to_string(),
            key,
            health: health::State::default(),
            requests: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            waiters,
            in_use: AtomicU32::new(0),
            resolution: ArcSwap::from_pointee(resolution),
            look_up: Arc::default(),
            last_error: Mutex::new(None),
        }
    }

    /// Connections in use, on all cores.
    pub fn in_use(&self) -> u32 {
        self.in_use.load(Relaxed)
    }

    /// Counts a connection as in use, unless `max` are. Dropping the guard gives it back and wakes who waits.
    pub fn acquire<C: Deref<Target = ServerCell>>(cell: C, max: Option<u32>) -> Option<InUse<C>> {
        // SeqCst here, in the guard's drop and in `Waiters`: who goes to sleep and who gives a place back must not
        // both miss the other.
        let max = max.unwrap_or(u32::MAX);
        cell.in_use.fetch_update(SeqCst, SeqCst, |now| (now < max).then_some(now + 1)).ok()?;
        Some(InUse { cell })
    }

    /// Where to connect. Short use only: it may hold up the freeing of old addresses.
    pub fn resolution(&self) -> Guard<Arc<Resolution>> {
        self.resolution.load()
    }

    /// Replaces the addresses, and lets those that wait for a server try again.
    pub fn set_resolution(&self, resolution: Resolution) {
        self.resolution.store(Arc::new(resolution));
        self.waiters.wake_all();
    }

    /// Asks the control plane to resolve the name again soon: its addresses do not answer, or there are none. Cheap
    /// to repeat, and without effect where there is no name.
    pub fn look_up_again(&self) {
        self.look_up.notify_one();
    }

    /// Waits for [`ServerCell::look_up_again`] without keeping the cell alive.
    pub fn look_up_wanted(&self) -> impl Future<Output = ()> + use<> {
        let look_up = Arc::clone(&self.look_up);
        async move { look_up.notified().await }
    }

    /// Counts a try that failed and remembers why.
    pub fn failed(&self, cause: &'static str, now_ms: u64) {
        self.failures.fetch_add(1, Relaxed);
        // Never waits: of two errors at the same instant either may be the last.
        if let Ok(mut last) = self.last_error.try_lock() {
            *last = Some(LastError { cause, at_ms: now_ms });
        }
    }

    /// The last failure.
    pub fn last_error(&self) -> Option<LastError> {
        *self.last_error.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for ServerCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCell").field("key", &self.key).field("in_use", &self.in_use()).finish_non_exhaustive()
    }
}

/// One connection in use; see [`ServerCell::acquire`].
#[derive(Debug)]
pub struct InUse<C: Deref<Target = ServerCell>> {
    cell: C,
}

impl<C: Deref<Target = ServerCell>> Drop for InUse<C> {
    fn drop(&mut self) {
        let before = self.cell.in_use.fetch_sub(1, SeqCst);
        debug_assert!(before > 0);
        self.cell.waiters.wake_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn cell(address: ServerAddress) -> ServerCell {
        ServerCell::new(ServerKey { pool: "pool".into(), address, tls: None }, Arc::default())
    }

    fn by_ip() -> ServerCell {
        cell(ServerAddress::Ip("127.0.0.1:3000".parse().unwrap()))
    }

    #[test]
    fn an_address_needs_no_look_up_and_a_name_does() {
        let addresses = ["127.0.0.1:3000".parse().unwrap()];
        assert_eq!(**by_ip().resolution(), Resolution::Addresses(addresses.into()));
        let named = cell(ServerAddress::Name { host: "app".into(), port: 80 });
        assert!(matches!(**named.resolution(), Resolution::Unresolved { .. }));
        assert_eq!(named.name, "app:80");
        named.set_resolution(Resolution::Addresses(addresses.into()));
        assert_eq!(**named.resolution(), Resolution::Addresses(addresses.into()));
    }

    #[test]
    fn connections_in_use_never_exceed_the_maximum() {
        let cell = by_ip();
        let first = ServerCell::acquire(&cell, Some(2)).unwrap();
        let _second = ServerCell::acquire(&cell, Some(2)).unwrap();
        assert!(ServerCell::acquire(&cell, Some(2)).is_none());
        drop(first);
        assert_eq!(cell.in_use(), 1);
        assert!(ServerCell::acquire(&cell, Some(2)).is_some());
        assert!(ServerCell::acquire(&cell, None).is_some());
        assert_eq!(cell.in_use(), 1);
    }

    #[test]
    fn two_threads_share_one_maximum() {
        let cell = by_ip();
        let highest = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let held = ServerCell::acquire(&cell, Some(1));
                        if held.is_some() {
                            highest.fetch_max(cell.in_use(), SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!((highest.into_inner(), cell.in_use()), (1, 0));
    }

    #[test]
    fn the_last_error_is_remembered_and_each_is_counted() {
        let cell = by_ip();
        assert_eq!(cell.last_error(), None);
        cell.failed("refused", 5);
        cell.failed("timed out", 9);
        assert_eq!(cell.last_error(), Some(LastError { cause: "timed out", at_ms: 9 }));
        assert_eq!(cell.failures.load(Relaxed), 2);
    }
}
