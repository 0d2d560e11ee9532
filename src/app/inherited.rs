//! Listening sockets that somebody else has made: a process that this one takes over from, or systemd (socket
//! activation). They are told by their addresses.

use crate::model::Listener;
use ringferry_runtime::{Adopted, Socket, adopt};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// Those that no listener has taken yet.
#[derive(Default)]
pub(super) struct Inherited {
    sockets: Vec<Adopted>,
    /// Why some could not be used.
    unfit: Vec<String>,
}

impl Inherited {
    /// Of these descriptors those that can be listened on.
    pub(super) fn of(descriptors: Vec<OwnedFd>) -> Inherited {
        let mut inherited = Inherited::default();
        for (number, descriptor) in descriptors.into_iter().enumerate() {
            match adopt(descriptor) {
                Ok(adopted) => inherited.sockets.push(adopted),
                Err(error) => inherited.unfit.push(format!("warning: inherited socket {number} is not used: {error}")),
            }
        }
        inherited
    }

    /// Whether `listener` has a socket here.
    pub(super) fn has(&self, listener: &Listener) -> bool {
        self.address_of(listener).is_some()
    }

    /// The sockets of `listener`, and the address that they are bound to.
    pub(super) fn take(&mut self, listener: &Listener) -> Option<(SocketAddr, Vec<Socket>)> {
        let address = self.address_of(listener)?;
        let is_udp = listener.is_udp();
        let taken = self.sockets.extract_if(.., |socket| socket.address == address && socket.is_udp == is_udp);
        Some((address, taken.map(|adopted| adopted.socket).collect()))
    }

    fn address_of(&self, listener: &Listener) -> Option<SocketAddr> {
        let is_udp = listener.is_udp();
        let fits = |socket: &&Adopted| socket.is_udp == is_udp && fits(socket, listener);
        self.sockets.iter().find(fits).map(|socket| socket.address)
    }

    /// Closes what nobody has taken; a line for each socket that is not used.
    pub(super) fn close(&mut self) -> Vec<String> {
        let mut lines = std::mem::take(&mut self.unfit);
        let mut unused: Vec<_> = std::mem::take(&mut self.sockets).into_iter().map(|adopted| adopted.address).collect();
        unused.dedup();
        let told =
            |address| format!("warning: the inherited socket of {address} is closed: no listener has that address");
        lines.extend(unused.into_iter().map(told));
        lines
    }
}

/// Any port is wanted with 0: then it may be the one that there is. A machine without IPv6 has IPv4 in its place.
fn fits(socket: &Adopted, listener: &Listener) -> bool {
    let is_at = |wanted: SocketAddr| {
        socket.address.ip() == wanted.ip() && (wanted.port() == 0 || socket.address.port() == wanted.port())
    };
    let is_both = listener.dual_stack && is_at((Ipv4Addr::UNSPECIFIED, listener.address.port()).into());
    is_both || (is_at(listener.address) && socket.dual_stack == (listener.dual_stack && listener.address.is_ipv6()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;
    use ringferry_runtime::{bind_tcp, bind_udp};
    use std::net::{Ipv6Addr, TcpListener, TcpStream};

    fn http(address: SocketAddr, dual_stack: bool) -> Listener {
        Listener::http(address, dual_stack)
    }

    fn passed(sockets: &[Socket]) -> Vec<OwnedFd> {
        sockets.iter().map(|socket| socket.to_pass().unwrap()).collect()
    }

    #[test]
    fn a_listener_has_all_sockets_of_its_address_and_protocol() {
        let (tcp, sockets) = bind_tcp((Ipv4Addr::LOCALHOST, 0).into(), false, 2).unwrap();
        let (udp, datagrams) = bind_udp(tcp, false, 1).unwrap();
        let mut inherited = Inherited::of(passed(&datagrams).into_iter().chain(passed(&sockets)).collect());
        let other = (Ipv4Addr::new(127, 0, 0, 2), tcp.port()).into();
        assert!(!inherited.has(&http(other, false)) && inherited.has(&http(tcp, false)));
        let (address, taken) = inherited.take(&http(tcp, false)).unwrap();
        assert_eq!((address, taken.len()), (tcp, 2));
        assert!(inherited.take(&http(tcp, false)).is_none());
        let datagrams = Listener { protocol: Protocol::Udp, ..http((Ipv4Addr::LOCALHOST, 0).into(), false) };
        assert_eq!(inherited.take(&datagrams).map(|(address, taken)| (address, taken.len())), Some((udp, 1)));
        assert_eq!(inherited.close(), [""; 0]);
    }

    #[test]
    fn what_takes_ipv6_alone_does_not_stand_for_both() {
        let Ok((address, sockets)) = bind_tcp((Ipv6Addr::UNSPECIFIED, 0).into(), true, 1) else { return };
        let inherited = Inherited::of(passed(&sockets));
        assert!(inherited.has(&http(address, true)) && !inherited.has(&http(address, false)));
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let mut inherited = Inherited::of(vec![file.into(), stream.into(), listener.into()]);
        let lines = inherited.close();
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[1], "warning: inherited socket 1 is not used: it does not listen");
        assert_eq!(
            lines[2],
            format!("warning: the inherited socket of {address} is closed: no listener has that address")
        );
        assert!(TcpStream::connect(address).is_err());
    }
}
