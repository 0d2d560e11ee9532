//! One exchange: from the first byte of a request to the last of its response.

use super::after::After;
use super::client::Client;
use super::context::Context;
use super::local::{answer, fail};
use super::memory;
use super::plan::{Decision, Facts, Plan, decide};
use super::record::Meter;
use super::transfer::{Failed, client_left, transfer};
use crate::limit::ACTIVE;
use crate::proto::error::Error;
use crate::proto::h1::may_retry;
use crate::upstream::{Obtain, Tried};
use ringferry_runtime::Recycled;
use ringferry_runtime::time::Instant;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

/// Serves the request whose first bytes are in the client's inbox.
pub(super) async fn exchange(cx: &Rc<Context>, client: &mut Client) -> After {
    let listener = client.listener;
    // One that does not end (an upload of hours) must not keep alive what a reload has removed.
    let after = cx.while_served(listener, pin!(run(cx, client))).await.unwrap_or(After::Cut);
    ended(client, after)
}

async fn run(cx: &Rc<Context>, client: &mut Client) -> After {
    let mut meter = Meter::begin(cx, client);
    let (deadline, bytes_max) = {
        let view = cx.view();
        let config = &view.snapshot.config;
        (cx.handle.now() + config.timeouts.head, config.limits.head_bytes)
    };
    loop {
        match decide(cx, client, &mut meter.facts) {
            Decision::NeedMore => {
                if let Err(error) = Box::pin(more(cx, client, deadline, bytes_max)).await {
                    meter.facts = Facts::unread();
                    return Box::pin(fail(cx, client, error, meter)).await;
                }
            }
            Decision::Answer(reply) => return Box::pin(answer(cx, client, reply, meter)).await,
            Decision::Forward(plan) => {
                if let Err(error) = memory::take(cx, client, ACTIVE, deadline, plan.stays).await {
                    return Box::pin(give_up(cx, client, error, &plan, meter)).await;
                }
                return forward(cx, client, plan, meter).await;
            }
        }
    }
}

/// Gives the memory of an exchange back, or leaves it to what has come of it.
fn ended(client: &mut Client, mut after: After) -> After {
    match &mut after {
        After::Tunnel(joined) => joined.take_memory(client.work.take()),
        After::Keep if client.is_untaken => {}
        _ => client.work = None,
    }
    after
}

/// Receives more of a head, with memory for it.
async fn more(cx: &Rc<Context>, client: &mut Client, deadline: Instant, bytes_max: usize) -> Result<(), Error> {
    let bytes = memory::of_head(client.inbox.bytes().len(), bytes_max, &cx.memory);
    memory::take(cx, client, bytes, deadline, false).await?;
    client.more_head(cx, deadline, bytes_max).await
}

/// Sends the request to a server, to another if that one fails and it does no harm, and relays the response.
async fn forward(cx: &Rc<Context>, client: &mut Client, plan: Recycled<Plan>, mut meter: Recycled<Meter>) -> After {
    let view = plan.view.clone();
    let (pool, state) = view.snapshot.pool(plan.pool);
    let obtain = Obtain {
        pools: &cx.pools,
        view: &view.pools[plan.pool.index()],
        pool,
        state,
        key: plan.key,
        connect_timeout: view.snapshot.config.timeouts.connect,
        handle: &cx.handle,
    };
    let (mut tried, mut held_until) = (Tried::default(), None);
    loop {
        let obtained = match obtain.kept(&mut tried) {
            Ok(upstream) => Ok(upstream),
            // Boxed, like all that most exchanges do without: an exchange that is small stays in the cache.
            Err(picked) => {
                client.inbox.spare();
                let obtaining = cx.handle.recycle(obtain.upstream(picked, &mut tried, &mut held_until));
                while_there(client, plan.stays, obtaining).await
            }
        };
        let upstream = match obtained {
            Ok(upstream) => upstream,
            Err(error) => {
                meter.retries = tried.retries();
                meter.server = tried.last_server().map(|server| obtain.server(server).clone());
                return Box::pin(give_up(cx, client, error, &plan, meter)).await;
            }
        };
        let (index, reused) = (upstream.index, upstream.reused);
        meter.retries = tried.retries();
        meter.connect_time = upstream.connect_time;
        meter.server = Some(upstream.attempt.server().clone());
        match transfer(cx, client, &plan, upstream, state, &mut meter).await {
            Ok(After::Tunnel(mut joined)) => {
                joined.take_over(meter);
                return After::Tunnel(joined);
            }
            Ok(after) => {
                cx.handle.give_bytes(plan.head.take().unwrap_or_default());
                Meter::finish(meter);
                return after;
            }
            Err(Failed { error, body_untouched, .. })
                if plan.can_be_sent() && may_retry(&error, plan.method, body_untouched) =>
            {
                tried.failed(index, reused, error);
            }
            Err(Failed { error, response_begun: false, .. }) => {
                return Box::pin(give_up(cx, client, error, &plan, meter)).await;
            }
            Err(Failed { error, .. }) => {
                meter.error = Some(error);
                Meter::finish(meter);
                return After::Cut;
            }
        }
    }
}

/// Runs `obtaining` to its end, or until the client resets its connection, if that is `watched`.
pub(super) async fn while_there<T>(
    client: &mut Client,
    watched: bool,
    mut obtaining: impl Future<Output = Result<T, Error>> + Unpin,
) -> Result<T, Error> {
    poll_fn(|task| match Pin::new(&mut obtaining).poll(task) {
        Poll::Pending if watched => client.intake.poll_broken(task).map(|()| Err(client_left())),
        obtained => obtained,
    })
    .await
}

/// Answers with the error's page.
async fn give_up(
    cx: &Rc<Context>,
    client: &mut Client,
    error: Error,
    plan: &Plan,
    mut meter: Recycled<Meter>,
) -> After {
    // What has not been read of the body cannot be told from a next request; what is not announced, need not be.
    meter.facts.has_body |= plan.expects_continue;
    fail(cx, client, error, meter).await
}
