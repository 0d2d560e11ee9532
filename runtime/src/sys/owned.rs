//! A socket that no core has: a listening one before it is shared out, a connection on its way to the core that serves it.

use super::socket::{duplicate, own};
use std::io;
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// An open socket, of whichever kernel; closed when it is dropped. Unlike all that lives on a core it may change threads.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Takes over what the kernel has just made, or what its one owner gives up.
    pub(crate) fn own(raw: RawFd) -> Socket {
        Socket(own(raw))
    }

    /// What operations name it by, as long as it lives.
    #[allow(dead_code, reason = "tests of kernels hold sockets so; operations hold descriptors")]
    pub(crate) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// The same socket, to be closed by the caller.
    pub(crate) fn into_raw(self) -> RawFd {
        self.0.into_raw_fd()
    }

    /// A descriptor of its own for the same socket.
    pub(crate) fn duplicate(&self) -> io::Result<RawFd> {
        duplicate(self.0.as_fd())
    }
}

/// The descriptor must be non-blocking.
impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Socket {
        Socket(fd)
    }
}
