//! Health: whether a server may get requests, judged by how the last ones went.
//!
//! Consecutive failures eject a server for a while; then one request at a time probes it until one succeeds. What
//! counts as a failure is decided above, and nothing here knows a clock: time is an argument, in milliseconds.

mod state;

pub use state::{Admit, Ejected, Phase, Policy, State};
