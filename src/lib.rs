//! Ringferry: a reverse proxy for small boards. See ARCHITECTURE.md for the map.
#![forbid(unsafe_code)]

pub mod control;
pub mod log;
pub mod model;
pub mod shared;
