//! Streams: what is passed on as it is, without being looked at. Here datagrams: who sent one and where to makes a flow,
//! and a flow has one server.
//!
//! It knows nothing of what lies above it: what it needs of its core it asks of a [`Host`].

mod flow;
mod flows;
mod host;
mod udp;

#[cfg(test)]
mod tests;

pub use flows::FLOWS_MAX;
pub use host::{FlowEnd, Host, Plan};
pub use udp::serve_udp;
