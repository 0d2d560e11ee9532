//! One file per operation, three questions each: how it becomes a submission; what its completion means; what to do
//! when nobody waits any more (the orphan rule; see `driver::slots`).

mod accept;
mod connect;
mod poll;
mod recv;
mod recv_datagrams;
mod running;
mod send;

pub(crate) use accept::Accepting;
pub(crate) use connect::connect;
pub(crate) use poll::ready;
pub use recv::{Mode, Receiver};
pub use recv_datagrams::{Datagram, DatagramReceiver};
pub use send::{Counted, Owner, Posted, Send, SendAll, SendWhole};
