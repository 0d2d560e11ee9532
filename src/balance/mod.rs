//! Balancing: which server of a pool gets a request.
//!
//! A [`Picker`] belongs to one pool on one core and shares nothing: cores agree through the counts that [`Servers`]
//! shows them, and start apart by their seeds. What makes a server usable (health, limits, tries of this exchange) is
//! not known here. A pick allocates nothing.

mod hash;
mod least_conn;
mod members;
mod round_robin;
mod two_choices;

#[cfg(test)]
mod tests;

use crate::model::{Balance, Pool, Rng, hash64};
use hash::Rendezvous;
use least_conn::LeastConn;
use members::Members;
use round_robin::RoundRobin;
use std::net::IpAddr;
use two_choices::TwoChoices;

/// The servers of the pool at this moment, by their index in [`Pool::servers`].
pub trait Servers {
    /// It is up, not full, and this exchange has not tried it yet.
    fn usable(&self, server: usize) -> bool;
    /// Its requests in flight, on all cores.
    fn in_flight(&self, server: usize) -> u32;
}

/// Picks servers of one pool for one core.
#[derive(Debug)]
pub struct Picker {
    primary: Algorithm,
    backup: Algorithm,
    /// There is one server, and nothing to choose.
    is_single: bool,
}

impl Picker {
    /// `seed` differs from core to core, lest they all send their first requests to the same server.
    pub fn new(pool: &Pool, seed: u64) -> Picker {
        let mut rng = Rng::new(seed);
        let mut algorithm = |backup| Algorithm::new(&pool.balance, Members::of(pool, backup), &mut rng);
        Picker { primary: algorithm(false), backup: algorithm(true), is_single: pool.servers.len() == 1 }
    }

    /// The server for a request, or `None` when none is usable. A backup is picked only when nothing else is usable.
    /// `key` is the [`key_hash`] of what the pool hashes; the other algorithms ignore it.
    pub fn pick(&mut self, servers: &impl Servers, key: u64) -> Option<usize> {
        if self.is_single {
            return servers.usable(0).then_some(0);
        }
        self.primary.pick(servers, key).or_else(|| self.backup.pick(servers, key))
    }
}

/// The key of a consistent hash, from the bytes of a header value or cookie.
pub fn key_hash(bytes: &[u8]) -> u64 {
    hash64(bytes)
}

/// The key of a consistent hash, from the address of a client: what is left where nothing else of it is known.
pub fn address_hash(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(address) => key_hash(&address.octets()),
        IpAddr::V6(address) => key_hash(&address.octets()),
    }
}

/// One for each kind of [`Balance`]. A closed enum: a new one is a file here and an arm in two places.
#[derive(Debug)]
enum Algorithm {
    RoundRobin(RoundRobin),
    LeastConn(LeastConn),
    TwoChoices(TwoChoices),
    Hash(Rendezvous),
}

impl Algorithm {
    fn new(balance: &Balance, members: Members, rng: &mut Rng) -> Algorithm {
        match balance {
            Balance::RoundRobin => Algorithm::RoundRobin(RoundRobin::new(members, rng)),
            Balance::LeastConn => Algorithm::LeastConn(LeastConn::new(members, rng)),
            Balance::TwoChoices => Algorithm::TwoChoices(TwoChoices::new(members, rng)),
            Balance::Hash(_) => Algorithm::Hash(Rendezvous::new(members)),
        }
    }

    fn pick(&mut self, servers: &impl Servers, key: u64) -> Option<usize> {
        match self {
            Algorithm::RoundRobin(round_robin) => round_robin.pick(servers),
            Algorithm::LeastConn(least_conn) => least_conn.pick(servers),
            Algorithm::TwoChoices(two_choices) => two_choices.pick(servers),
            Algorithm::Hash(rendezvous) => rendezvous.pick(servers, key),
        }
    }
}
