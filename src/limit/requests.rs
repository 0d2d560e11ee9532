//! How many requests are in flight: of all clients, and of each. All cores together, and nearly without each other.
//!
//! A request is in flight from the moment that it is to be forwarded until its answer has been handed over. Tunnels are
//! connections, not requests; what we answer ourselves is done at once.

use super::{Clients, Gate, Ticket};
use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

/// The cells that all cores share.
#[derive(Debug)]
pub struct Requests {
    gate: Gate,
    /// Made when they are first counted, which on a quiet machine is never.
    clients: OnceLock<Clients>,
    capacity: usize,
}

/// One core's part. It holds places at the shared gate that it does not use at the moment, and takes and gives them by
/// the batch: a request costs a comparison and two stores to memory of its own core, and the shared cell is touched
/// while their number rises or falls by more than a batch.
#[derive(Debug)]
pub struct CoreRequests {
    shared: Arc<Requests>,
    inside: Cell<u32>,
    /// Places at the gate, at least as many as are inside.
    held: Cell<u32>,
    batch: Cell<u32>,
}

/// A request in flight, until dropped.
#[derive(Debug)]
pub struct InFlight {
    core: Rc<CoreRequests>,
    ticket: Option<Ticket>,
}

/// There are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Of all clients.
    All,
    /// Of this one.
    Client,
}

impl Requests {
    /// Nothing in flight yet; room to tell about `clients` of them apart at once.
    pub fn new(clients: usize) -> Requests {
        Requests { gate: Gate::default(), clients: OnceLock::new(), capacity: clients }
    }

    fn clients(&self) -> &Clients {
        self.clients.get_or_init(|| Clients::new(self.capacity))
    }
}

impl CoreRequests {
    /// The part of a core.
    pub fn new(shared: Arc<Requests>) -> CoreRequests {
        CoreRequests { shared, inside: Cell::new(0), held: Cell::new(0), batch: Cell::new(1) }
    }

    /// Counts a request, unless there are `max` of all or `max_of_client` of its client. `client` is asked for only where
    /// it is counted; `None` is one that speaks for many.
    ///
    /// There are never more than `max`. A core may refuse while others hold places that they do not use, each less than
    /// two batches, of which one is a 256th of `max`.
    ///
    /// A client may have a 64th of `max_of_client` more for each core, and is never refused with less: while a core has
    /// no more than that in flight, it does not count whose they are.
    pub fn enter(
        self: &Rc<Self>,
        max: u32,
        max_of_client: u32,
        client: impl FnOnce() -> Option<IpAddr>,
    ) -> Result<InFlight, Over> {
        let ticket = match self.inside.get() >= max_of_client / 64 {
            true => client().map(|client| self.shared.clients().enter(client, max_of_client)).transpose(),
            false => Ok(None),
        };
        let ticket = ticket.map_err(|_| Over::Client)?;
        if self.inside.get() == self.held.get() && !self.take_places(max) {
            ticket.into_iter().for_each(|ticket| self.shared.clients().leave(ticket));
            return Err(Over::All);
        }
        self.inside.set(self.inside.get() + 1);
        Ok(InFlight { core: self.clone(), ticket })
    }

    fn take_places(&self, max: u32) -> bool {
        let batch = (max / 256).clamp(1, BATCH_MAX);
        self.batch.set(batch);
        let taken = [batch, 1].into_iter().find(|&places| self.shared.gate.try_enter_with(places, max));
        self.held.set(self.held.get() + taken.unwrap_or(0));
        taken.is_some()
    }

    fn leave(&self, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.shared.clients().leave(ticket);
        }
        self.inside.set(self.inside.get() - 1);
        let (unused, batch) = (self.held.get() - self.inside.get(), self.batch.get());
        // Not at the first place that is free: a core whose requests come and go by one would go to the gate with each.
        if unused > 2 * (batch - 1) {
            self.give_back(batch);
        }
    }

    fn give_back(&self, places: u32) {
        self.held.set(self.held.get() - places);
        self.shared.gate.leave_with(places);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.core.leave(self.ticket.take());
    }
}

impl Drop for CoreRequests {
    fn drop(&mut self) {
        debug_assert_eq!(self.inside.get(), 0);
        self.give_back(self.held.get());
    }
}

/// Places that a core takes or gives at once.
const BATCH_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    fn client(n: u32) -> Option<IpAddr> {
        Some(Ipv4Addr::from_bits(n).into())
    }

    fn core(shared: &Arc<Requests>) -> Rc<CoreRequests> {
        Rc::new(CoreRequests::new(shared.clone()))
    }

    #[test]
    fn a_small_maximum_is_exact_on_all_cores() {
        let shared = Arc::new(Requests::new(64));
        let cores = [core(&shared), core(&shared)];
        let enter = |n: usize| cores[n % 2].enter(5, 100, || client(1));
        let mut inside: Vec<_> = (0..5).map(|n| enter(n).unwrap()).collect();
        for n in 0..20 {
            assert_eq!(enter(n).unwrap_err(), Over::All);
            drop(inside.swap_remove(n % 5));
            inside.push(enter(n + 1).unwrap());
        }
        drop(inside);
        assert_eq!(shared.gate.inside(), 0);
    }

    #[test]
    fn a_client_has_its_maximum_and_others_go_on() {
        let shared = Arc::new(Requests::new(64));
        let cores = [core(&shared), core(&shared)];
        let mut inside: Vec<_> = (0..3).map(|n| cores[n % 2].enter(100, 3, || client(1)).unwrap()).collect();
        assert_eq!(cores[0].enter(100, 3, || client(1)).unwrap_err(), Over::Client);
        let _other = cores[0].enter(100, 3, || client(2)).unwrap();
        // Whoever speaks for many is not counted.
        let _proxy: Vec<_> = (0..5).map(|_| cores[1].enter(100, 3, || None).unwrap()).collect();
        inside.pop();
        let _again = cores[1].enter(100, 3, || client(1)).unwrap();
    }

    #[test]
    fn a_client_is_never_refused_early_and_has_little_more() {
        let shared = Arc::new(Requests::new(64));
        let cores = [core(&shared), core(&shared)];
        let mut inside = Vec::new();
        while let Ok(one) = cores[inside.len() % 2].enter(100_000, 640, || client(1)) {
            inside.push(one);
        }
        assert_eq!(inside.len(), 640 + 2 * 640 / 64);
    }

    #[test]
    fn who_is_refused_leaves_nothing_behind() {
        let shared = Arc::new(Requests::new(64));
        let core = core(&shared);
        let only = core.enter(1, 1, || client(1)).unwrap();
        for _ in 0..3 {
            assert_eq!(core.enter(1, 1, || client(2)).unwrap_err(), Over::All);
        }
        drop(only);
        assert!(core.enter(1, 1, || client(2)).is_ok());
    }

    #[test]
    fn a_reload_may_change_the_maximum_while_some_are_in_flight() {
        let shared = Arc::new(Requests::new(64));
        let core = core(&shared);
        let many: Vec<_> = (0..1_000).map(|_| core.enter(32_768, u32::MAX, || None).unwrap()).collect();
        let held = core.held.get();
        let more: Vec<_> = std::iter::from_fn(|| core.enter(10, u32::MAX, || None).ok()).collect();
        assert_eq!(more.len(), (held - 1_000) as usize, "what it holds already, and no more");
        drop((many, more));
        assert_eq!(core.inside.get(), 0);
        assert!(core.held.get() < 128);
        drop(core);
        assert_eq!(shared.gate.inside(), 0);
    }

    #[test]
    fn cores_together_never_have_more_than_the_maximum() {
        let shared = Arc::new(Requests::new(64));
        let inside = AtomicU32::new(0);
        let work = |seed: u32| {
            let (shared, inside) = (&shared, &inside);
            move || {
                let core = Rc::new(CoreRequests::new(shared.clone()));
                let mut held = Vec::new();
                for n in 0..20_000_u32 {
                    if let Ok(one) = core.enter(1_000, 300, || client((n + seed) % 4)) {
                        assert!(inside.fetch_add(1, SeqCst) < 1_000);
                        held.push(one);
                    }
                    if held.len() > (n * 7 % 500) as usize {
                        let gone = held.split_off(held.len() / 2);
                        inside.fetch_sub(gone.len() as u32, SeqCst);
                    }
                }
                inside.fetch_sub(held.len() as u32, SeqCst);
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|seed| drop(scope.spawn(work(seed)))));
        assert_eq!(shared.gate.inside(), 0);
    }
}
