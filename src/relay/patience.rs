//! Telling a slow reader from one that has stopped.
//!
//! A send is done, and a socket ready for more, only once there is room for much; at a kilobyte a second that takes
//! longer than anyone may be silent. So before a reader is given up, the kernel is asked whether it has taken anything.

use ringferry_runtime::net::Stream;
use ringferry_runtime::time::{Alarm, Elapsed};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Runs `moving`, which waits for `sink`, unless its peer takes nothing for `idle`. (Before the first look nobody counts
/// what it takes: one that stops at once is given up after twice that time.)
pub fn while_taken<'a, F: Future + Unpin>(
    moving: F,
    sink: &'a Stream,
    alarm: &'a mut Alarm,
    idle: Duration,
) -> WhileTaken<'a, F> {
    alarm.set(idle);
    WhileTaken { moving, sink, alarm, idle, taken: None }
}

/// See [`while_taken`].
pub struct WhileTaken<'a, F> {
    moving: F,
    sink: &'a Stream,
    alarm: &'a mut Alarm,
    idle: Duration,
    /// What the peer had taken at the last look.
    taken: Option<u64>,
}

impl<F: Future + Unpin> Future for WhileTaken<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.moving).poll(cx) {
            return Poll::Ready(Ok(output));
        }
        loop {
            ready!(self.alarm.poll_elapsed(cx));
            let taken = self.sink.acknowledged();
            if taken == self.taken {
                return Poll::Ready(Err(Elapsed));
            }
            self.taken = taken;
            let idle = self.idle;
            self.alarm.set(idle);
        }
    }
}
