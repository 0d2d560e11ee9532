//! What the planes tell each other: commands to a core, events to the control plane. Both queues are bounded.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What the control plane tells a core.
#[derive(Debug)]
pub enum Command<S> {
    /// New exchanges use this snapshot from now on.
    Publish {
        /// What is in force.
        snapshot: Arc<S>,
        /// To be dropped once it is.
        pending: Pending,
    },
    /// Leave the addresses to another process, and serve what is here for a while.
    Leave,
    /// Accept no more; end what is in flight, and say [`Event::Drained`] when nothing is left.
    Drain {
        /// After this long the core closes what is left.
        timeout: Duration,
    },
    /// Say [`Event::Alive`].
    Ping,
    /// Close everything and end the thread.
    Stop,
}

/// Sends a command to one core and wakes it; says whether the core took it. Made where both planes are known, so
/// that neither names the other.
pub type CoreLink<S> = Box<dyn Fn(Command<S>) -> bool + Send>;

/// Held while something is still to be done, by each who is to do it: see [`pending`].
#[derive(Clone, Debug)]
pub struct Pending {
    _held: mpsc::Sender<Infallible>,
}

/// Waits for those who hold a [`Pending`].
#[derive(Debug)]
pub struct AllDone {
    held: mpsc::Receiver<Infallible>,
}

impl AllDone {
    /// Ends when nobody holds a [`Pending`] any more: all have done it, or have gone.
    pub async fn wait(mut self) {
        self.held.recv().await;
    }
}

/// Makes what is given to each who is to do something, and what waits until all have.
pub fn pending() -> (Pending, AllDone) {
    let (sender, receiver) = mpsc::channel(1);
    (Pending { _held: sender }, AllDone { held: receiver })
}

/// What a core tells the control plane.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing is in flight any more after [`Command::Drain`].
    Drained {
        /// Which core.
        core: usize,
    },
    /// The answer to [`Command::Ping`].
    Alive {
        /// Which core.
        core: usize,
    },
    /// A bug ended a task, and its connection with it.
    Panicked {
        /// Which core.
        core: usize,
        /// What the panic said.
        message: String,
    },
    /// The core's thread cannot go on: its ring or all its listeners failed.
    Failed {
        /// Which core.
        core: usize,
        /// Why.
        message: String,
    },
}

/// Events on their way, all cores together.
const QUEUE_EVENTS: usize = 256;

/// Makes the queue of events.
pub fn events() -> (Events, mpsc::Receiver<Event>) {
    let (sender, receiver) = mpsc::channel(QUEUE_EVENTS);
    (Events { sender }, receiver)
}

/// The entrance of the queue of events.
#[derive(Clone, Debug)]
pub struct Events {
    sender: mpsc::Sender<Event>,
}

impl Events {
    /// Sends an event without waiting; says whether there was room. An event that is lost costs a line of text, or
    /// the rest of the drain timeout.
    pub fn send(&self, event: Event) -> bool {
        self.sender.try_send(event).is_ok()
    }
}
