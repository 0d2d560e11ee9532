//! Two connections joined: what one sends, the other gets, until both have ended.

use super::copy::{quiet, send};
use super::error::RelayError;
use super::framer::LONG_BYTES;
use super::splice::{Moved, Pace, step};
use super::stake::Stake;
use super::width::Width;
use crate::limit::UNCOUNTED;
use crate::proto::error::Cause;
use crate::wire::{Inbox, Intake, Outlet, Received};
use ringferry_runtime::net::{Hold, Mode, Pipe, Stream};
use ringferry_runtime::plant::Plant;
use ringferry_runtime::time::{Alarm, Elapsed, Instant};
use ringferry_runtime::{Group, Handle, join};
use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// One end of a tunnel.
pub struct Tunnel {
    /// Its sending half.
    pub outlet: Outlet,
    /// Its receiving half.
    pub intake: Intake,
    /// What it sent before the tunnel stood.
    pub inbox: Inbox,
}

/// How many bytes have gone through a tunnel. It is added to as they go, so that it is right however the tunnel ends.
#[derive(Default)]
pub struct Passed {
    /// From the client to the server.
    pub up: Cell<u64>,
    /// From the server to the client.
    pub down: Cell<u64>,
}

/// Joins `client` and `server` until both directions have ended, one has failed, or nothing has moved for `idle` in
/// either. Returns why it failed.
///
/// Not an `async fn`, like all here that lasts: it would hold its arguments twice.
pub fn tunnel<'a, 'm>(
    client: Tunnel,
    server: Tunnel,
    idle: Duration,
    passed: &'a Passed,
    stake: &'a Stake<'m>,
    handle: &'a Handle,
) -> impl Future<Output = Option<RelayError>> + use<'a, 'm> {
    let moved = Rc::new(Cell::new(handle.now()));
    let Tunnel { outlet: client_outlet, intake: client_intake, inbox: client_inbox } = client;
    let Tunnel { outlet: server_outlet, intake: server_intake, inbox: server_inbox } = server;
    let way = |intake, from, to, bytes| Way {
        intake,
        from,
        to,
        bytes,
        moved: moved.clone(),
        width: None,
        idle,
        alarm: Alarm::new(handle),
        endures: false,
        stake,
        handle,
    };
    let (client_stream, server_stream) = (client_outlet.stream().clone(), server_outlet.stream().clone());
    let upward = way(client_intake, client_stream, server_outlet, &passed.up);
    let downward = way(server_intake, server_stream, client_outlet, &passed.down);
    both(Box::pin(upward.run(client_inbox)), Box::pin(downward.run(server_inbox)))
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

/// One direction.
struct Way<'a, 'm> {
    intake: Intake,
    /// Where `intake` takes from.
    from: Stream,
    to: Outlet,
    /// What has gone.
    bytes: &'a Cell<u64>,
    /// When a byte last moved, either way.
    moved: Rc<Cell<Instant>>,
    /// Once it has moved more than there is memory for in any case.
    width: Option<Width<'m>>,
    idle: Duration,
    alarm: Alarm,
    /// The kernel asks whether the peer is still there.
    endures: bool,
    stake: &'a Stake<'m>,
    handle: &'a Handle,
}

/// How the bytes of a direction come. Nobody says so in advance: it is seen by how the last ones filled their buffers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// Messages: a stream of receives into small buffers costs least.
    Messages,
    /// Large ones: a large buffer each, held only while bytes are in it.
    Large,
    /// So many that they are worth a pipe.
    Bulk,
}

/// What fills a small buffer of the ring is no message.
const MESSAGE_BYTES_MAX: usize = 4096 - 1;
/// A receive of this many bytes had others behind it.
const BULK_BYTES: usize = 32 * 1024;
/// A pipe that was empty again after fewer bytes, this many times in a row, is of no use.
const CALM_BYTES: usize = 16 * 1024;
const CALM_TIMES: u32 = 4;

/// A connection that is silent for this long is one that lasts.
const QUIET: Duration = Duration::from_secs(30);

/// A direction that is silent for this long gives memory back, if its sink has taken nearly all.
const SILENT: Duration = Duration::from_secs(2);

impl Flow {
    fn after(received: usize) -> Flow {
        match received {
            ..=MESSAGE_BYTES_MAX => Flow::Messages,
            BULK_BYTES.. => Flow::Bulk,
            _ => Flow::Large,
        }
    }

    fn mode(self) -> Mode {
        if self == Flow::Messages { Mode::Stream } else { Mode::Once(Group::Body) }
    }
}

impl<'m> Way<'_, 'm> {
    #[expect(clippy::manual_async_fn, reason = "it would hold its arguments twice")]
    fn run(mut self, mut inbox: Inbox) -> impl Future<Output = Result<(), RelayError>> {
        async move {
            let mut flow = Flow::Messages;
            loop {
                let count = inbox.bytes().len();
                let chunks = [Some(inbox.take(count, self.handle)), None, None];
                send(chunks, &self.to, &mut self.alarm, self.idle, self.handle).await?;
                self.passed(count);
                match &mut self.width {
                    Some(width) => width.moved(count, &self.from, self.to.stream()),
                    None if self.bytes.get() > LONG_BYTES => self.bound(flow),
                    None => {}
                }
                if flow == Flow::Bulk
                    && let Some(sink) = self.to.as_plain().filter(|_| self.intake.is_plain()).cloned()
                {
                    if !quiet(&mut inbox, &mut self.intake, self.handle).await {
                        continue;
                    }
                    if let Some(pipe) = Pipe::new(self.handle) {
                        Box::pin(self.splice(pipe, &sink)).await?;
                        flow = Flow::Large;
                    }
                }
                self.stake.rest([&self.from, self.to.stream()]);
                // Without memory for what comes it may have to wait for that, and holds little meanwhile.
                let is_small = self.width.as_ref().is_some_and(|width| width.group() == Group::Head);
                let is_little = is_small || !self.stake.is_held();
                self.intake.set_mode(if is_little { Mode::Once(Group::Head) } else { flow.mode() });
                match self.receive().await? {
                    Ok(Some(received)) => {
                        flow = Flow::after(received.len());
                        inbox.add(received, self.handle);
                    }
                    Ok(None) => return self.end().await,
                    Err(_) => return Err(RelayError::Source(Cause::Io)),
                }
                self.stake.begin(&mut inbox, &self.from, (&mut self.alarm, self.idle)).await?;
            }
        }
    }

    fn new_width(&self) -> Width<'m> {
        Width::new(self.stake.memory(), &self.from, &self.to, None)
    }

    /// More has gone than there is memory for in any case: from here on the kernel is told what it may hold. Messages need
    /// no more than there is.
    fn bound(&mut self, flow: Flow) {
        if flow == Flow::Messages {
            self.to.stream().hold_sent(Hold::Little);
            self.from.hold_received(Hold::Little);
        } else {
            self.width = Some(self.new_width());
        }
    }

    /// Gives back what it has for much that is on its way, if nothing is.
    fn narrow(&mut self) {
        if self.to.stream().unacknowledged() <= UNCOUNTED
            && let Some(width) = self.width.take()
        {
            width.end(self.to.stream());
            self.from.hold_received(Hold::Usual);
        }
    }

    fn passed(&self, count: usize) {
        self.bytes.set(self.bytes.get() + count as u64);
        self.moved.set(self.handle.now());
    }

    /// Tells the other end that nothing more comes.
    async fn end(&self) -> Result<(), RelayError> {
        // If it is gone, the other direction will notice.
        if !Plant::HalfCloseForgotten.is_sown() {
            let _ = self.to.shutdown().await;
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<io::Result<Option<Received>>, RelayError> {
        loop {
            let now = self.handle.now();
            let quiet = if self.endures { self.idle } else { self.idle.min(QUIET) };
            let has_memory = self.width.is_some() || self.stake.is_held();
            let silent = if has_memory { now + SILENT } else { now + self.idle };
            self.alarm.set_at((self.moved.get() + quiet).min(silent));
            let received = self.alarm.guard(pin!(self.intake.recv())).await;
            match received {
                Ok(received) => return Ok(received),
                Err(Elapsed) if self.handle.now() < self.moved.get() + quiet => {
                    self.narrow();
                    self.stake.give_back([&self.from, self.to.stream()]);
                }
                Err(Elapsed) if !self.endures => {
                    self.endures = true;
                    self.from.endure();
                }
                Err(Elapsed) => self.check_idle()?,
            }
        }
    }

    /// Moves bytes through `pipe` until too few come, or none any more, which the next receive tells.
    async fn splice(&mut self, mut pipe: Pipe, sink: &Stream) -> Result<(), RelayError> {
        let mut width = self.width.take().or_else(|| Some(self.new_width()));
        if let Some(width) = &mut width {
            width.let_ahead(&self.from);
        }
        let ended = self.splice_with(&mut pipe, sink, &mut width).await;
        self.width = width;
        ended
    }

    async fn splice_with(
        &mut self,
        pipe: &mut Pipe,
        sink: &Stream,
        width: &mut Option<Width<'_>>,
    ) -> Result<(), RelayError> {
        let source = self.from.clone();
        let (mut pace, mut since_empty, mut calm) = (Pace::new(&source, sink, width), 0, 0);
        loop {
            match step(pipe, &self.from, sink, u64::MAX)? {
                Moved::Bytes(count) => {
                    self.passed(count);
                    since_empty += count;
                    pace.moved(count).await;
                }
                Moved::NeedsSource => {
                    calm = if since_empty < CALM_BYTES { calm + 1 } else { 0 };
                    since_empty = 0;
                    if calm == CALM_TIMES || !self.readable().await? {
                        return Ok(());
                    }
                }
                Moved::NeedsSink => pace.room(&mut self.alarm, self.idle).await?,
                Moved::End => return Ok(()),
            }
        }
    }

    /// Waits until something has come. False if nothing has for a while: then a pipe is more than what it takes to wait.
    async fn readable(&mut self) -> Result<bool, RelayError> {
        self.alarm.set(SILENT.min(self.idle));
        match self.alarm.guard(pin!(self.from.readable())).await {
            Ok(Ok(())) => Ok(true),
            Ok(Err(_)) => Err(RelayError::Source(Cause::Io)),
            Err(Elapsed) => Ok(false),
        }
    }

    /// Time is up, unless the other direction has moved meanwhile.
    fn check_idle(&self) -> Result<(), RelayError> {
        match self.handle.now() < self.moved.get() + self.idle {
            true => Ok(()),
            false => Err(RelayError::Source(Cause::TimedOut)),
        }
    }
}
