//! A connection that is passed on as it is: TLS that is not ended here, and streams. Nothing is read but what chose the
//! way.

use super::client::Client;
use super::context::{Context, View};
use super::exchange::while_there;
use super::memory;
use super::plan::{Facts, Place};
use super::record::Meter;
use super::tunnel::Joined;
use crate::balance::address_hash;
use crate::limit::{ACTIVE, Gate};
use crate::model::{Access, Action, PoolId, ProxyVersion, SiteId, Stream};
use crate::proto::error::{Cause, Error, Stage};
use crate::upstream::{Obtain, Tried};
use crate::wire::Inbox;
use ringferry_parser::proxy_protocol::{Transport, write_v1, write_v2};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Where a connection goes.
pub(super) struct Raw {
    view: Rc<View>,
    pool: Option<PoolId>,
    idle: Duration,
    /// Of the site or the stream.
    name: String,
    kind: &'static str,
    /// The name that the client asks for.
    server_name: Option<Box<str>>,
    /// The connections of the stream, and how many there may be.
    gate: Option<(Arc<Gate>, u32)>,
    access: Access,
}

impl Raw {
    /// To the servers of a site that passes TLS through.
    pub(super) fn passthrough(view: Rc<View>, site: SiteId, server_name: Option<Box<str>>) -> Raw {
        let config = &view.snapshot.config;
        let site = &config.sites[site.index()];
        let pool = site.route_ids().find_map(|route| match config.routes[route.index()].action {
            Action::Proxy(pool) => Some(pool),
            Action::Redirect(_) => None,
        });
        let idle = config.timeouts.tunnel_idle;
        let (name, access) = (site.name.clone(), site.access.clone());
        Raw { pool, idle, name, kind: "TLS", server_name, gate: None, access, view }
    }

    /// To the servers of a stream.
    pub(super) fn stream(view: Rc<View>, stream: &Stream, gate: Arc<Gate>) -> Raw {
        let gate = Some((gate, stream.max_connections.unwrap_or(u32::MAX)));
        let (pool, name) = (Some(stream.pool), stream.name.clone());
        let access = stream.access.clone();
        Raw { view, pool, idle: stream.idle, name, kind: "TCP", server_name: None, gate, access }
    }

    /// Makes the connection to the server that it goes on to; what is left to do then is a tunnel. `None` where there is
    /// none.
    pub(super) async fn join(self: Box<Raw>, cx: &Rc<Context>, client: &mut Client) -> Option<Box<Joined>> {
        let mut meter = Meter::begin(cx, client);
        let host = self.server_name.as_deref().unwrap_or_default();
        meter.facts = Facts::named(self.kind, host, &self.name);
        meter.facts.place = Place::Named(self.name.clone(), String::new());
        if !self.access.lets_in(client.address) {
            cx.stats.denied.add(1);
            meter.error = Some(Error::downstream(Stage::Connect, Cause::Denied));
            Meter::finish(meter);
            return None;
        }
        let inside = self.gate.as_ref().map(|(gate, max)| gate.enter(*max));
        let Some(id) = self.pool.filter(|_| !matches!(inside, Some(None))) else {
            meter.error = Some(Error::internal(Stage::Connect, Cause::Overloaded));
            Meter::finish(meter);
            return None;
        };
        let deadline = cx.handle.now() + self.view.snapshot.config.timeouts.head;
        if let Err(error) = memory::take(cx, client, ACTIVE, deadline, true).await {
            meter.error = Some(error);
            Meter::finish(meter);
            return None;
        }
        let (pool, state) = self.view.snapshot.pool(id);
        let obtain = Obtain {
            pools: &cx.pools,
            view: &self.view.pools[id.index()],
            pool,
            state,
            key: address_hash(client.address),
            connect_timeout: self.view.snapshot.config.timeouts.connect,
            handle: &cx.handle,
        };
        let (mut tried, mut held_until) = (Tried::default(), None);
        let obtaining = Box::pin(obtain.upstream(None, &mut tried, &mut held_until));
        let obtained = while_there(client, true, obtaining).await;
        meter.retries = tried.retries();
        let mut upstream = match obtained {
            Ok(upstream) => upstream,
            Err(error) => {
                meter.server = tried.last_server().map(|server| obtain.server(server).clone());
                meter.status = error.status().unwrap_or(0);
                meter.error = Some(error);
                Meter::finish(meter);
                return None;
            }
        };
        meter.connect_time = upstream.connect_time;
        meter.server = Some(upstream.attempt.server().clone());
        meter.status = 200;
        upstream.attempt.succeeded();
        introduce(client, pool.send_proxy_protocol, cx);
        let mut joined = Joined::new(upstream.connection, upstream.attempt, self.idle);
        joined.count_inside(inside.flatten());
        joined.take_memory(client.work.take());
        joined.take_over(meter);
        Some(joined)
    }
}

/// Puts the header that tells the server whom it talks to in front of what the client has sent.
fn introduce(client: &mut Client, version: Option<ProxyVersion>, cx: &Rc<Context>) {
    let Some((version, addresses)) = version.and_then(|version| Some((version, client.ends()?))) else { return };
    let mut bytes = cx.handle.take_bytes();
    match version {
        ProxyVersion::V1 => write_v1(addresses, &mut bytes),
        ProxyVersion::V2 => write_v2(Transport::Stream, addresses, &mut bytes),
    }
    bytes.extend_from_slice(client.inbox.bytes());
    client.inbox.clear(&cx.handle);
    client.inbox = Inbox::Bytes(bytes, 0);
}
