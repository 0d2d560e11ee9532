//! Sockets of UDP: datagrams with numbers, each of which comes once at most and as it was sent.

use super::bytes::Script;
use super::watch::Watch;
use ringferry_runtime::net::{Datagram, DatagramReceiver, Segments, Udp};
use ringferry_runtime::sim::World;
use ringferry_runtime::{Handle, Socket};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::task::Poll;

/// All sockets and what they have sent.
pub(super) struct Datagrams {
    address: SocketAddr,
    listening: Socket,
    ends: Vec<UdpEnd>,
    /// By number; whether it may still come.
    sent: Vec<(Vec<u8>, bool)>,
    held: Vec<Datagram>,
    /// Cores on which there is nothing any more.
    ended: [bool; 3],
}

struct UdpEnd {
    core: usize,
    udp: Udp,
    is_connected: bool,
    receiver: Option<DatagramReceiver>,
    receiving: Watch,
}

const ENDS_MAX: usize = 6;
/// Datagrams that are sent in all, and those that are held: more than there are buffers.
const SENT_MAX: usize = 1000;
const HELD_MAX: usize = 10;
/// Bytes of the number that a datagram begins with.
const NUMBER_BYTES: usize = 4;

impl Datagrams {
    pub(super) fn new(world: &World) -> Datagrams {
        let (address, mut sockets) = world.listen_udp("10.0.0.1:53".parse().expect("an address"), 1);
        let listening = sockets.remove(0);
        Datagrams { address, listening, ends: Vec::new(), sent: Vec::new(), held: Vec::new(), ended: [false; 3] }
    }

    pub(super) fn perform(&mut self, script: &mut Script<'_>, handles: &[Handle; 3]) {
        match script.byte() % 8 {
            0 => self.open(script, handles),
            1 | 2 => self.send(script),
            3 | 4 => drop(self.with_end(script, Self::receive)),
            5 => {
                if let Some(end) = self.pick(script) {
                    end.receiver = None;
                    end.receiving.ask_anew();
                }
            }
            6 if !self.held.is_empty() => self.answer(script),
            _ => self.close(script),
        }
    }

    /// Goes on with what may go on; whether anything did, or has been asked for.
    pub(super) fn go_on(&mut self) -> bool {
        self.held.clear();
        let mut did = false;
        for place in 0..self.ends.len() {
            while self.ends[place].receiver.is_some() && self.ends[place].receiving.is_due() {
                self.receive(place, 0);
                did = true;
            }
        }
        did
    }

    /// Nobody waits for what is there.
    pub(super) fn expect_all(&mut self) {
        for place in 0..self.ends.len() {
            self.receive(place, 0);
        }
    }

    /// A core has ended: what is on it only tells so again and again.
    pub(super) fn forget(&mut self, core: usize) {
        self.ends.retain(|end| end.core != core);
        self.ended[core] = true;
    }

    fn open(&mut self, script: &mut Script<'_>, handles: &[Handle; 3]) {
        let (core, is_connected) = (script.below(3), script.flag());
        let handle = &handles[core];
        let udp = if is_connected { Udp::connect(handle, self.address) } else { Udp::new(handle, &self.listening) };
        if let Ok(udp) = udp
            && !self.ended[core]
            && self.ends.len() < ENDS_MAX
        {
            let receiver = script.flag().then(|| udp.receiver());
            self.ends.push(UdpEnd { core, udp, is_connected, receiver, receiving: Watch::new() });
        }
    }

    fn send(&mut self, script: &mut Script<'_>) {
        let (several, size) = (script.below(40), script.size());
        let Some(place) = (!self.ends.is_empty()).then(|| script.below(self.ends.len())) else { return };
        if !self.ends[place].is_connected || self.sent.len() + several > SENT_MAX {
            return;
        }
        let size = size.clamp(NUMBER_BYTES, 20_000);
        let first = self.sent.len();
        let bytes = self.make(several, size);
        let segments = Segments::new(&bytes, NonZeroU16::new(size as u16));
        let went = self.ends[place].udp.send(segments).unwrap_or(0);
        assert!(went <= segments.count());
        self.sent[first + went..].iter_mut().for_each(|(_, may_come)| *may_come = false);
    }

    /// Sends back what somebody holds, from where it had been sent to.
    fn answer(&mut self, script: &mut Script<'_>) {
        let place = script.below(self.held.len());
        let datagram = self.held.swap_remove(place);
        let listening = self.ends.iter().find(|end| !end.is_connected);
        if let Some(end) = listening.filter(|_| self.sent.len() < SENT_MAX) {
            let bytes = numbered(self.sent.len(), datagram.segments().bytes().len().max(NUMBER_BYTES));
            let went = end.udp.send_to(&bytes[..], datagram.peer, datagram.local).is_ok();
            self.sent.push((bytes, went));
        }
    }

    /// Whether something came.
    fn receive(&mut self, place: usize, what: u8) -> bool {
        let end = &mut self.ends[place];
        let receiver = end.receiver.get_or_insert_with(|| end.udp.receiver());
        let Poll::Ready(received) = end.receiving.poll(|cx| receiver.poll_recv(cx)) else { return false };
        // An error that was pending ends nothing.
        let Ok(datagram) = received else { return true };
        for bytes in datagram.segments().iter() {
            let number = bytes.first_chunk().map(|number| u32::from_le_bytes(*number) as usize);
            let (sent, may_come) = number.and_then(|number| self.sent.get_mut(number)).expect("a number that was sent");
            assert!(std::mem::replace(may_come, false), "it was not sent, or has come before");
            let whole = if datagram.is_truncated { sent.get(..bytes.len()) } else { Some(&sent[..]) };
            assert!(whole == Some(bytes), "not as it was sent");
        }
        if what & 1 == 1 && self.held.len() < HELD_MAX {
            self.held.push(datagram);
        }
        true
    }

    fn close(&mut self, script: &mut Script<'_>) {
        let stops = script.byte() == 1;
        if !self.ends.is_empty() {
            let end = self.ends.swap_remove(script.below(self.ends.len()));
            if stops {
                let _ = end.udp.stop();
            }
            drop((end.udp.local(), end));
        }
    }

    fn make(&mut self, several: usize, size: usize) -> Vec<u8> {
        let mut all = Vec::new();
        for _ in 0..several.max(1) {
            let bytes = numbered(self.sent.len(), size);
            all.extend_from_slice(&bytes);
            self.sent.push((bytes, true));
        }
        all
    }

    fn pick(&mut self, script: &mut Script<'_>) -> Option<&mut UdpEnd> {
        let place = (!self.ends.is_empty()).then(|| script.below(self.ends.len()))?;
        Some(&mut self.ends[place])
    }

    fn with_end<T>(&mut self, script: &mut Script<'_>, act: impl Fn(&mut Self, usize, u8) -> T) -> Option<T> {
        let place = (!self.ends.is_empty()).then(|| script.below(self.ends.len()))?;
        let what = script.byte();
        Some(act(self, place, what))
    }
}

fn numbered(number: usize, size: usize) -> Vec<u8> {
    let mut bytes = vec![number as u8; size];
    bytes[..NUMBER_BYTES].copy_from_slice(&(number as u32).to_le_bytes());
    bytes
}
