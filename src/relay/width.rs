//! How much of a body may be on its way at once, as memory allows: the usual, a little, or much for a peer that is
//! fast.
//!
//! It is decided once a body has shown to be long; what is shorter is bounded by its own length.

use crate::limit::{BODY, FAST};
use crate::shared::{Memory, Part, Purpose};
use ringferry_runtime::net::{Hold, Stream};

/// The memory that one body takes besides that of its exchange, and the sockets that are told so.
pub struct Width<'m> {
    memory: &'m Memory,
    body: Option<Part<&'m Memory>>,
    fast: Option<Part<&'m Memory>>,
}

impl<'m> Width<'m> {
    /// The usual width for a body on its way from `source` to `sink`, or little where there is not enough memory for
    /// that.
    pub(super) fn new(memory: &'m Memory, source: &Stream, sink: &Stream) -> Width<'m> {
        let body = Memory::try_take(memory, BODY, Purpose::Spare);
        let hold = if body.is_some() { Hold::Usual } else { Hold::Little };
        sink.hold_sent(hold);
        source.hold_received(hold);
        Width { memory, body, fast: None }
    }

    /// It is moved in small steps.
    pub(super) fn is_little(&self) -> bool {
        self.body.is_none()
    }

    /// The peer is fast: holds much, if there is memory for it.
    pub(super) fn widen(&mut self, source: &Stream, sink: &Stream) -> bool {
        if self.fast.is_none() && self.body.is_some() {
            self.fast = Memory::try_take(self.memory, FAST, Purpose::Spare);
        }
        if self.fast.is_some() {
            sink.store_more(true);
            sink.hold_sent(Hold::Much);
            source.hold_received(Hold::Much);
        }
        self.fast.is_some()
    }

    /// The peer is fast no more, and has taken what was held for it.
    pub(super) fn narrow(&mut self, source: &Stream, sink: &Stream) {
        self.end(source, sink);
        self.fast = None;
    }

    /// There is no more for a fast peer. What the kernel holds for it already it may go on to hold.
    pub(super) fn end(&self, source: &Stream, sink: &Stream) {
        sink.store_more(false);
        sink.hold_sent(Hold::Usual);
        source.hold_received(Hold::Usual);
    }

    /// What it has taken, for whoever holds it as long as the peer has not taken the body.
    pub fn into_parts(self) -> impl Iterator<Item = Part<&'m Memory>> {
        self.body.into_iter().chain(self.fast)
    }
}
