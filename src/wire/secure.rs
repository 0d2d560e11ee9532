//! The TLS state that both directions of a connection share.

use crate::tls::{Agreed, Engine, RECORD_BYTES, sealed_len};
use ringferry_runtime::time::Instant;
use ringferry_runtime::{Chunk, Handle, Lent};
use rustls::Error;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// An established TLS connection.
pub(super) struct Secure {
    engine: RefCell<Engine>,
    /// What receiving has given us to send: new keys that the peer asked for. It goes before our next bytes.
    owed: RefCell<Vec<u8>>,
    /// What the handshake came to.
    pub(super) agreed: Rc<Agreed>,
    /// How many bytes more go in small records, and when bytes last went.
    pace: Cell<(usize, Instant)>,
    is_closed: Cell<bool>,
}

/// The first bytes of a response go in records that fit a few packets: a record can be read only when all of it is
/// there, and what a fresh connection may send at once is some 14 KB.
const SMALL_RECORD: usize = 4 * 1024;
/// Bytes that go so, after each pause
const SMALL_BYTES: usize = 16 * 1024;
/// of this length. (A connection that was silent begins slowly again.)
const PAUSE: Duration = Duration::from_secs(1);

impl Secure {
    pub(super) fn new(engine: Engine, agreed: Rc<Agreed>) -> Secure {
        Secure {
            engine: RefCell::new(engine),
            owed: RefCell::default(),
            agreed,
            pace: Cell::new((SMALL_BYTES, Instant::default())),
            is_closed: Cell::new(false),
        }
    }

    /// Understands what was received. The bytes of the application, perhaps none.
    pub(super) fn open(&self, mut lent: Lent, handle: &Handle) -> Result<Vec<u8>, Error> {
        let mut plain = handle.take_bytes_for(lent.len());
        self.engine.borrow_mut().receive(&mut lent, &mut plain, &mut self.owed.borrow_mut())?;
        Ok(plain)
    }

    /// Whether the peer has said that it sends no more.
    pub(super) fn peer_closed(&self) -> bool {
        self.engine.borrow().peer_closed()
    }

    /// The records of `chunks`, one after another, whose memory serves again.
    pub(super) fn seal<const N: usize>(&self, chunks: [Option<Chunk>; N], handle: &Handle) -> Result<Vec<u8>, Error> {
        let mut small = small_left(self.pace.get(), handle.now());
        let len: usize = chunks.iter().flatten().map(|chunk| chunk.len()).sum();
        let mut owed = self.owed.borrow_mut();
        let mut out = handle.take_bytes_for(owed.len() + sealed_len(len, SMALL_RECORD));
        out.append(&mut owed);
        let mut engine = self.engine.borrow_mut();
        for chunk in chunks.into_iter().flatten() {
            let (first, rest) = chunk.split_at(chunk.len().min(small));
            engine.seal(first, SMALL_RECORD, &mut out)?;
            engine.seal(rest, RECORD_BYTES, &mut out)?;
            small -= first.len();
            if let Chunk::Bytes(bytes, _) = chunk {
                handle.give_bytes(bytes);
            }
        }
        self.pace.set((small, handle.now()));
        Ok(out)
    }

    /// The record that says that we send no more, once; before it what is owed.
    pub(super) fn close(&self) -> Option<Vec<u8>> {
        if self.is_closed.replace(true) {
            return None;
        }
        let mut out = self.owed.take();
        self.engine.borrow_mut().close(&mut out).ok()?;
        Some(out)
    }

    /// What the peer is to be told, after an error: an alert.
    pub(super) fn last_words(&self) -> Vec<u8> {
        self.is_closed.set(true);
        self.owed.take()
    }
}

/// How many bytes more go in small records, when `small` were left at the last ones.
fn small_left((small, last): (usize, Instant), now: Instant) -> usize {
    if now.since(last) > PAUSE { SMALL_BYTES } else { small }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_pause_a_connection_begins_slowly_again() {
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        assert_eq!(small_left((0, at(5000)), at(5000)), 0);
        assert_eq!(small_left((700, at(5000)), at(5100)), 700);
        assert_eq!(small_left((0, at(5000)), at(6000)), 0, "not longer than the pause");
        assert_eq!(small_left((0, at(5000)), at(6001)), SMALL_BYTES);
    }
}
