//! Receive of datagrams, multishot: one submission, a datagram with each completion, in a buffer that the kernel picks.
//!
//! Orphan rule: the picked buffer goes back to its ring by being dropped, and the datagram in it is lost, as datagrams
//! may be.

use super::running::Running;
use crate::buf::{Group, Lent, Ticket};
use crate::driver::{Brought, Kind};
use crate::kernel::{LocalAddress, Op, Segments};
use crate::net::Descriptor;
use crate::sys::{check, message};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::num::NonZeroU16;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A datagram, or several of one peer that came in a row. Dropping it gives its buffer back.
pub struct Datagram {
    /// Who sent it.
    pub peer: std::net::SocketAddr,
    /// Which address of ours it was sent to. Known on sockets of [`bind_udp`](crate::bind_udp).
    pub local: Option<LocalAddress>,
    /// It was larger than a buffer; the rest is lost.
    pub is_truncated: bool,
    lent: Lent,
    size: Option<NonZeroU16>,
}

impl Datagram {
    /// `None` where the buffer is not as the kernel fills it.
    fn read(mut lent: Lent) -> Option<Datagram> {
        let message::Received { peer, local, size, truncated, start } = message::received(&lent)?;
        lent.advance(start);
        Some(Datagram { peer, local, is_truncated: truncated, lent, size })
    }

    /// The bytes, to be sent on as they came.
    pub fn segments(&self) -> Segments<'_> {
        Segments::new(&self.lent, self.size)
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagram({} bytes from {})", self.lent.len(), self.peer)
    }
}

/// The receiving half of a UDP socket.
pub struct DatagramReceiver {
    descriptor: Rc<Descriptor>,
    running: Option<Running>,
    /// It found no buffer, and waits for one.
    starved: Option<Ticket>,
}

impl DatagramReceiver {
    pub(crate) fn new(descriptor: Rc<Descriptor>) -> DatagramReceiver {
        DatagramReceiver { descriptor, running: None, starved: None }
    }

    /// Starts receiving without waiting for it.
    pub fn arm(&mut self) {
        if self.running.is_none() {
            self.leave_queue();
            let op = Op::RecvDatagrams { fd: self.descriptor.raw() };
            self.running = Some(Running::submit(Kind::Datagrams, &self.descriptor, op));
        }
    }

    /// What comes next. An error is one that was pending on the socket (a datagram sent before found nobody, for
    /// example): it ends nothing, and calling again receives on.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Datagram>> {
        loop {
            if let Some(ticket) = self.starved
                && self.descriptor.handle().still_waits_for_buffer(Group::Datagram, ticket, cx.waker())
            {
                return Poll::Pending;
            }
            self.arm();
            let Some(running) = &mut self.running else { unreachable!("just armed") };
            let Some(Brought { result, lent }) = ready!(running.poll_next(cx)) else {
                self.running = None;
                continue;
            };
            match (check(result), lent) {
                (Ok(_), Some(lent)) => {
                    let datagram = Datagram::read(lent);
                    debug_assert!(datagram.is_some(), "a buffer that is not as the kernel fills it");
                    if let Some(datagram) = datagram {
                        return Poll::Ready(Ok(datagram));
                    }
                }
                // Held back because nobody read for long, and nothing lost by it: goes on below.
                _ if result == -libc::ECANCELED => {}
                _ if result == -libc::ENOBUFS => {
                    self.running = None;
                    self.starved = Some(self.descriptor.handle().wait_for_buffer(Group::Datagram, cx.waker()));
                    return Poll::Pending;
                }
                (Err(error), _) => return Poll::Ready(Err(error)),
                (Ok(_), None) => debug_assert!(false, "a datagram without a buffer"),
            }
        }
    }

    /// See [`DatagramReceiver::poll_recv`].
    pub async fn recv(&mut self) -> io::Result<Datagram> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn leave_queue(&mut self) {
        if let Some(ticket) = self.starved.take() {
            self.descriptor.handle().stop_waiting_for_buffer(Group::Datagram, ticket);
        }
    }
}

impl Drop for DatagramReceiver {
    fn drop(&mut self) {
        self.leave_queue();
    }
}
