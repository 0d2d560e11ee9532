//! Requests that wait for a server of a pool: all are full (`max_connections`), or none is up (`hold`).
//!
//! First come, first served, with a maximum. The cold path: while nobody waits, giving a place back costs one atomic
//! load and no lock. What is waited for is not kept here: who is woken tries again, and goes back to its old place in
//! the queue if that fails.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

/// The queue of one pool.
#[derive(Debug, Default)]
pub struct Waiters {
    /// How many in the queue have a waker: those that nobody has woken.
    asleep: AtomicUsize,
    /// How often everyone was woken.
    calls: AtomicU64,
    queue: Mutex<Queue>,
}

/// There are as many in the queue as may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Waiters {
    /// Waits until `attempt` gives something, behind those that wait already. `max` bounds how many wait.
    pub fn wait<T, A>(&self, max: usize, attempt: A) -> Waiting<'_, A>
    where
        A: FnMut() -> Option<T> + Unpin,
    {
        Waiting { waiters: self, max, attempt, ticket: None }
    }

    /// Lets the first one try again: something has become free. Costs no lock while nobody waits.
    pub fn wake_one(&self) {
        if self.asleep.load(SeqCst) > 0 {
            let woken = self.lock().wake_from(0, &self.asleep);
            wake(woken);
        }
    }

    /// Lets everyone try again: a server has come up.
    pub fn wake_all(&self) {
        self.calls.fetch_add(1, SeqCst);
        if self.asleep.load(SeqCst) > 0 {
            // Woken after the lock is released: a waker may do anything.
            let mut queue = self.lock();
            let woken: Vec<Waker> = queue.entries.iter_mut().filter_map(|entry| entry.waker.take()).collect();
            self.asleep.store(0, SeqCst);
            drop(queue);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// How often [`Waiters::wake_all`] was called. Who waits for just that compares it: a single wake may be meant for
    /// someone else.
    pub fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    /// Whether anybody waits who has not been woken. Costs one load.
    pub fn has_sleepers(&self) -> bool {
        self.asleep.load(SeqCst) > 0
    }

    /// How many are waiting.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nobody is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing in here can panic half-way, so a poisoned queue is whole.
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Tickets in the order in which they were drawn.
#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Entry>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Entry {
    ticket: u64,
    /// `None` once woken, until its owner goes back to sleep or leaves.
    waker: Option<Waker>,
}

impl Queue {
    fn position(&self, ticket: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&ticket, |entry| entry.ticket).ok()
    }

    /// Takes the waker of the first sleeper at or behind `from`.
    fn wake_from(&mut self, from: usize, asleep: &AtomicUsize) -> Option<Waker> {
        let waker = self.entries.range_mut(from..).find_map(|entry| entry.waker.take());
        if waker.is_some() {
            asleep.fetch_sub(1, SeqCst);
        }
        waker
    }
}

/// See [`Waiters::wait`].
pub struct Waiting<'a, A> {
    waiters: &'a Waiters,
    max: usize,
    attempt: A,
    ticket: Option<u64>,
}

impl<T, A: FnMut() -> Option<T> + Unpin> Future for Waiting<'_, A> {
    type Output = Result<T, QueueFull>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.ticket.is_none()
            && this.waiters.asleep.load(SeqCst) == 0
            && let Some(found) = (this.attempt)()
        {
            return Poll::Ready(Ok(found));
        }
        // Asleep first, then the attempt: something that becomes free in between wakes us.
        let Some(turn) = this.sleep(context.waker()) else { return Poll::Ready(Err(QueueFull)) };
        if turn.may_try
            && let Some(found) = (this.attempt)()
        {
            this.leave();
            return Poll::Ready(Ok(found));
        }
        if turn.was_woken {
            // What became free is not for us (another took it, or we have failed on that server): the next may use it.
            this.wake_behind();
        }
        Poll::Pending
    }
}

struct Turn {
    /// A wake has been used up to get here.
    was_woken: bool,
    may_try: bool,
}

impl<A> Waiting<'_, A> {
    /// Takes a place at the end, or goes back to sleep on the old one. `None` when the queue is full.
    fn sleep(&mut self, waker: &Waker) -> Option<Turn> {
        let queue = &mut *self.waiters.lock();
        let turn = match self.ticket.and_then(|ticket| queue.position(ticket)) {
            Some(position) => {
                let was_woken = queue.entries[position].waker.replace(waker.clone()).is_none();
                if was_woken {
                    self.waiters.asleep.fetch_add(1, SeqCst);
                }
                Turn { was_woken, may_try: was_woken }
            }
            None if queue.entries.len() >= self.max => return None,
            None => {
                // Those before it that are awake have been called already: a further call may have found no sleeper.
                let may_try = self.waiters.asleep.load(SeqCst) == 0;
                self.ticket = Some(queue.next_ticket);
                queue.entries.push_back(Entry { ticket: queue.next_ticket, waker: Some(waker.clone()) });
                queue.next_ticket += 1;
                self.waiters.asleep.fetch_add(1, SeqCst);
                Turn { was_woken: false, may_try }
            }
        };
        Some(turn)
    }

    fn wake_behind(&self) {
        let mut queue = self.waiters.lock();
        let here = self.ticket.and_then(|ticket| queue.position(ticket));
        let next = here.and_then(|here| queue.wake_from(here + 1, &self.waiters.asleep));
        drop(queue);
        wake(next);
    }

    /// Gives the place up. If it has been woken meanwhile, the next one must try in its stead.
    fn leave(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let mut queue = self.waiters.lock();
        let Some(entry) = queue.position(ticket).and_then(|position| queue.entries.remove(position)) else { return };
        let next = match entry.waker {
            Some(_) => {
                self.waiters.asleep.fetch_sub(1, SeqCst);
                None
            }
            None => queue.wake_from(0, &self.waiters.asleep),
        };
        drop(queue);
        wake(next);
    }
}

impl<A> Drop for Waiting<'_, A> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<A> fmt::Debug for Waiting<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

/// Always called without the lock: a waker may do anything, even come back here.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::waking::{Bell, Unpark};
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;
    use std::thread;

    /// One waiting request: polled by hand, takes one of `free`.
    struct Request<'a> {
        bell: Arc<Bell>,
        future: Pin<Box<dyn Future<Output = Result<(), QueueFull>> + 'a>>,
    }

    impl<'a> Request<'a> {
        fn new(waiters: &'a Waiters, max: usize, free: &'a AtomicU32) -> Request<'a> {
            Request { bell: Arc::default(), future: Box::pin(waiters.wait(max, || take(free))) }
        }

        fn poll(&mut self) -> Poll<Result<(), QueueFull>> {
            self.future.as_mut().poll(&mut Context::from_waker(&self.bell.clone().into()))
        }

        fn woken(&self) -> u32 {
            self.bell.0.load(SeqCst)
        }
    }

    fn take(free: &AtomicU32) -> Option<()> {
        free.fetch_update(SeqCst, SeqCst, |free| free.checked_sub(1)).ok().map(drop)
    }

    fn release(waiters: &Waiters, free: &AtomicU32) {
        free.fetch_add(1, SeqCst);
        waiters.wake_one();
    }

    #[test]
    fn nobody_waits_for_what_is_free() {
        let (waiters, free) = (Waiters::default(), AtomicU32::new(1));
        assert_eq!(Request::new(&waiters, 0, &free).poll(), Poll::Ready(Ok(())));
        assert_eq!(Request::new(&waiters, 0, &free).poll(), Poll::Ready(Err(QueueFull)));
        assert!(waiters.is_empty());
    }

    #[test]
    fn first_come_first_served() {
        let (waiters, free) = (Waiters::default(), AtomicU32::new(0));
        let [mut a, mut b, mut c] = [0; 3].map(|_| Request::new(&waiters, 2, &free));
        assert!(a.poll().is_pending());
        assert!(b.poll().is_pending());
        assert_eq!(c.poll(), Poll::Ready(Err(QueueFull)));

        release(&waiters, &free);
        assert_eq!((a.woken(), b.woken()), (1, 0));
        assert!(b.poll().is_pending(), "not before its turn, even if polled");
        assert_eq!(a.poll(), Poll::Ready(Ok(())));
        assert_eq!(b.woken(), 0, "nothing is free for it");
        release(&waiters, &free);
        assert_eq!((b.woken(), b.poll()), (1, Poll::Ready(Ok(()))));
        assert!(waiters.is_empty());
    }

    #[test]
    fn who_leaves_after_being_woken_wakes_the_next() {
        let (waiters, free) = (Waiters::default(), AtomicU32::new(0));
        let [mut a, mut b] = [0; 2].map(|_| Request::new(&waiters, 2, &free));
        assert!(a.poll().is_pending() && b.poll().is_pending());
        release(&waiters, &free);
        drop(a);
        assert_eq!((b.woken(), b.poll()), (1, Poll::Ready(Ok(()))));
    }

    #[test]
    fn who_cannot_use_what_is_free_wakes_the_next_and_keeps_its_place() {
        let (waiters, free) = (Waiters::default(), AtomicU32::new(0));
        let bell = Arc::new(Bell::default());
        let mut picky = Box::pin(waiters.wait(9, || None::<()>));
        let mut poll_picky = || picky.as_mut().poll(&mut Context::from_waker(&bell.clone().into())).is_pending();
        let mut b = Request::new(&waiters, 9, &free);
        assert!(poll_picky() && b.poll().is_pending());
        for _ in 0..2 {
            let woken_before = bell.0.load(SeqCst);
            release(&waiters, &free);
            assert_eq!(bell.0.load(SeqCst), woken_before + 1);
            assert!(poll_picky());
        }
        assert_eq!((b.woken(), b.poll()), (1, Poll::Ready(Ok(()))));
    }

    #[test]
    fn all_are_woken_when_a_server_comes_up() {
        let (waiters, free) = (Waiters::default(), AtomicU32::new(0));
        let mut requests = [0; 3].map(|_| Request::new(&waiters, 3, &free));
        assert!(requests.iter_mut().all(|request| request.poll().is_pending()));
        free.store(3, SeqCst);
        waiters.wake_all();
        for request in &mut requests {
            assert_eq!((request.woken(), request.poll()), (1, Poll::Ready(Ok(()))));
        }
        assert_eq!(waiters.asleep.load(SeqCst), 0);
    }

    /// A lost wake would leave a thread parked for ever.
    #[test]
    fn threads_that_take_turns_or_give_up_never_miss_a_wake() {
        let (waiters, free) = (Waiters::default(), AtomicU32::new(1));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let waker = Waker::from(Arc::new(Unpark(thread::current())));
                    for round in 0..2_000 {
                        let mut waiting = waiters.wait(3, || take(&free));
                        let mut poll = || Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker)).is_pending();
                        if poll() {
                            if round % 3 == 0 {
                                continue; // gives up, woken or not
                            }
                            thread::park();
                            while poll() {
                                thread::park();
                            }
                        }
                        release(&waiters, &free);
                    }
                });
            }
        });
        assert_eq!((free.into_inner(), waiters.len(), waiters.asleep.into_inner()), (1, 0, 0));
    }
}
