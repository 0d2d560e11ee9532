//! Large bodies that are made and checked on the way, never held: every block differs, so that a byte that is lost,
//! doubled or moved is seen where it happens.

use std::io::{self, ErrorKind, Read, Write};

const BLOCK: usize = 64 << 10;

/// A body of so many bytes.
pub(crate) struct Pattern {
    block: Box<[u8]>,
    position: u64,
    length: u64,
}

impl Pattern {
    pub(crate) fn new(length: u64) -> Pattern {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let block = (0..BLOCK).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        Pattern { block: block.collect(), position: 0, length }
    }

    /// The bytes from `position` to the end of its block.
    fn here(&mut self) -> &[u8] {
        let number = self.position / BLOCK as u64;
        self.block[..8].copy_from_slice(&number.to_be_bytes());
        let from = (self.position % BLOCK as u64) as usize;
        let left = (self.length - self.position).min((BLOCK - from) as u64) as usize;
        &self.block[from..from + left]
    }
}

impl Read for Pattern {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut here = self.here();
        let read = here.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// Takes a body in and compares it with the pattern of the same length.
pub(crate) struct PatternCheck(Pattern);

impl PatternCheck {
    pub(crate) fn new(length: u64) -> PatternCheck {
        PatternCheck(Pattern::new(length))
    }

    /// How many bytes of the pattern have come.
    pub(crate) fn received(&self) -> u64 {
        self.0.position
    }

    #[track_caller]
    pub(crate) fn expect_whole(&self) {
        assert_eq!(self.0.position, self.0.length, "bytes that came");
    }
}

impl Write for PatternCheck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let position = self.0.position;
        let here = self.0.here();
        let take = here.len().min(bytes.len());
        if take == 0 || here[..take] != bytes[..take] {
            let what = format!("the body differs within {} bytes from {position}", bytes.len());
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        self.0.position += take as u64;
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
