//! Bytes in, values out: HTTP/1 heads, body framing, hosts and paths.
//!
//! Nothing here does I/O, reads a clock or allocates on behalf of a peer. Values borrow from the caller's buffer;
//! what is malformed is an error, never a guess. Strictness is the point: a message that another server might read
//! differently is refused here, so that it cannot smuggle a second one past us.
#![forbid(unsafe_code)]

pub mod h1;
pub mod host;
pub mod path;
