//! Send, one chunk or several gathered.
//!
//! Orphan rule: the chunks are dropped when the kernel has let go of them, which returns lent buffers to their ring.

use super::running::Running;
use crate::buf::{Chunk, GATHER_MAX, Gather};
use crate::driver::{Done, Kind};
use crate::kernel::{Held, Op};
use crate::net::Descriptor;
use crate::sys::check;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// One send of one chunk, and the chunk back.
pub struct Send(Running);

impl Send {
    pub(crate) fn new(descriptor: &Rc<Descriptor>, chunk: Chunk, wait: bool) -> Send {
        Send(Running::submit(Kind::Once, descriptor, Op::Send { fd: descriptor.raw(), chunk, wait }))
    }
}

impl Future for Send {
    /// How many bytes went, and the chunk as it was given.
    type Output = (io::Result<usize>, Chunk);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Done { result, held, .. } = ready!(self.0.poll(cx));
        let Held::Chunk(chunk) = held else { unreachable!("a send holds a chunk") };
        Poll::Ready((check(result).map(|sent| sent as usize), chunk))
    }
}

/// Sends up to three chunks whole, and gives them back.
///
/// The chunks stay with the kernel while the peer does not take them, except lent ones when their ring is short of
/// buffers: then what does not fit the socket at once is copied, and the ring has its buffer back.
pub struct SendAll {
    descriptor: Rc<Descriptor>,
    running: Running,
    left: usize,
}

/// What was sent; the byte vectors in it may serve again.
type Chunks = [Option<Chunk>; GATHER_MAX];

impl SendAll {
    pub(crate) fn new(descriptor: &Rc<Descriptor>, chunks: Chunks) -> SendAll {
        let scarce = chunks.iter().flatten().any(|chunk| matches!(chunk, Chunk::Lent(lent) if lent.is_scarce()));
        let left = chunks.iter().flatten().map(|chunk| chunk.len()).sum();
        let running = Running::submit(Kind::Once, descriptor, op(descriptor, chunks, !scarce));
        SendAll { descriptor: descriptor.clone(), running, left }
    }

    /// Goes on with what a send has left over.
    fn again(&mut self, chunks: Chunks, sent: usize) {
        self.left -= sent;
        let mut gather = Gather::new(chunks);
        gather.advance(sent);
        let chunks = gather.into_chunks().map(|chunk| match chunk {
            Some(Chunk::Lent(lent)) if lent.is_scarce() => Some(Chunk::Lent(lent.detach())),
            other => other,
        });
        self.running = Running::submit(Kind::Once, &self.descriptor, op(&self.descriptor, chunks, true));
    }
}

/// A single chunk is sent as such: a gathered send costs the kernel two more copies of small things.
fn op(descriptor: &Descriptor, mut chunks: Chunks, wait: bool) -> Op {
    let fd = descriptor.raw();
    match &mut chunks {
        [Some(_), None, None] => match chunks {
            [Some(chunk), ..] => Op::Send { fd, chunk, wait },
            _ => unreachable!("just matched"),
        },
        _ => Op::SendGather { fd, gather: Gather::new(chunks), wait },
    }
}

impl Future for SendAll {
    type Output = (io::Result<()>, Chunks);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let Done { result, held, .. } = ready!(self.running.poll(cx));
            let chunks = match held {
                Held::Chunk(chunk) => [Some(chunk), None, None],
                Held::Gather(gather) => gather.into_chunks(),
                _ => unreachable!("a send holds chunks"),
            };
            match check(result) {
                Ok(sent) if sent as usize == self.left => return Poll::Ready((Ok(()), chunks)),
                Ok(0) => return Poll::Ready((Err(io::ErrorKind::WriteZero.into()), chunks)),
                Ok(sent) => self.again(chunks, sent as usize),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.again(chunks, 0),
                Err(error) => return Poll::Ready((Err(error), chunks)),
            }
        }
    }
}
