//! A provided-buffer ring (kernel 5.19): the kernel picks a buffer when bytes are there, so an idle connection holds none.
//!
//! The kernel takes published buffers first in, first out, so publishing all of them would touch all of their memory.
//! Few are published, from a last-in-first-out free list; the number grows when the kernel runs out and falls back later.

use super::Lent;
use super::memory::Mapping;
use super::starved::{Starved, Ticket};
use crate::sys::release_heap;
use crate::time::Instant;
use io_uring::types::BufRingEntry;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::Waker;
use std::time::Duration;

/// Which of a core's three rings of buffers a receive draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Small buffers, for heads.
    Head,
    /// Large buffers, for bodies.
    Body,
    /// Buffers that take the largest datagram. Of their own, since whoever sends datagrams is held up by nothing: what a
    /// flood of them takes must not be what connections wait for.
    Datagram,
}

impl Group {
    /// All.
    pub(crate) const ALL: [Group; 3] = [Group::Head, Group::Body, Group::Datagram];

    pub(crate) fn id(self) -> u16 {
        self as u16
    }
}

/// How many buffers of which size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupSettings {
    /// Bytes of one buffer.
    pub(crate) bytes: u32,
    /// Buffers in all; a power of two, at most 32,768.
    pub(crate) count: u16,
    /// Buffers that are published to begin with.
    pub(crate) published: u16,
}

/// The buffers of one group and the ring on which they are published.
pub(crate) struct BufferRing {
    /// `count` entries of 16 bytes, read by the kernel; none where the kernel asks for each buffer ([`BufferRing::lend`]).
    entries: Option<Mapping>,
    buffers: Mapping,
    settings: GroupSettings,
    /// Buffers that neither the kernel nor anybody else has.
    free: RefCell<Vec<u16>>,
    /// Buffers that the kernel may pick from.
    published: Cell<u16>,
    /// How many should be published.
    target: Cell<u16>,
    target_changed: Cell<Instant>,
    /// More buffers have been touched than a quiet core needs.
    warm: Cell<bool>,
    tail: Cell<u16>,
    starved: RefCell<Starved>,
}

/// How long a grown ring waits before it publishes half as many.
pub(crate) const SHRINK_AFTER: Duration = Duration::from_millis(500);

impl BufferRing {
    /// Buffers that a kernel picks from on its own, once it knows of them by [`BufferRing::registration`].
    pub(crate) fn new(settings: GroupSettings) -> io::Result<BufferRing> {
        let entries = Mapping::new(usize::from(settings.count) * size_of::<BufRingEntry>())?;
        BufferRing::with(settings, Some(entries))
    }

    /// Buffers that a kernel asks for by [`BufferRing::lend`]. None is ever published.
    pub(crate) fn unpublished(settings: GroupSettings) -> io::Result<BufferRing> {
        BufferRing::with(settings, None)
    }

    fn with(settings: GroupSettings, entries: Option<Mapping>) -> io::Result<BufferRing> {
        assert!(settings.count.is_power_of_two() && settings.published <= settings.count);
        Ok(BufferRing {
            entries,
            buffers: Mapping::new(usize::from(settings.count) * settings.bytes as usize)?,
            settings,
            free: RefCell::new((0..settings.count).rev().collect()),
            published: Cell::new(0),
            target: Cell::new(settings.published),
            target_changed: Cell::default(),
            warm: Cell::new(false),
            tail: Cell::new(0),
            starved: RefCell::default(),
        })
    }

    /// Address and length of the entries, for registration; of length 0 if there are none.
    pub(crate) fn registration(&self) -> (u64, u16) {
        let Some(entries) = &self.entries else { return (0, 0) };
        debug_assert!(entries.len() >= usize::from(self.settings.count) * size_of::<BufRingEntry>());
        (entries.start().as_ptr() as u64, self.settings.count)
    }

    /// There is nothing to [relax](BufferRing::relax), to [feed](BufferRing::feed) or to [publish](BufferRing::publish): none
    /// of its buffers has been picked for a while.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.warm.get() && self.published.get() >= self.target.get() && self.starved.borrow().is_empty()
    }

    /// Publishes free buffers up to the target. Before each wait.
    pub(crate) fn publish(&self) {
        let Some(entries) = &self.entries else { return };
        let wanted = self.target.get().saturating_sub(self.published.get());
        if wanted == 0 {
            return;
        }
        let mut free = self.free.borrow_mut();
        let mut tail = self.tail.get();
        let before = tail;
        for _ in 0..wanted {
            let Some(id) = free.pop() else { break };
            let slot = usize::from(tail & (self.settings.count - 1));
            // SAFETY: `slot` < count, and `entries` holds count entries. The kernel reads an entry only below the tail
            // that is stored after this write. The write leaves the tail itself alone (it overlays entry 0's last two
            // bytes, which the setters do not touch).
            let entry = unsafe { &mut *entries.start().cast::<BufRingEntry>().add(slot).as_ptr() };
            entry.set_addr(self.address(id) as u64);
            entry.set_len(self.settings.bytes);
            entry.set_bid(id);
            tail = tail.wrapping_add(1);
        }
        self.tail.set(tail);
        self.published.set(self.published.get() + tail.wrapping_sub(before));
        // SAFETY: the tail is the u16 at byte 14 of the ring (struct io_uring_buf_ring); the mapping holds at least one
        // entry of 16 bytes, and the address is 2-aligned since the mapping is page-aligned. The kernel only reads it.
        let shared = unsafe { AtomicU16::from_ptr(entries.start().add(TAIL_OFFSET).cast().as_ptr()) };
        shared.store(tail, Ordering::Release);
    }

    /// The kernel picked buffer `id` and put `len` bytes into it.
    pub(crate) fn take(self: &Rc<Self>, id: u16, len: u32) -> Lent {
        assert!(id < self.settings.count && len <= self.settings.bytes);
        self.published.set(self.published.get() - 1);
        Lent::new(self.clone(), id, len)
    }

    /// Lends a free buffer, with what `fill` puts into its front: how many bytes that are, or an error, and then nothing
    /// is lent. `None` if there is no free one.
    pub(crate) fn lend(self: &Rc<Self>, fill: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> Option<io::Result<Lent>> {
        debug_assert!(self.entries.is_none(), "the kernel picks");
        let id = self.free.borrow_mut().pop()?;
        // Given back by its drop, whatever `fill` does.
        let mut lent = Lent::new(self.clone(), id, self.settings.bytes);
        if self.lent() > usize::from(self.settings.published) {
            self.warm.set(true);
        }
        Some(fill(&mut lent).map(|len| {
            lent.truncate(len);
            lent
        }))
    }

    /// The kernel found no buffer: publish more from now on. Once a turn: a hundred receives that find the same ring
    /// empty ask for twice as many buffers, not for all of them.
    pub(crate) fn ran_out(&self, now: Instant) {
        if self.target_changed.get() == now {
            return;
        }
        let grown = self.target.get().saturating_mul(2).min(self.settings.count);
        self.target.set(grown);
        self.target_changed.set(now);
        self.warm.set(true);
    }

    /// After a burst, step by step: publish fewer again, and at last give the memory back. Returns whether it has to be
    /// called again after [`SHRINK_AFTER`]. `settled` tells that no completion waits which may have put bytes into a
    /// buffer; the caller upholds that.
    pub(crate) fn relax(&self, now: Instant, settled: bool) -> bool {
        if !self.warm.get() || now < self.target_changed.get() + SHRINK_AFTER {
            return self.warm.get();
        }
        self.target_changed.set(now);
        if self.target.get() > self.settings.published {
            self.target.set((self.target.get() / 2).max(self.settings.published));
            return true;
        }
        // A buffer that somebody holds on to keeps the others warm as well, until the next burst has gone.
        if settled && self.lent() == 0 {
            self.buffers.discard();
        }
        release_heap();
        self.warm.set(false);
        false
    }

    /// Wakes as many of those who wait for a buffer as could find one now; whether there were any. Before each wait,
    /// whatever happened since: one that is woken may be gone by then, or use no buffer (the end of a stream needs
    /// none), and the next in the queue must not depend on it.
    pub(crate) fn feed(&self) -> bool {
        let available = usize::from(self.published.get()) + self.free.borrow().len();
        let mut fed = false;
        for _ in 0..available {
            let Some(waker) = self.starved.borrow_mut().pop() else { break };
            waker.wake();
            fed = true;
        }
        fed
    }

    /// Wakes `waker` when a buffer is there.
    pub(crate) fn wait(&self, waker: Waker) -> Ticket {
        self.starved.borrow_mut().push(waker)
    }

    /// Whether `ticket` still waits; then `waker` is the one to wake.
    pub(crate) fn still_waits(&self, ticket: Ticket, waker: &Waker) -> bool {
        self.starved.borrow_mut().rewake(ticket, waker)
    }

    /// Whoever waited is gone.
    pub(crate) fn stop_waiting(&self, ticket: Ticket) {
        self.starved.borrow_mut().forget(ticket);
    }

    /// How many are with neither the kernel nor the free list.
    pub(crate) fn lent(&self) -> usize {
        usize::from(self.settings.count - self.published.get()) - self.free.borrow().len()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.settings.count.into()
    }

    /// A lent buffer is back.
    pub(super) fn give_back(&self, id: u16) {
        // While what panicked is cleaned up, a second panic would end the process.
        #[cfg(feature = "sim")]
        assert!(std::thread::panicking() || !self.free.borrow().contains(&id), "buffer {id} is given back twice");
        self.free.borrow_mut().push(id);
    }

    /// Bytes that were copied out are used up: slow readers outlive the burst that they came with, and their memory is
    /// to go back as well.
    pub(super) fn copy_ended(&self) {
        self.warm.set(true);
    }

    pub(super) fn address(&self, id: u16) -> *mut u8 {
        debug_assert!((usize::from(id) + 1) * self.settings.bytes as usize <= self.buffers.len());
        // SAFETY: `id` < count and the mapping holds count buffers of `bytes` bytes.
        unsafe { self.buffers.start().as_ptr().add(usize::from(id) * self.settings.bytes as usize) }
    }
}

/// Where struct io_uring_buf_ring has its tail.
const TAIL_OFFSET: usize = 14;
const _: () = assert!(size_of::<BufRingEntry>() == 16);
