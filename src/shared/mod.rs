//! What the two planes share, besides the immutable snapshot: bounded atomic cells and queues.
//!
//! A [`ServerCell`] holds what is true of a server for the whole process (connections in use, health, addresses) and
//! outlives the snapshots that name it; [`CoreStats`] is what a core tells about itself; [`Command`] and [`Event`] go
//! between the planes; [`Waiters`] are the requests that wait for a server; [`Memory`] counts what is taken of the
//! ceiling. No I/O, no clock: time is an argument.

mod memory;
mod messages;
mod registry;
mod server;
mod share;
mod stats;
mod waiters;
#[cfg(test)]
mod waking;

pub use memory::{Memory, Part, Place, Purpose};
pub use messages::{AllDone, Command, CoreLink, Event, Events, Pending, events, pending};
pub use registry::Registry;
pub use server::{InUse, LastError, Resolution, ServerCell, ServerKey};
pub use share::Share;
pub use stats::{CoreStats, Counter};
pub use waiters::{QueueFull, Waiters, Waiting};
