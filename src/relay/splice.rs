//! Moving bytes through a pipe: they are never copied, and never seen.
//!
//! Only for bytes that need no framing of ours. The calls are synchronous and never wait; the ring says when an end is
//! ready. (The ring's own splice goes to worker threads, at twice the cost.)

use super::error::RelayError;
use super::patience::while_taken;
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
    alarm: &mut Alarm,
    idle: Duration,
) -> Result<Ended, RelayError> {
    let mut turn = Turn::default();
    while *left > 0 {
        match step(pipe, source, sink, *left)? {
            Moved::Bytes(count) => {
                *left -= count as u64;
                turn.moved(count).await;
            }
            Moved::NeedsSource => {
                alarm.set(idle);
                let ready = alarm.guard(pin!(source.readable())).await;
                ready.map_err(|Elapsed| RelayError::Source(Cause::TimedOut))?.map_err(source_error)?;
            }
            Moved::NeedsSink => room(sink, alarm, idle).await?,
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
    /// The source has closed.
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
    /// The source has closed, and all that it sent has left.
    End,
}

/// Fills the pipe if it is empty, with `wanted` bytes at the most, and empties it as far as that goes.
pub(super) fn step(pipe: &mut Pipe, source: &Stream, sink: &Stream, wanted: u64) -> Result<Moved, RelayError> {
    if pipe.held() == 0 {
        match pipe.fill(source, usize::try_from(wanted).unwrap_or(usize::MAX)) {
            Ok(0) => return Ok(Moved::End),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Moved::NeedsSource),
            Err(error) => return Err(source_error(error)),
        }
    }
    match pipe.empty(sink) {
        Ok(count) => Ok(Moved::Bytes(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Moved::NeedsSink),
        Err(error) => Err(RelayError::sending(&error)),
    }
}

/// Waits until the sink takes more, unless its peer takes nothing for `idle`.
pub(super) async fn room(sink: &Stream, alarm: &mut Alarm, idle: Duration) -> Result<(), RelayError> {
    let ready = while_taken(pin!(sink.writable()), sink, alarm, idle).await;
    ready.map_err(|Elapsed| RelayError::Sink(Cause::TimedOut))?.map_err(|error| RelayError::sending(&error))
}

/// Counts what one connection has moved, so that others have their turn.
#[derive(Default)]
pub(super) struct Turn(usize);

impl Turn {
    /// Lets other tasks run once this one has moved enough.
    pub(super) async fn moved(&mut self, count: usize) {
        self.0 += count;
        if self.0 >= TURN_BYTES {
            self.0 = 0;
            give_way().await;
        }
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
