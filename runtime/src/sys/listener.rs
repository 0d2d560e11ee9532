//! Listening sockets: made before the cores start, one per core for each address (SO_REUSEPORT).

use super::datagram;
use super::owned::Socket as Owned;
use super::socket::set_stream_options;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// How many connections may wait for an accept; the kernel caps it at `net.core.somaxconn`.
pub(crate) const BACKLOG: i32 = 4096;

/// Why an address could not be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the kernel said.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.error)
    }
}

impl std::error::Error for BindError {}

/// Whether another socket already listens on `address`. A second process could bind a SO_REUSEPORT port without an
/// error and would silently take half of the connections, so the first bind of an address is tried exclusively.
pub fn is_taken(address: SocketAddr, dual_stack: bool) -> Result<(), BindError> {
    let probe = || -> io::Result<()> {
        let socket = open(address, dual_stack)?;
        socket.set_reuse_address(true)?;
        // With SO_REUSEADDR this fails where somebody listens, and only there. To listen as well would take connections
        // that nobody serves.
        socket.bind(&address.into())
    };
    probe().map_err(|error| BindError { address, error })
}

/// Whether another socket already takes the datagrams of `address`; see [`is_taken`].
pub fn is_taken_udp(address: SocketAddr, dual_stack: bool) -> Result<(), BindError> {
    // Bound without SO_REUSEADDR it shares its port with nobody.
    let probe = || datagram::open(&address, dual_stack)?.bind(&address.into());
    probe().map_err(|error| BindError { address, error })
}

/// A socket that another process has bound, ready for our cores.
#[derive(Debug)]
pub struct Adopted {
    /// The address.
    pub address: SocketAddr,
    /// It takes datagrams.
    pub is_udp: bool,
    /// It takes IPv4 as well, although its address is one of IPv6.
    pub dual_stack: bool,
    /// The socket.
    pub socket: Owned,
}

/// Makes a socket that another process has bound, and listens on if it is one of TCP, what [`bind_tcp`] and [`bind_udp`]
/// make. An error if it is neither, with why.
pub fn adopt(fd: OwnedFd) -> io::Result<Adopted> {
    let no = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    let socket = Socket::from(fd);
    let Some(address) = socket.local_addr()?.as_socket() else { return no("it is no socket of IPv4 or IPv6") };
    let is_udp = match socket.r#type()? {
        Type::STREAM if !socket.is_listener()? => return no("it does not listen"),
        Type::STREAM => false,
        Type::DGRAM => true,
        _ => return no("it is neither of TCP nor of UDP"),
    };
    socket.set_nonblocking(true)?;
    if is_udp {
        datagram::take_bursts(&socket);
        datagram::set_listening(&socket, &address)?;
    } else {
        set_stream_options(&SockRef::from(&socket))?;
        // Whoever has made it may have left less room.
        socket.listen(BACKLOG)?;
    }
    let dual_stack = address.is_ipv6() && !socket.only_v6()?;
    Ok(Adopted { address, is_udp, dual_stack, socket: OwnedFd::from(socket).into() })
}

/// `count` listening sockets on one address. With port 0 the first decides the port and the others share it; the
/// address in use is returned. Connections that they accept inherit our stream options.
pub fn bind_tcp(address: SocketAddr, dual_stack: bool, count: usize) -> Result<(SocketAddr, Vec<Owned>), BindError> {
    bind(address, count, |bound| listen(bound, dual_stack))
}

/// `count` sockets of UDP on one address, as [`bind_tcp`]. The kernel chooses among them by the addresses of both ends, so
/// what a client sends goes to one of them as long as all of them stand.
pub fn bind_udp(address: SocketAddr, dual_stack: bool, count: usize) -> Result<(SocketAddr, Vec<Owned>), BindError> {
    bind(address, count, |bound| listen_udp(bound, dual_stack))
}

fn bind(
    address: SocketAddr,
    count: usize,
    listen: impl Fn(SocketAddr) -> io::Result<Socket>,
) -> Result<(SocketAddr, Vec<Owned>), BindError> {
    let mut bound = address;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = listen(bound).map_err(|error| BindError { address: bound, error })?;
        if let Some(actual) = socket.local_addr().ok().and_then(|a| a.as_socket()) {
            bound = actual;
        }
        sockets.push(OwnedFd::from(socket).into());
    }
    Ok((bound, sockets))
}

fn listen(address: SocketAddr, dual_stack: bool) -> io::Result<Socket> {
    let socket = open(address, dual_stack)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    set_stream_options(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn listen_udp(address: SocketAddr, dual_stack: bool) -> io::Result<Socket> {
    let socket = datagram::open(&address, dual_stack)?;
    socket.set_reuse_port(true)?;
    datagram::set_listening(&socket, &address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn open(address: SocketAddr, dual_stack: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!dual_stack)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn who_looks_whether_an_address_is_free_takes_no_connection() {
        // Bound, so that no other test is given the port, and that nobody connects from it.
        let holder = open("127.0.0.1:0".parse().unwrap(), false).unwrap();
        holder.set_reuse_address(true).unwrap();
        holder.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let address = holder.local_addr().unwrap().as_socket().unwrap();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let connecting = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    TcpStream::connect(address).unwrap_err();
                }
            });
            for _ in 0..2_000 {
                is_taken(address, false).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
            connecting.join().unwrap();
        });
    }

    #[test]
    fn an_address_is_taken_where_somebody_listens_whether_it_may_be_shared_or_not() {
        let alone = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = alone.local_addr().unwrap();
        assert_eq!(is_taken(address, false).unwrap_err().error.kind(), io::ErrorKind::AddrInUse);
        let (address, shared) = bind_tcp("127.0.0.1:0".parse().unwrap(), false, 2).unwrap();
        assert_eq!(is_taken(address, false).unwrap_err().error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(shared.len(), 2);
    }
}
