use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn waker() -> (Arc<Count>, Waker) {
    let count = Arc::new(Count(AtomicUsize::new(0)));
    (count.clone(), count.into())
}

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * TICK_NANOS)
}

fn advance(wheel: &mut Wheel, now: Instant) {
    while let Some(waker) = wheel.pop(now) {
        waker.wake();
    }
}

/// Steps through time by `next` alone and returns when each timer fired, in milliseconds.
fn fire_all(start: u64, deadlines: &[u64]) -> Vec<u64> {
    let mut wheel = Wheel::new(at(start));
    let counts: Vec<_> = deadlines
        .iter()
        .map(|ms| {
            let (count, waker) = waker();
            wheel.insert(at(*ms), waker);
            count
        })
        .collect();
    let mut fired = vec![0; deadlines.len()];
    while let Some(next) = wheel.next() {
        advance(&mut wheel, next);
        for (fired, count) in fired.iter_mut().zip(&counts) {
            if *fired == 0 && count.0.load(Ordering::Relaxed) == 1 {
                *fired = next.as_millis();
            }
        }
    }
    assert_eq!(wheel.len(), 0);
    fired
}

#[test]
fn each_timer_fires_once_at_its_tick_whatever_its_distance() {
    for start in [0, 1, 63, 64, 4095, 123_456_789] {
        let distances = [1, 2, 63, 64, 65, 127, 128, 4095, 4096, 4097, 262_143, 262_144, 16_777_217, 2_000_000_000];
        let deadlines: Vec<u64> = distances.iter().map(|d| start + d).collect();
        assert_eq!(fire_all(start, &deadlines), deadlines, "from {start}");
    }
}

#[test]
fn a_deadline_in_the_past_fires_at_the_next_tick() {
    assert_eq!(fire_all(1000, &[5, 1000]), [1001, 1001]);
}

#[test]
fn a_timer_never_fires_before_its_deadline_even_within_a_tick() {
    let mut wheel = Wheel::new(at(10));
    let (count, waker) = waker();
    wheel.insert(Instant::from_nanos(12 * TICK_NANOS + 1), waker);
    advance(&mut wheel, at(12));
    assert_eq!(count.0.load(Ordering::Relaxed), 0);
    advance(&mut wheel, at(13));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn a_cancelled_timer_does_not_fire_and_its_key_stays_dead() {
    let mut wheel = Wheel::new(at(0));
    let (first, waker_a) = waker();
    let (second, waker_b) = waker();
    let key = wheel.insert(at(5), waker_a);
    wheel.cancel(key);
    let reused = wheel.insert(at(6), waker_b);
    wheel.cancel(key);
    assert_ne!(key, reused);
    advance(&mut wheel, at(10));
    assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
}

#[test]
fn a_long_sleep_fires_everything_that_became_due_meanwhile() {
    let mut wheel = Wheel::new(at(0));
    let counts: Vec<_> = (1..500)
        .map(|n| {
            let (count, waker) = waker();
            wheel.insert(at(n * 37), waker);
            count
        })
        .collect();
    advance(&mut wheel, at(100_000));
    assert!(counts.iter().all(|count| count.0.load(Ordering::Relaxed) == 1));
    assert_eq!(wheel.next(), None);
}

#[test]
fn a_timer_is_handed_on_unless_it_is_gone_or_would_fire_too_late() {
    let mut wheel = Wheel::new(at(1000));
    let ((first, first_waker), (second, second_waker)) = (waker(), waker());
    let key = wheel.insert(at(1100), first_waker);
    assert!(!wheel.rewake(key, at(1099), &second_waker));
    for later in [1100, 5000] {
        assert!(wheel.rewake(key, at(later), &second_waker));
    }
    advance(&mut wheel, at(1100));
    assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
    assert!(!wheel.rewake(key, at(5000), &second_waker));
}
