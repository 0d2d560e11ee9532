//! Addresses behind which nobody answers.

use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A port that refuses connections for as long as the socket lives: bound, so that nobody else can get it, and not
/// listening.
pub(crate) fn refusing_port() -> (Socket, u16) {
    let socket = bound();
    let port = address(&socket).port();
    (socket, port)
}

/// A port that leaves connection attempts without any answer.
pub(crate) struct BlackHole {
    socket: Socket,
    _fillers: Vec<TcpStream>,
}

impl BlackHole {
    /// The queue of connections that wait to be accepted is filled; what comes then is dropped by the kernel.
    pub(crate) fn new() -> BlackHole {
        let socket = bound();
        socket.listen(0).unwrap();
        let address = address(&socket);
        let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(200)).ok();
        let fillers: Vec<_> = std::iter::from_fn(fill).take(16).collect();
        assert!(fillers.len() < 16, "the queue never fills");
        BlackHole { socket, _fillers: fillers }
    }

    pub(crate) fn port(&self) -> u16 {
        address(&self.socket).port()
    }
}

fn bound() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket
}

fn address(socket: &Socket) -> SocketAddr {
    socket.local_addr().unwrap().as_socket().unwrap()
}
