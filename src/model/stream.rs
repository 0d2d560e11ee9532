//! Streams: bytes or datagrams that are passed on as they are.

use super::{Access, ListenerId, PoolId};
use std::time::Duration;

/// A `[[stream]]`: listeners of TCP, of UDP or of both, and the pool behind them.
#[derive(Clone, Debug, PartialEq)]
pub struct Stream {
    /// What logs and `status` call it: its first address as written.
    pub name: String,
    /// At least one, each of [`Protocol::Tcp`](super::Protocol::Tcp) or [`Protocol::Udp`](super::Protocol::Udp).
    pub listeners: Vec<ListenerId>,
    /// Where it goes.
    pub pool: PoolId,
    /// How long a connection may move nothing.
    pub idle: Duration,
    /// How long a client of UDP keeps its flow without a datagram either way.
    pub udp_idle: Duration,
    /// Connections or flows at once, process-wide; `None`: only the limit of all connections holds.
    pub max_connections: Option<u32>,
    /// Who may come.
    pub access: Access,
}
