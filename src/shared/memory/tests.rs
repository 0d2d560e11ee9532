use super::*;
use crate::limit::BODY_SENT;
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
    let faster = fill(&memory, BODY_SENT, Purpose::Spare);
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

#[test]
fn who_has_worked_makes_room_though_others_wait_to_come_in() {
    let memory = Arc::new(small());
    let mut work = fill(&memory, ACTIVE, Purpose::Work);
    let came = places(&memory);
    assert!(memory.idle.load(SeqCst) < memory.budget().idle_max(), "it is work that has all");
    let mut newcomer = pin!(Memory::place(&memory, IDLE));
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    assert!(newcomer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    let used = memory.used();
    let settled = Memory::settle(&memory, work.pop().unwrap(), IDLE).unwrap();
    assert_eq!((memory.used(), bell.0.load(SeqCst)), (used - ACTIVE + IDLE, 1));
    assert!(newcomer.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    // What is idle has its bound all the same.
    drop((settled, work));
    let (work, idle) = (Memory::try_take(&*memory, ACTIVE, Purpose::Work).unwrap(), places(&memory));
    let work = Memory::settle(&memory, work, IDLE).unwrap_err();
    assert_eq!(work.bytes(), ACTIVE);
    drop((came, idle, work));
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
            match random.below(9) {
                8 if !held.is_empty() => {
                    let part = held.swap_remove(random.below(held.len() as u64) as usize);
                    let bytes = part.bytes().min(IDLE);
                    places.extend(Memory::settle(&memory, part, bytes));
                }
                0 | 1 => places.extend(Memory::try_place(&memory, IDLE * random.below(20))),
                2 if !places.is_empty() => drop(places.swap_remove(random.below(places.len() as u64) as usize)),
                _ => {}
            }
            let (purpose, bytes) = match random.below(3) {
                0 => (Purpose::Spare, BODY_SENT),
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
