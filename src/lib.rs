//! Ringferry: a reverse proxy for small boards. See ARCHITECTURE.md for the map.
#![forbid(unsafe_code)]

pub mod app;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod doctor;

// Below them, in data.rs: a crate of its own, named here so that a module is found by one path.
pub use ringferry_data::{
    balance, detect, health, limit, listen, log, model, proto, relay, room, route, serve, shared, snapshot, stream,
    tls, upstream, wire, worker,
};
