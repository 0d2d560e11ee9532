//! The synchronous calls, as the seam has them.

use super::super::{LocalAddress, PipeEnds, RawDescriptor, Segments, Socket};
use super::Sim;
use std::io;
use std::net::{Shutdown, SocketAddr};

impl Sim {
    pub(in crate::kernel) fn socket(&self) -> io::Result<RawDescriptor> {
        told(self.world.socket(self.core))
    }

    pub(in crate::kernel) fn socket_udp(&self, to: SocketAddr) -> io::Result<RawDescriptor> {
        told(self.world.connect_udp(to, self.core))
    }

    pub(in crate::kernel) fn send_datagrams(
        &self,
        fd: RawDescriptor,
        datagrams: Segments<'_>,
        to: Option<SocketAddr>,
        from: Option<LocalAddress>,
    ) -> io::Result<usize> {
        for (sent, datagram) in datagrams.iter().enumerate() {
            match told(self.world.send_datagram(fd, datagram, to, from.map(|from| from.ip))) {
                Ok(()) => {}
                Err(error) if sent == 0 => return Err(error),
                Err(_) => return Ok(sent),
            }
        }
        Ok(datagrams.count())
    }

    pub(in crate::kernel) fn stop_receiving(&self, fd: RawDescriptor) -> io::Result<()> {
        self.world.stop_receiving(fd);
        Ok(())
    }

    pub(in crate::kernel) fn accept(&self, fd: RawDescriptor) -> io::Result<RawDescriptor> {
        told(self.world.accept(fd, None))?.ok_or(io::ErrorKind::WouldBlock.into())
    }

    /// What is asked of a descriptor means nothing here (nobody goes away without a word, and what is held of a connection is
    /// drawn by its world); it has to be one all the same.
    pub(in crate::kernel) fn stands(&self, fd: RawDescriptor) {
        self.world.version(fd);
    }

    pub(in crate::kernel) fn release(&self, fd: RawDescriptor) -> Socket {
        Socket::simulated(self.world.clone(), fd)
    }

    pub(in crate::kernel) fn pipe(&self) -> io::Result<PipeEnds> {
        PipeEnds::simulated(&self.world, self.core)
    }

    pub(in crate::kernel) fn fill_pipe(&self, ends: &PipeEnds, from: RawDescriptor, len: usize) -> io::Result<usize> {
        told(self.world.fill_pipe(ends.number(), from, len, self.core))
    }

    pub(in crate::kernel) fn empty_pipe(&self, ends: &PipeEnds, to: RawDescriptor, len: usize) -> io::Result<usize> {
        told(self.world.empty_pipe(ends.number(), to, len, self.core))
    }

    pub(in crate::kernel) fn shutdown(&self, fd: RawDescriptor, how: Shutdown) -> io::Result<()> {
        told(self.world.shut_down(fd, how))
    }
}

/// The kernel does no TLS here.
pub(in crate::kernel) fn no_records<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(libc::ENOENT))
}

fn told<T>(result: Result<T, i32>) -> io::Result<T> {
    result.map_err(io::Error::from_raw_os_error)
}
