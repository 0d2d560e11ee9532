//! The table of flows of one listener on one core: found by who talks with whom, in the order in which they were last used.
//! It knows nothing of sockets, and time is an argument.

use crate::model::{NONE, Order};
use ringferry_runtime::net::LocalAddress;
use ringferry_runtime::time::Instant;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Flows of one listener on one core. Each is a descriptor, 0.9 KiB of ours and 3.5 KiB of the kernel's (4,000 flows on
/// x86-64, Linux 6.18, 2026-11-24). Whoever fills the table, with forged addresses perhaps, pushes out what was used
/// longest ago.
pub const FLOWS_MAX: usize = 4096;

/// Who talks with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) client: SocketAddr,
    /// The address of ours, where it is known.
    pub(super) local: Option<LocalAddress>,
}

/// A place in the table, good until what is there has been taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    index: u32,
    generation: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Flows<T> {
    /// Keyed by what strangers choose, so by a hash that they do not know.
    index: HashMap<Key, u32>,
    /// By their last use.
    order: Order<Entry<T>>,
    max: usize,
    /// Of the flow added last.
    generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    key: Key,
    generation: u32,
    used: Instant,
    flow: T,
}

/// A table with room for more than this gives its memory back when it runs empty.
const ROOM_KEPT: usize = 64;

impl<T> Flows<T> {
    /// An empty table for up to `max` flows.
    pub(super) fn new(max: usize) -> Flows<T> {
        assert!(max > 0 && max < NONE as usize);
        Flows { index: HashMap::new(), order: Order::default(), max, generation: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.max
    }

    /// The flow of these two, which is used now.
    pub(super) fn find(&mut self, key: &Key, now: Instant) -> Option<&T> {
        let index = *self.index.get(key)?;
        self.use_now(index, now)
    }

    /// Adds a flow, which must not be there yet, to a table that is not full. `make` is told its place.
    pub(super) fn insert(&mut self, key: Key, now: Instant, make: impl FnOnce(Slot) -> T) {
        assert!(!self.is_full(), "a full table was added to");
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.order.push_with(|index| {
            let flow = make(Slot { index, generation });
            Entry { key, generation, used: now, flow }
        });
        let before = self.index.insert(key, index);
        assert!(before.is_none(), "a flow was added twice");
    }

    /// A flow is used now. Without effect once it has been taken out.
    pub(super) fn touch(&mut self, slot: Slot, now: Instant) {
        if self.has(slot) {
            self.use_now(slot.index, now);
        }
    }

    /// Takes a flow out, unless it has been.
    pub(super) fn take(&mut self, slot: Slot) -> Option<T> {
        if self.has(slot) { self.remove(slot.index) } else { None }
    }

    /// Takes out what was used longest ago.
    pub(super) fn take_oldest(&mut self) -> Option<T> {
        self.remove(self.order.oldest()?)
    }

    /// Takes out a flow that has not been used for `idle`.
    pub(super) fn take_idle(&mut self, idle: Duration, now: Instant) -> Option<T> {
        if self.next_idle(idle)? <= now { self.take_oldest() } else { None }
    }

    /// When the next flow will not have been used for `idle`.
    pub(super) fn next_idle(&self, idle: Duration) -> Option<Instant> {
        Some(self.order.get(self.order.oldest()?)?.used + idle)
    }

    /// Takes out those that `is_over`.
    pub(super) fn take_all(&mut self, is_over: impl Fn(&T) -> bool) -> Vec<T> {
        let over = self.order.iter().filter(|(_, entry)| is_over(&entry.flow));
        let indices: Vec<_> = over.map(|(index, _)| index).collect();
        indices.into_iter().filter_map(|index| self.remove(index)).collect()
    }

    fn has(&self, slot: Slot) -> bool {
        self.order.get(slot.index).is_some_and(|entry| entry.generation == slot.generation)
    }

    fn remove(&mut self, index: u32) -> Option<T> {
        let Entry { key, flow, .. } = self.order.leave(index)?;
        self.index.remove(&key);
        if self.index.is_empty() {
            // After a burst; the order does so by itself.
            self.index.shrink_to(ROOM_KEPT);
        }
        Some(flow)
    }

    fn use_now(&mut self, index: u32, now: Instant) -> Option<&T> {
        let entry = self.order.renew(index)?;
        entry.used = now;
        Some(&entry.flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        Key { client: ([192, 0, 2, 1], port).into(), local: None }
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    /// A table of flows with these ports, one added each second from 0 on; a flow is its place.
    fn table(max: usize, ports: impl IntoIterator<Item = u16>) -> Flows<(u16, Slot)> {
        let mut flows = Flows::new(max);
        for (second, port) in ports.into_iter().enumerate() {
            flows.insert(key(port), at(second as u64), |slot| (port, slot));
        }
        flows
    }

    /// Takes all out, the one used longest ago first.
    fn order(flows: &mut Flows<(u16, Slot)>) -> Vec<u16> {
        std::iter::from_fn(|| flows.take_oldest()).map(|(port, _)| port).collect()
    }

    #[test]
    fn a_flow_is_found_by_both_of_its_ends() {
        let mut flows = Flows::new(8);
        let local = |last| Some(LocalAddress { ip: [127, 0, 0, last].into(), interface: 1 });
        for (n, last) in [1, 2].into_iter().enumerate() {
            flows.insert(Key { local: local(last), ..key(5) }, at(0), |_| n);
        }
        assert_eq!(flows.find(&Key { local: local(1), ..key(5) }, at(1)), Some(&0));
        assert_eq!(flows.find(&Key { local: local(2), ..key(5) }, at(1)), Some(&1));
        assert_eq!(flows.find(&key(5), at(1)), None);
        assert_eq!(flows.find(&Key { local: local(1), ..key(6) }, at(1)), None);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut flows = table(4, [1, 2, 3, 4]);
        assert!(flows.is_full());
        flows.find(&key(1), at(9)).unwrap();
        flows.find(&key(3), at(9)).unwrap();
        flows.find(&key(3), at(9)).unwrap();
        assert_eq!(order(&mut flows), [2, 4, 1, 3]);
        assert_eq!((flows.len(), flows.take_oldest()), (0, None));
        let mut flows = table(4, [1, 2, 3]);
        let (_, slot) = *flows.find(&key(2), at(3)).unwrap();
        assert_eq!(flows.take(slot).map(|(port, _)| port), Some(2));
        flows.touch(slot, at(4));
        assert_eq!(flows.take(slot), None, "taken twice");
        flows.insert(key(4), at(4), |slot| (4, slot));
        flows.touch(slot, at(5));
        assert_eq!(order(&mut flows), [1, 3, 4], "the place of one that is gone stands for the next");
    }

    #[test]
    fn a_flow_that_is_not_used_becomes_idle() {
        let idle = Duration::from_secs(10);
        let mut flows = table(4, [1, 2, 3]);
        assert_eq!(flows.next_idle(idle), Some(at(10)));
        assert_eq!(flows.take_idle(idle, at(9)), None);
        let (_, second) = *flows.find(&key(2), at(8)).unwrap();
        assert_eq!(flows.take_idle(idle, at(10)).map(|(port, _)| port), Some(1));
        assert_eq!(flows.take_idle(idle, at(11)), None);
        flows.touch(second, at(11));
        assert_eq!(flows.take_idle(idle, at(13)).map(|(port, _)| port), Some(3));
        assert_eq!((flows.take_idle(idle, at(20)), flows.next_idle(idle)), (None, Some(at(21))));
        assert_eq!(flows.take_idle(idle, at(21)).map(|(port, _)| port), Some(2));
        assert_eq!((flows.len(), flows.next_idle(idle)), (0, None));
    }

    #[test]
    fn those_that_are_over_are_taken_out_wherever_they_are() {
        let mut flows = table(8, 1..=6);
        let over = flows.take_all(|(port, _)| port % 2 == 1);
        assert_eq!(over.into_iter().map(|(port, _)| port).collect::<Vec<_>>(), [1, 3, 5]);
        assert_eq!(order(&mut flows), [2, 4, 6]);
    }

    #[test]
    fn the_memory_of_a_burst_goes_back_and_old_places_stay_void() {
        let mut flows = table(1000, 0..1000);
        let (_, slot) = *flows.find(&key(7), at(0)).unwrap();
        assert_eq!(order(&mut flows).len(), 1000);
        assert_eq!(flows.order.capacity(), 0);
        assert!(flows.index.capacity() < 200);
        for port in 0..20 {
            flows.insert(key(port), at(0), |slot| (port, slot));
        }
        assert_eq!(flows.take(slot), None);
    }

    #[test]
    fn any_history_keeps_order_and_bound() {
        use crate::model::Rng;
        use std::collections::VecDeque;
        for seed in 0..64 {
            let mut rng = Rng::new(seed);
            let mut flows = Flows::new(12);
            // Ports in the order of their last use.
            let mut expect = VecDeque::<(u16, Slot)>::new();
            for now in 0..400 {
                let port = rng.below(20) as u16;
                let place = expect.iter().position(|(other, _)| *other == port);
                match (rng.below(4), place) {
                    (0, Some(place)) => {
                        let (_, slot) = expect.remove(place).unwrap();
                        assert_eq!(flows.take(slot).map(|(port, _)| port), Some(port));
                    }
                    (_, Some(place)) => {
                        let used = expect.remove(place).unwrap();
                        assert_eq!(flows.find(&key(port), at(now)), Some(&used), "seed {seed}");
                        expect.push_back(used);
                    }
                    (_, None) => {
                        if flows.is_full() {
                            assert_eq!(flows.take_oldest(), expect.pop_front(), "seed {seed}");
                        }
                        let mut made = None;
                        flows.insert(key(port), at(now), |slot| *made.insert((port, slot)));
                        expect.push_back(made.unwrap());
                    }
                }
                assert_eq!(flows.len(), expect.len());
            }
            assert_eq!(order(&mut flows), expect.iter().map(|(port, _)| *port).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}
