//! Which servers exist. Used by the control plane alone, when it builds a snapshot.

use super::{ServerCell, ServerKey, Waiters};
use crate::limit::Gate;
use crate::model::Server;
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// Finds the cell of a server again after a reload, so that limits, ejections and counters go on.
///
/// It holds nothing alive: a server that no snapshot names any more is forgotten with its last exchange.
#[derive(Debug, Default)]
pub struct Registry {
    servers: HashMap<ServerKey, Weak<ServerCell>>,
    waiters: HashMap<String, Weak<Waiters>>,
    gates: HashMap<String, Weak<Gate>>,
}

impl Registry {
    /// The cell of a server, the one in use if there is one. All servers of a pool share its waiters.
    pub fn server(&mut self, pool: &str, server: &Server) -> Arc<ServerCell> {
        let key = ServerKey { pool: pool.to_owned(), address: server.address.clone(), tls: server.tls.clone() };
        if let Some(cell) = self.servers.get(&key).and_then(Weak::upgrade) {
            return cell;
        }
        let cell = Arc::new(ServerCell::new(key.clone(), self.waiters(pool)));
        self.servers.insert(key, Arc::downgrade(&cell));
        cell
    }

    /// The requests that wait for a server of a pool.
    pub fn waiters(&mut self, pool: &str) -> Arc<Waiters> {
        if let Some(waiters) = self.waiters.get(pool).and_then(Weak::upgrade) {
            return waiters;
        }
        let waiters = Arc::new(Waiters::default());
        self.waiters.insert(pool.to_owned(), Arc::downgrade(&waiters));
        waiters
    }

    /// How many connections a stream has.
    pub fn gate(&mut self, stream: &str) -> Arc<Gate> {
        if let Some(gate) = self.gates.get(stream).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::new(Gate::default());
        self.gates.insert(stream.to_owned(), Arc::downgrade(&gate));
        gate
    }

    /// Forgets what nobody uses; worth calling after each reload.
    pub fn sweep(&mut self) {
        self.servers.retain(|_, cell| cell.strong_count() > 0);
        self.waiters.retain(|_, waiters| waiters.strong_count() > 0);
        self.gates.retain(|_, gate| gate.strong_count() > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServerAddress;

    fn address(port: u16) -> Server {
        let address = ServerAddress::Name { host: "app".into(), port };
        Server::at(address)
    }

    #[test]
    fn a_server_is_the_same_while_anyone_uses_it() {
        let mut registry = Registry::default();
        let before = registry.server("blog", &address(80));
        assert!(Arc::ptr_eq(&before, &registry.server("blog", &address(80))));
        assert!(!Arc::ptr_eq(&before, &registry.server("blog", &address(81))));
        assert!(!Arc::ptr_eq(&before, &registry.server("shop", &address(80))));

        before.failed("refused", 1);
        registry.sweep();
        assert!(registry.server("blog", &address(80)).last_error().is_some());
        drop(before);
        assert!(registry.server("blog", &address(80)).last_error().is_none());
    }

    #[test]
    fn servers_of_a_pool_share_its_waiters() {
        let mut registry = Registry::default();
        let (a, b) = (registry.server("blog", &address(80)), registry.server("blog", &address(81)));
        assert!(Arc::ptr_eq(&a.waiters, &b.waiters));
        assert!(Arc::ptr_eq(&a.waiters, &registry.waiters("blog")));
        assert!(!Arc::ptr_eq(&a.waiters, &registry.waiters("shop")));
    }

    #[test]
    fn a_sweep_forgets_what_nobody_uses() {
        let mut registry = Registry::default();
        let kept = registry.server("blog", &address(80));
        drop(registry.server("shop", &address(80)));
        registry.sweep();
        assert_eq!((registry.servers.len(), registry.waiters.len()), (1, 1));
        drop(kept);
        registry.sweep();
        assert_eq!((registry.servers.len(), registry.waiters.len()), (0, 0));
    }
}
