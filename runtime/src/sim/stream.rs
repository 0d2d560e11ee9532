//! Connections: bytes with windows on both sides, ends of one direction, resets. As Linux does them where that shows.

use super::state::{Event, FileId, Kind, State};
use super::trace::digest;
use super::way::{Cut, PIECE_MAX, Way};
use std::collections::VecDeque;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

/// One end of a connection. It outlives its descriptors until what it sends has left.
pub(super) struct End {
    pub(super) other: FileId,
    /// None of a unix socket.
    pub(super) addresses: Option<Addresses>,
    /// Sent by its owner, and not yet on its way.
    outgoing: VecDeque<u8>,
    /// On their way.
    in_flight: usize,
    /// Bytes that have arrived.
    acknowledged: u64,
    /// Arrived, and not yet received by its owner.
    incoming: VecDeque<u8>,
    way: Way,
    /// Its owner sends no more; the last that leaves is the end.
    write_is_shut: bool,
    end_is_sent: bool,
    read_is_shut: bool,
    end_has_come: bool,
    /// Reset: nothing passes any more.
    is_broken: bool,
    /// Told once, to who asks first.
    error: Option<i32>,
    pub(super) resets_on_close: bool,
    /// Nobody has it any more.
    is_closed: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Addresses {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// What travels.
pub(super) enum Packet {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// What there is to receive.
pub(crate) enum Readable {
    Nothing,
    Bytes,
    End,
    Error(i32),
}

/// Events of poll(2).
pub(in crate::sim) const READABLE: u32 = 0x1;
pub(super) const WRITABLE: u32 = 0x4;
pub(super) const ERROR: u32 = 0x8;
pub(super) const HANG_UP: u32 = 0x10;

impl State {
    /// Turns `near` into one end of a connection; returns the other, which has no descriptor yet.
    pub(super) fn connect_ends(&mut self, near: FileId, addresses: Option<(Addresses, Addresses)>) -> FileId {
        let is_local = addresses.is_none();
        let (near_way, far_way) = (self.draw_way(is_local), self.draw_way(is_local));
        let far_end = End::new(near, addresses.map(|(_, far)| far), far_way);
        let far = self.add_file(Kind::End(far_end));
        if let Some(kind) = self.file(near) {
            *kind = Kind::End(End::new(far, addresses.map(|(near, _)| near), near_way));
        }
        self.touch(near);
        far
    }

    pub(super) fn end(&mut self, id: FileId) -> Option<&mut End> {
        match self.file(id) {
            Some(Kind::End(end)) => Some(end),
            _ => None,
        }
    }

    /// What a receive would find. An error is told by it, and then no more.
    pub(super) fn readable(&mut self, id: FileId) -> Readable {
        let Some(end) = self.end(id) else { return Readable::Error(libc::ENOTCONN) };
        if !end.incoming.is_empty() {
            return Readable::Bytes;
        }
        match end.error.take() {
            Some(error) => Readable::Error(error),
            None if end.is_at_end() => Readable::End,
            None => Readable::Nothing,
        }
    }

    /// Moves what has come into `buffer`; how many bytes.
    pub(super) fn take(&mut self, id: FileId, buffer: &mut [u8]) -> usize {
        let Some(end) = self.end(id) else { return 0 };
        let count = buffer.len().min(end.incoming.len());
        let (first, second) = end.incoming.as_slices();
        let from_first = count.min(first.len());
        buffer[..from_first].copy_from_slice(&first[..from_first]);
        buffer[from_first..count].copy_from_slice(&second[..count - from_first]);
        end.incoming.drain(..count);
        let other = end.other;
        self.note("take", [id.0 as i64, count as i64, digest(&buffer[..count])]);
        // There is room again.
        self.push_on(other);
        count
    }

    /// Bytes that have come.
    pub(super) fn waiting(&mut self, id: FileId) -> usize {
        self.end(id).map_or(0, |end| end.incoming.len())
    }

    /// Gives bytes to be sent, as many as there is room for: 0 where there is none.
    pub(super) fn put(&mut self, id: FileId, bytes: &[u8]) -> Result<usize, i32> {
        let Some(end) = self.end(id) else { return Err(libc::EPIPE) };
        if let Some(error) = end.error.take() {
            return Err(error);
        }
        if end.is_broken || end.write_is_shut {
            return Err(libc::EPIPE);
        }
        let count = bytes.len().min(end.room());
        end.outgoing.extend(&bytes[..count]);
        self.note("put", [id.0 as i64, count as i64, digest(&bytes[..count])]);
        self.push_on(id);
        Ok(count)
    }

    /// Bytes that would be taken to be sent.
    pub(super) fn room(&mut self, id: FileId) -> usize {
        self.end(id).map_or(0, |end| end.room())
    }

    pub(super) fn poll_end(&mut self, id: FileId) -> u32 {
        let Some(end) = self.end(id) else { return WRITABLE | HANG_UP };
        let mut events = 0;
        if !end.incoming.is_empty() || end.is_at_end() || end.error.is_some() {
            events |= READABLE;
        }
        if end.room() > 0 || end.is_broken || end.write_is_shut {
            events |= WRITABLE;
        }
        if end.error.is_some() {
            events |= ERROR;
        }
        if end.is_broken {
            events |= HANG_UP;
        }
        events
    }

    pub(super) fn shut_down(&mut self, id: FileId, how: Shutdown) -> Result<(), i32> {
        self.note("shutdown", [id.0 as i64, how as i64, 0]);
        let Some(end) = self.end(id).filter(|end| !end.is_broken) else { return Err(libc::ENOTCONN) };
        if how != Shutdown::Write {
            end.read_is_shut = true;
        }
        if how != Shutdown::Read {
            end.write_is_shut = true;
        }
        self.touch(id);
        self.push_on(id);
        Ok(())
    }

    pub(super) fn unacknowledged(&mut self, id: FileId) -> usize {
        self.end(id).map_or(0, |end| end.outgoing.len() + end.in_flight)
    }

    /// How long bytes need to get there.
    pub(super) fn latency(&mut self, id: FileId) -> Duration {
        self.end(id).map_or(Duration::ZERO, |end| end.way.latency)
    }

    pub(super) fn acknowledged(&mut self, id: FileId) -> Option<u64> {
        self.end(id).filter(|end| end.addresses.is_some()).map(|end| end.acknowledged)
    }

    /// Nobody has this end any more.
    pub(super) fn close_end(&mut self, id: FileId) {
        let Some(end) = self.end(id) else { return };
        end.is_closed = true;
        end.error = None;
        if !end.is_broken {
            // Bytes that nobody has read make a close a reset (RFC 2525, section 2.17).
            if end.resets_on_close || !end.incoming.is_empty() {
                return self.reset(id);
            }
            end.write_is_shut = true;
            self.push_on(id);
        }
        self.forget_if_over(id);
    }

    /// Breaks the connection from this end.
    fn reset(&mut self, id: FileId) {
        let Some(end) = self.end(id) else { return };
        end.shatter();
        let other = end.other;
        self.touch(id);
        self.transmit(id, other, Packet::Reset);
        self.forget_if_over(id);
    }

    fn forget_if_over(&mut self, id: FileId) {
        if self.end(id).is_some_and(|end| end.is_closed && (end.is_broken || end.end_is_sent)) {
            self.remove_file(id);
        }
    }

    /// Sends what the other end has room for, and the end after it.
    fn push_on(&mut self, id: FileId) {
        loop {
            let Some((other, in_flight)) = self.end(id).map(|end| (end.other, end.in_flight)) else { return };
            // Nobody at the other end stops bytes on their way to find that out.
            let window = self.end(other).map_or(usize::MAX, |other| other.way.receive_max - other.incoming.len());
            let Some(end) = self.end(id).filter(|end| !end.is_broken) else { return };
            let piece_max = if end.way.small_left > 0 { end.way.piece_max } else { PIECE_MAX };
            let count = end.outgoing.len().min(window.saturating_sub(in_flight)).min(piece_max);
            if count > 0 {
                end.way.small_left = end.way.small_left.saturating_sub(count);
                end.in_flight += count;
                let bytes = end.outgoing.drain(..count).collect();
                self.transmit(id, other, Packet::Bytes(bytes));
                continue;
            }
            if end.outgoing.is_empty() && end.write_is_shut && !end.end_is_sent {
                end.end_is_sent = true;
                self.transmit(id, other, Packet::End);
                self.forget_if_over(id);
            }
            return;
        }
    }

    fn transmit(&mut self, from: FileId, to: FileId, packet: Packet) {
        let now = self.now;
        let arrival = match self.end(from) {
            Some(end) => {
                let arrival = end.way.last_arrival.max(now + end.way.latency);
                end.way.last_arrival = arrival;
                arrival
            }
            None => now,
        };
        if arrival > now {
            self.schedule(arrival, Event::Packet { from, to, packet });
        } else {
            self.arrive(from, to, packet);
        }
    }

    pub(super) fn arrive(&mut self, from: FileId, to: FileId, packet: Packet) {
        match packet {
            Packet::Bytes(bytes) => self.arrive_bytes(from, to, bytes),
            Packet::End => {
                self.note("end", [to.0 as i64, 0, 0]);
                if let Some(end) = self.end(to) {
                    end.end_has_come = true;
                    self.touch(to);
                }
            }
            Packet::Reset => self.arrive_reset(to),
        }
    }

    fn arrive_bytes(&mut self, from: FileId, to: FileId, mut bytes: Vec<u8>) {
        let count = bytes.len();
        if let Some(end) = self.end(from) {
            end.in_flight = end.in_flight.saturating_sub(count);
        }
        self.note("bytes", [to.0 as i64, count as i64, 0]);
        // Who has gone answers with a reset.
        let Some(end) = self.end(to) else { return self.arrive_reset(from) };
        if end.is_broken {
            return;
        }
        if end.is_closed || matches!(end.way.cut, Some((_, Cut::Done))) {
            if end.is_closed {
                end.shatter();
                self.forget_if_over(to);
            }
            return self.arrive_reset(from);
        }
        let mut cut = None;
        if let Some((left, how)) = &mut end.way.cut {
            if count < *left {
                *left -= count;
            } else {
                bytes.truncate(*left);
                cut = Some(std::mem::replace(how, Cut::Done));
            }
        }
        end.incoming.extend(&bytes);
        if cut == Some(Cut::End) {
            end.end_has_come = true;
        }
        self.touch(to);
        if let Some(end) = self.end(from) {
            end.acknowledged += bytes.len() as u64;
            self.touch(from);
        }
        if cut == Some(Cut::Reset) {
            self.arrive_reset(to);
            self.arrive_reset(from);
        }
    }

    fn arrive_reset(&mut self, to: FileId) {
        let Some(end) = self.end(to).filter(|end| !end.is_broken) else { return };
        end.shatter();
        // After the end of what the other one sends only a send would have told.
        end.error = Some(libc::ECONNRESET);
        self.note("reset", [to.0 as i64, 0, 0]);
        self.touch(to);
        self.forget_if_over(to);
    }
}

impl End {
    fn new(other: FileId, addresses: Option<Addresses>, way: Way) -> End {
        End {
            other,
            addresses,
            outgoing: VecDeque::new(),
            in_flight: 0,
            acknowledged: 0,
            incoming: VecDeque::new(),
            way,
            write_is_shut: false,
            end_is_sent: false,
            read_is_shut: false,
            end_has_come: false,
            is_broken: false,
            error: None,
            resets_on_close: false,
            is_closed: false,
        }
    }

    fn room(&self) -> usize {
        if self.is_broken || self.write_is_shut {
            return 0;
        }
        self.way.send_max.saturating_sub(self.outgoing.len() + self.in_flight)
    }

    fn is_at_end(&self) -> bool {
        self.end_has_come || self.read_is_shut || self.is_broken
    }

    /// What has come can still be received; what was to be sent is thrown away.
    fn shatter(&mut self) {
        self.is_broken = true;
        self.outgoing.clear();
        self.in_flight = 0;
    }
}
