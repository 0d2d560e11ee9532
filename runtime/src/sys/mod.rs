//! Every system call of the runtime that is not a ring operation. Thin: arguments in, `io::Result` out.
#![allow(unsafe_code)]

pub(crate) mod attempt;
pub(crate) mod clock;
pub(crate) mod datagram;
mod doze;
pub(crate) mod epoll;
pub(crate) mod event;
pub(crate) mod hold;
pub(crate) mod ktls;
pub(crate) mod listener;
pub(crate) mod message;
pub(crate) mod owned;
pub(crate) mod passed;
pub(crate) mod pipe;
pub(crate) mod ring;
pub(crate) mod segments;
pub(crate) mod socket;

pub(crate) use doze::Woken;
pub(crate) use event::Remote;

use std::io;

/// The error of a ring completion or a raw call: a negative errno.
pub(crate) fn check(result: i32) -> io::Result<u32> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result as u32) }
}

/// Lets the allocator give free memory back to the system. A burst leaves it in pieces that it keeps otherwise.
pub(crate) fn release_heap() {
    #[cfg(all(target_env = "gnu", not(miri)))]
    // SAFETY: malloc_trim may be called at any time on any thread; it takes the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Bytes of a page: 4 KiB on most boards, 16 KiB on a Raspberry Pi 5.
pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf reads a constant of the process; it has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}
