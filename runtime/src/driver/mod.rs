//! The life of an operation: submitted, waited for, completed; or abandoned and then cleaned up after.

mod results;
mod slots;

pub(crate) use results::Brought;
pub(crate) use slots::{After, Done, Kind, Slots};

/// Counters of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Turns of the run loop.
    pub turns: u64,
    /// System calls that entered the ring, or asked for events.
    pub enters: u64,
    /// Other cores woken through the ring.
    pub messages: u64,
    /// Completions handled.
    pub completions: u64,
    /// Tasks polled.
    pub polls: u64,
    /// Tasks that panicked.
    pub panics: u64,
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Operations that the kernel has.
    pub operations: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Small receive buffers that are lent out.
    pub head_buffers_lent: usize,
    /// Large receive buffers that are lent out.
    pub body_buffers_lent: usize,
    /// Receive buffers of datagrams that are lent out.
    pub datagram_buffers_lent: usize,
}
