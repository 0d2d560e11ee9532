//! Calls on sockets that do at once what can be done, and tell by `WouldBlock` that nothing can. None of them waits, on
//! whatever kind of socket.

use super::epoll::{READABLE, WRITABLE};
use super::socket::with;
use socket2::SockAddr;
use std::io;
use std::os::fd::RawFd;
use std::ptr;

/// Receives into `buffer`: 0 at the end of the stream.
pub(crate) fn receive(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length describe `buffer`, which outlives the call.
    counted(unsafe { libc::recv(fd, buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) })
}

/// Sends what fits of `bytes`.
pub(crate) fn send(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the pointer and the length describe `bytes`, which outlive the call.
    counted(unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) })
}

/// Sends what fits of a message.
///
/// # Safety
///
/// The header and all that it points to must be valid to read for the time of the call.
pub(crate) unsafe fn send_message(fd: RawFd, message: *const libc::msghdr) -> io::Result<usize> {
    // SAFETY: the caller upholds that the message can be read.
    counted(unsafe { libc::sendmsg(fd, message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) })
}

/// Accepts a connection that waits. The listening socket must be non-blocking: there is no flag for it.
pub(crate) fn accept(fd: RawFd) -> io::Result<RawFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed: nobody asks for the address.
    let accepted = unsafe { libc::accept4(fd, ptr::null_mut(), ptr::null_mut(), flags) };
    if accepted < 0 { Err(io::Error::last_os_error()) } else { Ok(accepted) }
}

/// Begins to connect; whether it has ended well by then. If not, the socket becomes writable when it has ended, and
/// [`connected`] tells how. A unix socket whose listener has no room in its queue says `WouldBlock`, and nobody tells
/// when there is some.
pub(crate) fn connect(fd: RawFd, to: &SockAddr) -> io::Result<bool> {
    match with(fd, |socket| socket.connect(to)) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// How a connect has ended.
pub(crate) fn connected(fd: RawFd) -> io::Result<()> {
    with(fd, |socket| socket.take_error())?.map_or(Ok(()), Err)
}

/// Which of these events of poll(2), or of those that are told unasked, are the case.
pub(crate) fn poll(fd: RawFd, events: u32) -> io::Result<u32> {
    let mut asked = libc::pollfd { fd, events: events as libc::c_short, revents: 0 };
    // SAFETY: one entry is passed, which outlives the call. It does not wait.
    if unsafe { libc::poll(&mut asked, 1, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if asked.revents & libc::POLLNVAL != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(asked.revents as u16 as u32)
}

fn counted(count: isize) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

// The same numbers in poll(2) and epoll(7): what one tells can be answered for the other.
const _: () = assert!(READABLE == libc::POLLIN as u32 && WRITABLE == libc::POLLOUT as u32);
const _: () = assert!(super::epoll::BROKEN == (libc::POLLHUP | libc::POLLERR) as u32);
