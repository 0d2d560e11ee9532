//! What streams ask of their core, which lies above them, and what they tell it.

use crate::limit::Gate;
use crate::model::Stream;
use crate::proto::error::Error;
use crate::snapshot::Snapshot;
use crate::upstream::{PoolView, Pools};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A core, as a listener of a stream sees it.
pub trait Host {
    /// Calls `with` once, with what is in force at this moment.
    fn lend(&self, with: &mut dyn FnMut(&Plan<'_>));

    /// A flow has ended. Called once for each, sometimes while the host [lends](Host::lend).
    fn ended(&self, end: &FlowEnd<'_>);
}

/// What a new flow is made from.
pub struct Plan<'a> {
    /// The newest snapshot,
    pub snapshot: &'a Snapshot,
    /// its pools as this core sees them,
    pub views: &'a [PoolView],
    /// and all servers that the core knows.
    pub pools: &'a Pools,
    /// Connections and flows of this stream, all cores together: what `max_connections` is compared with.
    pub gate: Option<&'a Arc<Gate>>,
    /// Nothing new may begin.
    pub is_draining: bool,
    /// Another process takes what comes to our addresses.
    pub has_left: bool,
}

/// A flow that has ended: what the log is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd<'a> {
    /// Who began it.
    pub client: SocketAddr,
    /// The address of ours that the client wrote to.
    pub local: SocketAddr,
    /// The server that it went to.
    pub server: &'a str,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// Datagrams from the client.
    pub packets_in: u64,
    /// Datagrams to the client.
    pub packets_out: u64,
    /// From its first datagram to its last.
    pub duration: Duration,
    /// Why it ended, if not because it was idle.
    pub error: Option<Error>,
}

impl Plan<'_> {
    /// The stream that a listener belongs to; `None` when the snapshot has one of them no more.
    pub(super) fn stream(&self, listener: u64) -> Option<&Stream> {
        let id = self.snapshot.listener(listener)?;
        self.snapshot.config.streams.iter().find(|stream| stream.listeners.contains(&id))
    }
}
