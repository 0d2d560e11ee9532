use super::*;
use crate::time::Instant;
use io_uring::types::BufRingEntry;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

/// A ring, and the kernel's side of it: buffers are picked in the order in which they were published.
struct Bench {
    ring: Rc<BufferRing>,
    head: u16,
}

impl Bench {
    fn new(count: u16, published: u16) -> Bench {
        let ring = Rc::new(BufferRing::new(GroupSettings { bytes: 64, count, published }).unwrap());
        ring.publish();
        Bench { ring, head: 0 }
    }

    fn tail(&self) -> u16 {
        let (entries, _) = self.ring.registration();
        // SAFETY: the tail is the u16 at byte 14 of the first entry.
        unsafe { *((entries + 14) as *const u16) }
    }

    /// What the kernel could pick from.
    fn published(&self) -> u16 {
        self.tail().wrapping_sub(self.head)
    }

    /// A receive of `bytes`, as the kernel does it.
    fn receive(&mut self, bytes: &[u8]) -> (u16, Lent) {
        assert!(self.published() > 0, "ENOBUFS");
        let (entries, count) = self.ring.registration();
        // SAFETY: the entry is one of `count`, written before the tail went past it; its address is that of a buffer
        // of 64 bytes, which nobody else has.
        let id = unsafe {
            let entry = &*(entries as *const BufRingEntry).add(usize::from(self.head % count));
            assert_eq!(entry.len(), 64);
            (entry.addr() as *mut u8).copy_from(bytes.as_ptr(), bytes.len());
            entry.bid()
        };
        self.head = self.head.wrapping_add(1);
        (id, self.ring.take(id, bytes.len() as u32))
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn counters<const N: usize>() -> ([Arc<Count>; N], [Waker; N]) {
    let counts: [Arc<Count>; N] = std::array::from_fn(|_| Arc::default());
    let wakers = std::array::from_fn(|n| counts[n].clone().into());
    (counts, wakers)
}

fn woken<const N: usize>(counts: &[Arc<Count>; N]) -> [usize; N] {
    std::array::from_fn(|n| counts[n].0.load(Ordering::Relaxed))
}

#[test]
fn few_buffers_are_published_and_the_same_few_serve_again() {
    let mut bench = Bench::new(64, 4);
    let mut touched = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        assert_eq!(bench.published(), 4);
        let (id, lent) = bench.receive(b"bytes");
        assert_eq!(&lent[..], b"bytes");
        touched.insert(id);
        drop(lent);
        bench.ring.publish();
    }
    // The published ones, and the one that is on its way back: the last that came is the next to go out.
    assert!(touched.len() <= 5, "{touched:?}");
}

#[test]
fn lent_buffers_are_counted_until_they_are_dropped_or_copied_out() {
    let mut bench = Bench::new(8, 8);
    let held: Vec<Lent> = (0..8).map(|n| bench.receive(&[n; 3]).1).collect();
    assert_eq!((bench.ring.lent(), bench.published()), (8, 0));
    bench.ring.publish();
    assert_eq!(bench.published(), 0, "a lent buffer was published");
    assert!(held[0].is_scarce());
    let copies: Vec<Lent> = held.into_iter().map(Lent::detach).collect();
    assert_eq!(bench.ring.lent(), 0);
    assert!(!copies[0].is_scarce());
    for (n, copy) in copies.iter().enumerate() {
        assert_eq!(copy[..], [n as u8; 3]);
    }
}

#[test]
fn a_ring_that_runs_out_grows_once_a_turn_and_shrinks_later() {
    let ms = |ms: u64| Instant::from_nanos(ms * 1_000_000);
    let mut bench = Bench::new(64, 4);
    let mut held: Vec<_> = (0..4).map(|_| bench.receive(b"x").1).collect();
    for _ in 0..100 {
        bench.ring.ran_out(ms(1));
    }
    bench.ring.publish();
    assert_eq!(bench.published(), 8, "a hundred receives in one turn grow it once");
    for turn in 2..20 {
        bench.ring.ran_out(ms(turn));
    }
    bench.ring.publish();
    assert_eq!(bench.published(), 60, "never more than there are");
    held.extend((0..60).map(|_| bench.receive(b"x").1));
    drop(held);
    for (at, published) in [(300, 64), (519, 32), (900, 32), (1019, 16), (1519, 8), (2019, 4), (9000, 4)] {
        bench.ring.relax(ms(at), true);
        bench.ring.publish();
        // What is published already stays so until it is used.
        while bench.published() > published {
            drop(bench.receive(b"x"));
        }
        bench.ring.publish();
        assert_eq!(bench.published(), published, "at {at} ms");
    }
}

#[test]
fn after_a_burst_the_memory_goes_back_unless_somebody_holds_some_of_it() {
    let later = |steps: u32| Instant::default() + SHRINK_AFTER * steps;
    // Whether what a first burst left in the buffers is still there after the quiet that follows.
    let is_kept = |settled: bool, holds: bool| {
        let mut bench = Bench::new(8, 2);
        bench.ring.ran_out(later(1));
        bench.ring.publish();
        let (id, first) = bench.receive(b"old");
        let held = Some(first).filter(|_| holds);
        assert!(bench.ring.relax(later(2), settled), "it publishes fewer first");
        assert!(!bench.ring.relax(later(3), settled), "nothing is left to do");
        drop(held);
        // SAFETY: the address is that of a buffer of the ring, which still stands.
        unsafe { *bench.ring.address(id) == b'o' }
    };
    assert!(!is_kept(true, false));
    assert!(is_kept(true, true));
    assert!(is_kept(false, false), "a completion that nobody has seen may have put bytes there");
}

#[test]
fn bytes_that_were_copied_out_are_given_back_after_the_burst_as_well() {
    let later = |steps: u32| Instant::default() + SHRINK_AFTER * steps;
    let mut bench = Bench::new(8, 2);
    let copy = bench.receive(b"slow").1.detach();
    assert!(!bench.ring.relax(later(1), false), "nothing to give back while it is held");
    drop(copy);
    assert!(bench.ring.relax(Instant::default(), false), "there is, in a while");
    assert!(!bench.ring.relax(later(1), false), "nothing is left to do");
}

#[test]
fn the_starved_are_woken_in_order_as_far_as_there_are_buffers() {
    let mut bench = Bench::new(2, 2);
    let (counts, wakers) = counters::<4>();
    let mut held: Vec<_> = (0..2).map(|_| bench.receive(b"x").1).collect();
    let tickets = wakers.clone().map(|waker| bench.ring.wait(waker));
    assert!(!bench.ring.feed());
    bench.ring.stop_waiting(tickets[0]);
    held.pop();
    assert!(bench.ring.feed());
    assert_eq!(woken(&counts), [0, 1, 0, 0]);
    // Nobody took the buffer: the next in the queue gets it.
    assert!(bench.ring.feed());
    assert_eq!(woken(&counts), [0, 1, 1, 0]);
    assert!(!bench.ring.still_waits(tickets[2], &wakers[0]));
    assert!(bench.ring.still_waits(tickets[3], &wakers[0]));
    assert!(bench.ring.feed());
    assert_eq!(woken(&counts), [1, 1, 1, 0], "the last who asked is woken");
    assert!(!bench.ring.feed());
    // What is gone stays gone.
    bench.ring.stop_waiting(tickets[3]);
}

#[test]
fn lent_bytes_are_cut_at_both_ends() {
    let mut bench = Bench::new(2, 2);
    let (_, mut lent) = bench.receive(b"HEAD body rest");
    lent.advance(5);
    assert_eq!(&lent[..], b"body rest");
    lent.truncate(4);
    lent.truncate(100);
    assert_eq!(&lent[..], b"body");
    let mut copy = lent.detach();
    copy.advance(2);
    assert_eq!(&copy[..], b"dy");
    assert_eq!(&copy.detach()[..], b"dy");
}

/// What a kernel would read from a gather's header.
fn read(gather: &mut Gather) -> Vec<Vec<u8>> {
    // SAFETY: the header describes memory of `gather`, which is borrowed meanwhile.
    unsafe {
        let header = &*gather.header();
        let parts = std::slice::from_raw_parts(header.msg_iov, header.msg_iovlen as _);
        parts.iter().map(|part| std::slice::from_raw_parts(part.iov_base as *const u8, part.iov_len).to_vec()).collect()
    }
}

#[test]
fn a_gather_goes_on_after_any_number_of_bytes() {
    let whole = b"headBODYtail";
    for count in 0..=whole.len() {
        let mut bench = Bench::new(2, 2);
        let lent = bench.receive(b"BODY").1;
        let mut gather = Gather::new([Some(b"head".to_vec().into()), Some(lent.into()), Some(b"tail"[..].into())]);
        assert_eq!(read(&mut gather).concat(), whole);
        gather.advance(count);
        let parts = read(&mut gather);
        assert_eq!(parts.concat(), whole[count..]);
        assert!(parts.iter().all(|part| !part.is_empty()), "an empty part after {count} bytes");
        let left: Vec<u8> = gather.into_chunks().iter().flatten().flat_map(|chunk| chunk.to_vec()).collect();
        assert_eq!(left, whole[count..]);
    }
}

#[test]
#[should_panic]
fn a_gather_cannot_have_sent_more_than_it_had() {
    Gather::new([Some(b"head"[..].into()), None, None]).advance(5);
}

#[test]
fn the_stock_keeps_vectors_of_the_usual_size_only() {
    let pool = Pool::new(192);
    let mut bytes = pool.take();
    bytes.extend_from_slice(b"used");
    let place = bytes.as_ptr();
    pool.give_back(bytes);
    let again = pool.take();
    assert_eq!((again.len(), again.as_ptr()), (0, place));
    for odd in [Vec::new(), Vec::with_capacity(1 << 20)] {
        pool.give_back(odd);
        assert!((1024..=16 * 1024).contains(&pool.take().capacity()));
    }
}

#[test]
fn buffers_do_not_overlap() {
    let mut bench = Bench::new(16, 16);
    let held: Vec<(u16, Lent)> = (0..16).map(|n| bench.receive(&[n; 64])).collect();
    for (n, (_, lent)) in held.iter().enumerate() {
        assert_eq!(lent[..], [n as u8; 64]);
    }
    let later = Instant::default() + Duration::from_secs(9);
    bench.ring.relax(later, true);
    assert_eq!(bench.ring.lent(), 16);
}
