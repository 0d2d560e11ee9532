//! A gate lets in so many at once: connections of the process, requests on one server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Counts those who are inside. The maximum is an argument, since a reload may change it while some are.
///
/// It guards no other data: relaxed ordering is enough.
#[derive(Debug, Default)]
pub struct Gate(AtomicU32);

/// A place inside, until dropped.
#[derive(Debug)]
pub struct Inside(Arc<Gate>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Gate {
    /// A place, unless `max` are inside.
    pub fn enter(self: &Arc<Gate>, max: u32) -> Option<Inside> {
        self.try_enter(max).then(|| Inside(self.clone()))
    }

    /// Enters unless `max` are inside; then [`leave`](Gate::leave) must follow.
    #[must_use]
    pub fn try_enter(&self, max: u32) -> bool {
        self.try_enter_with(1, max)
    }

    /// Enters with `count`, all or none; then they have to leave.
    #[must_use]
    pub fn try_enter_with(&self, count: u32, max: u32) -> bool {
        let entered = |inside: u32| inside.checked_add(count).filter(|&together| together <= max);
        self.0.fetch_update(Relaxed, Relaxed, entered).is_ok()
    }

    /// Leaves.
    pub fn leave(&self) {
        self.leave_with(1);
    }

    /// `count` of those inside leave.
    pub fn leave_with(&self, count: u32) {
        let before = self.0.fetch_sub(count, Relaxed);
        debug_assert!(before >= count, "left without having entered");
    }

    /// How many are inside.
    pub fn inside(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_opens_when_one_leaves() {
        let gate = Gate::default();
        assert!(!gate.try_enter(0));
        assert!(gate.try_enter(2));
        assert!(gate.try_enter(2));
        assert!(!gate.try_enter(2));
        gate.leave();
        assert!(gate.try_enter(2));
        assert!(!gate.try_enter(1), "a reload has lowered the maximum");
        assert_eq!(gate.inside(), 2);
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let gate = Arc::new(Gate::default());
        let place = gate.enter(1);
        assert!(place.is_some() && gate.enter(1).is_none());
        drop(place);
        assert!(gate.enter(1).is_some());
        assert_eq!(gate.inside(), 0);
    }

    #[test]
    fn cores_together_never_exceed_the_maximum() {
        let gate = Gate::default();
        let visit = || {
            for _ in 0..20_000 {
                if gate.try_enter(2) {
                    assert!(gate.inside() <= 2);
                    gate.leave();
                }
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(visit))));
        assert_eq!(gate.inside(), 0);
    }
}
