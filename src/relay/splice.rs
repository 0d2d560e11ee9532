//! Moving bytes through a pipe: they are never copied, and never seen.
//!
//! Only for bytes that need no framing of ours. The calls are synchronous and never wait; the ring says when an end is
//! ready. (The ring's own splice goes to worker threads, at twice the cost.)

use super::error::RelayError;
use super::patience::while_taken;
use super::width::Width;
use crate::proto::error::Cause;
use ringferry_runtime::net::{Pipe, Stream};
use ringferry_runtime::time::{Alarm, Elapsed};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// Bytes that one connection moves before others have their turn.
const TURN_BYTES: usize = 1 << 20;

/// Moves `left` bytes, or all until the end of the stream, from `source` to `sink`. Counts down what has arrived.
pub(super) async fn splice(
    pipe: &mut Pipe,
    source: &Stream,
    sink: &Stream,
    left: &mut u64,
    (alarm, idle): (&mut Alarm, Duration),
    width: &mut Option<Width<'_>>,
) -> Result<Ended, RelayError> {
    let mut pace = Pace::new(source, sink, width);
    while *left > 0 {
        match step(pipe, source, sink, *left)? {
            Moved::Bytes(count) => {
                *left -= count as u64;
                pace.moved(count).await;
            }
            Moved::NeedsSource => {
                alarm.set(idle);
                let ready = alarm.guard(pin!(source.readable())).await;
                ready.map_err(|Elapsed| RelayError::Source(Cause::TimedOut))?.map_err(source_error)?;
            }
            Moved::NeedsSink => pace.room(alarm, idle).await?,
            Moved::End => return Ok(Ended::Stream),
        }
    }
    Ok(Ended::Length)
}

/// What ended the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All bytes that were wanted have moved.
    Length,
    /// No byte comes next: a receive tells whether the source has closed.
    Stream,
}

/// What one step has done.
pub(super) enum Moved {
    /// So many bytes have left for the sink.
    Bytes(usize),
    /// There is nothing to move.
    NeedsSource,
    /// The sink takes nothing.
    NeedsSink,
    /// No byte comes next, and all that came has left. A receive tells whether the source has closed, or the kernel's TLS has
    /// something else to say.
    End,
}

/// Fills the pipe if it is empty, with `wanted` bytes at the most, and empties it as far as that goes.
pub(super) fn step(pipe: &mut Pipe, source: &Stream, sink: &Stream, wanted: u64) -> Result<Moved, RelayError> {
    if pipe.held() == 0 {
        match pipe.fill(source, usize::try_from(wanted).unwrap_or(usize::MAX)) {
            Ok(0) => return Ok(Moved::End),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Moved::NeedsSource),
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Ok(Moved::End),
            Err(error) => return Err(source_error(error)),
        }
    }
    match pipe.empty(sink) {
        Ok(count) => Ok(Moved::Bytes(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Moved::NeedsSink),
        Err(error) => Err(RelayError::sending(&error)),
    }
}

/// How fast bytes move: others have their turn, and who takes much in a short time gets more room for it.
pub(super) struct Pace<'a, 'm> {
    source: &'a Stream,
    sink: &'a Stream,
    /// None of what is too short to need it.
    width: &'a mut Option<Width<'m>>,
    /// Bytes since the last one's turn.
    turn: usize,
}

impl<'a, 'm> Pace<'a, 'm> {
    pub(super) fn new(source: &'a Stream, sink: &'a Stream, width: &'a mut Option<Width<'m>>) -> Pace<'a, 'm> {
        Pace { source, sink, width, turn: 0 }
    }

    /// Counts what has moved; lets other tasks run once this one has moved enough.
    pub(super) async fn moved(&mut self, count: usize) {
        self.turn += count;
        if let Some(width) = self.width {
            width.moved(count, self.source, self.sink);
        }
        if self.turn >= TURN_BYTES {
            self.turn = 0;
            give_way().await;
        }
    }

    /// Waits until the sink takes more, unless its peer takes nothing for `idle`.
    pub(super) async fn room(&mut self, alarm: &mut Alarm, idle: Duration) -> Result<(), RelayError> {
        let began = self.sink.handle().now();
        let ready = while_taken(pin!(self.sink.writable()), self.sink, alarm, idle).await;
        if let Some(width) = self.width {
            width.waited(self.sink.handle().now().since(began), self.source, self.sink);
        }
        ready.map_err(|Elapsed| RelayError::Sink(Cause::TimedOut))?.map_err(|error| RelayError::sending(&error))
    }
}

async fn give_way() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn source_error(_: std::io::Error) -> RelayError {
    RelayError::Source(Cause::Io)
}
