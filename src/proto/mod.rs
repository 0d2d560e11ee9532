//! What an HTTP/1 proxy decides about messages: header rules, keep-alive and framing on both sides, retries, its own
//! pages, the status for an error. Pure: no I/O, no clock; heads come parsed, bytes go into the caller's buffer.

pub mod error;
pub mod h1;
pub mod headers;
pub mod page;

pub use error::{Cause, Error, Retry, Side, Stage};
