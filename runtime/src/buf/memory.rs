//! Page-aligned anonymous memory, mapped lazily: a page that was never touched costs nothing.

use crate::sys::page_size;
use std::io;
use std::ptr::NonNull;

/// A mapping that lives as long as this value. Zeroed by the kernel.
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// At least `len` bytes, rounded up to whole pages of this machine.
    pub(crate) fn new(len: usize) -> io::Result<Mapping> {
        let len = len.next_multiple_of(page_size());
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Huge pages would make one touched buffer cost 2 MiB.
        // SAFETY: the range was just mapped by us; the advice changes no contents.
        unsafe { libc::madvise(start, len, libc::MADV_NOHUGEPAGE) };
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Mapping { start, len })
    }

    /// The first byte.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Gives the pages back; the bytes are zero when they are next read. Nobody may rely on what is in them.
    pub(crate) fn discard(&self) {
        // SAFETY: the range is ours. Its contents change to zeroes, which are valid bytes; no reference into it exists,
        // since the caller has no buffer lent out, and the kernel writes into it only within our own calls.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, libc::MADV_DONTNEED) };
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are what mmap gave; nothing refers to the range any more, since lent buffers and
        // the ring hold this value alive.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
