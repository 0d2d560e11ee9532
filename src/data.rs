//! The data plane of Ringferry, and what both planes share: rows 0 and 2 to 10 of ARCHITECTURE.md.
//!
//! A crate of its own because it is compiled for speed, and what is above it for size.
#![forbid(unsafe_code)]

pub mod balance;
pub mod detect;
pub mod health;
pub mod limit;
pub mod listen;
pub mod log;
pub mod model;
pub mod proto;
pub mod relay;
pub mod room;
pub mod route;
pub mod serve;
pub mod shared;
pub mod snapshot;
pub mod stream;
pub mod tls;
pub mod upstream;
pub mod wire;
pub mod worker;
