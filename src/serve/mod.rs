//! Serving a client's connection: read a head, decide, forward, relay back, log; then the next.
//!
//! The decisions are made by `route`, `proto` and `balance`, which are pure; here is the order in which they are asked
//! and the bytes that move in between. See ARCHITECTURE.md, "The life of a request".

mod after;
mod client;
mod connection;
mod context;
mod exchange;
mod local;
mod memory;
mod opening;
mod plan;
mod raw;
mod record;
mod respond;
mod transfer;
mod tunnel;
mod work;

pub use connection::serve;
pub use context::{Context, Through, View};
