//! The loop that moves a body: receive, frame, send; receive again only once all of it is sent.

use super::error::RelayError;
use super::framer::{Chunks, Framer, JOIN_BYTES_MAX};
use super::patience::while_taken;
use super::splice::{Ended, splice};
use super::width::Width;
use crate::proto::error::Cause;
use crate::shared::Memory;
use crate::wire::{Inbox, Intake, Outlet};
use ringferry_runtime::net::{Mode, Pipe, Stream};
use ringferry_runtime::time::{Alarm, Elapsed};
use ringferry_runtime::{Chunk, Group, Handle};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Where a body comes from.
pub struct Source<'a> {
    /// What has been received already.
    pub inbox: &'a mut Inbox,
    /// Where more comes from,
    pub intake: &'a mut Intake,
    /// on this connection.
    pub stream: &'a Stream,
    /// Rings when nothing moves for `idle`.
    pub alarm: &'a mut Alarm,
    /// How long nothing may move.
    pub idle: Duration,
    /// Set once something has come. Until then nothing is spliced, since that would not set it.
    pub has_moved: &'a Cell<bool>,
}

/// Relays a body to its end. `head` is sent first, in one piece with what has already come of the body; it is still
/// there after an error if nothing was sent. What a long body takes of `memory` is left in `width`, since the sink's
/// peer may not have taken all of it.
pub async fn copy<'m>(
    mut source: Source<'_>,
    framer: &mut Framer,
    sink: &Outlet,
    head: &mut Option<Vec<u8>>,
    (memory, width): (&'m Arc<Memory>, &mut Option<Width<'m>>),
    handle: &Handle,
) -> Result<(), RelayError> {
    // Boxed, all but the first: most messages are small and whole by now, and need not make room for the rest.
    let is_joined = head.as_mut().is_some_and(|head| framer.join(head, source.inbox, handle));
    match head.take_if(|_| is_joined) {
        Some(all) => send_bytes(all, sink, source.alarm, source.idle, handle).await?,
        None => Box::pin(begin(head, &mut source, framer, sink, handle)).await?,
    }
    if framer.is_done() {
        return Ok(());
    }
    let relayed = Box::pin(rest(&mut source, framer, sink, (memory, width), handle)).await;
    if let Some(width) = width {
        width.end(sink.stream());
    }
    relayed
}

/// Relays a head, if there is one, and what has come with it.
async fn begin(
    head: &mut Option<Vec<u8>>,
    source: &mut Source<'_>,
    framer: &mut Framer,
    sink: &Outlet,
    handle: &Handle,
) -> Result<(), RelayError> {
    let chunks = framer.take(source.inbox, handle).map_err(RelayError::Source)?;
    let chunks = match head.take() {
        Some(head) => join_head(head, chunks, handle),
        None => chunks,
    };
    send(chunks, sink, source.alarm, source.idle, handle).await
}

/// Relays what has not come with the head.
async fn rest<'m>(
    source: &mut Source<'_>,
    framer: &mut Framer,
    sink: &Outlet,
    (memory, width): (&'m Arc<Memory>, &mut Option<Width<'m>>),
    handle: &Handle,
) -> Result<(), RelayError> {
    let Source { inbox, intake, stream, alarm, idle, has_moved } = source;
    let idle = *idle;
    while !framer.is_done() {
        if width.is_none() && framer.is_long() {
            let width = width.insert(Width::new(memory, stream, sink, framer.left()));
            width.let_ahead(stream);
        }
        // What is in the inbox by now is half a line, and has been looked at: more has to come first.
        let mut came = false;
        if has_moved.get()
            && intake.is_plain()
            && let Some(plain_sink) = sink.as_plain()
            && let Some(left) = framer.unseen()
        {
            came = !quiet(inbox, intake, handle).await;
            if !came && let Some(mut pipe) = Pipe::new(handle) {
                let mut to_go = left;
                let ended = splice(&mut pipe, stream, plain_sink, &mut to_go, (alarm, idle), width).await;
                framer.passed(left - to_go);
                if ended? == Ended::Length {
                    continue;
                }
            }
        }
        let group = match framer.wants_large(SMALL) {
            true => width.as_ref().map_or(Group::Body, Width::group),
            false => Group::Head,
        };
        let before = framer.bytes();
        let chunks = if came || receive(inbox, intake, group, alarm, idle, handle).await? {
            has_moved.set(true);
            framer.take(inbox, handle)
        } else {
            framer.end()
        };
        let began = handle.now();
        let chunks = chunks.map_err(RelayError::Source)?;
        send(chunks, sink, alarm, idle, handle).await?;
        if let Some(width) = width {
            width.waited(handle.now().since(began), stream, sink.stream());
            width.moved((framer.bytes() - before) as usize, stream, sink.stream());
        }
    }
    Ok(())
}

/// Ends an armed receive. False when bytes had come, which are in `inbox` then.
pub(super) async fn quiet(inbox: &mut Inbox, intake: &mut Intake, handle: &Handle) -> bool {
    while let Some(lent) = poll_fn(|cx| intake.poll_quiet(cx)).await {
        inbox.add(lent, handle);
    }
    inbox.is_empty()
}

/// Receives into `inbox`; false at the end of the stream.
async fn receive(
    inbox: &mut Inbox,
    intake: &mut Intake,
    group: Group,
    alarm: &mut Alarm,
    idle: Duration,
    handle: &Handle,
) -> Result<bool, RelayError> {
    intake.set_mode(Mode::Once(group));
    alarm.set(idle);
    match alarm.guard(pin!(intake.recv())).await {
        Ok(Ok(Some(received))) => {
            inbox.add(received, handle);
            Ok(true)
        }
        Ok(Ok(None)) => Ok(false),
        Ok(Err(_)) => Err(RelayError::Source(Cause::Io)),
        Err(Elapsed) => Err(RelayError::Source(Cause::TimedOut)),
    }
}

/// What fits a small buffer does not take a large one.
const SMALL: usize = 4096;

/// Sends `chunks`, if there is anything in them. They are on their way before this is polled, so that nothing has to
/// hold them meanwhile.
pub fn send<'a>(
    chunks: Chunks,
    sink: &'a Outlet,
    alarm: &'a mut Alarm,
    idle: Duration,
    handle: &'a Handle,
) -> impl Future<Output = Result<(), RelayError>> {
    let sending = if chunks.iter().flatten().all(|chunk| chunk.is_empty()) {
        give_all_back(chunks, handle);
        None
    } else {
        Some(while_taken(sink.send_all(chunks), sink.stream(), alarm, idle))
    };
    async move {
        let Some(sending) = sending else { return Ok(()) };
        match sending.await {
            Ok((result, chunks)) => {
                give_all_back(chunks, handle);
                result.map_err(|error| RelayError::sending(&error))
            }
            Err(Elapsed) => Err(RelayError::Sink(Cause::TimedOut)),
        }
    }
}

/// Sends bytes that are in one piece.
async fn send_bytes(
    bytes: Vec<u8>,
    sink: &Outlet,
    alarm: &mut Alarm,
    idle: Duration,
    handle: &Handle,
) -> Result<(), RelayError> {
    match while_taken(sink.send_whole(bytes), sink.stream(), alarm, idle).await {
        Ok((result, chunk)) => {
            give_back(chunk, handle);
            result.map_err(|error| RelayError::sending(&error))
        }
        Err(Elapsed) => Err(RelayError::Sink(Cause::TimedOut)),
    }
}

/// A byte vector that was sent serves again.
pub fn give_back(chunk: Chunk, handle: &Handle) {
    if let Chunk::Bytes(bytes, _) = chunk {
        handle.give_bytes(bytes);
    }
}

fn give_all_back(chunks: Chunks, handle: &Handle) {
    chunks.into_iter().flatten().for_each(|chunk| give_back(chunk, handle));
}

fn join_head(mut head: Vec<u8>, chunks: Chunks, handle: &Handle) -> Chunks {
    let body: usize = chunks.iter().flatten().map(|chunk| chunk.len()).sum();
    if body <= JOIN_BYTES_MAX || chunks[2].is_some() {
        for chunk in chunks.iter().flatten() {
            head.extend_from_slice(chunk);
        }
        give_all_back(chunks, handle);
        return [Some(head.into()), None, None];
    }
    let [first, second, _] = chunks;
    [Some(head.into()), first, second]
}
