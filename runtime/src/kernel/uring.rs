//! The kernel behind the seam: one io_uring.

use super::{Completion, Held, KernelError, KernelSettings, Op, RingFeatures, RingRestriction, Token, Wait};
use crate::buf::{BufferRing, Group, Groups, SHRINK_AFTER};
use crate::sys::{Remote, message, ring, socket};
use crate::time::Instant;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue};
use socket2::SockAddr;
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

/// A ring, its buffers, and the memory of every operation in flight.
pub(crate) struct Uring {
    // Dropped before what the kernel may still look at. Its end is not waited for (and another core may keep the ring a
    // moment longer to send to it): `drop` sees to it that no operation writes anywhere by then.
    ring: IoUring,
    deferred: bool,
    no_iowait: bool,
    restriction: RingRestriction,
    remote: Arc<Remote>,
    /// What each operation in flight holds, by [`Token::index`].
    held: Vec<Option<Held>>,
    /// Operations that the kernel has, detached ones included: a close that is lost with the ring is a lost descriptor.
    in_flight: usize,
    pub(super) groups: Groups,
    /// Entries that found the submission queue full.
    backlog: VecDeque<squeue::Entry>,
    /// Completions copied out of the ring: user data, result, flags. Emptied once all have been looked at.
    batch: Vec<(u64, i32, u32)>,
    /// How many of them have been looked at.
    seen: usize,
    enters: u64,
    /// Cores that messages of this turn go to. They keep the rings open that the entries name.
    woken: Vec<Arc<Remote>>,
    /// The kernel has taken all of them; what failed is in `batch`.
    messages_out: bool,
    /// IORING_OP_MSG_RING has not failed yet.
    can_message: bool,
    messages: u64,
}

/// User data of what is no operation with a token, told apart by its low half: an index that tokens never reach.
const DETACHED: u32 = u32::MAX;
/// The poll of our eventfd.
const WAKE: u32 = u32::MAX - 1;
/// A message of ours that did not arrive; the high half is its place in `Uring::woken`.
const UNDELIVERED: u32 = u32::MAX - 2;
/// A message from another core. It only ends the wait: what it is about has come by then.
const NUDGE: u32 = u32::MAX - 3;

/// All that a ring is ever asked for: what [`prepare`] makes, and messages to other rings. A kernel that makes our
/// rings knows all of them.
const OPCODES: &[u8] = &[
    opcode::AcceptMulti::CODE,
    opcode::Recv::CODE,
    opcode::RecvMsgMulti::CODE,
    opcode::Send::CODE,
    opcode::SendMsg::CODE,
    opcode::Connect::CODE,
    opcode::PollAdd::CODE,
    opcode::Close::CODE,
    opcode::AsyncCancel::CODE,
    opcode::MsgRingData::CODE,
];
/// The flags of its entries.
const FLAGS: squeue::Flags = squeue::Flags::BUFFER_SELECT.union(squeue::Flags::SKIP_SUCCESS);

impl Uring {
    pub(super) fn new(settings: &KernelSettings, remote: Arc<Remote>) -> Result<Uring, KernelError> {
        let made = ring::make(settings.submissions, settings.restrict)?;
        let groups = Groups::new(settings.groups, BufferRing::new).map_err(KernelError::Resources)?;
        for (id, group) in Group::ALL.into_iter().zip(groups.iter()) {
            let (address, count) = group.registration();
            // SAFETY: the entries' mapping is owned by `groups`, which outlives the ring (field order).
            unsafe { made.ring.submitter().register_buf_ring_with_flags(address, count, id.id(), 0) }.map_err(
                |error| match error.raw_os_error() {
                    Some(libc::EINVAL) => KernelError::TooOld("provided-buffer rings"),
                    _ => KernelError::Resources(error),
                },
            )?;
        }
        // After the last registration, for it allows none, and before anybody can reach the ring.
        let restriction = match settings.restrict {
            true => ring::restrict(&made.ring, OPCODES, FLAGS)?,
            false => RingRestriction::Off,
        };
        let mut uring = Uring {
            ring: made.ring,
            deferred: made.deferred,
            no_iowait: made.no_iowait,
            restriction,
            remote,
            held: Vec::new(),
            in_flight: 0,
            groups,
            backlog: VecDeque::new(),
            batch: Vec::new(),
            seen: 0,
            enters: 0,
            woken: Vec::new(),
            messages_out: true,
            can_message: true,
            messages: 0,
        };
        uring.remote.reachable_by(uring.ring.as_raw_fd()).map_err(KernelError::Resources)?;
        uring.arm_wake();
        Ok(uring)
    }

    pub(super) fn submit(&mut self, token: Token, op: Op) {
        let index = token.index as usize;
        if index >= self.held.len() {
            self.held.resize_with(index + 1, || None);
        }
        // An index in use would overwrite memory that the kernel still reads.
        assert!(self.held[index].is_none(), "operation index {index} is in use");
        let (entry, held) = prepare(op);
        self.held[index] = Some(held);
        self.in_flight += 1;
        self.push(entry.user_data(user_data(token)));
    }

    pub(super) fn submit_detached(&mut self, op: Op) {
        let (entry, held) = prepare(op);
        assert!(matches!(held, Held::Nothing), "a detached operation cannot hold memory");
        self.in_flight += 1;
        self.push(entry.user_data(DETACHED.into()));
    }

    pub(super) fn wake(&mut self, remote: Arc<Remote>) {
        let Some(ring) = remote.ring().filter(|_| self.can_message) else { return remote.kick() };
        let place = self.woken.len() as u64;
        self.woken.push(remote);
        self.messages_out = false;
        let entry = opcode::MsgRingData::new(Fd(ring), 0, NUDGE.into(), None).build();
        let entry = entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(place << 32 | u64::from(UNDELIVERED));
        self.messages += 1;
        self.push(entry);
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>, now: Instant) {
        let (mut fed, mut warm) = (false, false);
        let settled = self.batch.is_empty() && self.ring.completion().is_empty();
        for group in self.groups.iter().filter(|group| !group.is_at_rest()) {
            warm |= group.relax(now, settled);
            fed |= group.feed();
            group.publish();
        }
        while let Some(entry) = self.backlog.pop_front() {
            if !self.try_push(&entry) {
                self.backlog.push_front(entry);
                break;
            }
        }
        let may_wait = self.backlog.is_empty() && self.batch.is_empty() && !fed;
        let timeout = match (may_wait, warm) {
            (false, _) => Some(Duration::ZERO),
            (true, false) => timeout,
            // A few more turns after a burst, to let go of its memory.
            (true, true) => Some(timeout.map_or(SHRINK_AFTER, |timeout| timeout.min(SHRINK_AFTER))),
        };
        if let Err(error) = self.enter(timeout) {
            // ETIME: the timeout passed. EINTR: a signal. EBUSY, EAGAIN: completions have to be reaped first, which
            // happens now. ENOMEM: next turn. EBADR: the kernel had no memory for a completion; its operation stays in
            // flight until the shutdown gives it up. Anything else is a bug of ours.
            let known = [libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN, libc::ENOMEM, libc::EBADR];
            debug_assert!(error.raw_os_error().is_some_and(|code| known.contains(&code)), "io_uring_enter: {error}");
        }
        self.messages_out = self.backlog.is_empty() && self.ring.submission().is_empty();
        // Copied out, so that the kernel sees the queue's head move at once.
        self.batch.extend(self.ring.completion().map(|cqe| (cqe.user_data(), cqe.result(), cqe.flags())));
    }

    pub(super) fn next(&mut self) -> Option<Completion> {
        loop {
            let Some(&(user_data, result, flags)) = self.batch.get(self.seen) else {
                self.batch.clear();
                self.seen = 0;
                if self.messages_out {
                    self.woken.clear();
                }
                return None;
            };
            self.seen += 1;
            match user_data as u32 {
                NUDGE => {}
                DETACHED => self.in_flight -= 1,
                WAKE => {
                    self.remote.drain();
                    self.arm_wake();
                }
                UNDELIVERED => {
                    self.can_message = false;
                    self.woken[(user_data >> 32) as usize].kick();
                }
                _ => return Some(self.complete(user_data, result, flags)),
            }
        }
    }

    pub(super) fn unfinished(&self) -> usize {
        self.in_flight + self.backlog.len()
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn restriction(&self) -> &RingRestriction {
        &self.restriction
    }

    pub(super) fn features(&self) -> RingFeatures {
        RingFeatures { deferred: self.deferred, no_iowait: self.no_iowait, restriction: self.restriction.clone() }
    }

    pub(super) fn enters(&self) -> u64 {
        self.enters
    }

    fn complete(&mut self, user_data: u64, result: i32, flags: u32) -> Completion {
        let token = token(user_data);
        let more = cqueue::more(flags);
        let place = &mut self.held[token.index as usize];
        let lent = match (cqueue::buffer_select(flags), &place) {
            (Some(id), Some(Held::Buffers(group))) => Some(self.groups.of(*group).take(id, result.max(0) as u32)),
            _ => None,
        };
        let held = if more {
            Held::Nothing
        } else {
            self.in_flight -= 1;
            place.take().expect("a completion of an operation in flight")
        };
        Completion { token, result, lent, more, held }
    }

    fn push(&mut self, entry: squeue::Entry) {
        if !self.backlog.is_empty() {
            self.backlog.push_back(entry);
        } else if !self.try_push(&entry) {
            // The queue is full: hand it over without waiting, and try once more.
            let _ = self.enter(Some(Duration::ZERO));
            if !self.try_push(&entry) {
                self.backlog.push_back(entry);
            }
        }
    }

    fn try_push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: all memory that the entry points to is in `self.held` under the entry's token until the completion
        // that ends the operation, or lives as long as the program (`message::template`), or the entry points to none
        // (checked by `submit_detached`, `arm_wake`).
        unsafe { self.ring.submission().push(entry).is_ok() }
    }

    fn enter(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.enters += 1;
        let time = timeout.map(|t| Timespec::new().sec(t.as_secs()).nsec(t.subsec_nanos()));
        let args = match &time {
            Some(time) => SubmitArgs::new().timespec(time),
            None => SubmitArgs::new(),
        };
        let mut flags = EnterFlags::EXT_ARG | EnterFlags::GETEVENTS;
        if self.no_iowait {
            flags |= EnterFlags::NO_IOWAIT;
        }
        let submissions = self.ring.submission().len() as u32;
        let wanted = u32::from(timeout != Some(Duration::ZERO));
        // SAFETY: `args` and the time it points to outlive the call; EXT_ARG says that it is of this type. The ring was
        // made by us and is open.
        unsafe { self.ring.submitter().enter(submissions, wanted, flags.bits(), Some(&args)) }
    }

    fn arm_wake(&mut self) {
        let entry = opcode::PollAdd::new(Fd(self.remote.eventfd()), libc::POLLIN as u32).build().user_data(WAKE.into());
        self.push(entry);
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        // The driver has drained all operations by now; what is left after a panic is leaked rather than freed under
        // the kernel's hands: closing the ring cancels asynchronously.
        if self.in_flight > 0 {
            self.held.drain(..).for_each(std::mem::forget);
            self.groups.iter().cloned().for_each(std::mem::forget);
        }
    }
}

fn user_data(token: Token) -> u64 {
    u64::from(token.generation) << 32 | u64::from(token.index)
}

fn token(user_data: u64) -> Token {
    Token { index: user_data as u32, generation: (user_data >> 32) as u32 }
}

/// The submission entry of an operation, and what the kernel holds meanwhile.
fn prepare(op: Op) -> (squeue::Entry, Held) {
    match op {
        Op::Accept { fd } => {
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            (opcode::AcceptMulti::new(Fd(fd)).flags(flags).build(), Held::Nothing)
        }
        Op::Recv { fd, group } => {
            let entry = opcode::Recv::new(Fd(fd), std::ptr::null_mut(), 0).buf_group(group.id()).build();
            (entry.flags(squeue::Flags::BUFFER_SELECT), Held::Buffers(group))
        }
        Op::RecvMulti { fd, group } => (opcode::RecvMulti::new(Fd(fd), group.id()).build(), Held::Buffers(group)),
        Op::RecvDatagrams { fd } => {
            let group = Group::Datagram;
            let entry = opcode::RecvMsgMulti::new(Fd(fd), message::template(), group.id()).build();
            (entry, Held::Buffers(group))
        }
        Op::Send { fd, chunk, wait } => {
            let len = chunk.len().try_into().unwrap_or(u32::MAX);
            let entry = opcode::Send::new(Fd(fd), chunk.as_ptr(), len).flags(send_flags(wait)).build();
            (entry, Held::Chunk(chunk))
        }
        Op::SendGather { fd, mut gather, wait } => {
            let entry = opcode::SendMsg::new(Fd(fd), gather.header()).flags(send_flags(wait) as u32).build();
            (entry, Held::Gather(gather))
        }
        Op::Connect { fd, to } => connect(fd, socket::address(to)),
        Op::ConnectUnix { fd, path } => match SockAddr::unix(&path) {
            Ok(address) => connect(fd, address),
            // A path that fits no address: the kernel refuses the empty one in its stead (EINVAL).
            Err(_) => (opcode::Connect::new(Fd(fd), std::ptr::null(), 0).build(), Held::Nothing),
        },
        Op::Poll { fd, events } => (opcode::PollAdd::new(Fd(fd), events).build(), Held::Nothing),
        Op::Close { fd } => (opcode::Close::new(Fd(fd)).build(), Held::Nothing),
        Op::Cancel { target } => (opcode::AsyncCancel::new(user_data(target)).build(), Held::Nothing),
        Op::CancelAll => (opcode::AsyncCancel2::new(CancelBuilder::any()).build(), Held::Nothing),
    }
}

fn connect(fd: i32, address: SockAddr) -> (squeue::Entry, Held) {
    let address = Box::new(address);
    (opcode::Connect::new(Fd(fd), address.as_ptr().cast(), address.len()).build(), Held::Address(address))
}

fn send_flags(wait: Wait) -> i32 {
    libc::MSG_NOSIGNAL
        | match wait {
            // Without it a large send ends early and a lost remainder has to be noticed.
            Wait::All => libc::MSG_WAITALL,
            Wait::Some => 0,
            // What does not fit now comes back at once instead of keeping the chunk with the kernel.
            Wait::Nothing => libc::MSG_DONTWAIT,
        }
}

#[cfg(test)]
mod tests;
