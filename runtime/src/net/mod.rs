//! Connections and listeners over the operations.

mod descriptor;
mod listener;
mod pipe;
mod stream;
mod udp;

pub use crate::kernel::{LocalAddress, Segments};
pub use crate::op::{Counted, Datagram, DatagramReceiver, Mode, Owner, Posted, Receiver, Send, SendAll, SendWhole};
pub use crate::sys::hold::Hold;
pub use crate::sys::ktls::{ControlRecord, RecordCipher, RecordKey, RecordVersion, is_control, records_available};
pub(crate) use descriptor::Descriptor;
pub use listener::Listener;
pub use pipe::Pipe;
pub use stream::Stream;
pub use udp::Udp;
