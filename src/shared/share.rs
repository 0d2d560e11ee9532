//! What one core shares with the other cores and with the control plane.

use super::{CoreStats, Events, Memory};
use crate::limit::{Clients, Gate, Rates, Requests};
use std::sync::Arc;

/// A core's part in what belongs to the whole process.
#[derive(Clone)]
pub struct Share {
    /// Its number, from 0.
    pub core: usize,
    /// What it counts.
    pub stats: Arc<CoreStats>,
    /// Connections of each client, all cores together.
    pub clients: Arc<Clients>,
    /// Connections of all clients, all cores together.
    pub connections: Arc<Gate>,
    /// What is taken of the ceiling on memory, all cores together.
    pub memory: Arc<Memory>,
    /// Requests in flight, all cores together.
    pub requests: Arc<Requests>,
    /// How often clients have come, where that is limited.
    pub rates: Arc<Rates>,
    /// Descriptors that this core may have for connections of clients and for what those need.
    pub descriptors: u64,
    /// What it tells the control plane.
    pub events: Events,
}
