//! Waiting for a time: a timer that is moved often and fires rarely.

use super::{Instant, Key};
use crate::core::Handle;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A deadline that may be moved at the cost of a store: the wheel's entry stays where it is, and when it fires too
/// early it is set again. One for each connection serves all of its timeouts.
///
/// Small, since each idle connection has one.
pub struct Alarm {
    handle: Handle,
    deadline: Instant,
    armed: Option<Key>,
}

/// A deadline that never comes.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

/// The deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl Alarm {
    /// An alarm without a deadline.
    pub fn new(handle: &Handle) -> Alarm {
        Alarm { handle: handle.clone(), deadline: NEVER, armed: None }
    }

    /// Moves the deadline to `timeout` from now.
    pub fn set(&mut self, timeout: Duration) {
        self.set_at(self.handle.now() + timeout);
    }

    /// Moves the deadline.
    pub fn set_at(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// When it is; far away where there is none.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Removes the deadline.
    pub fn clear(&mut self) {
        self.deadline = NEVER;
    }

    /// Ready once the deadline has passed.
    pub fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<Elapsed> {
        let deadline = self.deadline;
        if deadline == NEVER {
            return Poll::Pending;
        }
        if self.handle.now() >= deadline {
            return Poll::Ready(Elapsed);
        }
        match self.armed {
            Some(key) if self.handle.rewake_timer(key, deadline, cx.waker()) => {}
            armed => {
                if let Some(key) = armed {
                    self.handle.cancel_timer(key);
                }
                self.armed = Some(self.handle.set_timer(deadline, cx.waker().clone()));
            }
        }
        Poll::Pending
    }

    /// Runs `future` until the deadline. It is dropped with the returned future, as always.
    pub fn guard<'a, F: Future + Unpin>(&'a mut self, future: F) -> Guard<'a, F> {
        Guard { alarm: self, future }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(key) = self.armed {
            self.handle.cancel_timer(key);
        }
    }
}

/// See [`Alarm::guard`].
pub struct Guard<'a, F> {
    alarm: &'a mut Alarm,
    future: F,
}

impl<F: Future + Unpin> Future for Guard<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Ok(output));
        }
        self.alarm.poll_elapsed(cx).map(Err)
    }
}

/// Waits for a time.
pub struct Sleep(Alarm);

impl Sleep {
    /// `duration` from [now](Handle::now), the beginning of this turn.
    pub fn new(handle: &Handle, duration: Duration) -> Sleep {
        let mut alarm = Alarm::new(handle);
        alarm.set(duration);
        Sleep(alarm)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_elapsed(cx).map(|_| ())
    }
}
