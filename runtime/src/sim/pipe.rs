//! Pipes: bytes on their way from one connection to another.

use super::faults::Fault;
use super::state::{CoreNumber, FileId, Kind, State};
use super::stream::Readable;
use std::collections::VecDeque;

/// What is in a pipe.
pub(super) struct PipeBytes {
    pub(super) bytes: VecDeque<u8>,
    capacity: usize,
}

impl State {
    pub(super) fn pipe(&mut self, capacity: usize, core: CoreNumber) -> Result<i32, i32> {
        if self.hits(Fault::NoDescriptorForPipe, Some(core)) {
            return Err(libc::EMFILE);
        }
        let file = self.add_file(Kind::Pipe(PipeBytes { bytes: VecDeque::new(), capacity }));
        Ok(self.open(file, "pipe"))
    }

    /// Moves up to `len` bytes out of a connection: 0 at its end.
    pub(super) fn fill_pipe(&mut self, pipe: FileId, from: FileId, len: usize, core: CoreNumber) -> Result<usize, i32> {
        match self.readable(from) {
            Readable::Nothing => return Err(libc::EAGAIN),
            Readable::End => return Ok(0),
            Readable::Error(errno) => return Err(errno),
            Readable::Bytes => {}
        }
        let held = self.pipe_bytes(pipe);
        let room = held.capacity - held.bytes.len();
        let count = self.waiting(from).min(len).min(room);
        if count == 0 {
            return Err(libc::EAGAIN);
        }
        let count = self.short(count, Fault::OddPipe, core);
        let mut bytes = vec![0; count];
        let count = self.take(from, &mut bytes);
        self.pipe_bytes(pipe).bytes.extend(&bytes[..count]);
        Ok(count)
    }

    /// Moves up to `len` bytes into a connection.
    pub(super) fn empty_pipe(&mut self, pipe: FileId, to: FileId, len: usize, core: CoreNumber) -> Result<usize, i32> {
        let room = self.room(to).min(len).min(self.pipe_bytes(pipe).bytes.len());
        let count = self.short(room, Fault::OddPipe, core);
        let held = self.pipe_bytes(pipe);
        let bytes: Vec<u8> = held.bytes.iter().take(count).copied().collect();
        // Asked for nothing as well: it may tell of an error.
        let count = self.put(to, &bytes)?;
        if count == 0 && len > 0 {
            return Err(libc::EAGAIN);
        }
        self.pipe_bytes(pipe).bytes.drain(..count);
        Ok(count)
    }

    fn pipe_bytes(&mut self, pipe: FileId) -> &mut PipeBytes {
        let seed = self.seed;
        match self.file(pipe) {
            Some(Kind::Pipe(bytes)) => bytes,
            _ => panic!("seed {seed}: no pipe"),
        }
    }
}
