//! Limits of the whole process that all cores count together, without locks: what may be open at once.

mod clients;
mod gate;

pub use clients::{Clients, Full, Ticket};
pub use gate::{Gate, Inside};
