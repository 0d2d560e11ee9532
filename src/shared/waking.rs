//! What tests poll with: wakers that tell what was done with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::Wake;
use std::thread::Thread;

/// Counts how often it was woken.
#[derive(Default)]
pub(super) struct Bell(pub(super) AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Ends the wait of a thread that has parked itself.
pub(super) struct Unpark(pub(super) Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
