//! Two connections joined: what one sends, the other gets, until both have ended.

use super::copy::send;
use super::error::RelayError;
use super::inbox::Inbox;
use crate::proto::error::Cause;
use ringferry_runtime::net::{Mode, Receiver, Stream};
use ringferry_runtime::time::{Alarm, Elapsed, Instant};
use ringferry_runtime::{Group, Handle, join};
use std::cell::Cell;
use std::net::Shutdown;
use std::pin::pin;
use std::time::Duration;

/// One end of a tunnel.
pub struct Tunnel {
    /// The connection.
    pub stream: Stream,
    /// Its receiving half.
    pub receiver: Receiver,
    /// What it sent before the tunnel stood.
    pub inbox: Inbox,
}

/// Joins `client` and `server` until both directions have ended, one has failed, or nothing has moved for `idle` in
/// either. Returns the bytes that went up and down, and why it failed.
pub async fn tunnel(client: Tunnel, server: Tunnel, idle: Duration, handle: &Handle) -> (u64, u64, Option<RelayError>) {
    let (up, down) = (Cell::new(0), Cell::new(0));
    let moved = Cell::new(handle.now());
    let Tunnel { stream: client_stream, receiver: client_receiver, inbox: client_inbox } = client;
    let Tunnel { stream: server_stream, receiver: server_receiver, inbox: server_inbox } = server;
    let failed = {
        let shared = Shared { moved: &moved, idle, handle };
        let upward = one_way(client_receiver, client_inbox, &server_stream, &up, &shared);
        let downward = one_way(server_receiver, server_inbox, &client_stream, &down, &shared);
        both(upward, downward).await
    };
    (up.get(), down.get(), failed)
}

struct Shared<'a> {
    /// When a byte last moved, either way.
    moved: &'a Cell<Instant>,
    idle: Duration,
    handle: &'a Handle,
}

/// Half-close keeps the other direction; a failure ends both.
async fn both(
    up: impl Future<Output = Result<(), RelayError>>,
    down: impl Future<Output = Result<(), RelayError>>,
) -> Option<RelayError> {
    let failed = Cell::new(None);
    let end = |result: Result<(), RelayError>| {
        if let Err(error) = result {
            failed.set(Some(error));
        }
    };
    let (mut up, mut down) = (pin!(async { end(up.await) }), pin!(async { end(down.await) }));
    let mut joined = pin!(join(up.as_mut(), down.as_mut()));
    std::future::poll_fn(|cx| match joined.as_mut().poll(cx) {
        std::task::Poll::Pending if failed.get().is_some() => std::task::Poll::Ready(()),
        other => other.map(|_| ()),
    })
    .await;
    failed.get()
}

async fn one_way(
    mut receiver: Receiver,
    mut inbox: Inbox,
    sink: &Stream,
    bytes: &Cell<u64>,
    shared: &Shared<'_>,
) -> Result<(), RelayError> {
    let Shared { moved, idle, handle } = *shared;
    let mut alarm = Alarm::new(handle);
    // Messages are small and rare, or a stream of large ones: large buffers are held only while bytes are in them.
    receiver.set_mode(Mode::Once(Group::Body));
    loop {
        let count = inbox.bytes().len();
        send([Some(inbox.take(count, handle)), None, None], sink, &mut alarm, idle, handle).await?;
        bytes.set(bytes.get() + count as u64);
        moved.set(handle.now());
        let received = loop {
            alarm.set_at(moved.get() + idle);
            match alarm.guard(pin!(receiver.recv())).await {
                Ok(received) => break received,
                // The other direction may have moved meanwhile.
                Err(Elapsed) if handle.now() < moved.get() + idle => {}
                Err(Elapsed) => return Err(RelayError::Source(Cause::TimedOut)),
            }
        };
        match received {
            Ok(Some(lent)) => inbox.add(lent, handle),
            Ok(None) => {
                let _ = sink.shutdown(Shutdown::Write).await;
                return Ok(());
            }
            Err(_) => return Err(RelayError::Source(Cause::Io)),
        }
    }
}
