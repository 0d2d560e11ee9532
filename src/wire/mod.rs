//! A connection as exchanges and tunnels use it: what it takes in and what it lets out, plain or through TLS.
//!
//! It moves the records of TLS, or has the kernel do so, and knows nothing of what is in them, nor of routes. The handshake
//! is here; which certificates it is made with is decided in `tls`.

mod inbox;
mod intake;
mod layer;
mod offload;
mod outlet;
mod secure;
mod shake;
#[cfg(test)]
mod tests;

use secure::Secure;

pub use inbox::Inbox;
pub use intake::{Intake, Received};
pub use outlet::{Outlet, Sending, SendingAll};
pub use shake::{ShakeError, shake};
