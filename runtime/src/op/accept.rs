//! Accept, multishot: one submission, a descriptor with each completion.
//!
//! Orphan rule: a descriptor that comes after the listener was dropped is closed.

use super::running::Running;
use crate::driver::Kind;
use crate::kernel::{Op, Socket};
use crate::net::Descriptor;
use crate::sys::check;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// A listener that accepts.
pub(crate) struct Accepting {
    descriptor: Rc<Descriptor>,
    running: Option<Running>,
}

impl Accepting {
    pub(crate) fn new(descriptor: Rc<Descriptor>) -> Accepting {
        Accepting { descriptor, running: None }
    }

    /// Accepts no more; see [`Accepting::poll_rest`].
    pub(crate) fn cancel(&mut self) {
        if let Some(running) = &mut self.running {
            running.cancel();
        }
    }

    /// What had been accepted when it was cancelled, one after another; `None` after the last.
    pub(crate) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Socket>> {
        while let Some(running) = &mut self.running {
            match ready!(running.poll_next(cx)) {
                Some(done) if done.result >= 0 => {
                    return Poll::Ready(Some(self.descriptor.handle().kernel().release(done.result)));
                }
                // Cancelled, or the one that was to be accepted is gone.
                Some(_) => {}
                None => self.running = None,
            }
        }
        Poll::Ready(None)
    }

    /// The next connection. After an error the next call accepts anew.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        loop {
            let running = self.running.get_or_insert_with(|| {
                Running::submit(Kind::Accept, &self.descriptor, Op::Accept { fd: self.descriptor.raw() })
            });
            match ready!(running.poll_next(cx)) {
                // Held back because nobody asked for long (see `driver::slots`): goes on below, with `None`.
                Some(done) if done.result == -libc::ECANCELED => {}
                Some(done) => {
                    let release = |fd| self.descriptor.handle().kernel().release(fd as i32);
                    return Poll::Ready(check(done.result).map(release));
                }
                None => self.running = None,
            }
        }
    }
}
