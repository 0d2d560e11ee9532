//! A received buffer: bytes in a slot of a buffer ring, ours until dropped.

use super::ring::BufferRing;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Bytes that a receive left in a buffer of the ring. Dropping it gives the buffer back.
pub struct Lent {
    place: Place,
    start: u32,
    end: u32,
}

enum Place {
    Ring(Rc<BufferRing>, u16),
    /// Copied out, since the ring needs its buffer. Behind one pointer: it is rare, and slots have room for a `Lent`.
    Copy(Box<Copied>),
}

struct Copied {
    ring: Rc<BufferRing>,
    bytes: Box<[u8]>,
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Option<Lent>>() <= 24);

impl Lent {
    pub(super) fn new(ring: Rc<BufferRing>, id: u16, len: u32) -> Lent {
        Lent { place: Place::Ring(ring, id), start: 0, end: len }
    }

    /// Forgets the first `count` bytes.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len());
        self.start += count as u32;
    }

    /// Forgets all but the first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.end = self.start + len as u32;
        }
    }

    /// The same bytes in memory of their own; the ring has its buffer back.
    pub fn detach(self) -> Lent {
        match &self.place {
            Place::Ring(ring, _) => {
                let copied = Box::new(Copied { ring: ring.clone(), bytes: self[..].into() });
                Lent { start: 0, end: self.end - self.start, place: Place::Copy(copied) }
            }
            Place::Copy(..) => self,
        }
    }

    /// The same bytes, copied out if the ring is short of buffers and there are at most so many. Whoever has received
    /// something may not be able to go on before somebody else has: so what waits must never be all that there is.
    pub fn spared(self, bytes_max: usize) -> Lent {
        if self.is_scarce() && self.len() <= bytes_max { self.detach() } else { self }
    }

    /// Whether more than half of the ring's buffers are out: time to copy instead of holding on to them.
    pub fn is_scarce(&self) -> bool {
        match &self.place {
            Place::Ring(ring, _) => ring.lent() * 2 > ring.count(),
            Place::Copy(..) => false,
        }
    }
}

impl Deref for Lent {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.place {
            // SAFETY: `start <= end <=` the buffer's size. The kernel gave the buffer up with the completion that made
            // this value and gets it back only through the drop of `Place`, so nobody writes to it meanwhile; the
            // mapping is zeroed memory and lives as long as `ring`.
            Place::Ring(ring, id) => unsafe {
                let start = ring.address(*id).add(self.start as usize);
                std::slice::from_raw_parts(start, (self.end - self.start) as usize)
            },
            Place::Copy(copied) => &copied.bytes[self.start as usize..self.end as usize],
        }
    }
}

/// What was received is decrypted where it lies.
impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.place {
            // SAFETY: as in `deref`; and a buffer is lent once, so nobody else has a reference into it.
            Place::Ring(ring, id) => unsafe {
                let start = ring.address(*id).add(self.start as usize);
                std::slice::from_raw_parts_mut(start, (self.end - self.start) as usize)
            },
            Place::Copy(copied) => &mut copied.bytes[self.start as usize..self.end as usize],
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match self {
            Place::Ring(ring, id) => {
                #[cfg(feature = "sim")]
                if crate::plant::Plant::BufferReturnedTwice.is_sown() {
                    ring.give_back(*id);
                }
                ring.give_back(*id);
            }
            Place::Copy(copied) => copied.ring.copy_ended(),
        }
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lent({} bytes)", self.len())
    }
}
