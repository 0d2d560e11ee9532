//! A connected stream socket, TCP or unix.

use super::{ControlRecord, Counted, Descriptor, Hold, Mode, Posted, Receiver, RecordKey, Send, SendAll, SendWhole};
use crate::buf::Chunk;
use crate::core::Handle;
use crate::kernel::{Op, RawDescriptor, Socket};
use crate::op;
use crate::sys::hold::Way;
use std::any::Any;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::rc::Rc;

/// Events of poll(2).
const READABLE: u32 = 0x1;
const WRITABLE: u32 = 0x4;

/// A connection. Clones are the same connection; it is closed when the last of them and of its operations is gone.
#[derive(Clone)]
pub struct Stream {
    descriptor: Rc<Descriptor>,
}

impl Stream {
    pub(crate) fn from_raw(handle: &Handle, raw: RawDescriptor) -> Stream {
        Stream { descriptor: Rc::new(Descriptor::new(handle, raw)) }
    }

    /// A connection that was accepted, here or on another core.
    pub fn from_owned(handle: &Handle, socket: Socket) -> Stream {
        let raw = handle.kernel().adopt(socket);
        Stream::from_raw(handle, raw)
    }

    /// Connects to a TCP address.
    pub async fn connect(handle: &Handle, to: SocketAddr) -> io::Result<Stream> {
        let raw = handle.kernel().socket_tcp(&to)?;
        let stream = Stream::from_raw(handle, raw);
        op::connect(&stream.descriptor, Op::Connect { fd: raw, to }).await?;
        Ok(stream)
    }

    /// Connects to a unix socket.
    pub async fn connect_unix(handle: &Handle, path: &Path) -> io::Result<Stream> {
        let raw = handle.kernel().socket_unix()?;
        let stream = Stream::from_raw(handle, raw);
        op::connect(&stream.descriptor, Op::ConnectUnix { fd: raw, path: path.to_path_buf() }).await?;
        Ok(stream)
    }

    /// The receiving half. One for each connection at a time.
    pub fn receiver(&self, mode: Mode) -> Receiver {
        Receiver::new(self.descriptor.clone(), mode)
    }

    /// Sends what the socket takes at once (`wait` false), or all of it; one send at a time.
    pub fn send(&self, chunk: impl Into<Chunk>, wait: bool) -> Send {
        Send::new(&self.descriptor, chunk.into(), wait)
    }

    /// Sends a chunk whole; one send at a time.
    pub fn send_whole(&self, chunk: impl Into<Chunk>) -> SendWhole {
        SendWhole::new(&self.descriptor, chunk.into())
    }

    /// Sends a chunk whole, and wakes nobody for it; `counted` is kept until it has gone, or has failed. One send at a time.
    pub fn post(&self, chunk: impl Into<Chunk>, counted: Option<Counted>) -> Posted {
        Posted::new(&self.descriptor, chunk.into(), counted)
    }

    /// Whether a posted send is on its way.
    pub fn is_posting(&self) -> bool {
        self.descriptor.posted().is_some()
    }

    /// Sends up to three chunks, in order and whole; one send at a time.
    pub fn send_all(&self, chunks: [Option<Chunk>; 3]) -> SendAll {
        SendAll::new(&self.descriptor, chunks)
    }

    /// Shuts one direction or both down, at once: a send that has not ended may be cut. Not an operation of the ring, which
    /// has another thread do it.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.descriptor.handle().kernel().shutdown(self.descriptor.raw(), how)
    }

    /// Whether the close, however it comes, is a reset (RFC 9293 section 3.10.4): what was not yet sent is thrown away
    /// then, and the peer is told.
    pub fn reset_on_close(&self, reset: bool) {
        self.descriptor.handle().kernel().reset_on_close(self.descriptor.raw(), reset);
    }

    /// From here on the kernel asks now and then whether the other end is still there. Accepted connections are born so;
    /// one that was made gets it once it lasts, since most do not, and it takes five calls.
    pub fn endure(&self) {
        self.descriptor.handle().kernel().endure(self.descriptor.raw());
    }

    /// How much the kernel may hold of what is sent, until the other end has acknowledged it.
    pub fn hold_sent(&self, hold: Hold) {
        self.descriptor.hold(Way::Sent, hold);
    }

    /// How much the kernel may hold of what has come and was not received. What has come already stays. If that is less
    /// than before, the other end may go on to send what it was promised room for: what is too much then is thrown away,
    /// and comes again after a pause.
    pub fn hold_received(&self, hold: Hold) {
        self.descriptor.hold(Way::Received, hold);
    }

    /// The same, and `counted` is kept until the kernel is told something else, or the connection is closed.
    pub fn hold_counted(&self, hold: Hold, counted: Box<dyn Any>) {
        self.descriptor.hold_counted(hold, counted);
    }

    /// Whether the other end may send so far ahead.
    pub fn holds_received(&self, hold: Hold) -> bool {
        self.descriptor.held(Way::Received).is_some_and(|held| held >= hold)
    }

    /// Waits until there is something to receive: bytes, the end, or an error.
    pub async fn readable(&self) -> io::Result<()> {
        op::ready(&self.descriptor, READABLE).await.map(drop)
    }

    /// Waits until something can be sent, or there is an error.
    pub async fn writable(&self) -> io::Result<()> {
        op::ready(&self.descriptor, WRITABLE).await.map(drop)
    }

    /// How many bytes the other end has acknowledged so far: whether it takes anything of a send that is not done yet.
    /// `None` where that is not known, as for a unix socket.
    pub fn acknowledged(&self) -> Option<u64> {
        self.descriptor.handle().kernel().acknowledged(self.descriptor.raw())
    }

    /// Has the kernel stand ready to make and open records on this connection: an error where it cannot. Bytes still pass
    /// as they are.
    pub fn attach_records(&self) -> io::Result<()> {
        self.descriptor.handle().kernel().attach_records(self.descriptor.raw())
    }

    /// From here on the kernel seals what is sent, and opens what is received, also what has come already and was not
    /// read. Nothing may be on its way, either way. Receives then fail as [`is_control`](super::is_control) tells when a
    /// record is next that carries no bytes; [splicing](super::Pipe) ends there, with `InvalidInput`. After an error the
    /// connection is of no use.
    pub fn set_record_keys(&self, send: &RecordKey<'_>, receive: &RecordKey<'_>) -> io::Result<()> {
        self.descriptor.handle().kernel().set_record_keys(self.descriptor.raw(), send, receive)?;
        self.descriptor.set_has_records();
        Ok(())
    }

    /// Takes the record that is next, if it carries no bytes.
    pub fn control_record(&self) -> io::Result<ControlRecord> {
        self.descriptor.handle().kernel().control_record(self.descriptor.raw())
    }

    /// Sends a record of type `kind`, if there is room for it at once.
    pub fn send_control(&self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        self.descriptor.handle().kernel().send_control(self.descriptor.raw(), kind, bytes)
    }

    /// How many bytes the kernel holds that were sent and that the other end has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.descriptor.handle().kernel().unacknowledged(self.descriptor.raw())
    }

    /// How many bytes the kernel holds that have come and were not received.
    pub fn unreceived(&self) -> usize {
        self.descriptor.handle().kernel().unreceived(self.descriptor.raw())
    }

    /// Whether the other end is on this machine or next to it: an answer takes a millisecond at the most. A
    /// peer may make it seem otherwise.
    pub fn is_near(&self) -> bool {
        self.descriptor.handle().kernel().is_near(self.descriptor.raw())
    }

    /// The core that it is on.
    pub fn handle(&self) -> &Handle {
        self.descriptor.handle()
    }

    pub(super) fn raw(&self) -> RawDescriptor {
        self.descriptor.raw()
    }

    /// The address of the other end; `None` for a unix socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.descriptor.handle().kernel().peer(self.descriptor.raw())
    }

    /// The address of our end; `None` for a unix socket.
    pub fn local(&self) -> Option<SocketAddr> {
        self.descriptor.handle().kernel().local(self.descriptor.raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Listener;
    use crate::{Core, Group, KernelChoice, Settings, bind_tcp, join};

    #[test]
    fn what_is_counted_for_a_connection_goes_when_it_holds_less_or_is_closed() {
        let core = Core::new(&Settings::default()).unwrap();
        let handle = core.handle();
        core.run(async move {
            let (address, _sockets) = bind_tcp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
            let stream = Stream::connect(&handle, address).await.unwrap();
            let counted = Rc::new(());
            stream.hold_counted(Hold::Much, Box::new(counted.clone()));
            assert!(stream.holds_received(Hold::More) && Rc::strong_count(&counted) == 2);
            stream.hold_sent(Hold::Usual);
            assert_eq!(Rc::strong_count(&counted), 2, "the other direction is another matter");
            stream.hold_received(Hold::Usual);
            assert!(!stream.holds_received(Hold::More) && Rc::strong_count(&counted) == 1);
            stream.hold_counted(Hold::More, Box::new(counted.clone()));
            drop(stream);
            assert_eq!(Rc::strong_count(&counted), 1);
        })
        .expect("no panic");
    }

    /// The kernel refuses sends there that wait for all, so they go piece by piece.
    #[test]
    fn what_is_sent_where_there_are_records_arrives_whole() {
        [KernelChoice::Uring, KernelChoice::Epoll].into_iter().for_each(send_where_there_are_records);
    }

    fn send_where_there_are_records(kernel: KernelChoice) {
        let core = Core::new(&Settings { kernel, ..Settings::default() }).unwrap();
        let handle = core.handle();
        core.run(async move {
            let (address, sockets) = bind_tcp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
            let mut listener = Listener::new(&handle, &sockets[0]).unwrap();
            let near = Stream::connect(&handle, address).await.unwrap();
            let far = Stream::from_owned(&handle, listener.accept().await.unwrap());
            near.descriptor.set_has_records();
            let bytes: Vec<u8> = (0..16 << 20).map(|n: u32| (n / 7) as u8).collect();
            let (whole, halves) = (bytes.clone(), bytes.split_at(5 << 20));
            let halves = [Some(Chunk::from(halves.0.to_vec())), None, Some(Chunk::from(halves.1.to_vec()))];
            let send = async move {
                near.send_whole(whole).await.0.unwrap();
                near.send_all(halves).await.0.unwrap();
                near.shutdown(Shutdown::Write).unwrap();
            };
            let receive = async move {
                let (mut receiver, mut received) = (far.receiver(Mode::Once(Group::Body)), Vec::new());
                while let Some(lent) = receiver.recv().await.unwrap() {
                    received.extend_from_slice(&lent);
                }
                received
            };
            let received = join(send, receive).await.1;
            assert!(received == [&bytes[..], &bytes].concat(), "{} bytes", received.len());
        })
        .expect("no panic");
    }
}
