//! Bounded messages to a core from any thread.

use crate::sync::{Arc, Mutex, lock};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

/// The sending side; clones send to the same mailbox.
pub struct Sender<T>(Arc<Mutex<Queue<T>>>);

/// The reading side. Only one task reads.
pub struct Mailbox<T>(Arc<Mutex<Queue<T>>>);

/// Under one lock, so that no message can come between a look at the queue and the note of who waits for one.
struct Queue<T> {
    messages: VecDeque<T>,
    capacity: usize,
    senders: usize,
    is_read: bool,
    reader: Option<Waker>,
}

/// A mailbox for at most `capacity` messages (and at least one) that have not been read.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Mailbox<T>) {
    let capacity = capacity.max(1);
    let queue = Queue { messages: VecDeque::new(), capacity, senders: 1, is_read: true, reader: None };
    let shared = Arc::new(Mutex::new(queue));
    (Sender(shared.clone()), Mailbox(shared))
}

impl<T> Sender<T> {
    /// Sends without waiting. Gives the message back when the mailbox is full or its reader is gone.
    pub fn send(&self, message: T) -> Result<(), T> {
        let mut queue = lock(&self.0);
        if !queue.is_read || queue.messages.len() >= queue.capacity {
            return Err(message);
        }
        queue.messages.push_back(message);
        let reader = queue.reader.take();
        drop(queue);
        wake(reader);
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        lock(&self.0).senders += 1;
        Sender(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.senders -= 1;
        // The last sender to go ends the reader's wait.
        let reader = if queue.senders == 0 { queue.reader.take() } else { None };
        drop(queue);
        wake(reader);
    }
}

impl<T> Mailbox<T> {
    /// The next message; `None` when all senders are gone.
    pub async fn recv(&mut self) -> Option<T> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// See [`Mailbox::recv`].
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut queue = lock(&self.0);
        match queue.messages.pop_front() {
            Some(message) => Poll::Ready(Some(message)),
            None if queue.senders == 0 => Poll::Ready(None),
            None => {
                queue.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Mailbox<T> {
    fn drop(&mut self) {
        let mut queue = lock(&self.0);
        queue.is_read = false;
        let (unread, reader) = (std::mem::take(&mut queue.messages), queue.reader.take());
        drop(queue);
        // Outside of the lock: a message may have a sender to this mailbox in it.
        drop((unread, reader));
    }
}

/// Outside of the lock, since it may run code of the task.
fn wake(reader: Option<Waker>) {
    if let Some(reader) = reader {
        reader.wake();
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::every_order;
    use loom::future::block_on;
    use loom::thread;

    /// A reader that is not woken would wait for ever, which loom tells.
    #[test]
    fn loom_every_message_wakes_its_reader_and_so_does_the_last_sender() {
        every_order(|| {
            let (sender, mut mailbox) = channel(2);
            let other = sender.clone();
            let senders = [thread::spawn(move || sender.send(1).is_ok()), thread::spawn(move || other.send(1).is_ok())];
            let mut sum = 0;
            while let Some(n) = block_on(mailbox.recv()) {
                sum += n;
            }
            assert_eq!(sum, 2);
            assert!(senders.into_iter().all(|sender| sender.join().unwrap()));
        });
    }

    #[test]
    fn loom_what_a_full_mailbox_or_one_without_a_reader_does_not_take_comes_back() {
        every_order(|| {
            let (sender, mut mailbox) = channel(1);
            let sent = thread::spawn(move || (0..2).map(|n| sender.send(n).is_ok()).collect::<Vec<_>>());
            let first = block_on(mailbox.recv());
            assert_eq!(first, Some(0));
            drop(mailbox);
            assert_eq!(sent.join().unwrap()[0], true);
        });
    }
}
