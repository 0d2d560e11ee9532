//! A slot for each operation in flight: who waits for it, what it brought, and what to do when nobody waits any more.

use super::results::{Brought, Results};
use crate::buf::{Chunk, Lent};
use crate::kernel::{Completion, Held, Token};
use crate::net::{Counted, Descriptor};
use crate::sys::ktls::NEXT_IS_CONTROL;
use slab::Slab;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The slots of a core.
#[derive(Default)]
pub(crate) struct Slots {
    slots: Slab<Slot>,
    generation: u32,
    /// See [`After::Ended`].
    ended: (Option<Chunk>, Option<Counted>),
}

struct Slot {
    generation: u32,
    kind: Kind,
    /// Keeps the descriptor open until the operation has ended.
    descriptor: Option<Rc<Descriptor>>,
    state: State,
}

enum State {
    Waiting(Option<Waker>),
    Posted(Posted),
    Done(Done),
    Stream(Stream),
    /// Nobody waits: the operation's orphan rule applies to what still comes.
    Orphan,
}

/// A send that nobody need wait for.
struct Posted {
    /// Who is told when it goes wrong,
    waker: Option<Waker>,
    /// or when it ends, however it does.
    is_awaited: bool,
    /// Dropped when it ends.
    counted: Option<Counted>,
}

/// A multishot operation.
#[derive(Default)]
struct Stream {
    waker: Option<Waker>,
    queue: Results,
    /// The kernel has ended it; nothing comes after what is queued.
    ended: bool,
    /// It has been asked to end, since nobody reads what it brings.
    held_back: bool,
}

/// What an operation brought.
pub(crate) struct Done {
    /// Non-negative, or a negative errno.
    pub(crate) result: i32,
    /// A received buffer.
    pub(crate) lent: Option<Lent>,
    /// The memory that it held.
    pub(crate) held: Held,
}

/// What kind of operation it is, as far as its end is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Completes once; nothing to clean up beyond its memory.
    Once,
    /// Completes many times; memory only.
    Stream,
    /// Completes many times with datagrams; memory only.
    Datagrams,
    /// Completes many times with descriptors.
    Accept,
}

impl Kind {
    /// Results of up to so many bytes are copied out when their ring is short of buffers.
    fn spared_max(self) -> usize {
        match self {
            // Whoever sends datagrams is held up by nothing.
            Kind::Datagrams => usize::MAX,
            Kind::Once | Kind::Stream | Kind::Accept => SPARED_BYTES,
        }
    }

    /// How many unread results may hold buffers.
    fn lent_max(self) -> usize {
        match self {
            Kind::Datagrams => DATAGRAM_LENT_MAX,
            Kind::Once | Kind::Stream | Kind::Accept => STREAM_LENT_MAX,
        }
    }

    fn queue_max(self) -> usize {
        match self {
            Kind::Accept => ACCEPT_QUEUE_MAX,
            Kind::Datagrams => DATAGRAM_QUEUE_MAX,
            Kind::Once | Kind::Stream => STREAM_QUEUE_MAX,
        }
    }
}

/// What has to happen after a completion was filed, outside of the table.
pub(crate) enum After {
    Nothing,
    Wake(Waker),
    /// Cancel the operation: its reader is behind. The waker as well, if there is one.
    HoldBack(Token, Option<Waker>),
    /// Close a descriptor that nobody waited for.
    Close(i32),
    /// A posted send has ended: what is left of it is to be [taken](Slots::take_ended).
    Ended(Option<Waker>),
}

/// What fills a small buffer. More is a body, which is received only when it can be passed on.
const SPARED_BYTES: usize = 4096;

/// Buffers of the ring that the unread results of a stream may hold.
const STREAM_LENT_MAX: usize = 2;

/// The same for datagrams: a burst is read in the turn in which it comes, before anybody else could use the buffers.
const DATAGRAM_LENT_MAX: usize = 16;

/// A stream that nobody has read this many completions of is ended, so that one peer cannot fill our memory. Its
/// reader starts it again. (The kernel may have filled up to 32 more by then; that is the named maximum.)
const STREAM_QUEUE_MAX: usize = 4;

/// The same for datagrams: of a burst, which the kernel brings 32 at a time of each socket, all are read in the same
/// turn. What a reader leaves after that waits in the socket, and what the socket has no room for is lost.
const DATAGRAM_QUEUE_MAX: usize = 64;

/// The same for accepted connections that nobody fetches: the rest waits in the listener's backlog. (What the backlog
/// held when the accept was armed comes all the same; that is the named maximum.)
const ACCEPT_QUEUE_MAX: usize = 64;

/// What a kernel may bring of one operation before it hears that it is to end: a whole backlog.
#[cfg(feature = "sim")]
const BROUGHT_AT_ONCE_MAX: usize = crate::sys::listener::BACKLOG as usize;

impl Slots {
    /// A slot for an operation about to be submitted.
    pub(crate) fn open(&mut self, kind: Kind, descriptor: Rc<Descriptor>) -> Token {
        let state = match kind {
            Kind::Once => State::Waiting(None),
            Kind::Stream | Kind::Datagrams | Kind::Accept => State::Stream(Stream::default()),
        };
        self.insert(kind, descriptor, state)
    }

    fn insert(&mut self, kind: Kind, descriptor: Rc<Descriptor>, state: State) -> Token {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.slots.insert(Slot { generation, kind, descriptor: Some(descriptor), state }) as u32;
        Token { index, generation }
    }

    /// The same for a send that nobody need wait for. `counted` is dropped when it ends.
    pub(crate) fn open_posted(&mut self, descriptor: Rc<Descriptor>, counted: Option<Counted>) -> Token {
        self.insert(Kind::Once, descriptor, State::Posted(Posted { waker: None, is_awaited: false, counted }))
    }

    /// Files a completion. The slot of an orphan ends with the completion that ends its operation, nowhere else.
    pub(crate) fn complete(&mut self, completion: Completion) -> After {
        let Completion { token, result, lent, more, held } = completion;
        let index = token.index as usize;
        let slot = &mut self.slots[index];
        assert_eq!(slot.generation, token.generation, "a completion of another operation");
        let kind = slot.kind;
        let descriptor = if more { None } else { slot.descriptor.take() };
        match &mut slot.state {
            State::Posted(_) => match (held, descriptor) {
                (Held::Chunk(chunk), Some(descriptor)) if usize::try_from(result) == Ok(chunk.len()) => {
                    let State::Posted(posted) = self.slots.remove(index).state else { unreachable!("as it was") };
                    descriptor.set_posted(None);
                    self.ended = (Some(chunk), posted.counted);
                    After::Ended(posted.waker.filter(|_| posted.is_awaited))
                }
                (held, _) => {
                    let done = State::Done(Done { result, lent: None, held });
                    let State::Posted(posted) = std::mem::replace(&mut slot.state, done) else {
                        unreachable!("as it was")
                    };
                    self.ended = (None, posted.counted);
                    After::Ended(posted.waker)
                }
            },
            State::Waiting(_) => {
                debug_assert!(!more);
                let lent = lent.map(|lent| lent.spared(kind.spared_max()));
                let done = State::Done(Done { result, lent, held });
                let State::Waiting(waker) = std::mem::replace(&mut slot.state, done) else { unreachable!("as it was") };
                waker.map_or(After::Nothing, After::Wake)
            }
            State::Stream(stream) => {
                // What piles up is copied out: the ring's buffers are for all.
                let may_hold = stream.queue.len() < kind.lent_max();
                let lent = lent.map(|lent| if may_hold { lent.spared(kind.spared_max()) } else { lent.detach() });
                debug_assert!(matches!(held, Held::Nothing | Held::Buffers(_)), "a multishot operation holds nothing");
                stream.queue.push(Brought { result, lent });
                stream.ended = !more;
                let waker = stream.waker.take();
                let behind = stream.queue.len() >= kind.queue_max();
                if more && behind && !stream.held_back {
                    stream.held_back = true;
                    return After::HoldBack(token, waker);
                }
                waker.map_or(After::Nothing, After::Wake)
            }
            State::Orphan => {
                #[cfg(feature = "sim")]
                if result == -libc::ECANCELED && crate::plant::Plant::CancelLost.is_sown() {
                    return After::Nothing;
                }
                if !more {
                    self.slots.remove(index);
                }
                orphaned(kind, result)
            }
            State::Done(_) => unreachable!("a second completion of an operation that had ended"),
        }
    }

    /// What has gone of a posted send that has just ended, and what was counted for it: to be dropped when this table is
    /// free again, since that may do anything.
    pub(crate) fn take_ended(&mut self) -> (Option<Chunk>, Option<Counted>) {
        std::mem::take(&mut self.ended)
    }

    /// The result of an operation that completes once.
    pub(crate) fn poll(&mut self, token: Token, cx: &mut Context<'_>) -> Poll<Done> {
        let slot = self.slot(token);
        match &mut slot.state {
            State::Waiting(waker) => {
                remember(waker, cx);
                Poll::Pending
            }
            State::Done(_) => match self.slots.remove(token.index as usize).state {
                State::Done(done) => Poll::Ready(done),
                _ => unreachable!("as it was"),
            },
            _ => unreachable!("polled as what it is not"),
        }
    }

    /// What a posted send has brought that has not gone whole. While it is on its way, `is_awaited` tells whether its end
    /// is worth a wake.
    pub(crate) fn poll_posted(&mut self, token: Token, is_awaited: bool, cx: &mut Context<'_>) -> Poll<Done> {
        if let State::Posted(posted) = &mut self.slot(token).state {
            posted.is_awaited = is_awaited;
            remember(&mut posted.waker, cx);
            return Poll::Pending;
        }
        self.poll(token, cx)
    }

    /// The next result of a multishot operation; `None` once it has ended, which frees the slot.
    pub(crate) fn poll_next(&mut self, token: Token, cx: &mut Context<'_>) -> Poll<Option<Brought>> {
        let slot = self.slot(token);
        let State::Stream(stream) = &mut slot.state else { unreachable!("polled as what it is not") };
        if let Some(brought) = stream.queue.pop() {
            return Poll::Ready(Some(brought));
        }
        if stream.ended {
            self.slots.remove(token.index as usize);
            return Poll::Ready(None);
        }
        remember(&mut stream.waker, cx);
        Poll::Pending
    }

    /// Whether an operation has brought something that nobody has read.
    pub(crate) fn is_ready(&self, token: Token) -> bool {
        self.slots.get(token.index as usize).is_some_and(|slot| match &slot.state {
            State::Done(_) => true,
            State::Stream(stream) => stream.ended || !stream.queue.is_empty(),
            State::Waiting(_) | State::Posted(_) | State::Orphan => false,
        })
    }

    /// Whether a multishot operation has ended and all that it brought has been read.
    pub(crate) fn is_over(&self, token: Token) -> bool {
        self.slots.get(token.index as usize).is_some_and(|slot| match &slot.state {
            State::Stream(stream) => stream.ended && stream.queue.is_empty(),
            State::Waiting(_) | State::Posted(_) | State::Done(_) | State::Orphan => false,
        })
    }

    /// Ready when an operation has failed for good. Takes nothing out.
    pub(crate) fn poll_failed(&mut self, token: Token, cx: &mut Context<'_>) -> Poll<()> {
        // Our own cancel, a want of buffers, and what the peer says between its bytes, which is read when the bytes are.
        let harmless = [-libc::ECANCELED, -libc::ENOBUFS, -NEXT_IS_CONTROL];
        let failed = |result| result < 0 && !harmless.contains(&result);
        match &mut self.slot(token).state {
            State::Done(done) if failed(done.result) => return Poll::Ready(()),
            State::Stream(stream) if stream.queue.last().is_some_and(failed) => return Poll::Ready(()),
            State::Waiting(waker) | State::Stream(Stream { waker, .. }) => remember(waker, cx),
            State::Done(_) | State::Posted(_) | State::Orphan => {}
        }
        Poll::Pending
    }

    /// Nobody waits any more. Returns whether the operation has to be cancelled, descriptors to close, and what was counted
    /// for it, to be dropped.
    pub(crate) fn abandon(&mut self, token: Token) -> (bool, Vec<i32>, Option<Counted>) {
        let slot = self.slot(token);
        let kind = slot.kind;
        let state = std::mem::replace(&mut slot.state, State::Orphan);
        let mut counted = None;
        let (ended, mut results) = match state {
            State::Waiting(_) => (false, Results::default()),
            State::Posted(posted) => {
                counted = posted.counted;
                (false, Results::default())
            }
            State::Done(_) => (true, Results::default()),
            State::Stream(stream) => (stream.ended, stream.queue),
            State::Orphan => unreachable!("abandoned twice"),
        };
        if ended {
            self.slots.remove(token.index as usize);
        }
        let close = std::iter::from_fn(|| results.pop()).filter_map(|brought| match orphaned(kind, brought.result) {
            After::Close(fd) => Some(fd),
            _ => None,
        });
        (!ended, close.collect(), counted)
    }

    /// Operations in flight or not yet read.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Operations that have not ended, as far as is known here. What has piled up must not exceed what its name says.
    #[cfg(feature = "sim")]
    pub(crate) fn running(&self) -> Vec<Token> {
        let mut running = Vec::new();
        for (index, slot) in &self.slots {
            let has_ended = match &slot.state {
                State::Waiting(_) | State::Posted(_) | State::Orphan => false,
                State::Done(_) => true,
                State::Stream(stream) => {
                    let brought_max = slot.kind.queue_max() + BROUGHT_AT_ONCE_MAX;
                    assert!(
                        stream.queue.len() <= brought_max,
                        "{} unread results of {:?}",
                        stream.queue.len(),
                        slot.kind
                    );
                    stream.ended
                }
            };
            if !has_ended {
                running.push(Token { index: index as u32, generation: slot.generation });
            }
        }
        running
    }

    fn slot(&mut self, token: Token) -> &mut Slot {
        let slot = &mut self.slots[token.index as usize];
        assert_eq!(slot.generation, token.generation);
        slot
    }
}

/// The orphan rule: what a completion leaves behind when nobody waits for it. Received buffers and held memory go back
/// by being dropped; a descriptor has to be closed.
fn orphaned(kind: Kind, result: i32) -> After {
    #[cfg(feature = "sim")]
    if crate::plant::Plant::LeakedAccept.is_sown() {
        return After::Nothing;
    }
    if kind == Kind::Accept && result >= 0 { After::Close(result) } else { After::Nothing }
}

fn remember(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}
