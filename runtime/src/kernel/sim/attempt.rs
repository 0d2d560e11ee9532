//! One try to do an operation, as far as it goes now.

use super::super::{Completion, Held, LocalAddress, Op, RawDescriptor, Token, Wait};
use super::{Operation, Sim};
use crate::buf::{Group, Lent};
use crate::sim::{Datagram, Fault, Readable};
use crate::sys::message;
use std::io;

/// How a try went.
pub(super) enum Tried {
    /// It waits for something.
    Stuck,
    /// There may be more for it at once; others have their turn.
    GivesWay,
    /// It has ended with this result.
    Ended(i32, Option<Lent>),
}

/// Completions that a multishot operation brings in a turn.
const BROUGHT_MAX: usize = 32;
/// The interface by which all datagrams come.
const INTERFACE: u32 = 1;

impl Sim {
    pub(super) fn attempt(&mut self, operation: &mut Operation) -> Tried {
        let token = operation.token;
        match &operation.op {
            Op::Accept { fd } => self.accept_many(token, *fd),
            Op::Recv { fd, group } => self.receive(*fd, *group),
            Op::RecvMulti { fd, group } => self.receive_many(token, *fd, *group),
            Op::RecvDatagrams { fd } => self.receive_datagrams(token, *fd),
            Op::Send { fd, chunk, wait } => {
                let (fd, wait) = (*fd, *wait);
                self.send(fd, [&chunk[..]].into_iter(), wait, &mut operation.sent)
            }
            Op::SendGather { fd, gather, wait } => {
                let (fd, wait) = (*fd, *wait);
                self.send(fd, gather.chunks(), wait, &mut operation.sent)
            }
            Op::Connect { fd, to } => {
                if operation.stuck_at.is_none() {
                    self.world.connect(*fd, *to, self.core);
                }
                self.connected(*fd)
            }
            Op::ConnectUnix { fd, path } => {
                if operation.stuck_at.is_none() {
                    self.world.connect_unix(*fd, path);
                }
                self.connected(*fd)
            }
            Op::Poll { fd, events } => match self.world.poll(*fd, *events) {
                0 => Tried::Stuck,
                events => Tried::Ended(events as i32, None),
            },
            Op::Close { .. } | Op::Cancel { .. } | Op::CancelAll => unreachable!("these are detached"),
        }
    }

    fn connected(&self, fd: RawDescriptor) -> Tried {
        match self.world.connected(fd) {
            None => Tried::Stuck,
            Some(Ok(())) => Tried::Ended(0, None),
            Some(Err(errno)) => Tried::Ended(-errno, None),
        }
    }

    fn accept_many(&mut self, token: Token, fd: RawDescriptor) -> Tried {
        loop {
            match self.world.accept(fd, Some(self.core)) {
                Ok(None) => return Tried::Stuck,
                Err(errno) => return Tried::Ended(-errno, None),
                Ok(Some(accepted)) => {
                    if let Some(ended) = self.bring(token, accepted, None) {
                        return ended;
                    }
                }
            }
        }
    }

    fn receive(&mut self, fd: RawDescriptor, group: Group) -> Tried {
        match self.world.readable(fd) {
            Readable::Nothing => return Tried::Stuck,
            Readable::End => return Tried::Ended(0, None),
            Readable::Error(errno) => return Tried::Ended(-errno, None),
            Readable::Bytes => {}
        }
        if self.world.hits(Fault::NoBuffer, self.core) {
            return Tried::Ended(-libc::ENOBUFS, None);
        }
        let receive = |buffer: &mut [u8]| Ok(self.world.receive(fd, buffer, self.core));
        match self.groups.of(group).lend(receive) {
            Some(Ok(lent)) => Tried::Ended(lent.len() as i32, Some(lent)),
            Some(Err(_)) | None => Tried::Ended(-libc::ENOBUFS, None),
        }
    }

    fn receive_many(&mut self, token: Token, fd: RawDescriptor, group: Group) -> Tried {
        for _ in 0..BROUGHT_MAX {
            match self.receive(fd, group) {
                Tried::Ended(result, Some(lent)) => {
                    if let Some(ended) = self.bring(token, result, Some(lent)) {
                        return ended;
                    }
                }
                stuck_or_over => return stuck_or_over,
            }
        }
        Tried::GivesWay
    }

    fn receive_datagrams(&mut self, token: Token, fd: RawDescriptor) -> Tried {
        for _ in 0..BROUGHT_MAX {
            if !self.world.has_datagram(fd) {
                return Tried::Stuck;
            }
            if self.world.hits(Fault::NoBuffer, self.core) {
                return Tried::Ended(-libc::ENOBUFS, None);
            }
            let receive = |buffer: &mut [u8]| {
                let next = self.world.next_datagram(fd).map_err(io::Error::from_raw_os_error)?;
                let (Datagram { from, to, bytes }, tells) = next.ok_or(io::ErrorKind::WouldBlock)?;
                let local = tells.then_some(LocalAddress { ip: to.ip(), interface: INTERFACE });
                Ok(message::fill(buffer, from, local, &bytes))
            };
            match self.groups.of(Group::Datagram).lend(receive) {
                None => return Tried::Ended(-libc::ENOBUFS, None),
                Some(Err(error)) => return Tried::Ended(-error.raw_os_error().unwrap_or(libc::EAGAIN), None),
                Some(Ok(lent)) => {
                    if let Some(ended) = self.bring(token, lent.len() as i32, Some(lent)) {
                        return ended;
                    }
                }
            }
        }
        Tried::GivesWay
    }

    fn send<'a>(
        &self,
        fd: RawDescriptor,
        chunks: impl Iterator<Item = &'a [u8]> + Clone,
        wait: Wait,
        sent: &mut usize,
    ) -> Tried {
        let total: usize = chunks.clone().map(<[u8]>::len).sum();
        let mut gone = *sent;
        'all: for chunk in chunks {
            let mut left = &chunk[gone.min(chunk.len())..];
            gone = gone.saturating_sub(chunk.len());
            while !left.is_empty() {
                match self.world.send(fd, left, wait != Wait::All, self.core) {
                    // What was taken may be on its way already, and then there is room again.
                    Ok(count) if count == left.len() || count > 0 && wait == Wait::All => {
                        *sent += count;
                        left = &left[count..];
                    }
                    Ok(count) => {
                        *sent += count;
                        break 'all;
                    }
                    // What has gone is told first; the error is told by the next one.
                    Err(errno) if *sent == 0 => return Tried::Ended(-errno, None),
                    Err(_) => return Tried::Ended(*sent as i32, None),
                }
            }
        }
        match wait {
            _ if *sent == total => Tried::Ended(total as i32, None),
            Wait::All => Tried::Stuck,
            _ if *sent > 0 => Tried::Ended(*sent as i32, None),
            Wait::Some => Tried::Stuck,
            Wait::Nothing => Tried::Ended(-libc::EAGAIN, None),
        }
    }

    /// Brings something of an operation that goes on, unless it ends with it.
    fn bring(&mut self, token: Token, result: i32, lent: Option<Lent>) -> Option<Tried> {
        if self.world.hits(Fault::EndsEarly, self.core) {
            return Some(Tried::Ended(result, lent));
        }
        self.completed.push_back(Completion { token, result, lent, more: true, held: Held::Nothing });
        None
    }
}
