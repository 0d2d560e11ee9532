//! Which tasks are ready, and which core is turning on this thread.

use super::CoreId;
use crate::sys::Remote;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// The ready tasks of one core, each at most once.
pub(crate) struct RunQueue {
    core: CoreId,
    ready: RefCell<Ready>,
    /// Other cores that our tasks have woken, for the ring to tell them,
    outbox: RefCell<Vec<Arc<Remote>>>,
    /// as long as somebody is going to take them from here.
    is_collecting: Cell<bool>,
}

#[derive(Default)]
struct Ready {
    queue: VecDeque<u32>,
    /// By the index of a task.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Default)]
struct Place {
    generation: u32,
    alive: bool,
    queued: bool,
}

impl RunQueue {
    pub(crate) fn new(core: CoreId) -> RunQueue {
        RunQueue { core, ready: RefCell::default(), outbox: RefCell::default(), is_collecting: Cell::new(false) }
    }

    pub(crate) fn core(&self) -> CoreId {
        self.core
    }

    /// A task moves in at `index`; returns its generation. It is ready.
    pub(crate) fn open(&self, index: u32) -> u32 {
        let generation = {
            let places = &mut self.ready.borrow_mut().places;
            if places.len() <= index as usize {
                places.resize(index as usize + 1, Place::default());
            }
            let place = &mut places[index as usize];
            place.alive = true;
            place.generation
        };
        self.wake(index, generation);
        generation
    }

    /// The task at `index` has ended; what still names it names nobody.
    pub(crate) fn shut(&self, index: u32) {
        let place = &mut self.ready.borrow_mut().places[index as usize];
        place.generation = place.generation.wrapping_add(1);
        place.alive = false;
    }

    /// Queues a task unless it is queued or gone.
    pub(crate) fn wake(&self, index: u32, generation: u32) {
        let Ready { queue, places } = &mut *self.ready.borrow_mut();
        if let Some(place) = places.get_mut(index as usize) {
            // A packed generation may be cut to fewer bits (32-bit machines); a spurious wake is harmless.
            if place.alive && !place.queued && super::waker::same_generation(place.generation, generation) {
                place.queued = true;
                queue.push_back(index);
            }
        }
    }

    /// Queues every task.
    pub(crate) fn wake_all(&self) {
        let alive: Vec<_> = self.ready.borrow().places.iter().map(|p| (p.alive, p.generation)).collect();
        for (index, (alive, generation)) in alive.into_iter().enumerate() {
            if alive {
                self.wake(index as u32, generation);
            }
        }
    }

    /// The next ready task and its generation. It may be woken again from now on.
    pub(crate) fn pop(&self) -> Option<(u32, u32)> {
        let Ready { queue, places } = &mut *self.ready.borrow_mut();
        loop {
            let index = queue.pop_front()?;
            let place = &mut places[index as usize];
            place.queued = false;
            if place.alive {
                return Some((index, place.generation));
            }
        }
    }

    /// Collects the cores that are woken from now on, until [`RunQueue::close_outbox`].
    pub(crate) fn open_outbox(&self) {
        self.is_collecting.set(true);
    }

    /// The other cores to be woken.
    pub(crate) fn close_outbox(&self) -> Vec<Arc<Remote>> {
        self.is_collecting.set(false);
        self.outbox.take()
    }

    /// How many are ready.
    pub(crate) fn len(&self) -> usize {
        self.ready.borrow().queue.len()
    }
}

thread_local! {
    /// A note for wakers: whose turn it is on this thread. Several cores may take turns here.
    static TURNING: Cell<Option<Rc<RunQueue>>> = const { Cell::new(None) };
}

/// While this lives, its core is the one that turns on this thread.
pub(crate) struct Turning(Option<Rc<RunQueue>>);

impl Turning {
    pub(crate) fn enter(queue: Rc<RunQueue>) -> Turning {
        Turning(TURNING.replace(Some(queue)))
    }

    /// Wakes a task of `core` if that core is turning here. False when it is not.
    pub(super) fn wake_local(core: CoreId, index: u32, generation: u32) -> bool {
        TURNING
            .try_with(|turning| {
                let queue = turning.take();
                let local = queue.as_ref().is_some_and(|queue| queue.core() == core);
                if let (true, Some(queue)) = (local, &queue) {
                    queue.wake(index, generation);
                }
                turning.set(queue);
                local
            })
            .unwrap_or(false)
    }

    /// Wakes another core that sleeps: with what this one submits next if tasks of it are running here, else at once.
    pub(super) fn wake_remote(remote: Arc<Remote>) {
        let turning = TURNING.try_with(|turning| {
            let queue = turning.take();
            turning.set(queue.clone());
            queue
        });
        match turning.ok().flatten() {
            Some(queue) if queue.is_collecting.get() => queue.outbox.borrow_mut().push(remote),
            _ => remote.kick(),
        }
    }
}

impl Drop for Turning {
    fn drop(&mut self) {
        TURNING.set(self.0.take());
    }
}
