//! A UDP socket: one that listens, or one that is connected to a server.

use super::{DatagramReceiver, Descriptor, LocalAddress, Segments};
use crate::core::Handle;
use crate::kernel::{RawDescriptor, Socket};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// A socket. Clones are the same socket; it is closed when the last of them and of its operations is gone.
///
/// Sends never wait: a datagram that the kernel has no room for is not sent ([`WouldBlock`](io::ErrorKind::WouldBlock) or
/// ENOBUFS), and to drop it is what is expected of UDP. A connected socket tells with the next send or receive if the one
/// before found nobody ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)); a send that tells so has not sent.
#[derive(Clone)]
pub struct Udp {
    descriptor: Rc<Descriptor>,
}

impl Udp {
    fn from_raw(handle: &Handle, raw: RawDescriptor) -> Udp {
        Udp { descriptor: Rc::new(Descriptor::new(handle, raw)) }
    }

    /// A socket on a duplicate of `socket`, which must be bound; see [`bind_udp`](crate::bind_udp).
    pub fn new(handle: &Handle, socket: &Socket) -> io::Result<Udp> {
        let raw = handle.kernel().duplicate(socket)?;
        Ok(Udp::from_raw(handle, raw))
    }

    /// A socket that sends to `to` and receives from there alone. Nothing is sent by it, so it does not wait.
    pub fn connect(handle: &Handle, to: SocketAddr) -> io::Result<Udp> {
        let raw = handle.kernel().socket_udp(&to)?;
        Ok(Udp::from_raw(handle, raw))
    }

    /// The receiving half. One for each socket at a time.
    pub fn receiver(&self) -> DatagramReceiver {
        DatagramReceiver::new(self.descriptor.clone())
    }

    /// Sends on a connected socket. Returns how many datagrams went; an error if not even the first did.
    pub fn send<'a>(&self, datagrams: impl Into<Segments<'a>>) -> io::Result<usize> {
        let descriptor = &self.descriptor;
        descriptor.handle().kernel().send_datagrams(descriptor.raw(), datagrams.into(), None, None)
    }

    /// Sends to a peer, from an address of ours or from the one that the kernel chooses; otherwise as [`Udp::send`].
    pub fn send_to<'a>(
        &self,
        datagrams: impl Into<Segments<'a>>,
        to: SocketAddr,
        from: Option<LocalAddress>,
    ) -> io::Result<usize> {
        let descriptor = &self.descriptor;
        descriptor.handle().kernel().send_datagrams(descriptor.raw(), datagrams.into(), Some(to), from)
    }

    /// Ends receiving for all owners of a listening socket: who sends to it from now on is told that nobody is there, and
    /// others may have the datagrams. What has come and is not read is lost.
    pub fn stop(&self) -> io::Result<()> {
        self.descriptor.handle().kernel().stop_receiving(self.descriptor.raw())
    }

    /// The address of our end.
    pub fn local(&self) -> Option<SocketAddr> {
        self.descriptor.handle().kernel().local(self.descriptor.raw())
    }
}
