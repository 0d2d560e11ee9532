//! Connections and listeners over the operations.

mod descriptor;
mod listener;
mod pipe;
mod stream;

pub use crate::op::{Mode, Receiver, Send, SendAll, SendWhole};
pub(crate) use descriptor::Descriptor;
pub use listener::Listener;
pub use pipe::Pipe;
pub use stream::Stream;
