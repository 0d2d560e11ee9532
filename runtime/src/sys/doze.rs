//! Whether a core sleeps, and what others have woken on it meanwhile: what keeps a wake from being lost, and a core that is
//! awake anyway from being woken.

use crate::sync::{AtomicBool, Mutex, Ordering, lock};

/// Shared by a core and all who wake its tasks.
#[derive(Default)]
pub(crate) struct Doze {
    sleeping: AtomicBool,
    pending: AtomicBool,
    woken: Mutex<Woken>,
}

/// Tasks woken from other threads. Bounded: beyond [`WOKEN_MAX`] all tasks are woken, which is always allowed.
#[derive(Default)]
pub(crate) struct Woken {
    pub(crate) tasks: Vec<(u32, u32)>,
    pub(crate) everyone: bool,
}

const WOKEN_MAX: usize = 1024;

impl Doze {
    /// Marks a task as ready. Called on any thread. Whether the core sleeps and nobody else has seen to its waking up: then
    /// the caller has to.
    #[must_use]
    pub(crate) fn wake_task(&self, index: u32, generation: u32) -> bool {
        {
            let mut woken = lock(&self.woken);
            if woken.tasks.len() < WOKEN_MAX {
                woken.tasks.push((index, generation));
            } else {
                woken.everyone = true;
            }
        }
        self.pending.swap(true, Ordering::AcqRel);
        self.sleeping.swap(false, Ordering::AcqRel)
    }

    /// Whether anything was woken since it was last taken.
    #[cfg(feature = "sim")]
    pub(crate) fn is_woken(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Takes what was woken. The cheap test first: it is asked once a turn.
    pub(crate) fn take_woken(&self, into: &mut Woken) -> bool {
        if !self.pending.load(Ordering::Relaxed) || !self.pending.swap(false, Ordering::AcqRel) {
            return false;
        }
        std::mem::swap(&mut *lock(&self.woken), into);
        true
    }

    /// The core is about to wait. False when something came in meanwhile: then it must not.
    ///
    /// Each change of a flag reads it as well, everywhere: so whoever is second at one flag sees what the first had done to
    /// the other before. A plain store would cut that chain, and a core might sleep over a task that was woken.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.sleeping.swap(true, Ordering::AcqRel);
        if self.pending.fetch_or(false, Ordering::AcqRel) {
            self.sleeping.swap(false, Ordering::AcqRel);
            return false;
        }
        true
    }

    pub(crate) fn stay_awake(&self) {
        self.sleeping.swap(false, Ordering::AcqRel);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::every_order;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    /// The eventfd of a core.
    #[derive(Default)]
    struct Bell(Mutex<bool>, Condvar);

    impl Bell {
        fn ring(&self) {
            *self.0.lock().unwrap() = true;
            self.1.notify_one();
        }

        fn wait(&self) {
            let mut rung = self.0.lock().unwrap();
            while !*rung {
                rung = self.1.wait(rung).unwrap();
            }
            *rung = false;
        }
    }

    /// A core that slept with a task woken would wait for a bell that nobody rings, which loom tells.
    #[test]
    fn loom_a_core_does_not_sleep_over_a_task_that_was_woken() {
        every_order(|| {
            let (doze, bell) = (Arc::new(Doze::default()), Arc::new(Bell::default()));
            let wakers = (0..2).map(|task| {
                let (doze, bell) = (doze.clone(), bell.clone());
                thread::spawn(move || {
                    if doze.wake_task(task, 0) {
                        bell.ring();
                    }
                })
            });
            let wakers: Vec<_> = wakers.collect();
            let mut seen = Vec::new();
            while seen.len() < 2 {
                if doze.fall_asleep() {
                    bell.wait();
                }
                doze.stay_awake();
                let mut woken = Woken::default();
                if doze.take_woken(&mut woken) {
                    seen.append(&mut woken.tasks);
                }
            }
            for waker in wakers {
                waker.join().unwrap();
            }
            seen.sort_unstable();
            assert_eq!(seen, [(0, 0), (1, 0)]);
        });
    }
}
