//! Moving bytes from one connection to another: bodies within their framing, and tunnels without any.
//!
//! It knows framing and back-pressure; it knows no routes, no retries and no log.

mod copy;
mod error;
mod framer;
mod patience;
mod splice;
mod stake;
mod tunnel;
mod width;

pub use copy::{Source, copy, give_back, send};
pub use error::RelayError;
pub use framer::{Chunks, Framer};
pub use patience::while_taken;
pub use stake::Stake;
pub use tunnel::{Passed, Tunnel, tunnel};
pub use width::{Width, is_ahead};
