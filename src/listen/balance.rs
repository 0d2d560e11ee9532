//! Which core serves a connection. The kernel shares them out by a hash, which piles long-lived ones up on one core; so
//! a core that has many more than the least busy one hands fresh connections over.

use super::admit;
use crate::serve::Context;
use crate::shared::{CoreStats, Place};
use ringferry_runtime::Socket;
use ringferry_runtime::mailbox::Sender;
use std::rc::Rc;
use std::sync::Arc;

/// Another core.
pub struct Peer {
    /// Its number.
    pub core: usize,
    /// What it counts.
    pub stats: Arc<CoreStats>,
    /// Takes connections over.
    pub mailbox: Sender<Handed>,
}

/// A connection on its way to another core.
pub struct Handed {
    /// The connection, just accepted.
    pub socket: Socket,
    /// [`Bound::key`](crate::snapshot::Bound::key) of its listener.
    pub listener: u64,
    /// Memory for it while it is idle.
    pub memory: Place,
}

/// A core may have this many connections more than the least busy one, and an eighth of that one's.
const SLACK: u64 = 8;

/// Serves a fresh connection here, or hands it over; not to a core with an older snapshot, which may not know the
/// listener yet and would close it.
pub(super) fn place(cx: &Rc<Context>, peers: &[Peer], fresh: Handed) {
    let generation = cx.stats.generation.value();
    let is_current = |peer: &&Peer| peer.stats.generation.value() >= generation;
    let least = peers.iter().filter(is_current).min_by_key(|peer| peer.stats.connections.value());
    if let Some(peer) = least {
        let theirs = peer.stats.connections.value();
        if cx.stats.connections.value() > theirs + theirs / 8 + SLACK {
            return match peer.mailbox.send(fresh) {
                Ok(()) => {}
                Err(fresh) => admit(cx, fresh),
            };
        }
    }
    admit(cx, fresh);
}
