//! Waking a core from outside: its ring for other cores to send a message to, an eventfd that its ring polls for
//! everybody else, and a flag that saves both while the core is awake anyway.

use super::doze::Doze;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;

/// What other threads may touch of a core. Shared by the core, its wakers and its mailboxes.
pub(crate) struct Remote {
    /// None of a simulated core, which nobody but its own thread wakes.
    eventfd: Option<OwnedFd>,
    /// A duplicate, so that the number means this ring as long as anybody may send to it.
    ring: OnceLock<OwnedFd>,
    doze: Doze,
}

impl Remote {
    pub(crate) fn new() -> io::Result<Remote> {
        // SAFETY: eventfd has no memory arguments; the result is checked before it is owned.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just made by eventfd and nobody else has it.
        Ok(Remote::by(Some(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// What no descriptor wakes: it is turned whether it was woken or not.
    #[cfg(feature = "sim")]
    pub(crate) fn simulated() -> Remote {
        Remote::by(None)
    }

    fn by(eventfd: Option<OwnedFd>) -> Remote {
        Remote { eventfd, ring: OnceLock::new(), doze: Doze::default() }
    }

    pub(crate) fn eventfd(&self) -> RawFd {
        self.eventfd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// The core's ring takes messages.
    pub(crate) fn reachable_by(&self, ring: RawFd) -> io::Result<()> {
        // SAFETY: the borrow lasts for this call, made by the owner of `ring`.
        let ring = unsafe { BorrowedFd::borrow_raw(ring) }.try_clone_to_owned()?;
        let _ = self.ring.set(ring);
        Ok(())
    }

    /// The ring to send messages to.
    pub(crate) fn ring(&self) -> Option<RawFd> {
        self.ring.get().map(AsRawFd::as_raw_fd)
    }

    /// Ends the core's wait through its eventfd.
    pub(crate) fn kick(&self) {
        if self.eventfd.is_none() {
            return;
        }
        let one = 1u64.to_ne_bytes();
        // SAFETY: the pointer and length describe `one`, which outlives the call. A full counter (EAGAIN) has
        // already woken the reader, so the result does not matter.
        unsafe { libc::write(self.eventfd(), one.as_ptr().cast(), one.len()) };
    }

    /// Whether the core sleeps, and what was woken on it. Who is told to see to its waking up sends a message to its ring,
    /// or [kicks](Remote::kick) it.
    pub(crate) fn doze(&self) -> &Doze {
        &self.doze
    }

    /// Reads the eventfd empty. Non-blocking.
    pub(crate) fn drain(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the pointer and length describe `count`, which outlives the call.
        unsafe { libc::read(self.eventfd(), count.as_mut_ptr().cast(), count.len()) };
    }
}
