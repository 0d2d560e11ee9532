//! What lies between the ends of a connection: how long bytes take, in which pieces they come, where they are cut.

use super::faults::Fault;
use super::state::{CoreNumber, State};
use crate::time::Instant;
use std::time::Duration;

/// What lies between an end and the other, on the way there.
pub(super) struct Way {
    pub(super) latency: Duration,
    /// Nothing overtakes what was sent before.
    pub(super) last_arrival: Instant,
    pub(super) piece_max: usize,
    /// Bytes that still go in small pieces; then it would only take long.
    pub(super) small_left: usize,
    /// Bytes that may wait to be sent, and those that may wait to be received by the owner of this end.
    pub(super) send_max: usize,
    pub(super) receive_max: usize,
    /// Bytes until the network cuts what arrives at this end, and how.
    pub(super) cut: Option<(usize, Cut)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    End,
    Reset,
    /// It has been cut: what comes now finds nobody.
    Done,
}

/// Room for what waits to be sent, as the sockets of a real kernel have.
const SEND_MAX: usize = 256 * 1024;
/// Room for what waits to be received.
const RECEIVE_MAX: usize = 128 * 1024;
/// Bytes that travel together.
pub(super) const PIECE_MAX: usize = 64 * 1024;
/// Bytes that a way of small pieces passes on so.
const SMALL_BYTES: usize = 4096;
/// Room that there is at least.
const WINDOW_MIN: usize = 256;

/// Where connections are cut, in bytes: the smaller the likelier.
const CUT_WITHIN: u64 = 256 * 1024;
const LATENCY_MAX_MICROS: u64 = 500_000;

impl State {
    /// What lies on one way of a new connection.
    pub(super) fn draw_way(&mut self, is_local: bool) -> Way {
        let mut way = Way {
            latency: Duration::ZERO,
            last_arrival: self.now,
            piece_max: PIECE_MAX,
            small_left: SMALL_BYTES,
            send_max: SEND_MAX,
            receive_max: RECEIVE_MAX,
            cut: None,
        };
        if is_local {
            return way;
        }
        way.latency = self.draw_latency();
        if self.hits(Fault::SmallPieces, None) {
            way.piece_max = self.random.magnitude(1460) as usize;
        }
        if self.hits(Fault::OneByteAtATime, None) {
            way.piece_max = 1;
        }
        if self.hits(Fault::SmallWindows, None) {
            way.send_max = WINDOW_MIN.max(self.random.magnitude(SEND_MAX as u64) as usize);
            way.receive_max = WINDOW_MIN.max(self.random.magnitude(RECEIVE_MAX as u64) as usize);
        }
        if self.hits(Fault::EndedByNetwork, None) {
            way.cut = Some((self.random.magnitude(CUT_WITHIN) as usize - 1, Cut::End));
        }
        if self.hits(Fault::ResetByNetwork, None) {
            way.cut = Some((self.random.magnitude(CUT_WITHIN) as usize - 1, Cut::Reset));
        }
        way
    }

    /// How long something needs to get there: nothing, microseconds or half a second.
    pub(super) fn draw_latency(&mut self) -> Duration {
        if self.hits(Fault::Latency, None) {
            Duration::from_micros(self.random.magnitude(LATENCY_MAX_MICROS))
        } else {
            Duration::ZERO
        }
    }

    /// Fewer bytes than `count`, if a fault says so; 1 at least.
    pub(super) fn short(&mut self, count: usize, fault: Fault, core: CoreNumber) -> usize {
        if count > 1 && self.hits(fault, Some(core)) { self.random.magnitude(count as u64) as usize } else { count }
    }
}
