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
        Ok(Mapping { start: map(len)?, len })
    }

    /// The first byte.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Gives the pages back; the bytes are zero when they are next read. Nobody may rely on what is in them.
    pub(crate) fn discard(&self) {
        // SAFETY: the range is ours. Its contents change to zeroes, which are valid bytes; no reference into it exists,
        // since the caller has no buffer lent out, and the kernel writes into it only within our own calls.
        unsafe { clear(self.start, self.len) };
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are what `map` gave; nothing refers to the range any more, since lent buffers and
        // the ring hold this value alive.
        unsafe { unmap(self.start, self.len) };
    }
}

#[cfg(not(miri))]
fn map(len: usize) -> io::Result<NonNull<u8>> {
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
    NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)
}

/// # Safety
///
/// The range is one that was mapped, and nobody has a reference into it.
#[cfg(not(miri))]
unsafe fn clear(start: NonNull<u8>, len: usize) {
    // SAFETY: the caller's.
    unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_DONTNEED) };
}

/// # Safety
///
/// The range is what was mapped, and nothing refers to it any more.
#[cfg(not(miri))]
unsafe fn unmap(start: NonNull<u8>, len: usize) {
    // SAFETY: the caller's.
    unsafe { libc::munmap(start.as_ptr().cast(), len) };
}

/// Memory of the heap, where there is no system to ask for pages.
#[cfg(miri)]
fn map(len: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: `len` is not 0, for no ring is without buffers.
    NonNull::new(unsafe { std::alloc::alloc_zeroed(layout(len)) }).ok_or(io::ErrorKind::OutOfMemory.into())
}

#[cfg(miri)]
unsafe fn clear(start: NonNull<u8>, len: usize) {
    // SAFETY: the caller's: all of the range is ours.
    unsafe { start.write_bytes(0, len) };
}

#[cfg(miri)]
unsafe fn unmap(start: NonNull<u8>, len: usize) {
    // SAFETY: the caller's: the range is what `map` gave, which had this layout.
    unsafe { std::alloc::dealloc(start.as_ptr(), layout(len)) };
}

#[cfg(miri)]
fn layout(len: usize) -> std::alloc::Layout {
    std::alloc::Layout::from_size_align(len, page_size()).expect("a size that was computed from settings")
}
