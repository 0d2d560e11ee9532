//! What is to be done with a request: the whole decision, made at once from its head, without waiting for anything.

use super::client::Client;
use super::context::{Context, View};
use crate::balance::{address_hash, key_hash};
use crate::limit::{InFlight, Over, TooFast};
use crate::model::{Access, Action, Balance, Config, HashKey, ListenerId, PoolId, Protocol, Redirect, Route, SiteId};
use crate::proto::error::{Cause, Error, Stage};
use crate::proto::h1::keeps_alive;
use crate::proto::headers::{RequestCx, client_address, offered_protocols, seen_before, write_request};
use crate::proto::page::accepts_html;
use crate::route::{Found, NoRoute, https_origin};
use crate::snapshot::Snapshot;
use ringferry_parser::h1::{
    FieldSlots, Fields, HeadLimits, Known, Method, Parsed, RequestBody, RequestHead, Target, Version, request,
};
use ringferry_parser::host;
use ringferry_parser::path::{self, Path};
use ringferry_runtime::Recycled;
use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

/// The outcome of looking at what has been received.
pub(super) enum Decision {
    /// The head is not whole yet.
    NeedMore,
    /// It goes to a pool.
    Forward(Recycled<Plan>),
    /// We answer it ourselves.
    Answer(Reply),
}

/// An answer of our own.
pub(super) enum Reply {
    /// With path and query of the request.
    Redirect(Redirect, [String; 2]),
    Error(Error),
}

/// What is known of a request beyond the decision, for answers and the log.
#[derive(Default)]
pub(super) struct Facts {
    /// Method, host, target, user agent, referer one after another, as far as anybody reads them; see [`Facts::text`].
    text: Vec<u8>,
    ends: [u32; 5],
    pub(super) client: Option<IpAddr>,
    pub(super) version: Option<Version>,
    pub(super) is_head: bool,
    pub(super) html: bool,
    /// The client's connection may serve another request after this one.
    pub(super) stays: bool,
    /// The request has a body that has not been read.
    pub(super) has_body: bool,
    /// Where the request was routed, as far as it was.
    pub(super) place: Place,
}

/// Which site and route a request belongs to, for the log.
#[derive(Default)]
pub(super) enum Place {
    #[default]
    Unknown,
    /// None of its routes is for the request.
    Site(Rc<View>, SiteId),
    Route(Rc<View>, Found),
    /// By name: a tunnel outlives snapshots and must not keep them.
    Named(String, String),
}

/// Which text of [`Facts`].
#[derive(Clone, Copy)]
pub(super) enum Text {
    Method,
    Host,
    Target,
    UserAgent,
    Referer,
}

/// A request that is to be forwarded.
pub(super) struct Plan {
    pub(super) view: Rc<View>,
    pub(super) route: Found,
    pub(super) pool: PoolId,
    /// The hash key of the request, for pools that balance by one.
    pub(super) key: u64,
    /// The head for the server; taken while it is being sent.
    pub(super) head: Cell<Option<Vec<u8>>>,
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) body: RequestBody,
    pub(super) expects_continue: bool,
    /// See [`Facts`].
    pub(super) has_body: bool,
    pub(super) stays: bool,
    /// The client's connection is encrypted.
    pub(super) secure: bool,
    /// It counts as in flight while there is a plan.
    _in_flight: InFlight,
}

impl Plan {
    /// The head is here: a try that failed has given it back.
    pub(super) fn can_be_sent(&self) -> bool {
        let head = self.head.take();
        let is_here = head.is_some();
        self.head.set(head);
        is_here
    }

    /// The route, as configured.
    pub(super) fn config(&self) -> &Route {
        &self.view.snapshot.config.routes[self.route.route.index()]
    }
}

impl Facts {
    pub(super) fn text(&self, which: Text) -> &[u8] {
        let index = which as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start as usize..self.ends[index] as usize]
    }

    /// Of a connection that is no exchange: what it is, the name that was asked for, and where it goes.
    pub(super) fn named(kind: &str, host: &str, place: &str) -> Facts {
        let mut facts = Facts::default();
        facts.keep([kind, host, place, "", ""].map(str::as_bytes), Vec::new());
        facts
    }

    /// Of a request that could not be read: what follows it cannot be, either.
    pub(super) fn unread() -> Facts {
        Facts { has_body: true, ..Facts::default() }
    }

    /// All but the texts, which not everybody will read.
    fn learn(&mut self, head: &RequestHead<'_, '_>) {
        self.version = Some(head.version);
        self.is_head = head.method.is_head();
        self.html = accepts_html(&head.fields);
        self.stays = keeps_alive(head.version, head.connection);
        self.has_body = !matches!(head.body, RequestBody::None | RequestBody::Length(0));
    }

    /// Keeps the texts of a request that is logged.
    fn keep_texts(&mut self, head: &RequestHead<'_, '_>, room: Vec<u8>) {
        let user_agent = head.fields.first(Known::UserAgent).unwrap_or_default();
        let referer = head.fields.first(Known::Referer).unwrap_or_default();
        let parts = [head.method_text.as_bytes(), host(head), head.target_text.as_bytes(), user_agent, referer];
        self.keep(parts, room);
    }

    fn keep(&mut self, parts: [&[u8]; 5], room: Vec<u8>) {
        self.text = room;
        for (part, end) in parts.into_iter().zip(&mut self.ends) {
            self.text.extend_from_slice(part);
            *end = self.text.len() as u32;
        }
    }

    /// The vector, for another request.
    pub(super) fn into_text(self) -> Vec<u8> {
        self.text
    }
}

/// Decides what happens to the request at the front of the client's inbox, takes its head out, and leaves what is known
/// of it in `facts`.
pub(super) fn decide(cx: &Context, client: &mut Client, facts: &mut Facts) -> Decision {
    let Some((view, listener, is_current)) = cx.view_for(client.listener) else {
        return refuse_unread(Error::internal(Stage::Route, Cause::Overloaded), facts);
    };
    let limits = &view.snapshot.config.limits;
    let limits = HeadLimits { bytes: limits.head_bytes, fields: limits.header_count };
    let mut slots = FieldSlots::new();
    let head = match request::parse(client.inbox.bytes(), &mut slots, &limits) {
        Ok(Parsed::Partial) => return Decision::NeedMore,
        Ok(Parsed::Complete(head)) => head,
        Err(error) => return refuse_unread(Error::downstream(Stage::RequestHead, Cause::Head(error)), facts),
    };
    let head_len = head.head_len;
    facts.learn(&head);
    if view.snapshot.config.log.format.is_some() {
        facts.keep_texts(&head, cx.handle.take_bytes());
    }
    facts.stays &= is_current && !cx.is_ending();
    let trusted = &view.snapshot.config.trusted_proxies;
    facts.client = Some(client_address(client.address, &head.fields, trusted));
    let decision = match route(&view, listener, &head) {
        Ok(found) => {
            let access = &view.snapshot.config.routes[found.route.index()].access;
            match check_tls(&view, listener, client, found.site, &head) {
                Some(reply @ Reply::Error(_)) => Decision::Answer(reply),
                _ if !lets_in(access, facts) => {
                    facts.place = Place::Route(view, found);
                    denied(cx)
                }
                Some(reply) => Decision::Answer(reply),
                None => act(cx, client, view, found, &head, facts),
            }
        }
        Err(cause) => no_route(cx, &view, listener, client, &head, cause, facts),
    };
    client.inbox.consume(head_len, &cx.handle);
    decision
}

fn host<'b>(head: &RequestHead<'_, 'b>) -> &'b [u8] {
    head.host.map_or(b"", |host| host.text)
}

/// A request that gets a page of ours.
fn refuse(error: Error) -> Decision {
    Decision::Answer(Reply::Error(error))
}

/// Whether the client of a request may come.
fn lets_in(access: &Access, facts: &Facts) -> bool {
    facts.client.is_some_and(|client| access.lets_in(client))
}

fn denied(cx: &Context) -> Decision {
    cx.stats.denied.add(1);
    refuse(Error::downstream(Stage::Route, Cause::Denied))
}

/// A request whose head cannot be read: where it ends is not known, so the connection ends with the answer.
fn refuse_unread(error: Error, facts: &mut Facts) -> Decision {
    *facts = Facts::unread();
    Decision::Answer(Reply::Error(error))
}

/// The route of a request. Methods that no route serves are refused here.
fn route(view: &View, listener: ListenerId, head: &RequestHead<'_, '_>) -> Result<Found, Cause> {
    if head.method == Method::Connect || matches!(head.target, Target::Authority(_)) {
        return Err(Cause::MethodNotAllowed);
    }
    if seen_before(&head.fields, &view.snapshot.instance) {
        return Err(Cause::Loop);
    }
    let mut host_scratch: host::HostScratch = [0; host::HOST_BYTES_MAX];
    let host = head.host.as_ref().map_or(&b""[..], |host| host.normal(&mut host_scratch));
    // For `OPTIONS *` and a target without a path this is the slash: they ask about the site as a whole.
    let mut path_scratch = path::Scratch::default();
    let path = Path::read(head.target.path(), &mut path_scratch).map_err(|_| Cause::AmbiguousPath)?;
    view.snapshot.table.find_agreeing(listener, host, &path).map_err(|none| match none {
        NoRoute::Host => Cause::UnknownHost,
        NoRoute::Path => Cause::NoRoute,
        NoRoute::Ambiguous => Cause::AmbiguousPath,
    })
}

/// What a request without a route is answered. Who may not ask for a site is not told either what is not in it.
fn no_route(
    cx: &Context,
    view: &Rc<View>,
    listener: ListenerId,
    client: &Client,
    head: &RequestHead<'_, '_>,
    cause: Cause,
    facts: &mut Facts,
) -> Decision {
    let mut host_scratch: host::HostScratch = [0; host::HOST_BYTES_MAX];
    let host = head.host.as_ref().map_or(&b""[..], |host| host.normal(&mut host_scratch));
    if let Some(site) = view.snapshot.table.site(listener, host) {
        match check_tls(view, listener, client, site, head) {
            Some(reply) if client.shaken.is_some() => return Decision::Answer(reply),
            _ if !lets_in(&view.snapshot.config.sites[site.index()].access, facts) => {
                facts.place = Place::Site(view.clone(), site);
                return denied(cx);
            }
            Some(_) => {}
            None => facts.place = Place::Site(view.clone(), site),
        }
    }
    refuse(Error::downstream(Stage::Route, cause))
}

/// Whether a request for `site` may come on this connection; if not, what it is answered.
fn check_tls(
    view: &View,
    listener: ListenerId,
    client: &Client,
    site: SiteId,
    head: &RequestHead<'_, '_>,
) -> Option<Reply> {
    let snapshot = &*view.snapshot;
    let config = &snapshot.config;
    let wrong = || Some(Reply::Error(Error::downstream(Stage::Route, Cause::UnknownHost)));
    let Some(tls) = &config.sites[site.index()].tls else {
        // A connection that was encrypted for another site.
        return if client.shaken.is_some() { wrong() } else { None };
    };
    let Some(shaken) = &client.shaken else {
        // Whoever ended TLS in front of us says so; else it is to be spoken.
        let is_trusted = config.trusted_proxies.iter().any(|set| set.contains(client.address));
        let came_by_tls = head.fields.all(Known::XForwardedProto).next().is_some_and(|proto| proto == b"https");
        return match is_trusted && came_by_tls {
            true if tls.may_end_in_front() => None,
            // To send those to TLS who have come by it would have no end.
            true => wrong(),
            false => Some(to_https(snapshot, site, head)),
        };
    };
    if shaken.good_for.get() == Some((snapshot.generation, site)) {
        return None;
    }
    let asked = client.outlet.agreed().and_then(|agreed| agreed.server_name.as_deref()).unwrap_or_default().as_bytes();
    let for_site = snapshot.table.site(listener, asked);
    if for_site.is_some_and(|asked| snapshot.tls.may_serve(listener, site, asked, shaken.policy)) {
        shaken.good_for.set(Some((snapshot.generation, site)));
        return None;
    }
    wrong()
}

/// The same address by TLS, at the port where the site is served so.
fn to_https(snapshot: &Snapshot, site: SiteId, head: &RequestHead<'_, '_>) -> Reply {
    let ports = snapshot.config.sites[site.index()].listeners.iter().filter_map(|id| {
        let is_tls = snapshot.config.listeners[id.index()].protocol == Protocol::Https;
        is_tls.then(|| snapshot.listeners[id.index()].address.port())
    });
    let host = head.host.and_then(|authority| str::from_utf8(authority.host).ok());
    let to = https_origin(host.unwrap_or_default(), ports);
    let redirect = Redirect { to, keep_path: true, status: 308 };
    Reply::Redirect(redirect, [head.target.path().to_owned(), head.target.query().unwrap_or_default().to_owned()])
}

/// What the route does with the request.
fn act(
    cx: &Context,
    client: &Client,
    view: Rc<View>,
    found: Found,
    head: &RequestHead<'_, '_>,
    facts: &mut Facts,
) -> Decision {
    facts.place = Place::Route(view.clone(), found);
    let config = &view.snapshot.config;
    let route = &config.routes[found.route.index()];
    if let (Some(rate), Some(who)) = (&route.rate, facts.client)
        && let Err(TooFast { retry_after_s }) = cx.rates.take(rate, who, cx.handle.now().as_nanos() / 1_000)
    {
        cx.stats.over_rate.add(1);
        return refuse(Error::downstream(Stage::Route, Cause::TooFast(retry_after_s)));
    }
    if matches!((head.body, route.max_body), (RequestBody::Length(length), Some(max)) if length > max) {
        return refuse(Error::downstream(Stage::Request, Cause::BodyTooLarge));
    }
    let pool = match &route.action {
        Action::Proxy(pool) => *pool,
        Action::Redirect(redirect) => {
            let target = [head.target.path().to_owned(), head.target.query().unwrap_or_default().to_owned()];
            let reply = Reply::Redirect(redirect.clone(), target);
            return Decision::Answer(reply);
        }
    };
    let in_flight = match count_in(cx, config, facts) {
        Ok(in_flight) => in_flight,
        Err(error) => return refuse(error),
    };
    // The prefix is put back into addresses of this host.
    if route.strip_prefix && facts.text.is_empty() {
        facts.keep([b"", host(head), b"", b"", b""], cx.handle.take_bytes());
    }
    let out = rewrite(cx, client, &view, route, head, facts);
    let key = hash_key(&view.snapshot.config.pools[pool.index()].balance, &head.fields, facts);
    let offers = head.upgrade && offered_protocols(head).next().is_some();
    let plan = Plan {
        route: found,
        pool,
        key,
        head: Cell::new(Some(out)),
        method: head.method,
        version: head.version,
        body: head.body,
        expects_continue: head.expect_continue && !offers,
        has_body: facts.has_body,
        stays: facts.stays,
        secure: client.shaken.is_some(),
        _in_flight: in_flight,
        view,
    };
    Decision::Forward(cx.handle.recycle(plan))
}

/// Counts a request that is to be forwarded.
fn count_in(cx: &Context, config: &Config, facts: &Facts) -> Result<InFlight, Error> {
    let at_most = |max: usize| max.try_into().unwrap_or(u32::MAX);
    let (max, max_of_client) = (at_most(config.limits.requests), at_most(config.limits.requests_per_client));
    // A trusted proxy that names nobody speaks for many.
    let is_proxy = |who: &IpAddr| config.trusted_proxies.iter().any(|set| set.contains(*who));
    let client = || facts.client.filter(|who| !is_proxy(who));
    cx.in_flight.enter(max, max_of_client, client).map_err(|over| {
        cx.stats.over_requests.add(1);
        match over {
            Over::All => Error::internal(Stage::Route, Cause::Busy),
            Over::Client => Error::downstream(Stage::Route, Cause::ClientBusy),
        }
    })
}

/// The head for the server.
fn rewrite(
    cx: &Context,
    client: &Client,
    view: &View,
    route: &Route,
    head: &RequestHead<'_, '_>,
    facts: &Facts,
) -> Vec<u8> {
    let config = &view.snapshot.config;
    let peer = client.address_text();
    let who = facts.client.filter(|address| *address != client.address);
    let who = who.map(crate::proto::headers::AddressText::new);
    let id = route.request_id.then(|| hex(cx.handle.random(), cx.handle.random()));
    let request_cx = RequestCx {
        peer: &peer,
        client: who.as_ref().unwrap_or(&peer),
        peer_is_trusted: config.trusted_proxies.iter().any(|set| set.contains(client.address)),
        secure: client.shaken.is_some(),
        client_subject: client.outlet.agreed().and_then(|agreed| agreed.client_subject.as_deref()),
        default_host: "",
        strip_prefix: route.strip_prefix.then_some(&*route.path),
        request_id: id.as_ref().map(|id| &id[..]),
        via: config.via,
        instance: &view.snapshot.instance,
    };
    let mut out = cx.handle.take_bytes();
    write_request(head, &request_cx, &mut out);
    out
}

/// What the pool hashes of this request. A client without the field or the cookie is hashed by its address.
fn hash_key(balance: &Balance, fields: &Fields<'_, '_>, facts: &Facts) -> u64 {
    let Balance::Hash(key) = balance else { return 0 };
    let named = match key {
        HashKey::ClientIp => None,
        HashKey::Header(name) => fields.named(name),
        HashKey::Cookie(name) => cookie(fields, name),
    };
    match (named, facts.client) {
        (Some(value), _) => key_hash(value),
        (None, Some(client)) => address_hash(client),
        (None, None) => 0,
    }
}

fn cookie<'b>(fields: &Fields<'_, 'b>, name: &str) -> Option<&'b [u8]> {
    let pairs = fields.all(Known::Cookie).flat_map(|value| value.split(|&byte| byte == b';'));
    pairs.map(|pair| pair.trim_ascii()).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

fn hex(a: u64, b: u64) -> [u8; 32] {
    let bits = u128::from(a) << 64 | u128::from(b);
    std::array::from_fn(|place| b"0123456789abcdef"[(bits >> (124 - 4 * place)) as usize & 15])
}
