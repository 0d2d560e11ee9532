//! Limits of the whole process that all cores count together, without locks: what may be open at once; and what a
//! ceiling on memory is shared out for.

mod budget;
mod clients;
mod gate;

pub use budget::{ACTIVE, BODY, Budget, Buffers, FAST, FLOW, HANDSHAKE, IDLE, IDLE_TLS, TooLittle};
pub use clients::{Clients, Full, Ticket};
pub use gate::{Gate, Inside};
