//! What the kernels of the cores ask of their world: system calls by descriptor, errors as errno.

use super::faults::Fault;
use super::state::{CoreNumber, Kind, Role};
use super::stream::{READABLE, Readable, WRITABLE};
use super::{Datagram, World};
use crate::time::Instant;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// A descriptor with the world that it is of; closed when it is dropped.
#[derive(Debug)]
pub(crate) struct Owned {
    world: World,
    number: i32,
}

/// In place of a number that somebody else closes.
const GIVEN_UP: i32 = -1;

impl Owned {
    pub(crate) fn new(world: World, number: i32) -> Owned {
        Owned { world, number }
    }

    pub(crate) fn number(&self) -> i32 {
        self.number
    }

    /// The number, to be closed by the caller.
    pub(crate) fn into_number(mut self) -> i32 {
        std::mem::replace(&mut self.number, GIVEN_UP)
    }

    pub(crate) fn duplicate(&self) -> i32 {
        self.world.lock().duplicate(self.number)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if self.number == GIVEN_UP {
            return;
        }
        let mut state = self.world.lock();
        // A second panic on the way out of a first would hide what that one has found.
        if !std::thread::panicking() || state.is_open(self.number) {
            state.close(self.number);
        }
    }
}

/// See [`World::drive`].
pub(crate) struct Driven(World);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.lock().driven = false;
    }
}

impl World {
    pub(crate) fn close(&self, number: i32) {
        self.lock().close(number);
    }

    /// Counts what might let an operation on this descriptor go on that could not.
    pub(crate) fn version(&self, number: i32) -> u64 {
        self.lock().version(number)
    }

    pub(crate) fn hits(&self, fault: Fault, core: CoreNumber) -> bool {
        self.lock().hits(fault, Some(core))
    }

    /// A number below `bound`, for a fault that has hit.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.lock().random.below(bound)
    }

    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        self.lock().random.shuffle(items);
    }

    pub(crate) fn note(&self, what: &str, numbers: [i64; 3]) {
        self.lock().note(what, numbers);
    }

    /// How much has happened.
    pub(crate) fn events(&self) -> u64 {
        self.lock().trace.events()
    }

    pub(crate) fn wall(&self) -> Duration {
        self.lock().wall()
    }

    pub(crate) fn random(&self) -> u64 {
        self.lock().values.bits()
    }

    pub(crate) fn next_event(&self) -> Option<Instant> {
        self.lock().next_event()
    }

    pub(crate) fn advance(&self, to: Instant) {
        self.lock().advance(to);
    }

    /// Whether somebody turns several cores and sees to the clock.
    pub(crate) fn is_driven(&self) -> bool {
        self.lock().driven
    }

    /// The caller turns cores and sees to the clock, until it drops this.
    pub(crate) fn drive(&self) -> Driven {
        self.lock().driven = true;
        Driven(self.clone())
    }

    /// Counts a round of all cores; how many there have been in a row in which nothing happened, and without a clock.
    pub(crate) fn rounds(&self, is_quiet: bool, is_at_instant: bool) -> (u32, u32) {
        let mut state = self.lock();
        state.rounds_without_event = if is_quiet { state.rounds_without_event + 1 } else { 0 };
        state.rounds_at_instant = if is_at_instant { state.rounds_at_instant + 1 } else { 0 };
        (state.rounds_without_event, state.rounds_at_instant)
    }

    /// By how much the clock jumps; mostly not at all.
    pub(crate) fn jump_by(&self, millis_max: u64) -> Duration {
        let mut state = self.lock();
        // It is the clock of those who are tested, and all have the same one.
        let tested = state.cores.iter().position(|core| core.role == Role::Tested).map(CoreNumber);
        if state.hits(Fault::ClockJumps, tested) {
            Duration::from_millis(state.random.between(1, millis_max))
        } else {
            Duration::ZERO
        }
    }

    pub(crate) fn accept(&self, number: i32, core: Option<CoreNumber>) -> Result<Option<i32>, i32> {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.accept(file, core)
    }

    pub(crate) fn stop_listening(&self, number: i32) {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.stop_listening(file);
    }

    pub(crate) fn socket(&self, core: CoreNumber) -> Result<i32, i32> {
        self.lock().socket(Some(core))
    }

    pub(crate) fn connect(&self, number: i32, to: SocketAddr, core: CoreNumber) {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.connect(file, to, Some(core));
    }

    pub(crate) fn connect_unix(&self, number: i32, path: &Path) {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.connect_unix(file, path);
    }

    /// How a connect went; `None` while it goes on.
    pub(crate) fn connected(&self, number: i32) -> Option<Result<(), i32>> {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.connected(file)
    }

    pub(crate) fn readable(&self, number: i32) -> Readable {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.readable(file)
    }

    /// Receives bytes that are there, fewer of them if a fault says so.
    pub(crate) fn receive(&self, number: i32, buffer: &mut [u8], core: CoreNumber) -> usize {
        let mut state = self.lock();
        let file = state.file_of(number);
        let there = state.waiting(file).min(buffer.len());
        let mut count = state.short(there, Fault::ShortReceive, core);
        if count > 1 && state.hits(Fault::OneByteReceived, Some(core)) {
            count = 1;
        }
        state.take(file, &mut buffer[..count])
    }

    /// Takes bytes to be sent, as many as there is room for; fewer of them if `may_be_short` and a fault says so.
    pub(crate) fn send(&self, number: i32, bytes: &[u8], may_be_short: bool, core: CoreNumber) -> Result<usize, i32> {
        let mut state = self.lock();
        let file = state.file_of(number);
        let mut count = bytes.len();
        if may_be_short {
            count = state.room(file).min(count);
            count = state.short(count, Fault::ShortSend, core);
        }
        state.put(file, &bytes[..count])
    }

    /// Those of the poll(2) `events` that are there, and what is always told.
    pub(crate) fn poll(&self, number: i32, events: u32) -> u32 {
        let mut state = self.lock();
        let file = state.file_of(number);
        let there = match state.file(file) {
            Some(Kind::Listening(_)) => {
                if state.has_connection(file) {
                    READABLE
                } else {
                    0
                }
            }
            Some(Kind::Udp(_)) => WRITABLE | if state.has_datagram(file) { READABLE } else { 0 },
            _ => state.poll_end(file),
        };
        there & (events | super::stream::ERROR | super::stream::HANG_UP)
    }

    pub(crate) fn shut_down(&self, number: i32, how: Shutdown) -> Result<(), i32> {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.shut_down(file, how)
    }

    pub(crate) fn resets_on_close(&self, number: i32, resets: bool) {
        let mut state = self.lock();
        let file = state.file_of(number);
        if let Some(end) = state.end(file) {
            end.resets_on_close = resets;
        }
    }

    /// Bytes that were taken to be sent and have not arrived.
    pub(crate) fn unacknowledged(&self, number: i32) -> usize {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.unacknowledged(file)
    }

    /// Bytes that have come and were not received.
    pub(crate) fn unreceived(&self, number: i32) -> usize {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.waiting(file)
    }

    pub(crate) fn is_near(&self, number: i32) -> bool {
        let mut state = self.lock();
        let file = state.file_of(number);
        2 * state.latency(file) <= crate::sys::socket::NEAR
    }

    pub(crate) fn acknowledged(&self, number: i32) -> Option<u64> {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.acknowledged(file)
    }

    pub(crate) fn peer(&self, number: i32) -> Option<SocketAddr> {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.end(file).and_then(|end| end.addresses).map(|addresses| addresses.peer)
    }

    pub(crate) fn local(&self, number: i32) -> Option<SocketAddr> {
        let mut state = self.lock();
        let file = state.file_of(number);
        match state.file(file)? {
            Kind::End(end) => end.addresses.map(|addresses| addresses.local),
            Kind::Listening(listening) => listening.address(),
            Kind::Udp(udp) => Some(udp.local),
            Kind::Socket(_) | Kind::Pipe(_) => None,
        }
    }

    pub(crate) fn connect_udp(&self, to: SocketAddr, core: CoreNumber) -> Result<i32, i32> {
        self.lock().connect_udp(to, Some(core))
    }

    pub(crate) fn send_datagram(
        &self,
        number: i32,
        bytes: &[u8],
        to: Option<SocketAddr>,
        from: Option<IpAddr>,
    ) -> Result<(), i32> {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.send_datagram(file, bytes, to, from)
    }

    /// The next datagram, and whether it is told where it was sent to.
    pub(crate) fn next_datagram(&self, number: i32) -> Result<Option<(Datagram, bool)>, i32> {
        let mut state = self.lock();
        let file = state.file_of(number);
        let tells = state.tells_local(file);
        Ok(state.next_datagram(file)?.map(|datagram| (datagram, tells)))
    }

    pub(crate) fn has_datagram(&self, number: i32) -> bool {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.has_datagram(file)
    }

    pub(crate) fn stop_receiving(&self, number: i32) {
        let mut state = self.lock();
        let file = state.file_of(number);
        state.leave_port(file);
    }

    pub(crate) fn pipe(&self, capacity: usize, core: CoreNumber) -> Result<Owned, i32> {
        let number = self.lock().pipe(capacity, core)?;
        Ok(Owned::new(self.clone(), number))
    }

    pub(crate) fn fill_pipe(&self, pipe: i32, from: i32, len: usize, core: CoreNumber) -> Result<usize, i32> {
        let mut state = self.lock();
        let (pipe, from) = (state.file_of(pipe), state.file_of(from));
        state.fill_pipe(pipe, from, len, core)
    }

    pub(crate) fn empty_pipe(&self, pipe: i32, to: i32, len: usize, core: CoreNumber) -> Result<usize, i32> {
        let mut state = self.lock();
        let (pipe, to) = (state.file_of(pipe), state.file_of(to));
        state.empty_pipe(pipe, to, len, core)
    }
}
