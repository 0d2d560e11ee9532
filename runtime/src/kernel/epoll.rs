//! The kernel behind the seam where io_uring is refused or missing: a readiness loop that performs the same operations.
//!
//! An operation is tried as soon as it is submitted, which often completes it; else it waits until epoll tells that its
//! descriptor has changed, and is tried again. Its memory is ours all the while, so nothing has to be awaited when it
//! is cancelled.
//!
//! Registrations are edge-triggered and stay as long as the descriptor: one call for a connection, not one for each
//! operation, and a receive, a send and a poll on one descriptor share it. (One-shot registrations would take a call
//! for each wait, and level-triggered ones one more whenever nobody wants what there is.) The price is that what a
//! descriptor is known not to have must be remembered, since no edge tells it twice: see `watches`.
//!
//! What it costs beside a ring is a system call for each operation.

mod operation;
#[cfg(test)]
mod tests;
mod watches;

use super::{Completion, Held, KernelError, KernelSettings, Op, RawDescriptor, RingRestriction, Token};
use crate::buf::{BufferRing, Groups, Lent, SHRINK_AFTER};
use crate::sys::{Remote, owned::Socket};
use crate::time::Instant;
use operation::{Next, Operation};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use watches::{NOBODY, Watches};

/// Registrations, buffers, and every operation in flight.
pub(crate) struct Epoll {
    watches: Watches,
    eventfd: RawDescriptor,
    /// Keeps the eventfd open.
    _remote: Arc<Remote>,
    /// By [`Token::index`].
    operations: Vec<Option<Operation>>,
    in_flight: usize,
    pub(super) groups: Groups,
    /// Operations that have had their share of a turn, and go on in the next.
    again: VecDeque<Token>,
    /// Operations that can go on, but nobody tells when; tried again from `retry_at` on.
    delayed: VecDeque<Token>,
    retry_at: Instant,
    batch: VecDeque<Completion>,
    /// The last turn has asked for events; the next need not.
    has_looked: bool,
    /// The batch tells of others, not just of what we have sent. What has happened before that must be told with it
    /// (that a kept connection has ended, when a request comes that would be sent there), so events have to be asked
    /// for.
    has_news: bool,
    enters: u64,
}

/// How long an operation is let alone that nobody tells when it can go on: a connect to a unix socket with a full
/// queue.
const RETRY_AFTER: Duration = Duration::from_millis(5);

impl Epoll {
    pub(super) fn new(settings: &KernelSettings, remote: Arc<Remote>) -> Result<Epoll, KernelError> {
        let eventfd = remote.eventfd();
        Ok(Epoll {
            watches: Watches::new(eventfd).map_err(KernelError::Resources)?,
            eventfd,
            _remote: remote,
            operations: Vec::new(),
            in_flight: 0,
            groups: Groups::new(settings.groups, BufferRing::unpublished).map_err(KernelError::Resources)?,
            again: VecDeque::new(),
            delayed: VecDeque::new(),
            retry_at: Instant::default(),
            batch: VecDeque::new(),
            has_looked: false,
            has_news: false,
            enters: 0,
        })
    }

    pub(super) fn submit(&mut self, token: Token, op: Op) {
        let index = token.index as usize;
        if index >= self.operations.len() {
            self.operations.resize_with(index + 1, || None);
        }
        // An index in use would lose the operation that has it.
        assert!(self.operations[index].is_none(), "operation index {index} is in use");
        self.in_flight += 1;
        self.go_on(token, Operation::new(token, op));
    }

    pub(super) fn submit_detached(&mut self, op: Op) {
        match op {
            Op::Close { fd } => {
                self.forget(fd);
                drop(Socket::own(fd));
            }
            Op::Cancel { target } => self.cancel(target),
            Op::CancelAll => {
                for index in 0..self.operations.len() {
                    if let Some(token) = self.operations[index].as_ref().map(|operation| operation.token) {
                        self.cancel(token);
                    }
                }
            }
            _ => unreachable!("an operation with a result, and nobody to take it"),
        }
    }

    /// Its eventfd is what ends a core's wait, whoever wakes it.
    pub(super) fn wake(&mut self, remote: Arc<Remote>) {
        remote.kick();
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>, now: Instant) {
        let (mut fed, mut warm) = (false, false);
        for group in self.groups.iter() {
            // Bytes come into buffers within our own calls alone.
            warm |= group.relax(now, true);
            fed |= group.feed();
        }
        let retry = self.retry(now);
        for _ in 0..self.again.len() {
            let Some(token) = self.again.pop_front() else { break };
            self.resume(token);
        }
        let must_not_wait = fed || !self.batch.is_empty() || !self.again.is_empty();
        // Sends that have completed go first, and the call is spared; but not twice in a row, or those who only want to
        // be told would wait for those who are busy.
        if !self.batch.is_empty() && self.has_looked && !self.has_news {
            self.has_looked = false;
            return;
        }
        (self.has_looked, self.has_news) = (true, false);
        let timeout = if must_not_wait {
            Some(Duration::ZERO)
        } else {
            // A few more turns after a burst, to let go of its memory.
            let relax = warm.then_some(SHRINK_AFTER);
            [timeout, retry, relax].into_iter().flatten().min()
        };
        self.enters += 1;
        let count = self.watches.wait(timeout).unwrap_or_else(|error| {
            debug_assert!(false, "epoll_wait: {error}");
            0
        });
        for number in 0..count {
            let (fd, events) = self.watches.event(number);
            // The eventfd only ends the wait: what it is about has come by then. Each write to it is an edge, so it
            // need not be read.
            if fd != self.eventfd {
                self.came(fd, events);
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<Completion> {
        self.batch.pop_front()
    }

    pub(super) fn unfinished(&self) -> usize {
        self.in_flight + self.batch.len()
    }

    pub(super) fn messages(&self) -> u64 {
        0
    }

    /// There is no ring.
    pub(super) fn restriction(&self) -> &RingRestriction {
        &RingRestriction::Off
    }

    pub(super) fn enters(&self) -> u64 {
        self.enters
    }

    /// A descriptor is about to be closed or given away. Its registration hangs on the open file, which somebody else
    /// may have as well (listeners are duplicates), so it does not go by itself.
    pub(super) fn forget(&mut self, fd: RawDescriptor) {
        let first = self.watches.forget(fd);
        debug_assert_eq!(first, NOBODY, "closed under an operation");
    }

    /// From here on the kernel makes records on this connection: a receive brings one of them at most, so that fewer
    /// bytes than there was room for do not tell that there are no more.
    pub(super) fn has_records(&mut self, fd: RawDescriptor) {
        self.watches.has_records(fd);
    }

    /// Something has become of a descriptor: whoever waits for it goes on.
    fn came(&mut self, fd: RawDescriptor, events: u32) {
        self.watches.note(fd, events);
        let mut index = self.watches.take_waiting(fd);
        while index != NOBODY {
            let place = &mut self.operations[index as usize];
            let operation = place.take_if(|operation| operation.goes_on_with(events));
            match operation {
                Some(operation) => {
                    index = operation.next;
                    match operation.told(events) {
                        Some(result) => self.end(operation, result, None),
                        None => self.go_on(operation.token, operation),
                    }
                }
                None => {
                    let Some(waiting) = place else { unreachable!("what waits for a descriptor is in flight") };
                    let next = waiting.next;
                    waiting.next = self.watches.wait_for(fd, index);
                    index = next;
                }
            }
        }
    }

    /// Tries an operation, and puts it where its next try comes from.
    fn go_on(&mut self, token: Token, mut operation: Operation) {
        let next = self.attempt(&mut operation);
        match next {
            Next::End(result, lent) => return self.end(operation, result, lent),
            Next::Again => self.again.push_back(token),
            Next::Later => self.delayed.push_back(token),
            Next::When(direction) => match self.watches.watch(operation.fd, direction) {
                Ok(()) => operation.next = self.watches.wait_for(operation.fd, token.index),
                // No descriptor that epoll takes, or more of them than it may watch.
                Err(error) => return self.end(operation, failure(&error), None),
            },
        }
        self.operations[token.index as usize] = Some(operation);
    }

    fn resume(&mut self, token: Token) {
        if let Some(operation) = self.take(token) {
            self.go_on(token, operation);
        }
    }

    /// Takes an operation out, unless it has ended.
    fn take(&mut self, token: Token) -> Option<Operation> {
        self.operations.get_mut(token.index as usize)?.take_if(|operation| operation.token == token)
    }

    /// Tries again what nobody tells of, if it is time; how long until it is.
    fn retry(&mut self, now: Instant) -> Option<Duration> {
        if self.delayed.is_empty() {
            return None;
        }
        if now >= self.retry_at {
            self.retry_at = now + RETRY_AFTER;
            for _ in 0..self.delayed.len() {
                let Some(token) = self.delayed.pop_front() else { break };
                self.resume(token);
            }
        }
        (!self.delayed.is_empty()).then(|| self.retry_at.since(now))
    }

    fn cancel(&mut self, target: Token) {
        // What has ended is told already: then there is nothing to cancel.
        let Some(operation) = self.take(target) else { return };
        self.unlink(operation.fd, target.index, operation.next);
        self.end(operation, -libc::ECANCELED, None);
    }

    /// Takes an operation out of those that wait for its descriptor, if it is among them. They are few: a receive, a
    /// send, a poll.
    fn unlink(&mut self, fd: RawDescriptor, index: u32, next: u32) {
        let mut waiting = self.watches.waiting(fd);
        if waiting == index {
            self.watches.set_waiting(fd, next);
            return;
        }
        while let Some(operation) = self.operations.get_mut(waiting as usize).and_then(Option::as_mut) {
            waiting = operation.next;
            if waiting == index {
                operation.next = next;
                return;
            }
        }
    }

    /// An operation has brought something, and goes on.
    fn bring(&mut self, token: Token, result: i32, lent: Option<Lent>) {
        self.has_news = true;
        self.batch.push_back(Completion { token, result, lent, more: true, held: Held::Nothing });
    }

    fn end(&mut self, operation: Operation, result: i32, lent: Option<Lent>) {
        self.in_flight -= 1;
        self.has_news |= !operation.is_send();
        let token = operation.token;
        let (result, held) = operation.into_end(result);
        self.batch.push_back(Completion { token, result, lent, more: false, held });
    }
}

/// An error as a completion tells it.
fn failure(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(libc::EIO)
}
