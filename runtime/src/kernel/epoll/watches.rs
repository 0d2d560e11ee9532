//! What is known of each descriptor: whether epoll watches it, which of its directions are known to have nothing, and
//! who waits for it. It tries nothing itself.

use crate::sys::epoll::{BROKEN, ENDED, Epoll, READABLE, URGENT, WRITABLE};
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

/// By descriptor, which the system numbers from zero on.
pub(super) struct Watches {
    epoll: Epoll,
    table: Vec<Watch>,
}

#[derive(Clone, Copy)]
struct Watch {
    /// The first operation that waits, [`NOBODY`] if none does; each knows the next.
    waiting: u32,
    marks: u8,
}

/// No operation: an index that tokens never reach.
pub(super) const NOBODY: u32 = u32::MAX;

/// What an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// That there is something to receive or to accept.
    In,
    /// That there is room to send, or that a connect has ended.
    Out,
}

/// Registered for what comes.
const WATCHED_IN: u8 = 1;
/// Registered for what can be sent as well. Not from the beginning: most sends never wait, and a fresh registration
/// would end a wait only to tell that there is room.
const WATCHED_OUT: u8 = 2;
/// Nothing is there to receive until an event says so.
const QUIET_IN: u8 = 4;
/// There is no room to send until an event says so.
const QUIET_OUT: u8 = 8;
/// Something may be behind the bytes that the next receive brings, of which no further event will tell: the end of the
/// stream, an error, or what follows urgent data.
const MORE_BEHIND: u8 = 16;
/// The kernel makes records: see [`Watches::has_records`].
const RECORDS: u8 = 32;

const UNKNOWN: Watch = Watch { waiting: NOBODY, marks: 0 };

impl Watches {
    /// `eventfd` is watched from the beginning.
    pub(super) fn new(eventfd: RawFd) -> io::Result<Watches> {
        let epoll = Epoll::new()?;
        epoll.add(eventfd, READABLE)?;
        Ok(Watches { epoll, table: Vec::new() })
    }

    /// See [`Epoll::wait`].
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        self.epoll.wait(timeout)
    }

    /// See [`Epoll::event`].
    pub(super) fn event(&self, number: usize) -> (RawFd, u32) {
        self.epoll.event(number)
    }

    /// Sees to it that an event tells when `fd` is ready, unless it does already. What is ready now is told as well.
    pub(super) fn watch(&mut self, fd: RawFd, direction: Direction) -> io::Result<()> {
        let Watch { marks, .. } = self.get(fd);
        let (wanted, events) = match direction {
            Direction::In => (WATCHED_IN, READABLE | ENDED | URGENT),
            Direction::Out => (WATCHED_IN | WATCHED_OUT, READABLE | ENDED | URGENT | WRITABLE),
        };
        if marks & wanted == wanted {
            return Ok(());
        }
        if marks & WATCHED_IN == 0 {
            self.epoll.add(fd, events)?;
        } else {
            self.epoll.change(fd, events)?;
        }
        // Both are told anew by this, as far as they are watched.
        let quiet = if direction == Direction::Out { QUIET_IN | QUIET_OUT } else { QUIET_IN };
        self.entry(fd).marks |= wanted | quiet;
        Ok(())
    }

    /// Notes what an event tells.
    pub(super) fn note(&mut self, fd: RawFd, events: u32) {
        let watch = self.entry(fd);
        if events & (READABLE | ENDED | BROKEN) != 0 {
            watch.marks &= !QUIET_IN;
        }
        if events & (WRITABLE | BROKEN) != 0 {
            watch.marks &= !QUIET_OUT;
        }
        if events & (ENDED | BROKEN | URGENT) != 0 {
            watch.marks |= MORE_BEHIND;
        }
    }

    /// Whether a try would be in vain.
    pub(super) fn is_quiet(&self, fd: RawFd, direction: Direction) -> bool {
        let quiet = if direction == Direction::In { QUIET_IN } else { QUIET_OUT };
        self.get(fd).marks & quiet != 0
    }

    /// A try was in vain.
    pub(super) fn found_nothing(&mut self, fd: RawFd, direction: Direction) {
        let watch = self.entry(fd);
        match direction {
            Direction::In => watch.marks = watch.marks & !MORE_BEHIND | QUIET_IN,
            Direction::Out => watch.marks |= QUIET_OUT,
        }
    }

    /// A receive of a stream brought less than it had room for, so nothing is left: the call that would say so is
    /// spared. Not where something may be behind it, and not where each receive brings one record. Whether it is so.
    pub(super) fn found_less(&mut self, fd: RawFd) -> bool {
        let watch = self.entry(fd);
        let is_all = watch.marks & (MORE_BEHIND | RECORDS) == 0;
        if is_all {
            watch.marks |= QUIET_IN;
        }
        is_all
    }

    /// A send took less than was to go, so there is no room: the call that would say so is spared. Not where what is
    /// sent becomes records, which are full for reasons of their own. Whether it is so.
    pub(super) fn found_full(&mut self, fd: RawFd) -> bool {
        let watch = self.entry(fd);
        let is_full = watch.marks & RECORDS == 0;
        if is_full {
            watch.marks |= QUIET_OUT;
        }
        is_full
    }

    /// A receive on `fd` brings one record at most.
    pub(super) fn has_records(&mut self, fd: RawFd) {
        let watch = self.entry(fd);
        // What has come already may have been taken for all there is, by whoever received it in pieces.
        watch.marks = watch.marks & !QUIET_IN | RECORDS;
    }

    /// Forgets all about `fd`; the first that waited for it.
    pub(super) fn forget(&mut self, fd: RawFd) -> u32 {
        let Some(watch) = self.table.get_mut(fd as usize) else { return NOBODY };
        let Watch { waiting, marks } = std::mem::replace(watch, UNKNOWN);
        if marks & WATCHED_IN != 0 {
            self.epoll.remove(fd);
        }
        waiting
    }

    /// Puts operation `index` first among those that wait for `fd`; who was it before, to be the next.
    pub(super) fn wait_for(&mut self, fd: RawFd, index: u32) -> u32 {
        std::mem::replace(&mut self.entry(fd).waiting, index)
    }

    /// The first that waits for `fd`.
    pub(super) fn waiting(&self, fd: RawFd) -> u32 {
        self.get(fd).waiting
    }

    /// Makes another one the first.
    pub(super) fn set_waiting(&mut self, fd: RawFd, index: u32) {
        self.entry(fd).waiting = index;
    }

    /// The first that waits for `fd`; nobody does from here on.
    pub(super) fn take_waiting(&mut self, fd: RawFd) -> u32 {
        self.wait_for(fd, NOBODY)
    }

    fn get(&self, fd: RawFd) -> Watch {
        self.table.get(fd as usize).copied().unwrap_or(UNKNOWN)
    }

    fn entry(&mut self, fd: RawFd) -> &mut Watch {
        let index = fd as usize;
        if index >= self.table.len() {
            self.table.resize(index + 1, UNKNOWN);
        }
        &mut self.table[index]
    }
}
