//! Memory that the kernel may hold while an operation runs: owned bytes, and buffers lent from a ring.
#![allow(unsafe_code)]

mod chunk;
mod groups;
mod lent;
mod memory;
mod pool;
mod ring;
mod starved;

pub use chunk::Chunk;
pub(crate) use chunk::{GATHER_MAX, Gather};
pub(crate) use groups::Groups;
pub use lent::Lent;
pub(crate) use pool::Pool;
pub use ring::Group;
pub(crate) use ring::{BufferRing, GroupSettings, SHRINK_AFTER};
pub(crate) use starved::Ticket;

#[cfg(test)]
mod tests;
