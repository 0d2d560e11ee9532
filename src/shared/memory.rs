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
        let is_before = memory.workers.has_sleepers() || purpose != Purpose::Work && memory.crowd.has_sleepers();
        let is_taken = !is_before && memory.take(bytes, purpose);
        is_taken.then(|| Part { memory, bytes })
    }

    /// Takes a part for work at once; `is_crowd` tells whether its client has many connections, and is asked only where
    /// that matters. If there is no room: the purpose to [wait](Memory::wait) with.
    pub fn try_work<M: Deref<Target = Memory>>(
        memory: M,
        bytes: u64,
        is_crowd: impl FnOnce() -> bool,
    ) -> Result<Part<M>, (M, Purpose)> {
        let is_taken = !memory.is_wanted() && memory.take(bytes, Purpose::Crowd);
        let purpose = if !is_taken && is_crowd() { Purpose::Crowd } else { Purpose::Work };
        let is_next = || purpose == Purpose::Work && !memory.workers.has_sleepers();
        match is_taken || is_next() && memory.take(bytes, Purpose::Work) {
            true => Ok(Part { memory, bytes }),
            false => Err((memory, purpose)),
        }
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

    fn give(&self, bytes: u64) {
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
mod tests {
    use super::*;
    use crate::limit::BODY;
    use crate::model::Rng;
    use crate::shared::waking::{Bell, Unpark};
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};
    use std::thread;

    fn small() -> Memory {
        Memory::new(Budget::new(Budget::min(1), 1).unwrap())
    }

    /// Takes until there is no more.
    fn fill(memory: &Memory, bytes: u64, purpose: Purpose) -> Vec<Part<&Memory>> {
        std::iter::from_fn(|| Memory::try_take(memory, bytes, purpose)).collect()
    }

    fn places(memory: &Arc<Memory>) -> Vec<Place> {
        std::iter::from_fn(|| Memory::try_place(memory, IDLE)).collect()
    }

    /// A request that waits: its bell, and what it got.
    type Request<'a> = (Arc<Bell>, Pin<Box<dyn Future<Output = Result<Part<&'a Memory>, QueueFull>> + 'a>>);

    fn request(memory: &Memory, bytes: u64) -> Request<'_> {
        (Arc::default(), Box::pin(Memory::wait(memory, bytes, Purpose::Work)))
    }

    fn poll<'a>((bell, future): &mut Request<'a>) -> Poll<Result<Part<&'a Memory>, QueueFull>> {
        future.as_mut().poll(&mut Context::from_waker(&bell.clone().into()))
    }

    #[test]
    fn what_is_taken_is_given_back() {
        let memory = small();
        let fixed = memory.used();
        let mut part = Memory::try_take(&memory, 3 * IDLE, Purpose::Work).unwrap();
        assert_eq!(memory.used(), fixed + 3 * IDLE);
        part.shrink(IDLE);
        part.shrink(2 * IDLE);
        assert_eq!((part.bytes(), memory.used()), (IDLE, fixed + IDLE));
        drop(part);
        assert_eq!(memory.used(), fixed);
        assert!(Memory::try_take(&memory, u64::MAX, Purpose::Work).is_none());
    }

    #[test]
    fn those_who_are_idle_and_those_who_are_faster_leave_room_for_work() {
        let memory = Arc::new(small());
        let faster = fill(&memory, BODY, Purpose::Spare);
        assert!(memory.used() <= memory.budget().spare_max() && !faster.is_empty());
        drop(faster);
        let idle = places(&memory);
        assert!(memory.used() <= memory.budget().fixed + memory.budget().idle_max() && idle.len() > 100);
        let work = fill(&memory, ACTIVE, Purpose::Work);
        assert!(work.len() >= 2, "{}", work.len());
        drop((idle, work));
        assert_eq!((memory.used(), memory.idle.load(SeqCst)), (memory.budget().fixed, 0));
    }

    #[test]
    fn where_work_has_taken_all_some_can_still_come() {
        let memory = Arc::new(small());
        let work = fill(&memory, ACTIVE, Purpose::Work);
        let few = places(&memory);
        assert!(few.len() > 10 && memory.used() <= memory.budget().come_max());
        drop(work);
        assert!(places(&memory).len() > 100);
    }

    #[test]
    fn those_who_wait_are_served_in_order_and_nobody_is_before_them() {
        let memory = small();
        let mut work = fill(&memory, ACTIVE, Purpose::Work);
        let [mut first, mut second] = [0; 2].map(|_| request(&memory, ACTIVE));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        assert_eq!(memory.waiting(), 2);

        work.pop();
        assert_eq!((first.0.0.load(SeqCst), second.0.0.load(SeqCst)), (1, 0));
        let Poll::Ready(Ok(part)) = poll(&mut first) else { panic!("there is room for the first") };
        assert!(Memory::try_take(&memory, 1, Purpose::Work).is_none(), "another waits already");
        assert!(poll(&mut second).is_pending());
        drop(part);
        assert_eq!(second.0.0.load(SeqCst), 1);
        assert!(matches!(poll(&mut second), Poll::Ready(Ok(_))));
        drop((first, second, work));
        assert_eq!((memory.waiting(), memory.used()), (0, memory.budget().fixed));
    }

    #[test]
    fn much_that_is_given_back_wakes_as_many_as_it_is_enough_for() {
        let memory = small();
        let _work = fill(&memory, ACTIVE, Purpose::Work);
        let [mut first, mut second] = [0; 2].map(|_| request(&memory, ACTIVE));
        assert!(poll(&mut first).is_pending() && poll(&mut second).is_pending());
        let two = { _work }.split_off(1);
        drop(two);
        assert!(matches!(poll(&mut first), Poll::Ready(Ok(_))));
        assert_eq!(second.0.0.load(SeqCst), 1, "woken by the first, which has left enough");
        assert!(matches!(poll(&mut second), Poll::Ready(Ok(_))));
    }

    #[test]
    fn one_that_needs_more_than_there_is_lets_the_next_try() {
        let memory = small();
        let mut work = fill(&memory, ACTIVE, Purpose::Work);
        let (mut large, mut usual) = (request(&memory, 3 * ACTIVE), request(&memory, ACTIVE));
        assert!(poll(&mut large).is_pending() && poll(&mut usual).is_pending());
        work.pop();
        assert!(poll(&mut large).is_pending());
        assert_eq!(usual.0.0.load(SeqCst), 1);
        let Poll::Ready(Ok(part)) = poll(&mut usual) else { panic!("there is room") };
        drop((part, work));
        assert!(matches!(poll(&mut large), Poll::Ready(Ok(_))), "and has kept its place");
    }

    #[test]
    fn a_crowd_leaves_room_to_others_and_waits_behind_them() {
        let memory = small();
        let mut crowd: Vec<_> = std::iter::from_fn(|| Memory::try_work(&memory, ACTIVE, || true).ok()).collect();
        assert!(crowd.len() >= 2 && memory.used() <= memory.budget().crowd_max());
        let mut waiting: Request<'_> = (Arc::default(), Box::pin(Memory::wait(&memory, ACTIVE, Purpose::Crowd)));
        assert!(poll(&mut waiting).is_pending() && memory.is_wanted());
        // One of few goes first, though somebody waits already.
        let Ok(few) = Memory::try_work(&memory, ACTIVE, || false) else { panic!("there is room") };
        crowd.pop();
        assert_eq!(waiting.0.0.load(SeqCst), 0, "what is left is not for a crowd");
        drop(few);
        assert_eq!(waiting.0.0.load(SeqCst), 1);
        assert!(matches!(poll(&mut waiting), Poll::Ready(Ok(_))));
    }

    #[test]
    fn nobody_is_asked_whether_it_is_a_crowd_while_there_is_enough() {
        let memory = small();
        assert!(Memory::try_work(&memory, ACTIVE, || unreachable!()).is_ok());
    }

    #[test]
    fn a_newcomer_waits_until_there_is_room() {
        let memory = Arc::new(small());
        let mut idle = places(&memory);
        let mut newcomer = pin!(Memory::place(&memory, IDLE));
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        assert!(newcomer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(Memory::try_take(&*memory, ACTIVE, Purpose::Work).is_some(), "work goes on");
        assert_eq!(bell.0.load(SeqCst), 0);
        idle.pop();
        assert_eq!(bell.0.load(SeqCst), 1);
        assert!(newcomer.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    }

    /// Whatever is taken, waited for, given up and given back, in whatever order.
    #[test]
    fn it_is_never_above_its_ceiling_and_everything_comes_back() {
        for seed in 0..64 {
            let memory = Arc::new(small());
            let mut random = Rng::new(seed);
            let mut places = Vec::new();
            let (mut held, mut waiting): (Vec<Part<&Memory>>, Vec<Request<'_>>) = (Vec::new(), Vec::new());
            for _ in 0..500 {
                match random.below(8) {
                    0 | 1 => places.extend(Memory::try_place(&memory, IDLE * random.below(20))),
                    2 if !places.is_empty() => drop(places.swap_remove(random.below(places.len() as u64) as usize)),
                    _ => {}
                }
                let (purpose, bytes) = match random.below(3) {
                    0 => (Purpose::Spare, BODY),
                    1 => (Purpose::Work, ACTIVE + random.below(ACTIVE)),
                    _ => (Purpose::Work, ACTIVE),
                };
                match random.below(5) {
                    0 | 1 => held.extend(Memory::try_take(&*memory, bytes, purpose)),
                    2 => waiting.push(request(&memory, bytes)),
                    3 if !held.is_empty() => drop(held.swap_remove(random.below(held.len() as u64) as usize)),
                    _ if !waiting.is_empty() && random.below(4) == 0 => {
                        drop(waiting.swap_remove(random.below(waiting.len() as u64) as usize));
                    }
                    _ => {}
                }
                waiting.retain_mut(|request| match poll(request) {
                    Poll::Ready(part) => {
                        held.extend(part);
                        false
                    }
                    Poll::Pending => true,
                });
                assert!(memory.used() <= memory.budget().come_max());
                assert!(memory.idle.load(SeqCst) <= memory.budget().idle_max());
            }
            // Nobody is left behind once others give back what they have, one by one, if only those who are woken look.
            while !waiting.is_empty() {
                let rung: Vec<u32> = waiting.iter().map(|(bell, _)| bell.0.swap(0, SeqCst)).collect();
                let mut rung = rung.into_iter();
                let before = waiting.len();
                waiting.retain_mut(|request| match if rung.next() > Some(0) { poll(request) } else { Poll::Pending } {
                    Poll::Ready(part) => {
                        held.extend(part);
                        false
                    }
                    Poll::Pending => true,
                });
                if waiting.len() == before && waiting.iter().all(|(bell, _)| bell.0.load(SeqCst) == 0) {
                    assert!(!held.is_empty(), "seed {seed}: {} wait and nobody has anything", waiting.len());
                    drop(held.swap_remove(0));
                }
            }
            held.clear();
            places.clear();
            assert_eq!(memory.used(), memory.budget().fixed, "seed {seed}");
        }
    }

    /// A lost wake would leave a thread parked for ever.
    #[test]
    fn cores_that_share_it_never_exceed_it_nor_miss_a_wake() {
        let memory = small();
        let crowd = fill(&memory, ACTIVE, Purpose::Work);
        let last = crowd.len();
        // Room for one at a time.
        let _crowd = { crowd }.split_off(1);
        assert!(last > 1);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let waker = Waker::from(Arc::new(Unpark(thread::current())));
                    for _ in 0..1_000 {
                        let mut waiting = pin!(Memory::wait(&memory, ACTIVE, Purpose::Work));
                        let _part = loop {
                            match waiting.as_mut().poll(&mut Context::from_waker(&waker)) {
                                Poll::Ready(part) => break part.unwrap(),
                                Poll::Pending => thread::park(),
                            }
                        };
                        assert!(memory.used() <= memory.budget().work_max());
                    }
                });
            }
        });
        assert_eq!(memory.waiting(), 0);
    }
}
