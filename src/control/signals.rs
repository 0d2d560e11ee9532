//! Signals as messages: SIGHUP reloads, SIGTERM and SIGINT drain; what a second one does is decided by who reads.

use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Drain,
}

/// Signals that wait to be read: impatience beyond that is not counted.
const QUEUE_SIGNALS: usize = 8;

/// Listens from now on; before, a signal does what the system does by itself.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Signal>> {
    let (sender, receiver) = mpsc::channel(QUEUE_SIGNALS);
    for (kind, meaning) in [
        (SignalKind::hangup(), Signal::Reload),
        (SignalKind::terminate(), Signal::Drain),
        (SignalKind::interrupt(), Signal::Drain),
    ] {
        let mut arrivals = signal(kind)?;
        let sender = sender.clone();
        spawn_local(async move {
            while arrivals.recv().await.is_some() {
                // Full: what is asked for is asked for already.
                _ = sender.try_send(meaning);
            }
        });
    }
    Ok(receiver)
}
