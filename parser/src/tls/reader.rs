//! Finding the ClientHello in the records that carry it, as they arrive.

use super::{Hello, HelloError};
use crate::Parsed;

/// Bytes of a ClientHello, its header included. Keys of post-quantum key exchange make some of 2 KiB; tickets and
/// padding, of a few more.
pub const HELLO_BYTES_MAX: usize = 64 * 1024;

/// Bytes that are looked at before a hello must be complete. Records may be of a single byte, with five of header each:
/// what is added for headers is enough for any hello of 3 KiB in the smallest records, and for long ones in sane ones.
pub const WIRE_BYTES_MAX: usize = HELLO_BYTES_MAX + 16 * 1024;

/// Reads the ClientHello at the start of a connection.
///
/// Records are only counted until the last one is there, so that many calls with a byte more each cost little more than
/// one. A hello in one record, as nearly all are, is then read where it lies; one in several is put together in memory
/// of its own, of just its size. So there is never more of that than has been received, and none for a client that
/// promises a long hello and stays silent.
#[derive(Debug, Default)]
pub struct HelloReader {
    /// Where the record starts that is being received. Those before it are whole.
    pub(super) record_start: usize,
    /// Bytes of the message in the records before it.
    gathered: usize,
    /// The header of the message, as far as it has come.
    header: [u8; MESSAGE_HEADER],
    /// The message, if it came in several records and is complete.
    pub(super) message: Vec<u8>,
}

const RECORD_HEADER: usize = 5;
const RECORD_PAYLOAD_MAX: usize = 1 << 14;
const MESSAGE_HEADER: usize = 4;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

impl HelloReader {
    /// At the start of a connection.
    pub fn new() -> Self {
        HelloReader::default()
    }

    /// Reads the hello in `received`: all bytes of the connection, from the first one, those of the last call included.
    /// Bytes behind the hello's last record are not looked at.
    pub fn read<'a>(&'a mut self, received: &'a [u8]) -> Result<Parsed<Hello<'a>>, HelloError> {
        let window = &received[..received.len().min(WIRE_BYTES_MAX)];
        let Some(len) = self.advance(window)? else {
            return if window.len() < WIRE_BYTES_MAX { Ok(Parsed::Partial) } else { Err(HelloError::TooLong) };
        };
        let message = if self.gathered == 0 { &window[RECORD_HEADER..][..len] } else { self.gather(window, len) };
        Hello::parse(&message[MESSAGE_HEADER..]).map(Parsed::Complete)
    }

    /// Goes on to the last record that has begun. Returns the length of the message once all of it is there.
    fn advance(&mut self, window: &[u8]) -> Result<Option<usize>, HelloError> {
        while let Some((header, rest)) = window[self.record_start..].split_first_chunk() {
            let record_len = payload_len(header)?;
            let payload = &rest[..rest.len().min(record_len)];
            for (slot, byte) in self.header.iter_mut().skip(self.gathered).zip(payload) {
                *slot = *byte;
            }
            let arrived = self.gathered + payload.len();
            if let Some(len) = message_len(&self.header[..arrived.min(MESSAGE_HEADER)])? {
                if self.gathered + record_len > len {
                    return Err(HelloError::BytesBehind);
                }
                if arrived == len {
                    return Ok(Some(len));
                }
            }
            if payload.len() < record_len {
                break;
            }
            self.record_start += RECORD_HEADER + record_len;
            self.gathered = arrived;
        }
        Ok(None)
    }

    /// Puts the `len` bytes of the message together, all of which have arrived.
    fn gather(&mut self, mut window: &[u8], len: usize) -> &[u8] {
        self.message.clear();
        self.message.reserve_exact(len);
        while self.message.len() < len
            && let Some((header, rest)) = window.split_first_chunk()
            && let Ok(record_len) = payload_len(header)
        {
            let (payload, rest) = rest.split_at(record_len);
            self.message.extend_from_slice(payload);
            window = rest;
        }
        &self.message
    }
}

fn payload_len(header: &[u8; RECORD_HEADER]) -> Result<usize, HelloError> {
    let &[kind, major, minor, high, low] = header;
    if kind != HANDSHAKE {
        return Err(HelloError::RecordType);
    }
    // The minor version means nothing on the first records of a connection; no higher one has been in use.
    if major != 3 || minor > 4 {
        return Err(HelloError::RecordVersion);
    }
    match usize::from(u16::from_be_bytes([high, low])) {
        0 => Err(HelloError::RecordEmpty),
        len if len > RECORD_PAYLOAD_MAX => Err(HelloError::RecordTooLong),
        len => Ok(len),
    }
}

/// The length of the message with its header, as soon as that is whole.
fn message_len(header: &[u8]) -> Result<Option<usize>, HelloError> {
    match *header {
        [kind, ..] if kind != CLIENT_HELLO => Err(HelloError::NotClientHello),
        [_, high, middle, low] => {
            let len = MESSAGE_HEADER + (usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low));
            if len <= HELLO_BYTES_MAX { Ok(Some(len)) } else { Err(HelloError::TooLong) }
        }
        _ => Ok(None),
    }
}
