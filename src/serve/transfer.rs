//! One try at a server: the request goes up while the response comes down.

use super::after::After;
use super::client::Client;
use super::context::Context;
use super::plan::Plan;
use super::record::Meter;
use super::respond::{Final, Response, respond};
use super::tunnel::Joined;
use super::work::{Work, counted};
use crate::limit::ACTIVE;
use crate::proto::error::{Cause, Error, Side, Stage};
use crate::proto::h1::INTERIMS_MAX;
use crate::relay::{Framer, RelayError, Source, Width, copy, give_back, send};
use crate::snapshot::SnapshotPool;
use crate::upstream::{Connection, Upstream};
use crate::wire::{Intake, Outlet};
use ringferry_runtime::net::{Mode, Posted};
use ringferry_runtime::plant::Plant;
use ringferry_runtime::time::Elapsed;
use ringferry_runtime::{Chunk, Group, Recycled};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

/// A message with a larger body does not fit one small buffer.
const BULKY_BYTES: u64 = 3072;

/// A try that failed.
pub(super) struct Failed {
    pub(super) error: Error,
    /// No byte of the request's body was taken for sending.
    pub(super) body_untouched: bool,
    /// The client has got bytes of a response: nothing else can be said.
    pub(super) response_begun: bool,
}

/// How far the request has gone up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    /// The client waits to be told to send the body.
    Asking,
    Running,
    Ended,
    Failed,
}

impl Upload {
    fn goes_on(self) -> bool {
        matches!(self, Upload::Asking | Upload::Running)
    }
}

/// What came down.
enum Down {
    Whole(Recycled<Final>),
    Switched,
}

/// Sends the request on `upstream` and relays what comes back.
pub(super) async fn transfer(
    cx: &Rc<Context>,
    client: &mut Client,
    plan: &Plan,
    upstream: Upstream,
    state: &SnapshotPool,
    meter: &mut Meter,
) -> Result<After, Failed> {
    let Upstream { mut connection, mut attempt, reused, .. } = upstream;
    let has_body = plan.has_body;
    let begun = Cell::new(false);
    meter.sent = Some(cx.handle.now());
    let mut body = Framer::request(plan.body, plan.config().max_body);
    let (outcome, upload) = if has_body {
        cx.handle.recycle(both_ways(cx, client, plan, &mut connection, &mut body, &begun, meter)).await
    } else {
        head_only(cx, client, plan, &mut connection, &begun, meter).await
    };
    meter.passed.up.set(body.bytes());
    client.bulky = body.bytes() > BULKY_BYTES;
    match outcome {
        Ok(Down::Whole(response)) => {
            if response.status >= 500 {
                attempt.failed("answered 5xx", state);
            } else {
                attempt.succeeded();
            }
            let request_ended = upload == Upload::Ended;
            if response.server_stays && request_ended && connection.inbox.is_empty() {
                connection.bulky = meter.passed.down.get() > BULKY_BYTES;
                attempt.keep(connection, &cx.pools);
            }
            let quiet = client.inbox.is_empty() && !client.intake.is_ready();
            Ok(match (response.client_stays && request_ended, request_ended && quiet) {
                (true, _) => After::Keep,
                (false, true) => After::Close,
                (false, false) => After::Linger,
            })
        }
        Ok(Down::Switched) => {
            attempt.succeeded();
            let idle = plan.view.snapshot.config.timeouts.tunnel_idle;
            Ok(After::Tunnel(Joined::new(connection, attempt, idle)))
        }
        Err(error) => {
            // The end of a kept connection may cross the request, and is a reset then.
            let only_stale =
                reused && error.stage == Stage::ResponseHead && matches!(error.cause, Cause::Closed | Cause::Io);
            if error.side == Side::Upstream && !only_stale {
                attempt.failed(error.label(), state);
            }
            if Plant::AnswerToAnother.is_sown() {
                attempt.keep(connection, &cx.pools);
            }
            Err(Failed { error, body_untouched: !has_body, response_begun: begun.get() })
        }
    }
}

/// Sends a request that is a head alone, and relays the response.
async fn head_only(
    cx: &Rc<Context>,
    client: &mut Client,
    plan: &Plan,
    connection: &mut Connection,
    begun: &Cell<bool>,
    meter: &mut Meter,
) -> (Result<Down, Error>, Upload) {
    let Client { outlet, intake, inbox, answer, work, is_untaken, .. } = client;
    inbox.spare();
    let mut sending = plan.head.take().map(|head| {
        // What is encrypted does not come back as it was.
        if connection.outlet.as_plain().is_none() {
            plan.head.set(Some(head.clone()));
        }
        connection.outlet.send_whole(head)
    });
    let mut sent = Upload::Failed;
    // Nothing waits for the send: it has ended when the response comes, and looking at it only then saves a wake.
    let mut is_first = true;
    let upload = Cell::new(Upload::Ended);
    let mut down =
        pin!(download(cx, plan, Sink { outlet, answer, work, is_untaken }, connection, &upload, begun, meter));
    let outcome = poll_fn(|task| {
        if !std::mem::take(&mut is_first)
            && let Some(head) = &mut sending
            && let Poll::Ready((result, head)) = Pin::new(head).poll(task)
        {
            sending = None;
            sent = if result.is_ok() { Upload::Ended } else { Upload::Failed };
            // For another try, and to tell whether a switch of protocols was asked for.
            match head {
                Chunk::Bytes(head, _) if !plan.can_be_sent() => plan.head.set(Some(head)),
                sent => give_back(sent, &cx.handle),
            }
        }
        match down.as_mut().poll(task) {
            // One that closes after this needs no look at whether it is there: that would only have to be cancelled.
            Poll::Pending if plan.stays => intake.poll_broken(task).map(|()| Err(client_left())),
            outcome => outcome,
        }
    })
    .await;
    (outcome, sent)
}

/// Runs both directions until the response has ended; and the request as well, where its client stays for another.
async fn both_ways(
    cx: &Rc<Context>,
    client: &mut Client,
    plan: &Plan,
    connection: &mut Connection,
    body: &mut Framer,
    begun: &Cell<bool>,
    meter: &mut Meter,
) -> (Result<Down, Error>, Upload) {
    let Client { outlet, inbox, intake, alarm, answer, work, is_untaken, .. } = client;
    let idle = plan.view.snapshot.config.timeouts.body_idle;
    let has_moved = Cell::new(!inbox.is_empty());
    let stream = outlet.stream();
    let source = Source { inbox, intake, stream, alarm, idle, has_moved: &has_moved };
    let server = connection.outlet.clone();
    let is_asking = plan.expects_continue && !has_moved.get();
    let state = Cell::new(if is_asking { Upload::Asking } else { Upload::Running });
    let mut up = pin!(upload(cx, plan, source, body, &server));
    let mut down =
        pin!(download(cx, plan, Sink { outlet, answer, work, is_untaken }, connection, &state, begun, meter));
    // Once the body has been received, whether the client is still there has to be looked at.
    let mut watched = None;
    let outcome = poll_fn(|task| {
        if state.get().goes_on() {
            if let Poll::Ready((ended, intake)) = up.as_mut().poll(task) {
                watched = Some(intake);
                state.set(if ended.is_ok() { Upload::Ended } else { Upload::Failed });
                // The request will never be whole. A server that has stopped reading may still have answered.
                if let Err(RelayError::Source(cause)) = ended {
                    return Poll::Ready(Err(Error::downstream(Stage::Request, cause)));
                }
            } else if has_moved.get() {
                state.set(Upload::Running);
            }
        }
        match (down.as_mut().poll(task), &mut watched) {
            (Poll::Pending, Some(intake)) => intake.poll_broken(task).map(|()| Err(client_left())),
            (outcome, _) => outcome,
        }
    })
    .await;
    if matches!(&outcome, Ok(Down::Whole(response)) if response.client_stays) && state.get().goes_on() {
        state.set(if up.await.0.is_ok() { Upload::Ended } else { Upload::Failed });
    }
    (outcome, state.get())
}

/// The client has reset its connection: whatever is done for it, nobody will see.
pub(super) fn client_left() -> Error {
    Error::downstream(Stage::ResponseHead, Cause::Io)
}

/// The request, to its end. Gives back where its body came from.
async fn upload<'s>(
    cx: &Rc<Context>,
    plan: &Plan,
    source: Source<'s>,
    body: &mut Framer,
    server: &Outlet,
) -> (Result<(), RelayError>, &'s mut Intake) {
    let Source { inbox, intake, stream, alarm, idle, has_moved } = source;
    let source = Source { inbox, intake, stream, alarm, idle, has_moved };
    let mut head = plan.head.take();
    let sent = copy(source, body, server, &mut head, (&cx.memory, &mut None), &cx.handle).await;
    // What is left is of a request that comes after the answer to this one.
    inbox.spare();
    intake.set_mode(Mode::Once(Group::Head));
    (sent, intake)
}

/// Where the response goes.
struct Sink<'c> {
    outlet: &'c Outlet,
    /// See [`Client`].
    answer: &'c mut Option<Posted>,
    work: &'c mut Option<Work>,
    is_untaken: &'c mut bool,
}

/// The response, to its end; or but for its last send, which is the client's to look at then.
async fn download(
    cx: &Rc<Context>,
    plan: &Plan,
    sink: Sink<'_>,
    connection: &mut Connection,
    upload: &Cell<Upload>,
    begun: &Cell<bool>,
    meter: &mut Meter,
) -> Result<Down, Error> {
    let Sink { outlet: sink, answer, work, is_untaken } = sink;
    let timeouts = &plan.view.snapshot.config.timeouts;
    let mut response = match head(cx, plan, sink, connection, upload, meter).await? {
        Some(response) => response,
        None => return Ok(Down::Switched),
    };
    let idle = if response.is_events { timeouts.tunnel_idle } else { timeouts.body_idle };
    if response.is_events {
        connection.outlet.stream().endure();
    }
    meter.status = response.status;
    begun.set(true);
    let mut head = Some(std::mem::take(&mut response.head));
    let Connection { inbox, intake, outlet, alarm, .. } = connection;
    // A small answer that is here whole: the exchange need not wait until it has left.
    if response.client_stays
        && head.as_mut().is_some_and(|head| response.framer.join(head, inbox, &cx.handle))
        && response.framer.is_done()
    {
        meter.passed.down.set(response.framer.bytes());
        // Its memory goes with it, unless one before it still needs that.
        let counted = if *is_untaken { None } else { work.take().map(counted) };
        let posted = head.map(|head| sink.post(head, counted)).transpose();
        *answer = posted.map_err(|_| Error::downstream(Stage::ResponseBody, Cause::Io))?;
        return Ok(Down::Whole(response));
    }
    let (stream, has_moved) = (outlet.stream(), &Cell::new(true));
    let source = Source { inbox, intake, stream, alarm, idle, has_moved };
    // Until it is whole, an end of the connection would look like the end of the response, whatever brought it about.
    if response.ends_by_close {
        sink.stream().reset_on_close(true);
    }
    let mut width = None;
    let memory = (&cx.memory, &mut width);
    let relayed = copy(source, &mut response.framer, sink, &mut head, memory, &cx.handle).await;
    if let Some(work) = work
        && let Some(held) = width.and_then(Width::into_sent)
    {
        // There is one socket, which may hold some of the answer before this one, too.
        let bytes = work.bytes().max(ACTIVE + held.bytes());
        work.absorb(held);
        work.shrink(bytes);
        *is_untaken = true;
    }
    if response.ends_by_close && (relayed.is_ok() || head.is_some()) {
        sink.stream().reset_on_close(false);
    }
    meter.passed.down.set(response.framer.bytes());
    begun.set(head.is_none());
    relayed.map_err(|error| match error {
        RelayError::Source(cause) if head.is_none() => Error::upstream(Stage::ResponseBody, cause),
        RelayError::Source(cause) => Error::upstream(Stage::ResponseHead, cause),
        RelayError::Sink(cause) => Error::downstream(Stage::ResponseBody, cause),
    })?;
    Ok(Down::Whole(response))
}

/// The head of the final response, interim ones passed on before it; `None` after a switch of protocols.
async fn head(
    cx: &Rc<Context>,
    plan: &Plan,
    sink: &Outlet,
    connection: &mut Connection,
    upload: &Cell<Upload>,
    meter: &mut Meter,
) -> Result<Option<Recycled<Final>>, Error> {
    let body_idle = plan.view.snapshot.config.timeouts.body_idle;
    let mut interims = 0;
    loop {
        let request_ends = !plan.has_body || upload.get() == Upload::Ended;
        let bytes = connection.inbox.bytes();
        if bytes.is_empty() {
            receive_head(cx, plan, connection, upload, meter).await?;
            continue;
        }
        let (len, response) = respond(cx, plan, &meter.facts, bytes, request_ends)?;
        connection.inbox.consume(len, &cx.handle);
        let (head, switched) = match response {
            Response::Final(response) => return Ok(Some(response)),
            Response::NeedMore => {
                receive_head(cx, plan, connection, upload, meter).await?;
                continue;
            }
            Response::Interim(_) if interims == INTERIMS_MAX => {
                return Err(Error::upstream(Stage::ResponseHead, Cause::TooManyInterims));
            }
            Response::Interim(head) => {
                interims += 1;
                (head, false)
            }
            Response::Switch(head) => (head, true),
        };
        let sent =
            Box::pin(send([Some(head.into()), None, None], sink, &mut connection.alarm, body_idle, &cx.handle)).await;
        sent.map_err(|_| Error::downstream(Stage::ResponseHead, Cause::Io))?;
        if switched {
            meter.status = 101;
            return Ok(None);
        }
        // A server that has said one thing is given its time anew for the next.
        connection.alarm.clear();
    }
}

/// Receives more of the response's head.
async fn receive_head(
    cx: &Rc<Context>,
    plan: &Plan,
    connection: &mut Connection,
    upload: &Cell<Upload>,
    meter: &mut Meter,
) -> Result<(), Error> {
    let first_byte = plan.view.snapshot.config.timeouts.first_byte;
    let mut is_set = false;
    let received = poll_fn(|task| {
        if let Poll::Ready(received) = connection.intake.poll_recv(task) {
            return Poll::Ready(Ok(received));
        }
        // The server's time runs from when it has the request, and while it is asked whether it wants the body.
        let is_its_turn = !plan.has_body || upload.get() != Upload::Running;
        match is_its_turn {
            true if !is_set => connection.alarm.set(first_byte),
            false if is_set => connection.alarm.clear(),
            _ => {}
        }
        is_set = is_its_turn;
        connection.alarm.poll_elapsed(task).map(Err)
    })
    .await;
    let nothing_came = meter.first_byte.is_none();
    let cause = match received {
        Ok(Ok(Some(bytes))) => {
            meter.first_byte.get_or_insert(cx.handle.now());
            connection.inbox.add(bytes, &cx.handle);
            return Ok(());
        }
        // Once something has come, the server has begun to work on the request.
        Ok(Ok(None)) if nothing_came => Cause::Closed,
        Ok(Err(_)) if nothing_came => Cause::Io,
        Ok(_) => Cause::Truncated,
        Err(Elapsed) => Cause::TimedOut,
    };
    Err(Error::upstream(Stage::ResponseHead, cause))
}
