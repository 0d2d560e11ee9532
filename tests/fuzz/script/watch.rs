//! Who waits for something outside of any task, and finds out when nobody has been told that it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// One who polls.
pub(super) struct Watch {
    woken: Arc<Woken>,
    waker: Waker,
    /// The last poll found nothing, and nothing but a wake may change that.
    waits: bool,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Watch {
    pub(super) fn new() -> Watch {
        let woken = Arc::<Woken>::default();
        Watch { waker: woken.clone().into(), woken, waits: false }
    }

    /// Polls. What is ready now and was not before must have been told.
    pub(super) fn poll<T>(&mut self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let was_woken = self.woken.0.swap(false, Ordering::Relaxed);
        let polled = poll(&mut Context::from_waker(&self.waker));
        assert!(polled.is_pending() || was_woken || !self.waits, "ready, and nobody was woken");
        self.waits = polled.is_pending();
        polled
    }

    /// The next poll may find something although nobody is woken: another thing is asked for.
    pub(super) fn ask_anew(&mut self) {
        self.waits = false;
    }

    /// Whether a poll may find something.
    pub(super) fn is_due(&self) -> bool {
        !self.waits || self.woken.0.load(Ordering::Relaxed)
    }
}
