//! How much of a body may be on its way at once, as memory allows: the usual, a little, or more where it is worth it.
//!
//! It is decided once a body has shown to be long; what is shorter is bounded by its own length. More is worth it in two
//! places. Where the source may send far ahead, it does so in its own time, and we are told less often that something
//! has come. And a peer that is far away and fast has more on its way at any time than the usual. What is sent to one
//! that is near is better held short: it is still in the processor's cache when it is moved on.

use crate::limit::{AHEAD, BODY, FAR};
use crate::shared::{Memory, Part, Purpose};
use ringferry_runtime::net::{Hold, Stream};
use ringferry_runtime::time::Instant;
use std::time::Duration;

/// The memory that one body takes besides that of its exchange, and the sockets that are told so.
pub struct Width<'m> {
    memory: &'m Memory,
    body: Option<Part<&'m Memory>>,
    ahead: Option<Part<&'m Memory>>,
    far: Option<Part<&'m Memory>>,
    /// Whether the sink is near, once somebody has looked.
    is_near: Option<bool>,
    /// Bytes since the instant.
    recent: (usize, Instant),
}

/// Of a body with fewer bytes to come the usual is all.
const AHEAD_MIN: u64 = 256 * 1024;
/// Who takes this much
const FAST_BYTES: usize = 1 << 20;
/// in this time is fast. Who then takes nothing for as long is no more.
const FAST_TIME: Duration = Duration::from_millis(500);
/// What the usual memory of a body is for, as the kernel counts bytes without its overhead.
const USUAL_BYTES: usize = 208 * 1024;

impl<'m> Width<'m> {
    /// The usual width for a body on its way from `source` to `sink`, or little where there is not enough memory for
    /// that; and its source may send ahead if there is memory for it. `left` is what is still to come, if that is known
    /// and can be relied on.
    pub(super) fn new(memory: &'m Memory, source: &Stream, sink: &Stream, left: Option<u64>) -> Width<'m> {
        let body = Memory::try_take(memory, BODY, Purpose::Spare);
        let is_usual = body.is_some();
        let recent = (0, sink.handle().now());
        let mut width = Width { memory, body, ahead: None, far: None, is_near: None, recent };
        sink.hold_sent(if is_usual { Hold::Usual } else { Hold::Little });
        source.hold_received(match is_usual {
            true if width.may_be_ahead(left) => Hold::Much,
            true => Hold::Usual,
            false => Hold::Little,
        });
        width
    }

    fn may_be_ahead(&mut self, left: Option<u64>) -> bool {
        if self.ahead.is_none() && left.is_none_or(|left| left > AHEAD_MIN) {
            // Bytes, and what the kernel needs for them.
            let bytes = left.map_or(AHEAD, |left| AHEAD.min(2 * left));
            self.ahead = Memory::try_take(self.memory, bytes, Purpose::Ample);
        }
        self.ahead.is_some()
    }

    /// It is moved in small steps.
    pub(super) fn is_little(&self) -> bool {
        self.body.is_none()
    }

    /// So many bytes have been taken by the sink. If that is much in a short time it may have more.
    pub(super) fn moved(&mut self, count: usize, source: &Stream, sink: &Stream) {
        self.recent.0 += count;
        if self.recent.0 < FAST_BYTES {
            return;
        }
        let now = sink.handle().now();
        if now.since(self.recent.1) < FAST_TIME && !self.is_little() {
            self.widen(source, sink);
        }
        self.recent = (0, now);
    }

    fn widen(&mut self, source: &Stream, sink: &Stream) {
        if self.may_be_ahead(None) {
            source.hold_received(Hold::Much);
        }
        if !*self.is_near.get_or_insert_with(|| sink.is_near()) {
            if self.far.is_none() {
                self.far = Memory::try_take(self.memory, FAR, Purpose::Ample);
            }
            if self.far.is_some() {
                sink.hold_sent(Hold::Much);
            }
        }
    }

    /// The sink has taken nothing for so long. If that is long, no more is held for it than usual, as soon as it has
    /// taken what is held already.
    pub(super) fn waited(&mut self, time: Duration, source: &Stream, sink: &Stream) {
        if time > FAST_TIME {
            self.end(source, sink);
            self.ahead.take_if(|_| source.unreceived() <= USUAL_BYTES);
            self.far.take_if(|_| sink.unacknowledged() <= USUAL_BYTES);
        }
    }

    /// From here on no more is held than usual.
    pub(super) fn end(&self, source: &Stream, sink: &Stream) {
        if self.ahead.is_some() {
            source.hold_received(Hold::Usual);
        }
        if self.far.is_some() {
            sink.hold_sent(Hold::Usual);
        }
    }

    /// What it has taken for what the sink may not have taken yet, now that all has come.
    pub fn into_parts(self) -> impl Iterator<Item = Part<&'m Memory>> {
        self.body.into_iter().chain(self.far)
    }
}
