//! How much of a body may be on its way at once, as memory allows: the usual, a little, or more where it is worth it.
//!
//! It is decided once a body has shown to be long; what is shorter is bounded by its own length. More is worth it in two
//! places. Where the source may send far ahead, it does so in its own time, and we are told less often that something
//! has come. And a peer that is far away and fast has more on its way at any time than the usual. What is sent to one
//! that is near is better held short: it is still in the processor's cache when it is moved on.
//!
//! A source that may send ahead may go on to do so: what it was promised room for cannot be taken back. So the memory for
//! it is counted as long as its connection stands, or until a client has been idle for a while.

use crate::limit::{BODY_RECEIVED, BODY_SENT, FAR, SEALED};
use crate::shared::{Memory, Part, Purpose};
use crate::wire::Outlet;
use ringferry_runtime::Group;
use ringferry_runtime::net::{Hold, Stream};
use ringferry_runtime::time::Instant;
use std::sync::Arc;
use std::time::Duration;

/// The memory that one body takes besides that of its exchange, and the sockets that are told so.
pub struct Width<'m> {
    memory: &'m Arc<Memory>,
    /// It is moved in small steps, unless encryption takes what it has come in at once.
    is_little: bool,
    body: Option<Part<&'m Memory>>,
    far: Option<Part<&'m Memory>>,
    /// Bytes that are still to come, if that is known.
    left: Option<u64>,
    /// Whether the sink is near, once somebody has looked.
    is_near: Option<bool>,
    /// Bytes since the instant.
    recent: (usize, Instant),
}

/// Who takes this much
const FAST_BYTES: usize = 1 << 20;
/// in this time is fast. Who then takes nothing for as long is no more.
const FAST_TIME: Duration = Duration::from_millis(500);
/// What the usual memory of a body is for, as the kernel counts bytes without its overhead.
const USUAL_BYTES: usize = 208 * 1024;

impl<'m> Width<'m> {
    /// The usual width for a body on its way from `source` to `sink`, or little where there is not enough memory for
    /// that. `left` is what is to come of it, if that is known.
    pub(super) fn new(memory: &'m Arc<Memory>, source: &Stream, sink: &Outlet, left: Option<u64>) -> Width<'m> {
        let usual = if is_ahead(source) { BODY_SENT } else { BODY_SENT + BODY_RECEIVED };
        let mut body = Memory::try_take(&**memory, usual, Purpose::Spare);
        let is_little = body.is_none();
        if is_little && sink.as_plain().is_none() {
            body = Memory::try_take(&**memory, SEALED, Purpose::Crowd);
        }
        let (hold, sink) = (if is_little { Hold::Little } else { Hold::Usual }, sink.stream());
        sink.hold_sent(hold);
        if !is_ahead(source) {
            source.hold_received(hold);
        }
        Width { memory, is_little, body, far: None, left, is_near: None, recent: (0, sink.handle().now()) }
    }

    /// Its source may send ahead what is to come, if that is much and there is memory for it.
    pub(super) fn let_ahead(&mut self, source: &Stream) {
        if let Some(body) = self.body.as_mut().filter(|_| !self.is_little)
            && let Some(hold) = Hold::for_bytes(self.left.unwrap_or(u64::MAX))
            && !source.holds_received(hold)
            && let Some(ahead) = Memory::try_take(self.memory.clone(), hold.received_bytes() as u64, Purpose::Ample)
        {
            source.hold_counted(hold, Box::new(ahead));
            body.shrink(BODY_SENT);
        }
    }

    /// From here on it may send no more ahead than usual. What it has sent must have been received, all but the usual.
    fn let_usual(&mut self, source: &Stream) {
        source.hold_received(Hold::Little);
        if let Some(body) = &mut self.body
            && let Some(received) = Memory::try_take(&**self.memory, BODY_RECEIVED, Purpose::Spare)
        {
            body.absorb(received);
            source.hold_received(Hold::Usual);
        }
    }

    /// The buffers that it may come in. A large one is not for a sink that is slow and holds little.
    pub(super) fn group(&self) -> Group {
        if self.body.is_some() { Group::Body } else { Group::Head }
    }

    /// So many bytes have been taken by the sink. If that is much in a short time there may be more on their way.
    pub(super) fn moved(&mut self, count: usize, source: &Stream, sink: &Stream) {
        self.recent.0 += count;
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        if self.recent.0 < FAST_BYTES {
            return;
        }
        let now = sink.handle().now();
        if now.since(self.recent.1) < FAST_TIME && !self.is_little {
            self.let_ahead(source);
            self.widen(sink);
        }
        self.recent = (0, now);
    }

    fn widen(&mut self, sink: &Stream) {
        if *self.is_near.get_or_insert_with(|| sink.is_near()) {
            return;
        }
        if self.far.is_none() {
            self.far = Memory::try_take(self.memory, FAR, Purpose::Ample);
        }
        if self.far.is_some() {
            sink.hold_sent(Hold::Much);
        }
    }

    /// The sink has taken nothing for so long. If that is long, no more is held for it than usual, as soon as it has
    /// taken what is held already.
    pub(super) fn waited(&mut self, time: Duration, source: &Stream, sink: &Stream) {
        if time < FAST_TIME {
            return;
        }
        self.end(sink);
        self.far.take_if(|_| sink.unacknowledged() <= USUAL_BYTES);
        if is_ahead(source) && source.unreceived() <= USUAL_BYTES {
            self.let_usual(source);
        }
    }

    /// From here on no more is sent at once than usual.
    pub(super) fn end(&self, sink: &Stream) {
        if self.far.is_some() {
            sink.hold_sent(Hold::Usual);
        }
    }

    /// What it has for bytes that were sent, for whoever holds it as long as the sink has not taken all.
    pub fn into_sent(self) -> Option<Part<&'m Memory>> {
        let mut held = self.body.filter(|_| !self.is_little)?;
        held.shrink(BODY_SENT);
        if let Some(far) = self.far {
            held.absorb(far);
        }
        Some(held)
    }
}

/// Whether the other end may send more ahead than usual.
pub fn is_ahead(source: &Stream) -> bool {
    source.holds_received(Hold::More)
}
