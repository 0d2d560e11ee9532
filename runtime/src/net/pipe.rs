//! A pipe between two sockets: what one sends is moved to the other without being copied.
//!
//! Pipes are pooled by the core and bounded; who gets none copies instead.

use super::Stream;
use crate::core::Handle;
use crate::kernel::PipeEnds;
use std::io;

/// An empty pipe, ours until dropped. One that is dropped with bytes in it is closed, else it serves again.
pub struct Pipe {
    handle: Handle,
    /// Taken by the drop alone.
    ends: Option<PipeEnds>,
    held: usize,
}

impl Pipe {
    /// A pipe of the core, or `None` when there are none left: then bytes have to be copied.
    pub fn new(handle: &Handle) -> Option<Pipe> {
        let ends = handle.take_pipe()?;
        Some(Pipe { handle: handle.clone(), ends: Some(ends), held: 0 })
    }

    /// Bytes in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves up to `len` bytes out of `from`: 0 at the end of its stream, `WouldBlock` when nothing is there.
    pub fn fill(&mut self, from: &Stream, len: usize) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let moved = self.handle.kernel().fill_pipe(ends, from.raw(), len)?;
        self.held += moved;
        Ok(moved)
    }

    /// Moves what is in it into `to`, as far as that goes: `WouldBlock` when nothing fits.
    pub fn empty(&mut self, to: &Stream) -> io::Result<usize> {
        let Some(ends) = &self.ends else { return Ok(0) };
        let moved = self.handle.kernel().empty_pipe(ends, to.raw(), self.held)?;
        self.held -= moved;
        Ok(moved)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if let Some(ends) = self.ends.take() {
            self.handle.give_pipe(ends, self.held == 0);
        }
    }
}
