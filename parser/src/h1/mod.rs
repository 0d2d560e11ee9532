//! HTTP/1.0 and HTTP/1.1 messages (RFC 9112): heads, what framing they declare, the chunked coding, trailers.
//!
//! A parser here is a function of the bytes received so far. It says [`Parsed::Partial`] until the whole section is
//! there, and never changes its verdict with the way the bytes were cut.

pub mod body;
pub mod chunked;
pub mod request;
pub mod response;
pub mod trailers;

mod connection;
mod error;
mod fields;
mod known;
mod method;
mod target;

pub use crate::Parsed;
pub use body::{RequestBody, ResponseBody};
pub use connection::{CONNECTION_OPTIONS_MAX, Connection, list};
pub use error::{Bad, HeadError};
pub use fields::{FIELDS_MAX, Field, FieldSlots, Fields};
pub use known::{HOP_BY_HOP, Known, KnownSet};
pub use method::Method;
pub use request::RequestHead;
pub use response::ResponseHead;
pub use target::Target;

/// The protocol version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    H10,
    /// HTTP/1.1
    H11,
}

impl Version {
    fn from_minor(minor: Option<u8>) -> Version {
        if minor == Some(0) { Version::H10 } else { Version::H11 }
    }
}

/// Maxima of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, from the first of the start line to the end of the blank line.
    pub bytes: usize,
    /// Fields; never more than [`FIELDS_MAX`].
    pub fields: usize,
}

/// The longest body that can be declared, by `Content-Length` or as one chunk: what a signed 64-bit counter holds, since
/// the servers behind us may use one.
pub const LENGTH_MAX: u64 = i64::MAX as u64;
