//! Listening sockets, and how connections come to them.

use super::faults::Fault;
use super::state::{Connecting, CoreNumber, Event, FileId, Kind, State, is_for, seen_by, spread};
use super::stream::Addresses;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See the module.
pub(super) struct Listening {
    pub(super) at: At,
    /// Connections that nobody has accepted yet.
    queue: VecDeque<FileId>,
    is_open: bool,
}

impl Listening {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self.at {
            At::Tcp { address, .. } => Some(address),
            At::Unix(_) => None,
        }
    }
}

/// Where it listens.
pub(super) enum At {
    Tcp { address: SocketAddr, both: bool },
    Unix(PathBuf),
}

/// Connections that may wait to be accepted.
const BACKLOG: usize = 4096;
/// Who finds the queue full, or nobody who answers, tries again after this time,
const TRY_AGAIN: Duration = Duration::from_secs(1);
/// so many times,
const TRIES: u32 = 7;
/// or is told that nobody has answered after this one.
const CONNECT_GIVEN_UP: Duration = Duration::from_secs(130);
/// What a slow connect takes at the most.
const SLOW_CONNECT_MAX_MILLIS: u64 = 20_000;

impl State {
    /// A socket that listens; port 0 is a free one.
    pub(super) fn listen(&mut self, mut address: SocketAddr, both: bool) -> (SocketAddr, i32) {
        if address.port() == 0 {
            address.set_port(self.free_port());
        }
        let file = self.add_listener(At::Tcp { address, both });
        self.tcp.entry(address.port()).or_default().push(file);
        (address, self.open(file, "listen"))
    }

    pub(super) fn listen_unix(&mut self, path: &Path) -> i32 {
        let file = self.add_listener(At::Unix(path.to_path_buf()));
        self.unix.insert(path.to_path_buf(), file);
        self.open(file, "listen")
    }

    fn add_listener(&mut self, at: At) -> FileId {
        self.add_file(Kind::Listening(Listening { at, queue: VecDeque::new(), is_open: true }))
    }

    /// Ends listening; what waits in the queue is reset.
    pub(super) fn stop_listening(&mut self, file: FileId) {
        let Some(Kind::Listening(listening)) = self.file(file) else { return };
        if !std::mem::replace(&mut listening.is_open, false) {
            return;
        }
        let queue = std::mem::take(&mut listening.queue);
        match &listening.at {
            At::Tcp { address, .. } => {
                let port = address.port();
                let sharing = self.tcp.entry(port).or_default();
                sharing.retain(|other| *other != file);
                if sharing.is_empty() {
                    self.tcp.remove(&port);
                }
            }
            At::Unix(path) => {
                let path = path.clone();
                if self.unix.get(&path) == Some(&file) {
                    self.unix.remove(&path);
                }
            }
        }
        self.touch(file);
        for waiting in queue {
            self.abort(waiting);
        }
    }

    /// The next connection; `None` where nobody waits.
    pub(super) fn accept(&mut self, file: FileId, core: Option<CoreNumber>) -> Result<Option<i32>, i32> {
        let Some(Kind::Listening(listening)) = self.file(file) else { return Err(libc::EINVAL) };
        if !listening.is_open {
            return Err(libc::EINVAL);
        }
        if listening.queue.is_empty() {
            return Ok(None);
        }
        if self.hits(Fault::NoDescriptorForAccept, core) {
            return Err(if self.random.below(2) == 0 { libc::EMFILE } else { libc::ENFILE });
        }
        let Some(Kind::Listening(listening)) = self.file(file) else { return Err(libc::EINVAL) };
        let Some(connection) = listening.queue.pop_front() else { return Ok(None) };
        if self.hits(Fault::AcceptAborted, core) {
            self.abort(connection);
            return Err(libc::ECONNABORTED);
        }
        Ok(Some(self.open(connection, "accept")))
    }

    /// Whether an accept would find something, an error included.
    pub(super) fn has_connection(&mut self, file: FileId) -> bool {
        matches!(self.file(file), Some(Kind::Listening(listening)) if !listening.queue.is_empty() || !listening.is_open)
    }

    fn abort(&mut self, connection: FileId) {
        if let Some(end) = self.end(connection) {
            end.resets_on_close = true;
        }
        self.close_end(connection);
    }

    pub(super) fn socket(&mut self, core: Option<CoreNumber>) -> Result<i32, i32> {
        if self.hits(Fault::NoDescriptorForSocket, core) {
            return Err(libc::EMFILE);
        }
        let file = self.add_file(Kind::Socket(Connecting::NotYet));
        Ok(self.open(file, "socket"))
    }

    /// Begins to connect; [`State::connected`] tells how it went.
    pub(super) fn connect(&mut self, file: FileId, to: SocketAddr, core: Option<CoreNumber>) {
        match self.file(file) {
            Some(Kind::Socket(state @ Connecting::NotYet)) => *state = Connecting::Asked,
            _ => return,
        }
        let from = self.source(core, to.ip());
        self.note("connect", [file.0 as i64, to.port().into(), from.port().into()]);
        // There and back.
        let mut takes = self.draw_latency() * 2;
        if self.hits(Fault::ConnectSlow, None) {
            takes += Duration::from_millis(self.random.between(1, SLOW_CONNECT_MAX_MILLIS));
        }
        let event = if self.hits(Fault::ConnectSilent, None) {
            takes = CONNECT_GIVEN_UP;
            Event::ConnectFails { file, errno: libc::ETIMEDOUT }
        } else if self.hits(Fault::ConnectRefused, None) {
            Event::ConnectFails { file, errno: libc::ECONNREFUSED }
        } else {
            Event::Connect { file, from, to, tries: 0 }
        };
        match (takes, event) {
            (Duration::ZERO, Event::Connect { .. }) => self.establish(file, from, to, 0),
            (Duration::ZERO, _) => self.fail_to_connect(file, libc::ECONNREFUSED),
            (takes, event) => self.schedule(self.now + takes, event),
        }
    }

    pub(super) fn connect_unix(&mut self, file: FileId, path: &Path) {
        let Some(listener) = self.unix.get(path).copied() else { return self.fail_to_connect(file, libc::ENOENT) };
        if self.is_full(listener) {
            return self.fail_to_connect(file, libc::EAGAIN);
        }
        let far = self.connect_ends(file, None);
        self.enqueue(listener, far);
    }

    /// How a connect went; `None` while it goes on.
    pub(super) fn connected(&mut self, file: FileId) -> Option<Result<(), i32>> {
        match self.file(file) {
            Some(Kind::End(_)) => Some(Ok(())),
            Some(Kind::Socket(Connecting::Failed(errno))) => Some(Err(*errno)),
            _ => None,
        }
    }

    /// The client has asked, and the answer is there.
    pub(super) fn establish(&mut self, file: FileId, from: SocketAddr, to: SocketAddr, tries: u32) {
        // Who has given up meanwhile gets no connection.
        if !matches!(self.file(file), Some(Kind::Socket(Connecting::Asked))) {
            return;
        }
        let Some(listener) = self.listener_for(from, to) else {
            return self.fail_to_connect(file, libc::ECONNREFUSED);
        };
        if self.is_full(listener) {
            return match tries {
                TRIES => self.fail_to_connect(file, libc::ETIMEDOUT),
                _ => self.schedule(self.now + TRY_AGAIN, Event::Connect { file, from, to, tries: tries + 1 }),
            };
        }
        let is_ipv6 = matches!(self.file(listener), Some(Kind::Listening(Listening { at: At::Tcp { address, .. }, .. }))
            if address.is_ipv6());
        let near = Addresses { local: seen_by(to.is_ipv6(), from), peer: to };
        let far = Addresses { local: seen_by(is_ipv6, to), peer: seen_by(is_ipv6, from) };
        let far = self.connect_ends(file, Some((near, far)));
        self.enqueue(listener, far);
    }

    pub(super) fn fail_to_connect(&mut self, file: FileId, errno: i32) {
        if let Some(Kind::Socket(state)) = self.file(file) {
            *state = Connecting::Failed(errno);
            self.note("fails", [file.0 as i64, errno.into(), 0]);
            self.touch(file);
        }
    }

    fn listener_for(&mut self, from: SocketAddr, to: SocketAddr) -> Option<FileId> {
        let candidates = self.tcp.get(&to.port())?.clone();
        let bound = |state: &mut State, file| match state.file(file) {
            Some(Kind::Listening(Listening { at: At::Tcp { address, both }, .. })) => Some((address.ip(), *both)),
            _ => None,
        };
        let mut fitting = Vec::new();
        for file in candidates {
            if let Some((ip, both)) = bound(self, file)
                && is_for(ip, both, to.ip())
            {
                fitting.push((ip.is_unspecified(), file));
            }
        }
        // Who listens on just this address comes before who listens on all.
        let any = fitting.iter().all(|(unspecified, _)| *unspecified);
        fitting.retain(|(unspecified, _)| *unspecified == any);
        (!fitting.is_empty()).then(|| fitting[spread(from, to, fitting.len())].1)
    }

    fn is_full(&mut self, listener: FileId) -> bool {
        matches!(self.file(listener), Some(Kind::Listening(listening)) if listening.queue.len() >= BACKLOG)
    }

    fn enqueue(&mut self, listener: FileId, connection: FileId) {
        if let Some(Kind::Listening(listening)) = self.file(listener) {
            listening.queue.push_back(connection);
            self.touch(listener);
        }
    }
}
