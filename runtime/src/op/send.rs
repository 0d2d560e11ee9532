//! Send, one chunk or several gathered.
//!
//! Orphan rule: the chunks are dropped when the kernel has let go of them, which returns lent buffers to their ring.

use super::running::Running;
use crate::buf::{Chunk, GATHER_MAX, Gather};
use crate::driver::{Done, Kind};
use crate::kernel::{Held, Op, Token, Wait};
use crate::net::Descriptor;
use crate::sys::check;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// One send of one chunk, and the chunk back.
pub struct Send(Running);

/// Sends a chunk whole, and gives it back; see [`SendAll`].
pub struct SendWhole(Sending);

/// Sends up to three chunks whole, and gives them back.
///
/// The chunks stay with the kernel while the peer does not take them, except lent ones when their ring is short of
/// buffers: then what does not fit the socket at once is copied, and the ring has its buffer back.
pub struct SendAll(Sending);

/// A chunk on its way that nobody need wait for: when all of it has gone nobody is woken, and a byte vector goes back to
/// the core's stock by itself. Dropping this cuts it short.
///
/// For small answers to those who mostly take them at once: a wake for each would cost more than anything that is to be
/// done then.
pub struct Posted {
    descriptor: Rc<Descriptor>,
    token: Token,
}

/// A part of something that runs out, which goes back to its owner when this is dropped: what waits to be sent is counted
/// so. Costs no allocation.
pub struct Counted {
    owner: Rc<dyn Owner>,
    amount: u64,
}

/// Who has what is [counted](Counted).
pub trait Owner {
    /// So much comes back.
    fn take_back(&self, amount: u64);
}

impl Counted {
    /// So much of what `owner` has.
    pub fn new(owner: Rc<dyn Owner>, amount: u64) -> Counted {
        Counted { owner, amount }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.owner.take_back(self.amount);
    }
}

struct Sending {
    running: Running,
    left: usize,
}

/// What was sent; the byte vectors in it may serve again.
type Chunks = [Option<Chunk>; GATHER_MAX];

impl Send {
    pub(crate) fn new(descriptor: &Rc<Descriptor>, chunk: Chunk, wait: bool) -> Send {
        let wait = if wait { longest(descriptor) } else { Wait::Nothing };
        Send(Running::submit(Kind::Once, descriptor, Op::Send { fd: descriptor.raw(), chunk, wait }))
    }
}

impl SendWhole {
    pub(crate) fn new(descriptor: &Rc<Descriptor>, chunk: Chunk) -> SendWhole {
        SendWhole(Sending::one(descriptor, chunk))
    }
}

impl SendAll {
    pub(crate) fn new(descriptor: &Rc<Descriptor>, chunks: Chunks) -> SendAll {
        SendAll(Sending::new(descriptor, chunks))
    }
}

impl Posted {
    pub(crate) fn new(descriptor: &Rc<Descriptor>, chunk: Chunk, counted: Option<Counted>) -> Posted {
        debug_assert!(descriptor.posted().is_none(), "one send at a time");
        Posted { descriptor: descriptor.clone(), token: post(descriptor, chunk, counted) }
    }

    /// Whether it is on its way, or has failed and was not looked at.
    pub fn is_going(&self) -> bool {
        self.descriptor.posted() == Some(self.token)
    }

    /// Ready when it has failed; wakes only then.
    pub fn poll_failed(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        match self.poll_end(false, cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            _ => Poll::Pending,
        }
    }

    /// Its end. Where it is not awaited, that wakes only when it is a bad one.
    fn poll_end(&mut self, is_awaited: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_going() {
            let done = self.descriptor.handle().slots().poll_posted(self.token, is_awaited, cx);
            let Done { result, held, .. } = ready!(done);
            self.descriptor.set_posted(None);
            let mut rest = chunk(held);
            match check(result) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(sent) => rest.advance(sent as usize),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            // Not counted any more, where the kernel makes records and took some: elsewhere a send is whole or fails.
            self.token = post(&self.descriptor, rest, None);
        }
        Poll::Ready(Ok(()))
    }
}

fn post(descriptor: &Rc<Descriptor>, chunk: Chunk, counted: Option<Counted>) -> Token {
    let op = Op::Send { fd: descriptor.raw(), wait: longest(descriptor), chunk };
    let token = descriptor.handle().post(descriptor, op, counted);
    descriptor.set_posted(Some(token));
    token
}

impl Future for Posted {
    /// All has gone, or it failed.
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(true, cx)
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        if self.is_going() {
            self.descriptor.set_posted(None);
            self.descriptor.handle().abandon(self.token);
        }
    }
}

impl Sending {
    fn new(descriptor: &Rc<Descriptor>, chunks: Chunks) -> Sending {
        // A single chunk is sent as such: a gathered send costs the kernel two more copies of small things.
        let chunks = match chunks {
            [Some(chunk), None, None] => return Sending::one(descriptor, chunk),
            several => several,
        };
        let wait = if chunks.iter().flatten().any(is_scarce) { Wait::Nothing } else { longest(descriptor) };
        let left = chunks.iter().flatten().map(|chunk| chunk.len()).sum();
        let op = Op::SendGather { fd: descriptor.raw(), gather: Gather::new(chunks), wait };
        Sending { running: Running::submit(Kind::Once, descriptor, op), left }
    }

    fn one(descriptor: &Rc<Descriptor>, chunk: Chunk) -> Sending {
        let wait = if is_scarce(&chunk) { Wait::Nothing } else { longest(descriptor) };
        let left = chunk.len();
        let op = Op::Send { fd: descriptor.raw(), chunk, wait };
        Sending { running: Running::submit(Kind::Once, descriptor, op), left }
    }

    /// The result, and what was sent.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<()>, Held)> {
        loop {
            let Done { result, held, .. } = ready!(self.running.poll(cx));
            match check(result) {
                Ok(sent) if sent as usize == self.left => return Poll::Ready((Ok(()), held)),
                Ok(0) => return Poll::Ready((Err(io::ErrorKind::WriteZero.into()), held)),
                Ok(sent) => self.again(chunks(held), sent as usize),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.again(chunks(held), 0),
                Err(error) => return Poll::Ready((Err(error), held)),
            }
        }
    }

    /// Goes on with what a send has left over.
    fn again(&mut self, chunks: Chunks, sent: usize) {
        let mut gather = Gather::new(chunks);
        gather.advance(sent);
        let chunks = gather.into_chunks().map(|chunk| match chunk {
            // In memory of its own it is scarce no more, and can wait.
            Some(Chunk::Lent(lent)) => Some(Chunk::Lent(lent.spared(usize::MAX))),
            other => other,
        });
        *self = Sending::new(self.running.descriptor(), chunks);
    }
}

/// How long a send may keep its chunks. Where the kernel makes records it refuses to wait for all (EOPNOTSUPP): then what is
/// left over goes with the next send.
fn longest(descriptor: &Descriptor) -> Wait {
    if descriptor.has_records() { Wait::Some } else { Wait::All }
}

fn is_scarce(chunk: &Chunk) -> bool {
    matches!(chunk, Chunk::Lent(lent) if lent.is_scarce())
}

fn chunk(held: Held) -> Chunk {
    let Held::Chunk(chunk) = held else { unreachable!("a send of one chunk holds it") };
    chunk
}

fn chunks(held: Held) -> Chunks {
    match held {
        Held::Chunk(chunk) => [Some(chunk), None, None],
        Held::Gather(gather) => gather.into_chunks(),
        _ => unreachable!("a send holds chunks"),
    }
}

impl Future for Send {
    /// How many bytes went, and the chunk as it was given.
    type Output = (io::Result<usize>, Chunk);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Done { result, held, .. } = ready!(self.0.poll(cx));
        Poll::Ready((check(result).map(|sent| sent as usize), chunk(held)))
    }
}

impl Future for SendWhole {
    type Output = (io::Result<()>, Chunk);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map(|(result, held)| (result, chunk(held)))
    }
}

impl Future for SendAll {
    type Output = (io::Result<()>, Chunks);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map(|(result, held)| (result, chunks(held)))
    }
}
