//! The chunked coding (RFC 9112 section 7.1): decoding, checking a stream that is passed on as it is, encoding.
//!
//! Both ways of reading end with the line of the last chunk; the trailer section that follows is read by
//! [`trailers`](super::trailers). Nothing is copied: results are offsets into the caller's buffer.

use super::LENGTH_MAX;

/// Bytes of chunk extensions on one line.
pub const EXTENSION_LINE_MAX: u32 = 1024;

/// Bytes of chunk extensions in a whole body. They mean nothing to us, and are a way to make us read for nothing.
pub const EXTENSION_TOTAL_MAX: u32 = 16 * 1024;

/// Ends the data of a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The last chunk, with an empty trailer section.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Where in a chunked body we are. Feed it the bytes in order, cut in any way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkedDecoder {
    state: State,
    /// Digits of the size line so far.
    digits: u8,
    /// Bytes of extensions on this line.
    extension_line: u32,
    /// Bytes of extensions in the body.
    extension_total: u32,
    /// The size read so far, then the bytes of data still to come.
    left: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    /// Whitespace before the semicolon of an extension.
    Gap,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Done,
}

/// What [`ChunkedDecoder::step`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `input[from..to]` is body; call again with `input[to..]`.
    Data {
        /// First byte.
        from: usize,
        /// Past the last byte.
        to: usize,
    },
    /// All input is used, the body goes on.
    NeedMore,
    /// The last chunk was read: the trailer section starts at `input[used..]`.
    End {
        /// Bytes used.
        used: usize,
    },
}

/// What [`ChunkedDecoder::scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// `input[..forward]` may be passed on as it is.
    pub forward: usize,
    /// Bytes used; `input[forward..used]` is chunk extensions, to be left out.
    pub used: usize,
    /// How many of the bytes used are data of the body.
    pub data_bytes: usize,
    /// The last chunk was read: the trailer section starts at `input[used..]`.
    pub last: bool,
}

/// What is wrong with a chunked body. The message cannot be continued or completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// A size that is not 1 to 16 hexadecimal digits, or too large.
    Size,
    /// A control byte in an extension, or something that is none.
    Extension,
    /// More bytes of extensions than are taken.
    ExtensionTooLong,
    /// Something other than CR LF where a line or the data of a chunk ends.
    LineEnd,
}

impl ChunkError {
    /// A few words for the log.
    pub fn label(self) -> &'static str {
        match self {
            ChunkError::Size => "bad chunk size",
            ChunkError::Extension => "bad chunk extension",
            ChunkError::ExtensionTooLong => "chunk extensions too long",
            ChunkError::LineEnd => "chunk without CR LF",
        }
    }
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        ChunkedDecoder::new()
    }
}

impl ChunkedDecoder {
    /// At the start of a body.
    pub const fn new() -> Self {
        ChunkedDecoder { state: State::Size, digits: 0, extension_line: 0, extension_total: 0, left: 0 }
    }

    /// Finds the next run of data: for taking the coding off.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, ChunkError> {
        let mut from = 0;
        while from < input.len() && self.state != State::Done {
            let in_data = self.state == State::Data;
            let to = from + self.advance(&input[from..])?;
            if in_data {
                return Ok(Step::Data { from, to });
            }
            from = to;
        }
        Ok(if self.state == State::Done { Step::End { used: from } } else { Step::NeedMore })
    }

    /// Checks as much of `input` as may be passed on in one piece: all of it, unless it holds extensions or the last
    /// chunk. Call again with `input[used..]` until it is used up or `last` is set.
    pub fn scan(&mut self, input: &[u8]) -> Result<Scan, ChunkError> {
        let mut scan = Scan { forward: 0, used: 0, data_bytes: 0, last: false };
        while scan.used < input.len() && self.state != State::Done {
            let rest = &input[scan.used..];
            let keep = !self.is_extension(rest[0]);
            if keep && scan.forward < scan.used {
                break;
            }
            let in_data = self.state == State::Data;
            let len = self.advance(rest)?;
            scan.used += len;
            scan.data_bytes += if in_data { len } else { 0 };
            if keep {
                scan.forward = scan.used;
            }
        }
        scan.last = self.state == State::Done;
        Ok(scan)
    }

    /// Takes one byte of framing or as much data as there is; says how many bytes. `input` is not empty.
    fn advance(&mut self, input: &[u8]) -> Result<usize, ChunkError> {
        let byte = input[0];
        self.state = match self.state {
            State::Data => {
                let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
                self.left -= len as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(len);
            }
            State::Size => self.size_byte(byte)?,
            State::Gap | State::Extension => self.extension_byte(byte)?,
            State::SizeLf if byte != b'\n' => return Err(ChunkError::LineEnd),
            State::SizeLf if self.left == 0 => State::Done,
            State::SizeLf => State::Data,
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => {
                self.digits = 0;
                self.extension_line = 0;
                State::Size
            }
            State::DataCr | State::DataLf => return Err(ChunkError::LineEnd),
            State::Done => return Ok(0),
        };
        Ok(1)
    }

    fn size_byte(&mut self, byte: u8) -> Result<State, ChunkError> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if self.digits == 16 {
                return Err(ChunkError::Size);
            }
            self.digits += 1;
            self.left = self.left << 4 | u64::from(digit);
            return Ok(State::Size);
        }
        if self.digits == 0 || self.left > LENGTH_MAX {
            return Err(ChunkError::Size);
        }
        match byte {
            b'\r' => Ok(State::SizeLf),
            b';' | b' ' | b'\t' => self.extension_byte(byte),
            b'\n' => Err(ChunkError::LineEnd),
            _ => Err(ChunkError::Size),
        }
    }

    fn extension_byte(&mut self, byte: u8) -> Result<State, ChunkError> {
        self.extension_line += 1;
        self.extension_total += 1;
        if self.extension_line > EXTENSION_LINE_MAX || self.extension_total > EXTENSION_TOTAL_MAX {
            return Err(ChunkError::ExtensionTooLong);
        }
        match (self.state, byte) {
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) | (_, b';') => Ok(State::Extension),
            (_, b' ' | b'\t') => Ok(State::Gap),
            _ => Err(ChunkError::Extension),
        }
    }

    fn is_extension(&self, byte: u8) -> bool {
        match self.state {
            State::Size => matches!(byte, b';' | b' ' | b'\t'),
            State::Gap | State::Extension => byte != b'\r',
            _ => false,
        }
    }
}

/// The line that starts a chunk of `len` bytes, `len` not 0. Follow the data with [`CHUNK_END`].
pub fn chunk_prefix(len: usize) -> ChunkPrefix {
    debug_assert!(len > 0, "a chunk of no bytes would end the body");
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1) as usize;
    let mut bytes = [0; 18];
    for (place, byte) in bytes[..digits].iter_mut().rev().enumerate() {
        *byte = b"0123456789abcdef"[len >> (4 * place) & 15];
    }
    bytes[digits..digits + 2].copy_from_slice(b"\r\n");
    ChunkPrefix { bytes, len: digits as u8 + 2 }
}

/// See [`chunk_prefix`].
#[derive(Clone, Copy, Debug)]
pub struct ChunkPrefix {
    bytes: [u8; 18],
    len: u8,
}

impl std::ops::Deref for ChunkPrefix {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

#[cfg(test)]
mod tests;
