//! Ringferry: a reverse proxy for small boards. See ARCHITECTURE.md for the map.
#![forbid(unsafe_code)]

pub mod app;
pub mod balance;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod detect;
pub mod doctor;
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
