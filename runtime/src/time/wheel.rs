//! A hierarchical timer wheel: setting and cancelling cost O(1), an idle wheel costs nothing.
//!
//! Five levels of 64 slots; a slot of the first is one millisecond, each level 64 times coarser than the one below. An
//! entry far away moves down a level when its slot is reached. Now is always an argument.

use super::Instant;
use std::num::NonZeroU32;
use std::task::Waker;

/// Timers of one core.
pub(crate) struct Wheel {
    entries: Vec<Entry>,
    free: u32,
    /// Head of each slot's list.
    slots: [[u32; SLOTS]; LEVELS],
    /// A bit for each slot that is not empty.
    occupied: [u64; LEVELS],
    /// All ticks up to and including this one have fired.
    tick: u64,
    len: usize,
}

/// Names a timer until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    /// Not zero, so that who may have a timer needs no more room for it.
    generation: NonZeroU32,
}

struct Entry {
    deadline: u64,
    waker: Option<Waker>,
    next: u32,
    previous: u32,
    generation: NonZeroU32,
    /// Level and slot of the list that it is in.
    place: u16,
}

const SLOTS: usize = 64;
const LEVELS: usize = 5;
const BITS: u32 = SLOTS.ilog2();
const NONE: u32 = u32::MAX;
const TICK_NANOS: u64 = 1_000_000;

impl Wheel {
    pub(crate) fn new(now: Instant) -> Wheel {
        Wheel {
            entries: Vec::new(),
            free: NONE,
            slots: [[NONE; SLOTS]; LEVELS],
            occupied: [0; LEVELS],
            tick: now.as_nanos() / TICK_NANOS,
            len: 0,
        }
    }

    /// Wakes `waker` at the first turn after `deadline`; never before it.
    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> Key {
        // Rounded up, and never into a tick that has already fired.
        let deadline = ticks(deadline).max(self.tick + 1);
        let index = self.allocate();
        let entry = &mut self.entries[index as usize];
        entry.deadline = deadline;
        entry.waker = Some(waker);
        let generation = entry.generation;
        self.link(index);
        self.len += 1;
        Key { index, generation }
    }

    /// Changes who is woken. False when the timer is gone, or would fire later than one that is set for `deadline`.
    pub(crate) fn rewake(&mut self, key: Key, deadline: Instant, waker: &Waker) -> bool {
        match self.entries.get_mut(key.index as usize) {
            Some(entry)
                if entry.generation == key.generation && entry.deadline <= ticks(deadline).max(self.tick + 1) =>
            {
                if let Some(current) = &mut entry.waker {
                    current.clone_from(waker);
                }
                true
            }
            _ => false,
        }
    }

    /// Forgets a timer. One that has fired is none.
    pub(crate) fn cancel(&mut self, key: Key) {
        if self.entries.get(key.index as usize).is_some_and(|entry| entry.generation == key.generation) {
            self.unlink(key.index);
            self.release(key.index);
        }
    }

    /// When [`Wheel::pop`] has to be called next; `None` when there are no timers. It may be early (an entry only
    /// moves down a level then), never late.
    pub(crate) fn next(&self) -> Option<Instant> {
        let mut earliest = None::<u64>;
        for level in 0..LEVELS {
            if let Some(tick) = self.next_in(level) {
                earliest = Some(earliest.map_or(tick, |e| e.min(tick)));
            }
        }
        earliest.map(|tick| Instant::from_nanos(tick * TICK_NANOS))
    }

    /// Fires a timer that is due at `now`; `None` when there is no more. One at a time, so that nothing of the wheel is
    /// borrowed while its waker runs.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Waker> {
        let target = now.as_nanos() / TICK_NANOS;
        loop {
            let index = self.slots[0][(self.tick % SLOTS as u64) as usize];
            if index != NONE {
                debug_assert_eq!(self.entries[index as usize].deadline, self.tick);
                self.unlink(index);
                let waker = self.entries[index as usize].waker.take();
                self.release(index);
                return waker;
            }
            // Jump to the next tick at which something happens; an idle hour is one step.
            match (0..LEVELS).filter_map(|level| self.next_in(level)).min() {
                Some(next) if next <= target => self.tick = next,
                _ => {
                    self.tick = self.tick.max(target);
                    return None;
                }
            }
            self.cascade();
        }
    }

    /// Timers that are set.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The tick at which the first occupied slot of `level` is reached.
    fn next_in(&self, level: usize) -> Option<u64> {
        let occupied = self.occupied[level];
        if occupied == 0 {
            return None;
        }
        let shift = BITS * level as u32;
        let current = self.tick >> shift;
        let slot = (current % SLOTS as u64) as u32;
        // The current slot itself has been emptied; what lies in it belongs to the next round.
        let ahead = occupied.rotate_right((slot + 1) % SLOTS as u32).trailing_zeros() as u64 + 1;
        Some((current + ahead) << shift)
    }

    /// Moves the entries of the coarse slots that begin at this tick down to where they belong now.
    fn cascade(&mut self) {
        for level in (1..LEVELS).rev() {
            let shift = BITS * level as u32;
            if self.tick & ((1 << shift) - 1) != 0 {
                continue;
            }
            let slot = ((self.tick >> shift) % SLOTS as u64) as usize;
            let mut index = std::mem::replace(&mut self.slots[level][slot], NONE);
            self.occupied[level] &= !(1 << slot);
            while index != NONE {
                let next = self.entries[index as usize].next;
                self.link(index);
                index = next;
            }
        }
    }

    fn link(&mut self, index: u32) {
        let deadline = self.entries[index as usize].deadline;
        let (level, slot) = self.place(deadline);
        let head = std::mem::replace(&mut self.slots[level][slot], index);
        self.occupied[level] |= 1 << slot;
        let entry = &mut self.entries[index as usize];
        entry.place = (level * SLOTS + slot) as u16;
        entry.previous = NONE;
        entry.next = head;
        if head != NONE {
            self.entries[head as usize].previous = index;
        }
    }

    fn place(&self, deadline: u64) -> (usize, usize) {
        // The coarsest digit in which deadline and now differ decides the level.
        let differing = (deadline ^ self.tick) | (SLOTS as u64 - 1);
        let level = ((63 - differing.leading_zeros()) / BITS) as usize;
        if level >= LEVELS {
            // The top level goes round: its slots ahead of the current one are the next 63, whatever the digits above.
            // Beyond them (about 12 days) the last of these is taken, and the entry is linked anew from there.
            let shift = BITS * (LEVELS as u32 - 1);
            let ahead = ((deadline >> shift) - (self.tick >> shift)).min(SLOTS as u64 - 1);
            return (LEVELS - 1, (((self.tick >> shift) + ahead) % SLOTS as u64) as usize);
        }
        let slot = (deadline >> (BITS * level as u32)) % SLOTS as u64;
        (level, slot as usize)
    }

    fn unlink(&mut self, index: u32) {
        let Entry { next, previous, place, .. } = self.entries[index as usize];
        let (level, slot) = (usize::from(place) / SLOTS, usize::from(place) % SLOTS);
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
        } else {
            self.slots[level][slot] = next;
            if next == NONE {
                self.occupied[level] &= !(1 << slot);
            }
        }
    }

    fn allocate(&mut self) -> u32 {
        if self.free == NONE {
            let generation = NonZeroU32::MIN;
            self.entries.push(Entry { deadline: 0, waker: None, next: NONE, previous: NONE, generation, place: 0 });
            return (self.entries.len() - 1) as u32;
        }
        let index = self.free;
        self.free = self.entries[index as usize].next;
        index
    }

    fn release(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.waker = None;
        entry.generation = entry.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
    }
}

/// The first tick that is not before `at`.
fn ticks(at: Instant) -> u64 {
    at.as_nanos().div_ceil(TICK_NANOS)
}

#[cfg(test)]
mod tests;
