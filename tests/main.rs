//! Behaviour of the whole program, seen from outside: real sockets, real clients, no external program but `sh`.
//!
//! One module for each subject; `layers` reads the sources instead. What the single parts promise is tested beside
//! their code.
#![forbid(unsafe_code)]

mod access;
mod balance;
mod bodies;
mod cli;
mod corpora;
mod drain;
mod errors;
mod headers;
mod heap;
mod http1;
mod interim;
mod kernels;
mod layers;
mod log;
mod memory;
mod passthrough;
mod privilege;
mod proxy_protocol;
mod rates;
mod reload;
mod room;
mod routing;
mod streams;
mod supervised;
mod support;
mod tls;
mod upgrade;
mod upstream;
mod upstream_tls;
mod websocket;
