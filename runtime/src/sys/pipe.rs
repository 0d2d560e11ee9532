//! Pipes for splice(2): bytes move from socket to pipe to socket as references to pages, never as copies.

use super::socket::own;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Both ends of a pipe, non-blocking.
pub(crate) struct PipeEnds {
    of: Of,
    /// Bytes that it takes, as the kernel gave them.
    capacity: usize,
}

/// Which kernel has it.
enum Of {
    System {
        read: OwnedFd,
        write: OwnedFd,
    },
    #[cfg(feature = "sim")]
    World(crate::sim::Owned),
}

/// What is asked for. An unprivileged user gets some hundred of this size, then smaller ones.
pub(crate) const CAPACITY: i32 = 256 * 1024;

/// Makes a pipe.
pub(crate) fn pipe() -> io::Result<PipeEnds> {
    let mut ends = [-1; 2];
    // SAFETY: pipe2 writes two descriptors into `ends`, which has room for them.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let (read, write) = (own(ends[0]), own(ends[1]));
    let mut ends = PipeEnds { of: Of::System { read, write }, capacity: 0 };
    ends.grow();
    Ok(ends)
}

impl PipeEnds {
    fn grow(&mut self) {
        let (_, write) = self.raw();
        // SAFETY: fcntl on a descriptor that we own; F_SETPIPE_SZ takes an integer. Refused, the pipe keeps its size; the
        // size in force is asked for afterwards, since pages differ between boards.
        let capacity = unsafe {
            libc::fcntl(write, libc::F_SETPIPE_SZ, CAPACITY);
            libc::fcntl(write, libc::F_GETPIPE_SZ)
        };
        self.capacity = usize::try_from(capacity).unwrap_or(0);
    }

    /// Bytes that it takes.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Moves up to `len` bytes, and no more than it takes, from a socket into the pipe: 0 at the end of the stream.
    pub(crate) fn fill(&self, from: RawFd, len: usize) -> io::Result<usize> {
        splice(from, self.raw().1, len.min(self.capacity))
    }

    /// Moves up to `len` bytes from the pipe into a socket.
    pub(crate) fn empty(&self, to: RawFd, len: usize) -> io::Result<usize> {
        splice(self.raw().0, to, len)
    }

    /// Where it is read and written.
    fn raw(&self) -> (RawFd, RawFd) {
        match &self.of {
            Of::System { read, write } => (read.as_raw_fd(), write.as_raw_fd()),
            #[cfg(feature = "sim")]
            Of::World(pipe) => (pipe.number(), pipe.number()),
        }
    }

    /// A pipe of a simulated world.
    #[cfg(feature = "sim")]
    pub(crate) fn simulated(world: &crate::sim::World, core: crate::sim::CoreNumber) -> io::Result<PipeEnds> {
        let capacity = CAPACITY as usize;
        let pipe = world.pipe(capacity, core).map_err(io::Error::from_raw_os_error)?;
        Ok(PipeEnds { of: Of::World(pipe), capacity })
    }

    /// What its world knows it by.
    #[cfg(feature = "sim")]
    pub(crate) fn number(&self) -> RawFd {
        self.raw().0
    }
}

fn splice(from: RawFd, to: RawFd, len: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    // SAFETY: no memory is passed; both descriptors are open for the time of the call, kept by their owners.
    let moved = unsafe { libc::splice(from, std::ptr::null_mut(), to, std::ptr::null_mut(), len, flags) };
    if moved < 0 { Err(io::Error::last_os_error()) } else { Ok(moved as usize) }
}
