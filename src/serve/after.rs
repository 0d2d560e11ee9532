//! How a client's connection goes on after an exchange.

use super::tunnel::Joined;

/// See the module.
pub(super) enum After {
    /// It waits for the next request.
    Keep,
    /// It ends, once the client has read what was sent.
    Linger,
    /// It ends at once.
    Close,
    /// It ends at once: the client is gone, or must see that the response is not whole.
    Cut,
    /// It has become a tunnel.
    Tunnel(Box<Joined>),
}
