//! A simulated world: plain data and a seed. Clock, network, descriptors and pipes for cores that are turned in one
//! thread, with faults that the seed decides: one seed is one history.
//!
//! A [`World`] knows nothing of cores; `kernel::sim` performs operations in it, and `core::simulated` turns cores
//! ([`World::step`]) and checks them. Nothing here makes a system call or looks at a real clock. Two runs of a seed are
//! the same if all that is run is made by the seed: their [hashes](World::trace_hash) tell.
//!
//! ```
//! use ringferry_runtime::net::{Listener, Mode, Stream};
//! use ringferry_runtime::sim::{Faults, Role, World};
//! use ringferry_runtime::{Core, Settings};
//! use std::time::Duration;
//!
//! let world = World::new(7, Faults::drawn(7));
//! let mut proxy = Core::simulated(&world, Role::Tested, &Settings::default());
//! let mut server = Core::simulated(&world, Role::Outside, &Settings::default());
//! let mut client = Core::simulated(&world, Role::Outside, &Settings::default());
//! let (upstream, sockets) = world.listen("10.0.0.2:8000".parse().unwrap(), 1);
//! let mut listener = Listener::new(&server.handle(), &sockets[0]).unwrap();
//! let handle = server.handle();
//! server.handle().spawn(async move {
//!     let Ok(socket) = listener.accept().await else { return };
//!     let _ = Stream::from_owned(&handle, socket).send_whole(b"hello".as_slice()).await;
//! });
//! // In place of a proxy: it connects on behalf of each client, and passes on what comes first.
//! let (address, front) = world.listen("10.0.0.1:80".parse().unwrap(), 1);
//! let mut listener = Listener::new(&proxy.handle(), &front[0]).unwrap();
//! let handle = proxy.handle();
//! proxy.handle().spawn(async move {
//!     let Ok(socket) = listener.accept().await else { return };
//!     let downstream = Stream::from_owned(&handle, socket);
//!     let Ok(upstream) = Stream::connect(&handle, upstream).await else { return };
//!     if let Ok(Some(bytes)) = upstream.receiver(Mode::Stream).recv().await {
//!         let _ = downstream.send_whole(bytes).await;
//!     }
//! });
//! let handle = client.handle();
//! let asked = client.handle().spawn_joinable(async move {
//!     let stream = Stream::connect(&handle, address).await.ok()?;
//!     stream.receiver(Mode::Stream).recv().await.ok()?.map(|bytes| bytes.to_vec())
//! });
//! // Faults may end it anywhere, and nobody here gives up by himself: a minute is enough.
//! world.pass(&mut [&mut proxy, &mut server, &mut client], Duration::from_secs(60));
//! drop((asked, sockets, front));
//! world.cut_short(vec![proxy, server, client]);
//! ```

mod calls;
mod datagram;
mod faults;
mod listener;
mod pipe;
mod random;
mod state;
mod stream;
mod trace;
mod way;

pub(crate) use calls::Owned;
pub(crate) use datagram::Datagram;
pub use faults::{Fault, Faults};
pub use random::Random;
pub(crate) use state::CoreNumber;
pub use state::Role;
pub(crate) use stream::Readable;
pub use trace::TRACE_VARIABLE;

use crate::sys::owned::Socket;
use crate::time::Instant;
use state::{Inhabitant, Kind, State};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A world. Clones are the same one.
///
/// All of it happens in one thread; it could change threads only because a [`Socket`] can.
#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

impl World {
    /// The world of `seed`, with faults as often as `faults` says.
    pub fn new(seed: u64, faults: Faults) -> World {
        World(Arc::new(Mutex::new(State::new(seed, faults))))
    }

    /// What decides all that happens in it.
    pub fn seed(&self) -> u64 {
        self.lock().seed
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.lock().now
    }

    /// Lets time pass at once, and happen what is due: a clock that jumps.
    pub fn jump(&self, by: Duration) {
        let mut state = self.lock();
        let to = state.now + by;
        state.advance(to);
    }

    /// Listening sockets on `address`, in place of [`bind_tcp`](crate::bind_tcp); port 0 is a free one. On `[::]` they take
    /// IPv4 as well.
    pub fn listen(&self, address: SocketAddr, count: usize) -> (SocketAddr, Vec<Socket>) {
        self.sockets(address, count, State::listen)
    }

    /// Sockets of UDP on `address`, in place of [`bind_udp`](crate::bind_udp).
    pub fn listen_udp(&self, address: SocketAddr, count: usize) -> (SocketAddr, Vec<Socket>) {
        self.sockets(address, count, State::bind_udp)
    }

    /// A listening unix socket. There is no file: `path` is the name by which it is found.
    pub fn listen_unix(&self, path: &Path) -> Socket {
        let number = self.lock().listen_unix(path);
        self.own(number)
    }

    /// A connection to `to` that no core has: it stands in the queue of the listener when this returns.
    pub fn outsider(&self, to: SocketAddr) -> io::Result<Socket> {
        let socket = self.own(self.lock().socket(None).map_err(io::Error::from_raw_os_error)?);
        let mut state = self.lock();
        let file = state.file_of(socket.raw());
        state.connect(file, to, None);
        while state.connected(file).is_none() {
            let next = state.next_event().expect("a connect that goes on has its event");
            state.advance(next);
        }
        let connected = state.connected(file);
        drop(state);
        match connected {
            Some(Err(errno)) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(socket),
        }
    }

    /// No fault happens from now on; what has been drawn for connections that stand stays with them.
    pub fn faults_off(&self) {
        self.set_faults(Faults::none());
    }

    /// Faults happen as often as this says from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().faults = faults;
    }

    /// How often each fault has happened.
    pub fn fault_counts(&self) -> [(Fault, u64); Fault::ALL.len()] {
        let state = self.lock();
        Fault::ALL.map(|fault| (fault, state.counts[fault as usize]))
    }

    /// What happened, as a number: the same for two runs that were the same.
    pub fn trace_hash(&self) -> u64 {
        self.lock().trace.hash()
    }

    /// Keeps what happens from now on as lines, too.
    pub fn keep_trace(&self) {
        self.lock().trace.keep();
    }

    /// The lines that were kept.
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace.lines().to_vec()
    }

    /// Open descriptors, each with what it came by and what is in it. Sockets that no core has are among them.
    pub fn open_descriptors(&self) -> Vec<String> {
        let mut state = self.lock();
        let open = state.open_descriptors();
        let describe = |(number, origin, file)| match state.file(file) {
            Some(Kind::Pipe(pipe)) => format!("{number}: {origin} with {} bytes", pipe.bytes.len()),
            Some(Kind::End(end)) => match &end.addresses {
                Some(addresses) => format!("{number}: {origin} from {} to {}", addresses.local, addresses.peer),
                None => format!("{number}: {origin} of a unix socket"),
            },
            _ => format!("{number}: {origin}"),
        };
        open.into_iter().map(describe).collect()
    }

    /// Those of them that are not empty pipes: what must not be left.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let mut open = self.open_descriptors();
        open.retain(|open| !open.ends_with("pipe with 0 bytes"));
        open
    }

    pub(crate) fn settle_in(&self, role: Role) -> CoreNumber {
        let mut state = self.lock();
        state.cores.push(Inhabitant { role, addresses: Vec::new() });
        CoreNumber(state.cores.len() - 1)
    }

    pub(crate) fn set_addresses(&self, core: CoreNumber, addresses: &[IpAddr]) {
        self.lock().cores[core.0].addresses = addresses.to_vec();
    }

    fn sockets(
        &self,
        mut address: SocketAddr,
        count: usize,
        open: impl Fn(&mut State, SocketAddr, bool) -> (SocketAddr, i32),
    ) -> (SocketAddr, Vec<Socket>) {
        let both = address.is_ipv6() && address.ip().is_unspecified();
        let mut sockets = Vec::new();
        for _ in 0..count {
            let (bound, number) = open(&mut self.lock(), address, both);
            address = bound;
            sockets.push(self.own(number));
        }
        (address, sockets)
    }

    fn own(&self, number: i32) -> Socket {
        Socket::simulated(self.clone(), number)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic with the lock held is a finding; what is dropped on its way out must not hide it behind another.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "World of seed {}", self.seed())
    }
}

#[cfg(test)]
mod tests;
