//! One exchange: from the first byte of a request to the last of its response.

use super::client::Client;
use super::context::Context;
use super::local::{answer, fail};
use super::plan::{Decision, Facts, Plan, decide};
use super::record::Meter;
use super::transfer::{Failed, transfer};
use super::tunnel::Joined;
use crate::proto::error::Error;
use crate::proto::h1::may_retry;
use crate::upstream::{Obtain, Tried};
use std::rc::Rc;

/// How a client's connection goes on after an exchange.
pub(super) enum After {
    /// It waits for the next request.
    Keep,
    /// It ends, once the client has read what was sent.
    Linger,
    /// It ends at once: the client is gone, or must see that the response is not whole.
    Close,
    /// It is reset: the end of the connection would look like the end of the response.
    Reset,
    /// It has become a tunnel.
    Tunnel(Box<Joined>),
}

/// Tries of one request, over all servers.
const RETRIES_MAX: u32 = 8;

/// Serves the request whose first bytes are in the client's inbox.
pub(super) async fn exchange(cx: &Rc<Context>, client: &mut Client) -> After {
    let meter = Meter::begin(cx);
    let (deadline, bytes_max) = {
        let view = cx.view();
        let config = &view.snapshot.config;
        (cx.handle.now() + config.timeouts.head, config.limits.head_bytes)
    };
    loop {
        match decide(cx, client) {
            Decision::NeedMore => {
                if let Err(error) = client.more_head(cx, deadline, bytes_max).await {
                    return fail(cx, client, error, Facts::unread(), meter).await;
                }
            }
            Decision::Answer(reply, facts) => return answer(cx, client, reply, facts, meter).await,
            Decision::Forward(plan) => return forward(cx, client, plan, meter).await,
        }
    }
}

/// Sends the request to a server, to another if that one fails and it does no harm, and relays the response.
async fn forward(cx: &Rc<Context>, client: &mut Client, plan: Box<Plan>, mut meter: Meter) -> After {
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
        let upstream = match obtain.upstream(&mut tried, &mut held_until).await {
            Ok(upstream) => upstream,
            Err(error) => return give_up(cx, client, error, *plan, meter).await,
        };
        let (index, reused) = (upstream.index, upstream.reused);
        meter.connect_time = upstream.connect_time;
        meter.server = Some(upstream.attempt.server().clone());
        match transfer(cx, client, &plan, upstream, state, &mut meter).await {
            Ok(After::Tunnel(mut joined)) => {
                joined.take_over(cx, plan.facts, meter);
                return After::Tunnel(joined);
            }
            Ok(after) => {
                meter.finish(cx, plan.facts, client.address);
                return after;
            }
            Err(Failed { error, body_untouched, .. })
                if plan.can_be_sent()
                    && meter.retries < RETRIES_MAX
                    && may_retry(&error, plan.method, body_untouched) =>
            {
                meter.retries += 1;
                if reused {
                    tried.went_stale(index);
                }
            }
            Err(Failed { error, response_begun: false, .. }) => return give_up(cx, client, error, *plan, meter).await,
            Err(Failed { error, after, .. }) => {
                meter.error = Some(error);
                meter.finish(cx, plan.facts, client.address);
                return after;
            }
        }
    }
}

/// Answers with the error's page.
async fn give_up(cx: &Rc<Context>, client: &mut Client, error: Error, plan: Plan, meter: Meter) -> After {
    let mut facts = plan.facts;
    // What has not been read of the body cannot be told from a next request; what is not announced, need not be.
    facts.has_body |= plan.expects_continue;
    fail(cx, client, error, facts, meter).await
}
