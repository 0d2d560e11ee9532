//! An operation in flight, and what each kind of them does when it is tried: as much as goes at once, within its share
//! of a turn, so that a descriptor that is always ready holds nobody up.

use super::watches::{Direction, NOBODY};
use super::{Epoll, failure};
use crate::buf::{Group, Lent};
use crate::kernel::{Held, Op, RawDescriptor, Token, Wait};
use crate::sys::epoll::{BROKEN, ENDED, READABLE, WRITABLE};
use crate::sys::{attempt, datagram, socket};
use socket2::SockAddr;
use std::io::{self, ErrorKind};
use std::path::Path;

/// See the module.
pub(super) struct Operation {
    pub(super) token: Token,
    pub(super) fd: RawDescriptor,
    /// Who waits for the same descriptor as well.
    pub(super) next: u32,
    /// Bytes of a send that have gone; of a connect, that it has begun.
    done: usize,
    op: Op,
}

/// Where the next try of an operation comes from.
pub(super) enum Next {
    /// There is none: it has ended with this result, and perhaps a buffer.
    End(i32, Option<Lent>),
    /// An event of its descriptor.
    When(Direction),
    /// The next turn: it could do more now, but has had its share.
    Again,
    /// Nothing tells; a while has to pass.
    Later,
}

/// Connections that one accept brings in a turn.
const ACCEPTS_PER_TURN: usize = 32;
/// Buffers that one stream of receives fills in a turn: as many as its unread results may hold.
const RECEIVES_PER_TURN: usize = 2;
/// The same of datagrams, which are small and are lost when the socket has no room for them.
const DATAGRAMS_PER_TURN: usize = 32;
/// Bytes of a send: what a result can tell, and no more than Linux sends at once.
const SEND_MAX: usize = 0x7fff_f000;

impl Operation {
    pub(super) fn new(token: Token, op: Op) -> Operation {
        let Some(fd) = op.descriptor() else { unreachable!("done when submitted, with no result") };
        Operation { token, fd, next: NOBODY, done: 0, op }
    }

    /// Whether these events of its descriptor are what it waits for.
    pub(super) fn goes_on_with(&self, events: u32) -> bool {
        let wanted = match (&self.op, self.direction()) {
            (Op::Poll { events, .. }, _) => events | BROKEN,
            (_, Direction::In) => READABLE | ENDED | BROKEN,
            (_, Direction::Out) => WRITABLE | BROKEN,
        };
        events & wanted != 0
    }

    /// Its result, if these events are all that it wanted to know.
    pub(super) fn told(&self, events: u32) -> Option<i32> {
        match self.op {
            Op::Poll { events: wanted, .. } => Some((events & (wanted | BROKEN)) as i32),
            _ => None,
        }
    }

    /// The result and the memory of one that ends so.
    pub(super) fn into_end(self, result: i32) -> (i32, Held) {
        // What went before it failed, or was cancelled, has gone.
        let result = if self.is_send() && self.done > 0 { self.done as i32 } else { result };
        (result, self.op.held())
    }

    pub(super) fn is_send(&self) -> bool {
        matches!(self.op, Op::Send { .. } | Op::SendGather { .. })
    }

    fn direction(&self) -> Direction {
        match self.op {
            Op::Send { .. } | Op::SendGather { .. } | Op::Connect { .. } | Op::ConnectUnix { .. } => Direction::Out,
            Op::Poll { events, .. } if events & WRITABLE != 0 => Direction::Out,
            _ => Direction::In,
        }
    }
}

impl Epoll {
    /// Tries an operation.
    pub(super) fn attempt(&mut self, operation: &mut Operation) -> Next {
        let Operation { token, fd, done, ref mut op, .. } = *operation;
        let tried = match op {
            Op::Accept { .. } => self.accept(token, fd),
            Op::Recv { group, .. } => self.receive(fd, *group),
            Op::RecvMulti { group, .. } => self.receive_many(token, fd, *group),
            Op::RecvDatagrams { .. } => self.receive_datagrams(token, fd),
            Op::Send { chunk, wait, .. } => {
                let (whole, wait) = (chunk.len(), *wait);
                let send = || attempt::send(fd, &chunk[done..whole.min(done + SEND_MAX)]);
                self.send(fd, wait, &mut operation.done, whole, send)
            }
            Op::SendGather { gather, wait, .. } => {
                let (whole, wait) = (gather.len(), *wait);
                // SAFETY: the header points into the gather and its chunks, which `op` owns for longer than the call.
                let send = || unsafe { attempt::send_message(fd, gather.header_after(done)) };
                self.send(fd, wait, &mut operation.done, whole, send)
            }
            Op::Connect { to, .. } => connect(fd, &mut operation.done, || Ok(socket::address(*to))),
            Op::ConnectUnix { path, .. } => connect(fd, &mut operation.done, || unix(path)),
            Op::Poll { events, .. } => {
                let direction = if *events & WRITABLE != 0 { Direction::Out } else { Direction::In };
                attempt::poll(fd, *events).map(|ready| match ready {
                    0 => Next::When(direction),
                    ready => Next::End(ready as i32, None),
                })
            }
            Op::Close { .. } | Op::Cancel { .. } | Op::CancelAll => unreachable!("never in flight"),
        };
        tried.unwrap_or_else(|error| match error.kind() {
            ErrorKind::Interrupted => Next::Again,
            _ => Next::End(failure(&error), None),
        })
    }

    fn accept(&mut self, token: Token, fd: RawDescriptor) -> io::Result<Next> {
        for _ in 0..ACCEPTS_PER_TURN {
            match self.unless_quiet(fd, Direction::In, || attempt::accept(fd))? {
                Some(accepted) => self.bring(token, accepted, None),
                None => return Ok(Next::When(Direction::In)),
            }
        }
        Ok(Next::Again)
    }

    fn receive(&mut self, fd: RawDescriptor, group: Group) -> io::Result<Next> {
        Ok(match self.receive_once(fd, group)? {
            Some((Some(lent), _)) => Next::End(lent.len() as i32, Some(lent)),
            Some((None, _)) => Next::End(0, None),
            None => Next::When(Direction::In),
        })
    }

    fn receive_many(&mut self, token: Token, fd: RawDescriptor, group: Group) -> io::Result<Next> {
        for _ in 0..RECEIVES_PER_TURN {
            match self.receive_once(fd, group)? {
                Some((Some(lent), is_all)) => {
                    self.bring(token, lent.len() as i32, Some(lent));
                    if is_all {
                        return Ok(Next::When(Direction::In));
                    }
                }
                Some((None, _)) => return Ok(Next::End(0, None)),
                None => return Ok(Next::When(Direction::In)),
            }
        }
        Ok(Next::Again)
    }

    /// `None`: there is nothing. Else bytes, of which there are no more for now if the second is true; or no bytes, at
    /// the end of the stream.
    fn receive_once(&mut self, fd: RawDescriptor, group: Group) -> io::Result<Option<(Option<Lent>, bool)>> {
        let mut room = 0;
        let receive = |buffer: &mut [u8]| {
            room = buffer.len();
            attempt::receive(fd, buffer)
        };
        let Some(lent) = self.unless_quiet_into(fd, group, receive)? else { return Ok(None) };
        if lent.is_empty() {
            return Ok(Some((None, true)));
        }
        let is_all = lent.len() < room && self.watches.found_less(fd);
        Ok(Some((Some(lent), is_all)))
    }

    fn receive_datagrams(&mut self, token: Token, fd: RawDescriptor) -> io::Result<Next> {
        for _ in 0..DATAGRAMS_PER_TURN {
            let receive = |buffer: &mut [u8]| datagram::receive(fd, buffer);
            match self.unless_quiet_into(fd, Group::Datagram, receive)? {
                Some(lent) => self.bring(token, lent.len() as i32, Some(lent)),
                None => return Ok(Next::When(Direction::In)),
            }
        }
        Ok(Next::Again)
    }

    fn send(
        &mut self,
        fd: RawDescriptor,
        wait: Wait,
        done: &mut usize,
        whole: usize,
        send: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<Next> {
        let whole = whole.min(SEND_MAX);
        let sent = if wait == Wait::Nothing {
            send()
        } else {
            match self.unless_quiet(fd, Direction::Out, send)? {
                Some(sent) => Ok(sent),
                None => return Ok(Next::When(Direction::Out)),
            }
        }?;
        *done += sent;
        let is_full = *done < whole && self.watches.found_full(fd);
        Ok(match wait {
            Wait::All if is_full => Next::When(Direction::Out),
            Wait::All if *done < whole => Next::Again,
            _ => Next::End(*done as i32, None),
        })
    }

    /// What `call` gives, unless it is known that it would give nothing, or does so now.
    fn unless_quiet<T>(
        &mut self,
        fd: RawDescriptor,
        direction: Direction,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<Option<T>> {
        if self.watches.is_quiet(fd, direction) {
            return Ok(None);
        }
        match call() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.watches.found_nothing(fd, direction);
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// The same for a receive into a buffer of a group; an error of its own where there is no buffer.
    fn unless_quiet_into(
        &mut self,
        fd: RawDescriptor,
        group: Group,
        receive: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Option<Lent>> {
        let group = self.groups.of(group).clone();
        let no_buffer = || Err(io::Error::from_raw_os_error(libc::ENOBUFS));
        self.unless_quiet(fd, Direction::In, || group.lend(receive).unwrap_or_else(no_buffer))
    }
}

/// Begins to connect, or looks how that has ended.
fn connect(fd: RawDescriptor, begun: &mut usize, to: impl FnOnce() -> io::Result<SockAddr>) -> io::Result<Next> {
    if *begun > 0 {
        attempt::connected(fd)?;
        return Ok(Next::End(0, None));
    }
    match attempt::connect(fd, &to()?) {
        Ok(true) => Ok(Next::End(0, None)),
        Ok(false) => {
            *begun = 1;
            Ok(Next::When(Direction::Out))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Next::Later),
        Err(error) => Err(error),
    }
}

/// A path that fits no address is refused as the system refuses the empty one.
fn unix(path: &Path) -> io::Result<SockAddr> {
    SockAddr::unix(path).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}
