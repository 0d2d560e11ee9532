//! How much of the ceiling on memory is taken, in the whole process, and who waits for more of it.
//!
//! What is taken is counted before it is used, and given back when it is not used any more: [`Part`]. There is one
//! number, changed by compare-and-swap, and never above what [`Budget`] allows for its purpose. An exchange costs one
//! change each way. (An allowance for each core in advance would spare these some nanoseconds; but what one core has to
//! spare others could not have, and where memory is short that is what counts.)
//!
//! Nobody waits for ever because of another who waits:
//!
//! - Whoever is at work has taken all that it needs ([`Purpose::Work`]). It waits for its peers, within their timeouts,
//!   and never for memory: it ends, and gives back.
//! - Clients with many connections leave a part to those with few ([`Purpose::Crowd`]), and wait behind them. So one
//!   that has a thousand of them waiting for bytes keeps others of its kind from working, but nobody else.
//! - What only makes it faster ([`Purpose::Spare`], [`Purpose::Ample`]) is given at once or not at all.
//! - Those who are idle ([`Place`]) leave a quarter of the rest to work, and those who are faster leave half.
//!   So there is always room for some at work, which end, and then for others.
//! - Newcomers may come in when there is no more room for work, up to a bound: so they can wait for it in their turn.
//! - Those who wait for work do so in order, and so do those who want to come in. What is given back wakes the first
//!   for whom there is room; if it needs more than there is, the next may try. One that needs much is overtaken then,
//!   and gives up after its time.

use super::waiters::{QueueFull, Waiters};
use crate::limit::{ACTIVE, Budget, IDLE};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// The ceiling, and what is taken of it.
#[derive(Debug)]
pub struct Memory {
    budget: Budget,
    /// In bytes, the fixed part included.
    used: AtomicU64,
    /// Of that, by connections that may be idle.
    idle: AtomicU64,
    /// Those who are here and want to begin something.
    workers: Waiters,
    /// The same of clients with many connections.
    crowd: Waiters,
    /// Those who want to come in.
    newcomers: Waiters,
}

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An exchange, a tunnel, a handshake: somebody has come to do something.
    Work,
    /// The same for one of many connections of a client.
    Crowd,
    /// To do it faster.
    Spare,
    /// To do it faster still.
    Ample,
}

/// A part of the memory, until dropped.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Part<M: Deref<Target = Memory>> {
    memory: M,
    bytes: u64,
}

/// Memory for a connection or a flow as long as it is here, whether it does anything or not; until dropped.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Place {
    memory: Arc<Memory>,
    bytes: u64,
}

/// More cannot wait than can be connected, whatever the configuration says.
const WAITING_MAX: usize = 1 << 20;

impl Memory {
    /// Nothing is taken but the fixed part.
    pub fn new(budget: Budget) -> Memory {
        Memory {
            budget,
            used: AtomicU64::new(budget.fixed),
            idle: AtomicU64::new(0),
            workers: Waiters::default(),
            crowd: Waiters::default(),
            newcomers: Waiters::default(),
        }
    }

    /// What the ceiling is shared out for.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Bytes that are taken, the fixed part included.
    pub fn used(&self) -> u64 {
        self.used.load(SeqCst)
    }

    /// How many wait for memory to begin something.
    pub fn waiting(&self) -> usize {
        self.workers.len() + self.crowd.len()
    }

    /// Whether somebody may soon want what is kept for later: none of what is spare is left, or somebody waits.
    pub fn is_scarce(&self) -> bool {
        self.used() > self.budget.spare_max() || self.is_wanted()
    }

    /// Whether anybody waits for memory to begin something.
    fn is_wanted(&self) -> bool {
        self.workers.has_sleepers() || self.crowd.has_sleepers()
    }

    /// Takes a part at once, if there is room and nobody waits for work.
    pub fn try_take<M: Deref<Target = Memory>>(memory: M, bytes: u64, purpose: Purpose) -> Option<Part<M>> {
        let is_taken = memory.take_in_turn(bytes, purpose);
        is_taken.then(|| Part { memory, bytes })
    }

    /// Takes a part for work at once; `is_crowd` tells whether its client has many connections, and is asked only where
    /// that matters. If there is no room: the purpose to [wait](Memory::wait) with.
    pub fn try_work<M: Deref<Target = Memory>>(
        memory: M,
        bytes: u64,
        is_crowd: impl FnOnce() -> bool,
    ) -> Result<Part<M>, (M, Purpose)> {
        let mut purpose = Purpose::Crowd;
        let mut is_taken = memory.take_in_turn(bytes, purpose);
        if !is_taken && !is_crowd() {
            purpose = Purpose::Work;
            is_taken = memory.take_in_turn(bytes, purpose);
        }
        if is_taken { Ok(Part { memory, bytes }) } else { Err((memory, purpose)) }
    }

    /// Waits for a part for work, of a crowd or not, behind those who wait already.
    pub async fn wait<M: Deref<Target = Memory>>(
        memory: M,
        bytes: u64,
        purpose: Purpose,
    ) -> Result<Part<M>, QueueFull> {
        let queue = if purpose == Purpose::Crowd { &memory.crowd } else { &memory.workers };
        queue.wait(WAITING_MAX, || memory.take(bytes, purpose).then_some(())).await?;
        let part = Part { memory, bytes };
        // What was given back may be enough for the next one as well.
        part.memory.wake();
        Ok(part)
    }

    /// A place at once, if there is room and nobody waits to come in.
    pub fn try_place(memory: &Arc<Memory>, bytes: u64) -> Option<Place> {
        let is_taken = !memory.newcomers.has_sleepers() && memory.take_place(bytes);
        is_taken.then(|| Place { memory: memory.clone(), bytes })
    }

    /// Waits for a place, behind those who wait already.
    pub async fn place(memory: &Arc<Memory>, bytes: u64) -> Result<Place, QueueFull> {
        memory.newcomers.wait(WAITING_MAX, || memory.take_place(bytes).then_some(())).await?;
        let place = Place { memory: memory.clone(), bytes };
        memory.wake();
        Ok(place)
    }

    /// What a connection at work was given becomes a place of `bytes` for it, and the rest is given back. It waits for
    /// nobody: whoever does waits for just that. Without room among the idle it gets its part back.
    pub fn settle<M: Deref<Target = Memory>>(
        memory: &Arc<Memory>,
        mut part: Part<M>,
        bytes: u64,
    ) -> Result<Place, Part<M>> {
        debug_assert!(part.bytes >= bytes && std::ptr::eq(&**memory, &*part.memory));
        if !add(&memory.idle, bytes, memory.budget.idle_max()) {
            return Err(part);
        }
        part.shrink(bytes);
        part.bytes = 0;
        Ok(Place { memory: memory.clone(), bytes })
    }

    /// Takes, unless somebody waits who is to have it first.
    fn take_in_turn(&self, bytes: u64, purpose: Purpose) -> bool {
        let is_before = if purpose == Purpose::Work { self.workers.has_sleepers() } else { self.is_wanted() };
        !is_before && self.take(bytes, purpose)
    }

    fn take(&self, bytes: u64, purpose: Purpose) -> bool {
        let max = match purpose {
            Purpose::Work => self.budget.work_max(),
            Purpose::Crowd => self.budget.crowd_max(),
            Purpose::Spare => self.budget.spare_max(),
            Purpose::Ample => self.budget.ample_max(),
        };
        add(&self.used, bytes, max)
    }

    fn take_place(&self, bytes: u64) -> bool {
        if !add(&self.idle, bytes, self.budget.idle_max()) {
            return false;
        }
        let is_taken = add(&self.used, bytes, self.budget.come_max());
        if !is_taken {
            self.idle.fetch_sub(bytes, SeqCst);
        }
        is_taken
    }

    /// Gives back what somebody has taken who has [parted](Part::into_parts) with the guard of it.
    pub fn give(&self, bytes: u64) {
        let before = self.used.fetch_sub(bytes, SeqCst);
        debug_assert!(before >= self.budget.fixed + bytes, "given back what was not taken");
        self.wake();
    }

    /// Wakes the first for whom there may be room. Costs three loads while nobody waits.
    fn wake(&self) {
        if self.workers.has_sleepers() && self.used() + ACTIVE <= self.budget.work_max() {
            self.workers.wake_one();
        }
        if self.crowd.has_sleepers() && self.used() + ACTIVE <= self.budget.crowd_max() {
            self.crowd.wake_one();
        }
        if self.newcomers.has_sleepers()
            && self.used() + IDLE <= self.budget.come_max()
            && self.idle.load(SeqCst) + IDLE <= self.budget.idle_max()
        {
            self.newcomers.wake_one();
        }
    }
}

/// Adds to what is taken, unless that would be more than `max`.
fn add(taken: &AtomicU64, bytes: u64, max: u64) -> bool {
    taken.fetch_update(SeqCst, SeqCst, |taken| taken.checked_add(bytes).filter(|taken| *taken <= max)).is_ok()
}

impl Drop for Place {
    fn drop(&mut self) {
        self.memory.idle.fetch_sub(self.bytes, SeqCst);
        self.memory.give(self.bytes);
    }
}

impl<M: Deref<Target = Memory>> Part<M> {
    /// Gives all of it back but so many bytes.
    pub fn shrink(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            self.bytes -= less;
            self.memory.give(less);
        }
    }

    /// Makes `other` a part of this one.
    pub fn absorb<N: Deref<Target = Memory>>(&mut self, mut other: Part<N>) {
        debug_assert!(std::ptr::eq(&*self.memory, &*other.memory));
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// The same part in the hands of another, who reaches the same memory by another way.
    pub fn onto<N: Deref<Target = Memory>>(mut self, memory: N) -> Part<N> {
        debug_assert!(std::ptr::eq(&*self.memory, &*memory));
        Part { memory, bytes: std::mem::take(&mut self.bytes) }
    }

    /// What it is a part of, and how much: who holds them from here on [gives](Memory::give) it back.
    pub fn into_parts(mut self) -> (M, u64)
    where
        M: Clone,
    {
        (self.memory.clone(), std::mem::take(&mut self.bytes))
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl<M: Deref<Target = Memory>> Drop for Part<M> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.give(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests;
