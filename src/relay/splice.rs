//! Moving a body through a pipe: its bytes are never copied, and never seen.
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

/// Bytes that one body moves before others have their turn.
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
    let mut turn = 0;
    while *left > pipe.held() as u64 || pipe.held() > 0 {
        let wanted = usize::try_from(*left - pipe.held() as u64).unwrap_or(usize::MAX);
        if pipe.held() == 0 {
            match pipe.fill(source, wanted) {
                Ok(0) => return Ok(Ended::Stream),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    alarm.set(idle);
                    let ready = alarm.guard(pin!(source.readable())).await;
                    ready.map_err(|Elapsed| RelayError::Source(Cause::TimedOut))?.map_err(source_error)?;
                    continue;
                }
                Err(error) => return Err(source_error(error)),
            }
        }
        match pipe.empty(sink) {
            Ok(moved) => {
                *left -= moved as u64;
                turn += moved;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let ready = while_taken(pin!(sink.writable()), sink, alarm, idle).await;
                ready.map_err(|Elapsed| RelayError::Sink(Cause::TimedOut))?.map_err(sink_error)?;
            }
            Err(error) => return Err(sink_error(error)),
        }
        if turn >= TURN_BYTES {
            turn = 0;
            give_way().await;
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

/// Lets other tasks run.
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

fn sink_error(error: std::io::Error) -> RelayError {
    RelayError::sending(&error)
}
