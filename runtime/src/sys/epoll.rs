//! An epoll instance: which descriptors it watches, and waiting for what becomes of them.

use super::socket::own;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Something to receive, or to accept; the end and errors count as well.
pub(crate) const READABLE: u32 = libc::EPOLLIN as u32;
/// Room to send, or a connect that has ended.
pub(crate) const WRITABLE: u32 = libc::EPOLLOUT as u32;
/// The peer sends no more.
pub(crate) const ENDED: u32 = libc::EPOLLRDHUP as u32;
/// Among what there is to receive is a mark of urgent data, at which each receive stops.
pub(crate) const URGENT: u32 = libc::EPOLLPRI as u32;
/// The connection has ended or failed; told unasked.
pub(crate) const BROKEN: u32 = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
/// Tell of changes, not of what is.
const EDGES: u32 = libc::EPOLLET as u32;

/// Events that one wait brings at most; the rest comes with the next.
const EVENTS_MAX: usize = 256;

/// See the module.
pub(crate) struct Epoll {
    instance: OwnedFd,
    events: Box<[libc::epoll_event; EVENTS_MAX]>,
    /// `epoll_pwait2` (5.11) has not failed yet: it waits for nanoseconds, where `epoll_wait` rounds to milliseconds.
    is_precise: bool,
}

/// The time as `epoll_pwait2` takes it, whatever the width of a word.
#[repr(C)]
struct KernelTime {
    seconds: i64,
    nanoseconds: i64,
}

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: no memory is passed; the result is checked before it is owned.
        let instance = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if instance < 0 {
            return Err(io::Error::last_os_error());
        }
        let events = Box::new([libc::epoll_event { events: 0, u64: 0 }; EVENTS_MAX]);
        Ok(Epoll { instance: own(instance), events, is_precise: true })
    }

    /// Watches `fd` for these events from now on. What is the case already is told as well.
    pub(crate) fn add(&self, fd: RawFd, events: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events)
    }

    /// Watches `fd`, which is watched, for other events, and tells what is the case.
    pub(crate) fn change(&self, fd: RawFd, events: u32) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events)
    }

    /// Watches `fd` no more.
    pub(crate) fn remove(&self, fd: RawFd) {
        // It fails only where nothing is watched, and then nothing is to be done.
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0);
    }

    fn control(&self, what: i32, fd: RawFd, events: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events | EDGES, u64: fd as u64 };
        // SAFETY: `event` outlives the call, and the instance is open.
        let result = unsafe { libc::epoll_ctl(self.instance.as_raw_fd(), what, fd, &mut event) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits until there are events or `timeout` has passed (`None`: as long as it takes), never shorter; returns how
    /// many there are, to be read with [`Epoll::event`].
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let precise = timeout.filter(|timeout| self.is_precise && !timeout.is_zero());
        let count = match precise {
            Some(timeout) => match self.wait_precisely(timeout) {
                // An old kernel says the one, an old seccomp profile the other.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                    self.is_precise = false;
                    self.wait_roughly(Some(timeout))
                }
                result => result,
            },
            None => self.wait_roughly(timeout),
        };
        match count {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            count => count,
        }
    }

    /// The descriptor and the events of the last wait's event `number`.
    pub(crate) fn event(&self, number: usize) -> (RawFd, u32) {
        let event = self.events[number];
        (event.u64 as RawFd, event.events)
    }

    fn wait_precisely(&mut self, timeout: Duration) -> io::Result<usize> {
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        let time = KernelTime { seconds, nanoseconds: timeout.subsec_nanos().into() };
        // SAFETY: `events` has room for as many events as are asked for, `time` is a struct __kernel_timespec, and both
        // outlive the call. There is no signal mask.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.instance.as_raw_fd(),
                self.events.as_mut_ptr(),
                EVENTS_MAX as libc::c_int,
                &raw const time,
                ptr::null::<libc::sigset_t>(),
                0 as libc::size_t,
            )
        };
        counted(count as i64)
    }

    fn wait_roughly(&mut self, timeout: Option<Duration>) -> io::Result<usize> {
        let ms = timeout.map_or(-1, rounded_up_ms);
        // SAFETY: `events` has room for as many events as are asked for, and outlives the call.
        let count = unsafe {
            libc::epoll_wait(self.instance.as_raw_fd(), self.events.as_mut_ptr(), EVENTS_MAX as libc::c_int, ms)
        };
        counted(count.into())
    }
}

fn counted(count: i64) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Milliseconds, and none too few: a timer that is woken early would have the loop go round until it is due.
fn rounded_up_ms(timeout: Duration) -> i32 {
    timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_wait_is_never_too_short() {
        for (nanos, expect) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (u64::MAX, i32::MAX)] {
            assert_eq!(rounded_up_ms(Duration::from_nanos(nanos)), expect);
        }
        let mut epoll = Epoll::new().unwrap();
        for is_precise in [true, false] {
            epoll.is_precise = is_precise;
            let (began, timeout) = (Instant::now(), Duration::from_micros(1500));
            assert_eq!(epoll.wait(Some(timeout)).unwrap(), 0);
            assert!(began.elapsed() >= timeout);
        }
    }
}
