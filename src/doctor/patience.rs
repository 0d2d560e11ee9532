//! Asking what may take long, and not waiting for it longer than [`PATIENCE`](super::PATIENCE).

use super::PATIENCE;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

/// An answer that is on its way.
pub(super) struct Asked<T> {
    answer: Receiver<T>,
    until: Instant,
}

/// Asks on a thread of its own, which ends with the process if nobody waits for it any more.
pub(super) fn ask<T: Send + 'static>(question: impl FnOnce() -> T + Send + 'static) -> Asked<T> {
    let (told, answer) = sync_channel(1);
    // Without a thread there is no answer either.
    let _ = thread::Builder::new().spawn(move || told.send(question()));
    Asked { answer, until: Instant::now() + PATIENCE }
}

impl<T> Asked<T> {
    /// The answer, if it has come in time.
    pub(super) fn answer(self) -> Option<T> {
        self.answer.recv_timeout(self.until.saturating_duration_since(Instant::now())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_not_waited_for() {
        assert_eq!(ask(|| 1).answer(), Some(1));
        let (never, waits) = sync_channel::<()>(0);
        let asked = Asked { until: Instant::now(), ..ask(move || waits.recv().is_ok()) };
        assert_eq!(asked.answer(), None);
        drop(never);
    }
}
