//! Sockets of the data plane, always non-blocking and close-on-exec.

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A connection that says nothing for this long is asked whether it still stands.
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;
/// Sent bytes that nobody acknowledges for this long end the connection (RFC 5482). Linux counts a window that stays
/// shut as well, and a paused reader is not a dead one: so minutes, not seconds.
const USER_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes that wait in the kernel until the network takes them. Unless told, it stores megabytes for each slow reader:
/// a few hundred of them used up the TCP memory of the machine, and every connection on it became slow.
const UNSENT_MAX: u32 = 256 * 1024;
/// There and back, to a peer that is called near: on this machine, or on a network of cables with it.
pub(crate) const NEAR: Duration = Duration::from_millis(1);

/// A TCP socket for connecting to `to`. It has no more options than a short exchange needs, since each is a call: see
/// [`endure`].
pub(crate) fn tcp(to: &SocketAddr) -> io::Result<RawFd> {
    let socket = Socket::new(Domain::for_address(*to), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
    Ok(socket.into_raw_fd())
}

/// A unix stream socket.
pub(crate) fn unix() -> io::Result<RawFd> {
    Ok(Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?.into_raw_fd())
}

/// Options of a TCP connection. Set on a listener they are inherited by what it accepts (Linux).
pub(crate) fn set_stream_options(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_MAX)?;
    set_endurance(socket)
}

/// Shuts one direction or both down. It never waits.
pub(crate) fn shutdown(fd: RawFd, how: Shutdown) -> io::Result<()> {
    with(fd, |socket| socket.shutdown(how))
}

/// Has the kernel ask a peer that is silent whether it is still there, and give up one that takes nothing. On what is no
/// TCP socket it has no effect.
pub(crate) fn endure(fd: RawFd) {
    with(fd, |socket| {
        let _ = set_endurance(&socket);
    });
}

fn set_endurance(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_keepalive(true)?;
    socket.set_tcp_keepalive(
        &socket2::TcpKeepalive::new()
            .with_time(KEEPALIVE_TIME)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_RETRIES),
    )?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// The address of the other end, `None` for a unix socket or an end that is already gone.
pub(crate) fn peer(fd: RawFd) -> Option<SocketAddr> {
    with(fd, |socket| socket.peer_addr().ok()?.as_socket())
}

/// The address of our end.
pub(crate) fn local(fd: RawFd) -> Option<SocketAddr> {
    with(fd, |socket| socket.local_addr().ok()?.as_socket())
}

/// The address as the kernel reads it.
pub(crate) fn address(to: SocketAddr) -> SockAddr {
    SockAddr::from(to)
}

/// Whether a close resets the connection. A socket that is no TCP socket is closed as always.
pub(crate) fn reset_on_close(fd: RawFd, reset: bool) {
    with(fd, |socket| {
        let _ = socket.set_linger(reset.then_some(Duration::ZERO));
    });
}

/// Bytes that the peer has acknowledged since the connection stands; `None` for a unix socket and on old kernels.
pub(crate) fn acknowledged(fd: RawFd) -> Option<u64> {
    Some(tcp_info(fd)?.bytes_acked)
}

/// Whether bytes and the answer to them need no more than [`NEAR`], at the best; so on what is no TCP socket.
pub(crate) fn is_near(fd: RawFd) -> bool {
    tcp_info(fd).is_none_or(|info| Duration::from_micros(info.min_rtt.into()) <= NEAR)
}

/// `tcp_info` as far as it is looked at, with the names of the kernel; libc's ends before. Linux 4.6 has all of it.
#[repr(C)]
#[derive(Default)]
struct TcpInfo {
    to_max_pacing_rate: [u64; 15],
    bytes_acked: u64,
    bytes_received: u64,
    segments: [u32; 2],
    notsent_bytes: u32,
    /// In microseconds, of the last five minutes.
    min_rtt: u32,
}

fn tcp_info(fd: RawFd) -> Option<TcpInfo> {
    let mut info = TcpInfo::default();
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `info`, which is integers without gaps, and how many to `len`.
    let result = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &mut len) };
    (result == 0 && len as usize == size_of_val(&info)).then_some(info)
}

/// Bytes that were sent and that the peer has not acknowledged.
pub(crate) fn unacknowledged(fd: RawFd) -> usize {
    count(fd, libc::TIOCOUTQ)
}

/// Bytes that have come and were not received.
pub(crate) fn unreceived(fd: RawFd) -> usize {
    count(fd, libc::FIONREAD)
}

/// What an ioctl of a socket counts; 0 where it does not know it.
fn count(fd: RawFd, what: libc::Ioctl) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: TIOCOUTQ (SIOCOUTQ of a socket) and FIONREAD write an integer to `count`, which lives for the call.
    let result = unsafe { libc::ioctl(fd, what, &raw mut count) };
    if result == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// Takes ownership of a descriptor that the kernel has just made.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: `fd` is the result of an accept that nobody has looked at yet, or of the one owner (`net::Descriptor`)
    // that gives it up with this call.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A connection that waits to be accepted; an error if there is none.
pub(crate) fn accept(fd: RawFd) -> io::Result<RawFd> {
    with(fd, |socket| {
        let (accepted, _) = socket.accept()?;
        accepted.set_nonblocking(true)?;
        Ok(accepted.into_raw_fd())
    })
}

/// A listening socket listens no more, whoever else holds it. It keeps its port only against those who bind without
/// SO_REUSEADDR.
pub(crate) fn stop_listening(fd: RawFd) {
    with(fd, |socket| {
        // Linux: shutting the receiving side down ends the listening. It fails only where that has ended already.
        let _ = socket.shutdown(Shutdown::Read);
    });
}

/// A duplicate of a descriptor, for a second owner.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<RawFd> {
    Ok(fd.try_clone_to_owned()?.into_raw_fd())
}

pub(super) fn with<T>(fd: RawFd, ask: impl FnOnce(SockRef<'_>) -> T) -> T {
    // SAFETY: the borrow lasts for one call, during which the caller's owner of `fd` is alive.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    ask(SockRef::from(&fd))
}
