//! From the framing in which a body is received to the one in which it is sent.
//!
//! What can be passed on as it is, is: a chunked body towards a peer that takes chunks goes through byte for byte,
//! once its lines have been checked.

use crate::proto::error::Cause;
use crate::proto::headers::write_trailers;
use crate::wire::Inbox;
use ringferry_parser::h1::chunked::{CHUNK_END, ChunkedDecoder, LAST_CHUNK, Step, chunk_prefix};
use ringferry_parser::h1::trailers::{self, TrailerSlots};
use ringferry_parser::h1::{Parsed, RequestBody, ResponseBody};
use ringferry_runtime::{Chunk, Handle};

/// Up to three chunks that are sent as one.
pub type Chunks = [Option<Chunk>; 3];

/// The state of one body on its way.
#[derive(Clone, Copy, Debug)]
pub struct Framer {
    input: Input,
    output: Output,
    /// Bytes of the body itself so far.
    bytes: u64,
    /// The body may not be larger.
    bytes_max: u64,
}

#[derive(Clone, Copy, Debug)]
enum Input {
    Length(u64),
    Chunked(ChunkedDecoder),
    Trailers,
    UntilEnd,
    Done,
}

/// How the body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    /// In the framing in which it comes.
    Same,
    /// In chunks, though it comes without.
    Chunked,
    /// Without chunks, though it comes in them.
    Plain,
}

/// A body of at most this many bytes follows its head within one buffer: a copy of it costs less than a second entry of
/// a gathered send.
pub(super) const JOIN_BYTES_MAX: usize = 4096;

/// What an exchange has memory for on its way out ([`ACTIVE`](crate::limit::ACTIVE)); most pages and pictures fit.
pub(super) const LONG_BYTES: u64 = 64 * 1024;
/// A body is spliced while at least this much of it is left,
const SPLICE_MIN: u64 = 48 * 1024;
/// or once this much has come of one of unknown length.
const SPLICE_AFTER: u64 = 128 * 1024;

impl Framer {
    /// A request body, which keeps its framing. `bytes_max` is the route's maximum.
    pub fn request(body: RequestBody, bytes_max: Option<u64>) -> Framer {
        let input = match body {
            RequestBody::None | RequestBody::Length(0) => Input::Done,
            RequestBody::Length(length) => Input::Length(length),
            RequestBody::Chunked => Input::Chunked(ChunkedDecoder::new()),
        };
        Framer { input, output: Output::Same, bytes: 0, bytes_max: bytes_max.unwrap_or(u64::MAX) }
    }

    /// A response body, from the server's framing to the client's.
    pub fn response(from: ResponseBody, to: ResponseBody) -> Framer {
        let input = match from {
            ResponseBody::None | ResponseBody::Length(0) => Input::Done,
            ResponseBody::Length(length) => Input::Length(length),
            ResponseBody::Chunked => Input::Chunked(ChunkedDecoder::new()),
            ResponseBody::Close => Input::UntilEnd,
        };
        let output = match (from, to) {
            (ResponseBody::Close, ResponseBody::Chunked) => Output::Chunked,
            (ResponseBody::Chunked, ResponseBody::Close) => Output::Plain,
            _ => Output::Same,
        };
        Framer { input, output, bytes: 0, bytes_max: u64::MAX }
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        matches!(self.input, Input::Done)
    }

    /// Whether another receive is worth a large buffer.
    pub fn wants_large(&self, small: usize) -> bool {
        !matches!(self.input, Input::Length(left) if left <= small as u64)
    }

    /// Whether there is more than its exchange has memory for: what is left of it, or what has come of one of which
    /// that is not known.
    pub(super) fn is_long(&self) -> bool {
        match self.input {
            Input::Length(left) => left > LONG_BYTES,
            _ => self.bytes > LONG_BYTES,
        }
    }

    /// How many bytes are still to come, if that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self.input {
            Input::Length(left) => Some(left),
            Input::Done => Some(0),
            _ => None,
        }
    }

    /// How many bytes, at the most, may be passed on unseen from here, when there are enough to make that worth while.
    pub(super) fn unseen(&self) -> Option<u64> {
        let worth = |left: u64| left >= SPLICE_MIN && left <= self.bytes_max.saturating_sub(self.bytes);
        match (self.input, self.output) {
            (Input::Length(left), _) if worth(left) => Some(left),
            (Input::UntilEnd, Output::Same) if self.bytes >= SPLICE_AFTER => Some(u64::MAX >> 1),
            _ => None,
        }
    }

    /// So many bytes went by unseen.
    pub(super) fn passed(&mut self, count: u64) {
        self.bytes += count;
        if let Input::Length(left) = &mut self.input {
            *left -= count;
            if *left == 0 {
                self.input = Input::Done;
            }
        }
    }

    /// Bytes of the body so far, framing not counted.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends to `head` what has come of the body, where that is little and is sent as it came; else changes nothing,
    /// and returns false.
    pub fn join(&mut self, head: &mut Vec<u8>, inbox: &mut Inbox, handle: &Handle) -> bool {
        let has_come = inbox.bytes();
        let count = match self.input {
            Input::Done => 0,
            Input::Length(left) => has_come.len().min(usize::try_from(left).unwrap_or(usize::MAX)),
            _ => return false,
        };
        if count > JOIN_BYTES_MAX || self.bytes + count as u64 > self.bytes_max {
            return false;
        }
        head.extend_from_slice(&has_come[..count]);
        inbox.consume(count, handle);
        self.passed(count as u64);
        true
    }

    /// Takes what belongs to the body out of `inbox`, as it is to be sent. What follows the body stays there.
    pub fn take(&mut self, inbox: &mut Inbox, handle: &Handle) -> Result<Chunks, Cause> {
        let chunks = match &mut self.input {
            Input::Length(left) => {
                let count = inbox.bytes().len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= count as u64;
                self.bytes += count as u64;
                if *left == 0 {
                    self.input = Input::Done;
                }
                [Some(inbox.take(count, handle)), None, None]
            }
            Input::UntilEnd => {
                let count = inbox.bytes().len();
                self.bytes += count as u64;
                let chunk = inbox.take(count, handle);
                if self.output == Output::Chunked && count > 0 {
                    let mut prefix = handle.take_bytes();
                    prefix.extend_from_slice(chunk_prefix(count).as_ref());
                    [Some(prefix.into()), Some(chunk), Some(CHUNK_END.into())]
                } else {
                    [Some(chunk), None, None]
                }
            }
            Input::Chunked(_) | Input::Trailers => match self.output {
                Output::Plain => self.decode(inbox, handle)?,
                _ => self.pass(inbox, handle)?,
            },
            Input::Done => [None, None, None],
        };
        if self.bytes > self.bytes_max { Err(Cause::BodyTooLarge) } else { Ok(chunks) }
    }

    /// The peer has closed. What is still to be sent, if the body may end so.
    pub fn end(&mut self) -> Result<Chunks, Cause> {
        match (self.input, self.output) {
            (Input::UntilEnd, Output::Chunked) => {
                self.input = Input::Done;
                Ok([Some(LAST_CHUNK.into()), None, None])
            }
            (Input::UntilEnd | Input::Done, _) => {
                self.input = Input::Done;
                Ok([None, None, None])
            }
            _ => Err(Cause::Truncated),
        }
    }

    /// Chunked to chunked: passes on what is clean, leaves extensions and forbidden trailers out.
    fn pass(&mut self, inbox: &mut Inbox, handle: &Handle) -> Result<Chunks, Cause> {
        let mut written: Option<Vec<u8>> = None;
        while let Input::Chunked(decoder) = &mut self.input {
            if inbox.is_empty() {
                return Ok([written.map(Chunk::from), None, None]);
            }
            let scan = decoder.scan(inbox.bytes()).map_err(Cause::Chunk)?;
            self.bytes += scan.data_bytes as u64;
            if scan.last {
                self.input = Input::Trailers;
            }
            let all = inbox.bytes().len();
            if scan.forward == all && written.is_none() && !scan.last {
                return Ok([Some(inbox.take(all, handle)), None, None]);
            }
            let out = written.get_or_insert_with(|| handle.take_bytes());
            out.extend_from_slice(&inbox.bytes()[..scan.forward]);
            inbox.consume(scan.used, handle);
        }
        let mut out = written.unwrap_or_else(|| handle.take_bytes());
        self.trailers(inbox, handle, Some(&mut out))?;
        Ok([Some(out.into()), None, None])
    }

    /// Chunked to nothing: only the data.
    fn decode(&mut self, inbox: &mut Inbox, handle: &Handle) -> Result<Chunks, Cause> {
        let mut out = handle.take_bytes();
        while let Input::Chunked(decoder) = &mut self.input {
            match decoder.step(inbox.bytes()).map_err(Cause::Chunk)? {
                Step::Data { from, to } => {
                    self.bytes += (to - from) as u64;
                    out.extend_from_slice(&inbox.bytes()[from..to]);
                    inbox.consume(to, handle);
                }
                Step::NeedMore => {
                    inbox.clear(handle);
                    return Ok([Some(out.into()), None, None]);
                }
                Step::End { used } => {
                    inbox.consume(used, handle);
                    self.input = Input::Trailers;
                }
            }
        }
        self.trailers(inbox, handle, None)?;
        Ok([Some(out.into()), None, None])
    }

    /// Reads the trailer section if it is whole, and writes it where it is wanted.
    fn trailers(&mut self, inbox: &mut Inbox, handle: &Handle, out: Option<&mut Vec<u8>>) -> Result<(), Cause> {
        let mut slots = TrailerSlots::new();
        if let Parsed::Complete(trailers) = trailers::parse(inbox.bytes(), &mut slots).map_err(Cause::Trailers)? {
            if let Some(out) = out {
                write_trailers(&trailers.fields, out);
            }
            let len = trailers.len;
            inbox.consume(len, handle);
            self.input = Input::Done;
        }
        Ok(())
    }
}
