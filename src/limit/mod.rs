//! Limits of the whole process that all cores count together, without locks: what may be open or in flight at once, and
//! how often a client may come. And what a ceiling on memory is shared out for.

mod budget;
mod clients;
mod gate;
mod rate;
mod requests;

pub use budget::{
    ACTIVE, BODY_RECEIVED, BODY_SENT, Budget, Buffers, FAR, FLOW, HANDSHAKE, IDLE, IDLE_TLS, SEALED, TooLittle,
    UNCOUNTED,
};
pub use clients::{Clients, Full, Ticket};
pub use gate::{Gate, Inside};
pub use rate::{Rates, TooFast};
pub use requests::{CoreRequests, InFlight, Over, Requests};
