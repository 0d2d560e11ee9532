//! Bytes that were received and not yet used.

use super::Received;
use ringferry_runtime::{Chunk, Handle, Lent};

/// At most one buffer of the ring; a head that does not fit it moves to memory of its own.
#[derive(Debug, Default)]
pub enum Inbox {
    /// Nothing.
    #[default]
    Empty,
    /// As received.
    Lent(Lent),
    /// Gathered from several receives, or decrypted; used up to the second field.
    Bytes(Vec<u8>, usize),
}

impl Inbox {
    /// What is there.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Inbox::Empty => &[],
            Inbox::Lent(lent) => lent,
            Inbox::Bytes(bytes, start) => &bytes[*start..],
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    /// Adds what was received.
    pub fn add(&mut self, received: impl Into<Received>, handle: &Handle) {
        let received = received.into();
        if self.is_empty() {
            self.clear(handle);
            *self = match received {
                Received::Lent(lent) => Inbox::Lent(lent),
                Received::Bytes(bytes) => Inbox::Bytes(bytes, 0),
            };
            return;
        }
        if let Inbox::Lent(first) = self {
            let mut bytes = handle.take_bytes();
            bytes.extend_from_slice(first);
            *self = Inbox::Bytes(bytes, 0);
        }
        if let Inbox::Bytes(bytes, _) = self {
            bytes.extend_from_slice(&received);
        }
        if let Received::Bytes(bytes) = received {
            handle.give_bytes(bytes);
        }
    }

    /// Forgets the first `count` bytes; with the last one the buffer goes back.
    pub fn consume(&mut self, count: usize, handle: &Handle) {
        match self {
            Inbox::Empty => debug_assert_eq!(count, 0),
            Inbox::Lent(lent) => lent.advance(count),
            Inbox::Bytes(_, start) => *start += count,
        }
        if self.is_empty() {
            self.clear(handle);
        }
    }

    /// Takes the first `count` bytes out, for sending. Copies the smaller part when it takes only some.
    pub fn take(&mut self, count: usize, handle: &Handle) -> Chunk {
        let len = self.bytes().len();
        debug_assert!(count <= len);
        if count == len {
            return match std::mem::take(self) {
                Inbox::Empty => Chunk::Static(&[]),
                Inbox::Lent(lent) => Chunk::Lent(lent),
                Inbox::Bytes(bytes, start) => Chunk::Bytes(bytes, start),
            };
        }
        match std::mem::take(self) {
            Inbox::Lent(mut lent) if count >= len - count => {
                let mut rest = handle.take_bytes();
                rest.extend_from_slice(&lent[count..]);
                *self = Inbox::Bytes(rest, 0);
                lent.truncate(count);
                Chunk::Lent(lent)
            }
            whole => {
                let mut taken = handle.take_bytes();
                taken.extend_from_slice(&whole.bytes()[..count]);
                *self = whole;
                self.consume(count, handle);
                Chunk::Bytes(taken, 0)
            }
        }
    }

    /// Nobody is going to use it soon: what comes next depends on others, who may need a buffer for it. So it goes to memory
    /// of its own if the ring is short of them.
    pub fn spare(&mut self) {
        *self = match std::mem::take(self) {
            Inbox::Lent(lent) => Inbox::Lent(lent.spared(usize::MAX)),
            other => other,
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self, handle: &Handle) {
        if let Inbox::Bytes(bytes, _) = std::mem::take(self) {
            handle.give_bytes(bytes);
        }
    }
}
