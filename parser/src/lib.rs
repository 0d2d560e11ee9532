//! Bytes in, values out: HTTP/1 heads, body framing, hosts and paths, the first bytes of a connection.
//!
//! Nothing here does I/O or reads a clock. Values borrow from the caller's buffer, and nothing is allocated on behalf of
//! a peer, but for a ClientHello in several records, which is put together once it is there. What is malformed is an
//! error, never a guess. Strictness is the point: a message that another server might read differently is refused here,
//! so that it cannot smuggle a second one past us.
#![forbid(unsafe_code)]

pub mod detect;
pub mod h1;
pub mod host;
pub mod path;
pub mod proxy_protocol;
pub mod tls;

/// The outcome of looking at a buffer that may still grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// The section is whole.
    Complete(T),
    /// Call again with the same bytes and more behind them.
    Partial,
}
