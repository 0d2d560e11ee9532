//! The configuration in force, as both planes hold it: immutable, published whole.
//!
//! It knows no sockets' life and no runtime: listening sockets are made by `app` and only carried here, so that they
//! stay open exactly as long as a snapshot needs them.

mod tls;

pub use tls::{Clients, Material, Reach, Tls};

use crate::health::Policy;
use crate::limit::Gate;
use crate::model::{Config, ListenerId, PoolId, Stream};
use crate::route::Table;
use crate::shared::{Registry, ServerCell, Waiters};
use ringferry_runtime::Socket;
use std::net::SocketAddr;
use std::sync::Arc;

/// Everything that an exchange looks up.
#[derive(Debug)]
pub struct Snapshot {
    /// Counts up with each snapshot of a process, from 1.
    pub generation: u64,
    /// As configured.
    pub config: Config,
    /// Hosts and paths, compiled.
    pub table: Table,
    /// How its sites end TLS.
    pub tls: Tls,
    /// The pools of `config`, with the state of their servers.
    pub pools: Vec<SnapshotPool>,
    /// The listeners of `config`, with their sockets.
    pub listeners: Vec<Arc<Bound>>,
    /// How many connections each stream of `config` has.
    pub gates: Vec<Arc<Gate>>,
    /// Our name in `CDN-Loop`, of this process alone.
    pub instance: Arc<str>,
}

/// A pool and the state of its servers.
#[derive(Debug)]
pub struct SnapshotPool {
    /// The servers of the pool, in order.
    pub servers: Vec<Arc<ServerCell>>,
    /// How they are reached, in the same order.
    pub reach: Vec<Reach>,
    /// Requests that wait for one of them.
    pub waiters: Arc<Waiters>,
    /// When a server is ejected, and for how long.
    pub policy: Policy,
}

/// An address that is listened on: one socket for each core, unless somebody else has made them.
#[derive(Debug)]
pub struct Bound {
    /// Tells listeners apart over the life of the process: a listener that stays keeps its number.
    pub key: u64,
    /// As configured.
    pub listener: crate::model::Listener,
    /// The address in use: the port is never 0.
    pub address: SocketAddr,
    /// Shared out among the cores: see [`Bound::sockets_of`].
    pub sockets: Vec<Socket>,
}

impl Bound {
    /// Which of its sockets a core has, of so many cores: the one that was made for it; of more than there are cores its
    /// share, of fewer one that it shares with others.
    pub fn sockets_of(&self, core: usize, cores: usize) -> impl Iterator<Item = usize> + use<> {
        let count = self.sockets.len();
        let (first, step) = if count < cores { (core % count.max(1), count.max(1)) } else { (core, cores) };
        (first..count).step_by(step)
    }

    /// The address in use, with what is spoken there.
    pub fn url(&self) -> String {
        format!("{}://{}", self.listener.protocol.scheme(), self.address)
    }
}

impl Snapshot {
    /// Joins a configuration with the state that outlives it.
    pub fn new(
        generation: u64,
        config: Config,
        listeners: Vec<Arc<Bound>>,
        tls: Tls,
        instance: Arc<str>,
        registry: &mut Registry,
    ) -> Snapshot {
        debug_assert_eq!(config.listeners.len(), listeners.len());
        let pools = config.pools.iter().map(|pool| SnapshotPool {
            servers: pool.servers.iter().map(|server| registry.server(&pool.name, server)).collect(),
            reach: pool.servers.iter().map(|server| tls.reach(server)).collect(),
            waiters: registry.waiters(&pool.name),
            policy: Policy {
                eject_after: pool.eject_after,
                eject_for_ms: pool.eject_for.as_millis() as u64,
                eject_max_ms: pool.eject_max.as_millis() as u64,
            },
        });
        let pools = pools.collect();
        let gates = config.streams.iter().map(|stream| registry.gate(&stream.name)).collect();
        Snapshot { generation, table: Table::build(&config), tls, pools, gates, config, listeners, instance }
    }

    /// The listener with this key, if the configuration still has it.
    pub fn listener(&self, key: u64) -> Option<ListenerId> {
        self.listeners.iter().position(|bound| bound.key == key).map(|index| ListenerId(index as u32))
    }

    /// What is passed on from a listener as it is, and its connections.
    pub fn stream(&self, listener: ListenerId) -> Option<(&Stream, &Arc<Gate>)> {
        self.config.streams.iter().zip(&self.gates).find(|(stream, _)| stream.listeners.contains(&listener))
    }

    /// The pool of an id, as configured and as it is.
    pub fn pool(&self, id: PoolId) -> (&crate::model::Pool, &SnapshotPool) {
        (&self.config.pools[id.index()], &self.pools[id.index()])
    }
}
