//! Ringferry: a reverse proxy for small boards. See ARCHITECTURE.md for the map.
#![forbid(unsafe_code)]

pub mod balance;
pub mod cli;
pub mod config;
pub mod demo;
pub mod health;
pub mod limit;
pub mod log;
pub mod model;
pub mod route;
pub mod shared;
pub mod proto;
