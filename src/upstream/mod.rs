//! Connections to servers: which server, a kept connection or a new one, how many at once.
//!
//! It knows nothing of requests but the key that they hash to; what is sent on a connection is up to `serve`.

mod dial;
mod idle;
mod obtain;
mod pools;
mod tried;

pub use idle::Connection;
pub use obtain::{Attempt, Obtain, Picked, Upstream};
pub use pools::{PoolView, Pools, Server};
pub use tried::Tried;
