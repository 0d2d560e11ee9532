//! Large bodies that are made and checked on the way, never held: every block differs, so that a byte that is lost,
//! doubled or moved is seen where it happens.

use super::wire::{Framing, Wire};
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

/// Sends a whole body of the pattern; chunked in pieces of odd sizes.
pub(crate) fn send_body(wire: &mut Wire, framing: Framing, length: u64) -> io::Result<()> {
    let mut body = Pattern::new(length);
    let mut piece = Vec::new();
    for size in [1, 1000, 65_536, 300_001].into_iter().cycle() {
        piece.clear();
        (&mut body).take(size).read_to_end(&mut piece)?;
        match framing {
            Framing::Chunked => {
                wire.try_send(format!("{:x}\r\n", piece.len()))?;
                wire.try_send(&piece)?;
                wire.try_send("\r\n")?;
            }
            _ => wire.try_send(&piece)?,
        }
        if piece.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

/// How a head tells of such a body, with the end of its line.
pub(crate) fn framing_field(framing: Framing, length: u64) -> String {
    match framing {
        Framing::Chunked => "Transfer-Encoding: chunked\r\n".to_owned(),
        _ => format!("Content-Length: {length}\r\n"),
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
