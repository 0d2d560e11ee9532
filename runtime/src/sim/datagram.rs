//! UDP: datagrams with a bounded queue at each socket. What finds no room is lost; who sends to nobody is told.

use super::faults::Fault;
use super::state::{CoreNumber, Event, FileId, Kind, State, is_for, seen_by, spread};
use super::trace::digest;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A socket.
pub(super) struct Udp {
    pub(super) local: SocketAddr,
    /// Whom it is connected to.
    peer: Option<SocketAddr>,
    /// It takes IPv4 as well as IPv6.
    both: bool,
    queue: VecDeque<Datagram>,
    queued_bytes: usize,
    /// Told once, to who asks first.
    error: Option<i32>,
}

/// What travels, and what a receive tells of it.
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// Bytes that may wait to be received, and what each datagram counts for beyond its own, as in the memory of a real one.
const QUEUED_MAX: usize = 1 << 20;
const OVERHEAD: usize = 768;
/// Bytes of a datagram over IPv4; over IPv6 20 more.
const BYTES_MAX: usize = 65_507;

impl State {
    pub(super) fn bind_udp(&mut self, mut address: SocketAddr, both: bool) -> (SocketAddr, i32) {
        if address.port() == 0 {
            address.set_port(self.free_port());
        }
        (address, self.add_udp(address, None, both))
    }

    pub(super) fn connect_udp(&mut self, to: SocketAddr, core: Option<CoreNumber>) -> Result<i32, i32> {
        if self.hits(Fault::NoDescriptorForSocket, core) {
            return Err(libc::EMFILE);
        }
        let from = self.source(core, to.ip());
        Ok(self.add_udp(from, Some(to), false))
    }

    fn add_udp(&mut self, local: SocketAddr, peer: Option<SocketAddr>, both: bool) -> i32 {
        let queue = VecDeque::new();
        let file = self.add_file(Kind::Udp(Udp { local, peer, both, queue, queued_bytes: 0, error: None }));
        self.udp.entry(local.port()).or_default().push(file);
        self.open(file, "udp")
    }

    /// Nobody gets datagrams by this socket any more.
    pub(super) fn leave_port(&mut self, file: FileId) {
        let Some(udp) = self.udp_socket(file) else { return };
        udp.queue.clear();
        udp.queued_bytes = 0;
        let port = udp.local.port();
        if let Some(sharing) = self.udp.get_mut(&port) {
            sharing.retain(|other| *other != file);
            if sharing.is_empty() {
                self.udp.remove(&port);
            }
        }
    }

    /// Sends one datagram.
    pub(super) fn send_datagram(
        &mut self,
        file: FileId,
        bytes: &[u8],
        to: Option<SocketAddr>,
        from: Option<IpAddr>,
    ) -> Result<(), i32> {
        let Some(udp) = self.udp_socket(file) else { return Err(libc::EBADF) };
        if let Some(error) = udp.error.take() {
            return Err(error);
        }
        let Some(to) = to.or(udp.peer) else { return Err(libc::EDESTADDRREQ) };
        let bytes_max = if to.ip().to_canonical().is_ipv6() { BYTES_MAX + 20 } else { BYTES_MAX };
        if bytes.len() > bytes_max {
            return Err(libc::EMSGSIZE);
        }
        let bound = udp.local;
        let ip = match from.unwrap_or(bound.ip()) {
            ip if !ip.is_unspecified() => ip,
            _ if to.ip().to_canonical().is_ipv4() && to.ip().to_canonical().is_loopback() => {
                std::net::Ipv4Addr::LOCALHOST.into()
            }
            _ => to.ip(),
        };
        let from = SocketAddr::new(ip.to_canonical(), bound.port());
        self.note("datagram", [file.0 as i64, to.port().into(), digest(bytes)]);
        if self.hits(Fault::DatagramLost, None) {
            return Ok(());
        }
        let datagram = Datagram { from, to: seen_by(false, to), bytes: bytes.to_vec() };
        match self.draw_latency() {
            Duration::ZERO => self.arrive_datagram(file, datagram),
            latency => self.schedule(self.now + latency, Event::Datagram { sender: file, datagram }),
        }
        Ok(())
    }

    pub(super) fn arrive_datagram(&mut self, sender: FileId, datagram: Datagram) {
        let Some(receiver) = self.receiver_for(&datagram) else {
            // Only a connected socket is told.
            if let Some(udp) = self.udp_socket(sender).filter(|udp| udp.peer.is_some()) {
                udp.error = Some(libc::ECONNREFUSED);
                self.touch(sender);
            }
            return;
        };
        let Some(udp) = self.udp_socket(receiver) else { return };
        let size = datagram.bytes.len() + OVERHEAD;
        if udp.queued_bytes + size > QUEUED_MAX {
            return self.note("overflow", [receiver.0 as i64, 0, 0]);
        }
        udp.queued_bytes += size;
        udp.queue.push_back(datagram);
        self.touch(receiver);
    }

    /// The next datagram, as a socket of its family sees it; `None` where there is none.
    pub(super) fn next_datagram(&mut self, file: FileId) -> Result<Option<Datagram>, i32> {
        let Some(udp) = self.udp_socket(file) else { return Err(libc::EBADF) };
        if let Some(error) = udp.error.take() {
            return Err(error);
        }
        let Some(datagram) = udp.queue.pop_front() else { return Ok(None) };
        udp.queued_bytes -= datagram.bytes.len() + OVERHEAD;
        let is_ipv6 = udp.local.is_ipv6();
        let Datagram { from, to, bytes } = datagram;
        self.note("received", [file.0 as i64, from.port().into(), digest(&bytes)]);
        Ok(Some(Datagram { from: seen_by(is_ipv6, from), to: seen_by(is_ipv6, to), bytes }))
    }

    pub(super) fn has_datagram(&mut self, file: FileId) -> bool {
        self.udp_socket(file).is_some_and(|udp| !udp.queue.is_empty() || udp.error.is_some())
    }

    /// Whether a receive tells where a datagram was sent to.
    pub(super) fn tells_local(&mut self, file: FileId) -> bool {
        self.udp_socket(file).is_some_and(|udp| udp.peer.is_none())
    }

    pub(super) fn udp_socket(&mut self, file: FileId) -> Option<&mut Udp> {
        match self.file(file) {
            Some(Kind::Udp(udp)) => Some(udp),
            _ => None,
        }
    }

    fn receiver_for(&mut self, datagram: &Datagram) -> Option<FileId> {
        let candidates = self.udp.get(&datagram.to.port())?.clone();
        let mut fitting = Vec::new();
        for file in candidates {
            let Some(udp) = self.udp_socket(file) else { continue };
            match udp.peer {
                // Whom it is connected to, it hears alone.
                Some(peer) if seen_by(false, peer) == datagram.from => return Some(file),
                Some(_) => {}
                None if is_for(udp.local.ip(), udp.both, datagram.to.ip()) => fitting.push(file),
                None => {}
            }
        }
        (!fitting.is_empty()).then(|| fitting[spread(datagram.from, datagram.to, fitting.len())])
    }
}
