//! Bounded messages to a core from any thread.

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// The sending side; clones send to the same mailbox.
pub struct Sender<T> {
    // Dropped before the reader is woken, so that the last sender to go ends the reader's wait.
    queue: SyncSender<T>,
    reader: Reader,
}

#[derive(Clone)]
struct Reader(Arc<Mutex<Option<Waker>>>);

/// The reading side. Only one task reads.
pub struct Mailbox<T> {
    queue: Receiver<T>,
    reader: Arc<Mutex<Option<Waker>>>,
}

/// A mailbox for at most `capacity` messages (and at least one) that have not been read.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Mailbox<T>) {
    let (sender, queue) = sync_channel(capacity.max(1));
    let reader = Arc::new(Mutex::new(None));
    (Sender { queue: sender, reader: Reader(reader.clone()) }, Mailbox { queue, reader })
}

impl<T> Sender<T> {
    /// Sends without waiting. Gives the message back when the mailbox is full or its reader is gone.
    pub fn send(&self, message: T) -> Result<(), T> {
        self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        })?;
        wake(&self.reader.0);
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender { queue: self.queue.clone(), reader: self.reader.clone() }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        wake(&self.0);
    }
}

impl<T> Mailbox<T> {
    /// The next message; `None` when all senders are gone.
    pub async fn recv(&mut self) -> Option<T> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// See [`Mailbox::recv`].
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(read) = self.read() {
            return Poll::Ready(read);
        }
        *lock(&self.reader) = Some(cx.waker().clone());
        // What was sent between the look and the note would otherwise wake nobody.
        self.read().map_or(Poll::Pending, Poll::Ready)
    }

    fn read(&self) -> Option<Option<T>> {
        match self.queue.try_recv() {
            Ok(message) => Some(Some(message)),
            Err(TryRecvError::Disconnected) => Some(None),
            Err(TryRecvError::Empty) => None,
        }
    }
}

fn wake(reader: &Mutex<Option<Waker>>) {
    let waker = lock(reader).take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

fn lock(reader: &Mutex<Option<Waker>>) -> std::sync::MutexGuard<'_, Option<Waker>> {
    reader.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
