//! The beginning of a TLS connection (RFC 8446 sections 4.1.2 and 5.1): what a ClientHello asks for, and the alert
//! that refuses it.
//!
//! This is for routing by name before anybody decides who terminates TLS. Nothing is negotiated here: versions, cipher
//! suites and keys are checked by whoever does. A hello whose lengths contradict each other, or that names two hosts, is
//! refused all the same, since the server behind us may find another name in it than we did.

mod alert;
mod error;
mod hello;
mod reader;

pub use alert::Alert;
pub use error::HelloError;
pub use hello::{Alpn, Hello};
pub use reader::{HELLO_BYTES_MAX, HelloReader, WIRE_BYTES_MAX};

#[cfg(test)]
mod tests;
