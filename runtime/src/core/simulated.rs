//! Cores of a simulated world: how they are made, turned one after the other, and checked.

use super::{Core, Handle, Settings};
use crate::buf::Group;
use crate::kernel::{Kernel, Token};
use crate::sim::{Role, World};
use crate::sys::Remote;
use crate::task;
use crate::time::Instant;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often all cores may be turned while nothing happens although they say that they have something to do.
const ROUNDS_WITHOUT_EVENT_MAX: u32 = 10_000;
/// The same while the clock stands still, whatever happens.
const ROUNDS_AT_INSTANT_MAX: u32 = 500_000;
/// How long tasks may take to end when [`World::finish`] waits for them.
const FINISH_MAX: Duration = Duration::from_secs(3600);
/// A jump of the clock, at the most.
const JUMP_MAX_MILLIS: u64 = 5000;

impl Core {
    /// A core in `world`. It is turned by [`World::step`]; one that [runs](Core::run) by itself has the world to itself.
    pub fn simulated(world: &World, role: Role, settings: &Settings) -> Core {
        let remote = Arc::new(Remote::simulated());
        let registered = task::register(remote.clone()).expect("a number: there are too many cores in one process");
        let kernel =
            Kernel::simulated(&settings.for_kernel(), world, role, remote.clone()).expect("memory for buffers");
        Core::with(kernel, None, settings, remote, registered)
    }

    /// Whether it has something to do although nothing happens around it.
    fn has_work(&self) -> bool {
        let kernel = self.inner.kernel.borrow();
        self.inner.queue.len() > 0
            || self.remote.doze().is_woken()
            || kernel.as_simulated().is_some_and(|kernel| kernel.has_work())
            || self.next_timer().is_some_and(|at| at <= kernel.now())
    }

    fn next_timer(&self) -> Option<Instant> {
        self.inner.wheel.borrow().next()
    }
}

impl Handle {
    /// The world of a simulated core.
    pub fn world(&self) -> Option<World> {
        self.0.kernel.borrow().as_simulated().map(|kernel| kernel.world().clone())
    }

    /// Where the connections of this simulated core come from: each from one of `addresses`, which the seed chooses.
    /// Else they come from the address that they go to, as in one machine.
    pub fn come_from(&self, addresses: &[IpAddr]) {
        if let Some(kernel) = self.0.kernel.borrow().as_simulated() {
            kernel.world().set_addresses(kernel.core(), addresses);
        }
    }
}

impl World {
    /// Turns each core once, in an order that the seed decides, and checks it. When none of them has anything to do, lets
    /// time pass until something happens by itself or a timer is due. False when nothing is ever going to happen.
    ///
    /// # Panics
    ///
    /// When a check fails, and when the cores turn without end.
    pub fn step(&self, cores: &mut [&mut Core]) -> bool {
        let (now, events) = (self.now(), self.events());
        let _driven = self.drive();
        let mut order: Vec<usize> = (0..cores.len()).collect();
        self.shuffle(&mut order);
        for place in order {
            cores[place].turn(Some(Duration::ZERO));
            self.check(cores[place]);
        }
        if cores.iter().any(|core| core.has_work()) {
            self.count_round(now, events);
            return true;
        }
        let timers = cores.iter().filter_map(|core| core.next_timer());
        let Some(next) = timers.chain(self.next_event()).min() else { return false };
        self.advance(next + self.jump_by(JUMP_MAX_MILLIS));
        self.count_round(now, events);
        true
    }

    /// Steps until `done`.
    ///
    /// # Panics
    ///
    /// When it is not done after `limit`, by the clock of this world, or never will be.
    pub fn run_until(&self, cores: &mut [&mut Core], done: impl Fn() -> bool, limit: Duration) {
        let until = self.now() + limit;
        while !done() {
            assert!(self.now() < until, "seed {}: not done after {limit:?}", self.seed());
            assert!(self.step(cores) || done(), "seed {}: not done, and nothing is ever going to happen", self.seed());
        }
    }

    /// Steps while `time` passes, or until nothing is ever going to happen.
    pub fn pass(&self, cores: &mut [&mut Core], time: Duration) {
        let until = self.now() + time;
        while self.now() < until && self.step(cores) {}
    }

    /// Checks what must hold after each turn of a core.
    ///
    /// # Panics
    ///
    /// When the operations that the core waits for are not those that its kernel has, or more has piled up than may, or a
    /// task has panicked: most of what a world finds shows in a task, which ends with it, and the core goes on.
    pub fn check(&self, core: &Core) {
        let panics = core.inner.counts.panics.get();
        assert_eq!(panics, 0, "seed {}: tasks have panicked, see above", self.seed());
        let kernel = core.inner.kernel.borrow();
        let Some(kernel) = kernel.as_simulated() else { return };
        let sorted = |tokens: Vec<Token>| {
            let mut named: Vec<_> = tokens.into_iter().map(|token| (token.index, token.generation)).collect();
            named.sort_unstable();
            named
        };
        let (slots, operations) = (sorted(core.inner.slots.borrow().running()), sorted(kernel.running()));
        if slots != operations {
            let only_in = |these: &[(u32, u32)], those: &[(u32, u32)]| {
                these.iter().filter(|token| !those.contains(token)).copied().collect::<Vec<_>>()
            };
            panic!(
                "seed {}: slots without an operation: {:?}, operations without a slot: {:?} (index, generation)",
                self.seed(),
                only_in(&slots, &operations),
                only_in(&operations, &slots),
            );
        }
    }

    /// The end of a history: no more faults, and all tasks are waited for. Then nothing may be left: no operation, no
    /// buffer, no descriptor, no byte in a pipe.
    ///
    /// # Panics
    ///
    /// When something is left, or tasks do not end.
    pub fn finish(&self, mut cores: Vec<Core>) {
        self.faults_off();
        let all: Vec<Handle> = cores.iter().map(Core::handle).collect();
        let tasks_end = || all.iter().all(|handle| handle.stats().tasks == 0);
        let mut turned: Vec<_> = cores.iter_mut().collect();
        self.run_until(&mut turned, tasks_end, FINISH_MAX);
        // What tasks have let go of with their last words is on its way to the kernel.
        self.run_until(&mut turned, || all.iter().all(|handle| handle.stats().operations == 0), FINISH_MAX);
        all.iter().for_each(|handle| self.expect_nothing_lent(handle));
        self.cut_short(cores);
    }

    /// The end of a history whose tasks do not end by themselves: the cores end them. Then nothing may be left.
    ///
    /// # Panics
    ///
    /// When something is left.
    pub fn cut_short(&self, cores: Vec<Core>) {
        self.faults_off();
        for core in cores {
            let handle = core.handle();
            drop(core);
            assert_eq!(handle.stats().operations, 0, "seed {}: operations left", self.seed());
            self.expect_nothing_lent(&handle);
        }
        let leaks = self.leaks();
        assert!(leaks.is_empty(), "seed {}: descriptors left: {leaks:#?}", self.seed());
    }

    fn expect_nothing_lent(&self, handle: &Handle) {
        for group in Group::ALL {
            let (lent, _) = handle.kernel().lent(group);
            assert_eq!(lent, 0, "seed {}: buffers of {group:?} left", self.seed());
        }
    }

    /// Cores that say that they have something to do, and do nothing, are a loop without end.
    fn count_round(&self, now: Instant, events: u64) {
        let (quiet, at_instant) = self.rounds(self.events() == events, self.now() == now);
        assert!(quiet <= ROUNDS_WITHOUT_EVENT_MAX, "seed {}: {quiet} rounds in which nothing happens", self.seed());
        assert!(
            at_instant <= ROUNDS_AT_INSTANT_MAX,
            "seed {}: {at_instant} rounds while the clock stands still",
            self.seed()
        );
    }
}

#[cfg(test)]
mod tests;
