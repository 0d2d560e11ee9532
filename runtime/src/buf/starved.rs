//! Who found a ring without buffers and waits for one, in the order in which they came.

use std::collections::VecDeque;
use std::task::Waker;

/// The waiting receives of one group.
#[derive(Default)]
pub(super) struct Starved {
    last: u64,
    /// Ascending by ticket.
    queue: VecDeque<(Ticket, Waker)>,
}

/// A place in the queue; good until its waker was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Starved {
    pub(super) fn push(&mut self, waker: Waker) -> Ticket {
        self.last += 1;
        self.queue.push_back((Ticket(self.last), waker));
        Ticket(self.last)
    }

    /// Whether `ticket` still waits; then `waker` is the one to wake.
    pub(super) fn rewake(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        match self.find(ticket) {
            Ok(place) => {
                self.queue[place].1.clone_from(waker);
                true
            }
            Err(_) => false,
        }
    }

    /// Gives a place up, so that the next buffer is not offered to somebody who is gone.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        if let Ok(place) = self.find(ticket) {
            self.queue.remove(place);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Waker> {
        Some(self.queue.pop_front()?.1)
    }

    fn find(&self, ticket: Ticket) -> Result<usize, usize> {
        self.queue.binary_search_by_key(&ticket, |(ticket, _)| *ticket)
    }
}
