//! Bytes to be sent, whoever owns them, and several of them at once.

use super::Lent;
use std::ops::Deref;

/// Bytes to be sent. Whatever happens to the operation, the memory stays until the kernel is done with it.
#[derive(Debug)]
pub enum Chunk {
    /// Owned bytes from `start` on; the vector goes back to whoever sent it.
    Bytes(Vec<u8>, usize),
    /// Received bytes, sent from where they lie.
    Lent(Lent),
    /// Bytes of the program itself.
    Static(&'static [u8]),
}

impl Chunk {
    /// Forgets the first `count` bytes.
    pub fn advance(&mut self, count: usize) {
        match self {
            Chunk::Bytes(bytes, start) => {
                assert!(count <= bytes.len() - *start);
                *start += count;
            }
            Chunk::Lent(lent) => lent.advance(count),
            Chunk::Static(bytes) => *bytes = &bytes[count..],
        }
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Chunk::Bytes(bytes, start) => &bytes[*start..],
            Chunk::Lent(lent) => lent,
            Chunk::Static(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Chunk {
    fn from(bytes: Vec<u8>) -> Chunk {
        Chunk::Bytes(bytes, 0)
    }
}

impl From<Lent> for Chunk {
    fn from(lent: Lent) -> Chunk {
        Chunk::Lent(lent)
    }
}

impl From<&'static [u8]> for Chunk {
    fn from(bytes: &'static [u8]) -> Chunk {
        Chunk::Static(bytes)
    }
}

/// Chunks that are sent together, with the message header that the kernel reads. Boxed, so that it never moves.
pub(crate) struct Gather {
    chunks: [Option<Chunk>; GATHER_MAX],
    iov: [libc::iovec; GATHER_MAX],
    message: libc::msghdr,
}

/// Head, body and what closes a chunk.
pub(crate) const GATHER_MAX: usize = 3;

impl Gather {
    pub(crate) fn new(chunks: [Option<Chunk>; GATHER_MAX]) -> Box<Gather> {
        // SAFETY: msghdr is plain data for which all zeroes is the empty message.
        let message = unsafe { std::mem::zeroed() };
        let iov = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; GATHER_MAX];
        Box::new(Gather { chunks, iov, message })
    }

    /// The header for the kernel. It points into this box and into the chunks' memory; both stay where they are until
    /// the box is dropped, since neither is reachable for change while the kernel table owns it.
    pub(crate) fn header(&mut self) -> *const libc::msghdr {
        self.header_after(0)
    }

    /// The same without the first `sent` bytes.
    pub(crate) fn header_after(&mut self, mut sent: usize) -> *const libc::msghdr {
        let mut count = 0;
        for chunk in self.chunks.iter().flatten() {
            let skipped = sent.min(chunk.len());
            sent -= skipped;
            let rest = &chunk[skipped..];
            if !rest.is_empty() {
                self.iov[count] = libc::iovec { iov_base: rest.as_ptr() as *mut _, iov_len: rest.len() };
                count += 1;
            }
        }
        self.message.msg_iov = self.iov.as_mut_ptr();
        self.message.msg_iovlen = count as _;
        &self.message
    }

    /// Forgets the first `count` bytes.
    pub(crate) fn advance(&mut self, mut count: usize) {
        for chunk in self.chunks.iter_mut().flatten() {
            let here = count.min(chunk.len());
            chunk.advance(here);
            count -= here;
        }
        assert_eq!(count, 0);
    }

    /// Bytes in all.
    pub(crate) fn len(&self) -> usize {
        self.chunks.iter().flatten().map(|chunk| chunk.len()).sum()
    }

    pub(crate) fn into_chunks(self) -> [Option<Chunk>; GATHER_MAX] {
        self.chunks
    }
}
