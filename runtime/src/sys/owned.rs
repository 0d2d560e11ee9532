//! A socket that no core has: a listening one before it is shared out, a connection on its way to the core that serves it.

use super::socket::{duplicate, own};
use std::io;
use std::os::fd::{AsFd, IntoRawFd, OwnedFd, RawFd};

/// An open socket, of whichever kernel; closed when it is dropped. Unlike all that lives on a core it may change threads.
#[derive(Debug)]
pub struct Socket(Of);

/// Which kernel has it.
#[derive(Debug)]
enum Of {
    System(OwnedFd),
    #[cfg(feature = "sim")]
    World(crate::sim::Owned),
}

impl Socket {
    /// Takes over what the kernel has just made, or what its one owner gives up.
    pub(crate) fn own(raw: RawFd) -> Socket {
        Socket(Of::System(own(raw)))
    }

    /// What operations name it by, as long as it lives.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn raw(&self) -> RawFd {
        match &self.0 {
            Of::System(fd) => std::os::fd::AsRawFd::as_raw_fd(fd),
            #[cfg(feature = "sim")]
            Of::World(owned) => owned.number(),
        }
    }

    /// The same socket, to be closed by the caller.
    pub(crate) fn into_raw(self) -> RawFd {
        match self.0 {
            Of::System(fd) => fd.into_raw_fd(),
            #[cfg(feature = "sim")]
            Of::World(owned) => owned.into_number(),
        }
    }

    /// The same socket, for another process.
    pub fn to_pass(&self) -> io::Result<OwnedFd> {
        match &self.0 {
            Of::System(fd) => fd.try_clone(),
            #[cfg(feature = "sim")]
            Of::World(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// A descriptor of its own for the same socket.
    pub(crate) fn duplicate(&self) -> io::Result<RawFd> {
        match &self.0 {
            Of::System(fd) => duplicate(fd.as_fd()),
            #[cfg(feature = "sim")]
            Of::World(owned) => Ok(owned.duplicate()),
        }
    }

    /// A descriptor of a simulated world.
    #[cfg(feature = "sim")]
    pub(crate) fn simulated(world: crate::sim::World, number: RawFd) -> Socket {
        Socket(Of::World(crate::sim::Owned::new(world, number)))
    }
}

/// The descriptor must be non-blocking.
impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Socket {
        Socket(Of::System(fd))
    }
}
