//! A single-threaded executor: tasks in a table, an index queue of those that are ready.
//!
//! Nothing here is shared between threads but the words packed into a waker: core, index and generation of a task. A
//! wake on the core's own thread pushes an index; one from elsewhere goes through the core's [`Remote`](crate::Remote).
#![allow(unsafe_code)]

mod join;
mod queue;
mod recycled;
mod registry;
mod table;
mod waker;

pub(crate) use join::joinable;
pub use join::{Either, JoinHandle, join, race};
pub(crate) use queue::{RunQueue, Turning};
pub use recycled::Recycled;
pub(crate) use recycled::Shelf;
pub(crate) use registry::{CoreId, Registered, register};
pub(crate) use table::{Outcome, TaskTable, drop_caught, poll};
pub(crate) use waker::waker;
