//! What comes before the first request: a PROXY header, the look at what the client speaks, the handshake of TLS.

use super::after::After;
use super::client::{Client, Proxied, Shaken};
use super::context::{Context, View};
use super::local::fail;
use super::memory;
use super::plan::Facts;
use super::raw::Raw;
use super::record::Meter;
use crate::detect::{Opening, Refused, opening, proxy_header};
use crate::limit::HANDSHAKE;
use crate::model::{Cidr, ListenerId, Protocol, SiteId, SiteTls};
use crate::proto::error::{Cause, Error, Stage};
use crate::tls::Engine;
use crate::wire::{Inbox, ShakeError, shake};
use ringferry_parser::proxy_protocol::Addresses;
use ringferry_parser::tls::Alert;
use ringferry_runtime::net::Mode;
use ringferry_runtime::time::Elapsed;
use std::pin::pin;
use std::rc::Rc;

/// How a connection goes on.
enum Begun {
    /// With requests.
    Requests,
    /// As it is, to a server.
    Raw(Box<Raw>),
    /// Not at all, once the client has read what was said.
    Linger,
    /// Not at all.
    Close,
}

/// Does what comes before the first request, which may be all.
pub(super) async fn begin(cx: &Rc<Context>, client: &mut Client) -> After {
    match Box::pin(open(cx, client)).await {
        Begun::Requests => {
            // What the handshake took. What came with it is a request's, or the start of one.
            client.work = None;
            After::Keep
        }
        Begun::Raw(raw) => raw.join(cx, client).await.map_or(After::Cut, After::Tunnel),
        Begun::Linger => After::Linger,
        Begun::Close => After::Cut,
    }
}

/// Does what the client's listener wants before the first request, all of it within the time for a head.
async fn open(cx: &Rc<Context>, client: &mut Client) -> Begun {
    let Some((view, id, _)) = cx.view_for(client.listener) else { return Begun::Close };
    let config = &view.snapshot.config;
    let listener = &config.listeners[id.index()];
    // Several small messages come before there is a request, if there ever is one.
    client.intake.set_mode(Mode::Stream);
    client.alarm.set(config.timeouts.head);
    let speaks_first = listener.protocol == Protocol::Https || listener.proxy_protocol.is_some();
    let is_believed = |from: &Vec<Cidr>| from.iter().any(|set| set.contains(client.address));
    // Whoever has not said a word is as idle as one that waits for its next request.
    if speaks_first && listener.proxy_protocol.as_ref().is_none_or(is_believed) && !client.idle(cx, true).await {
        return Begun::Close;
    }
    if let Some(from) = &listener.proxy_protocol {
        if !from.iter().any(|set| set.contains(client.address)) {
            return turned_away(cx, client, listener.protocol, Cause::ProxyPeer, None);
        }
        let Client { intake, inbox, alarm, .. } = client;
        let header = alarm.guard(pin!(proxy_header(intake, inbox, &cx.handle))).await;
        match header {
            Ok(Ok(Some(addresses))) if !believe(cx, client, &view, addresses) => return Begun::Close,
            Ok(Ok(_)) => {}
            Ok(Err(Refused::Proxy(_))) => return turned_away(cx, client, listener.protocol, Cause::ProxyHeader, None),
            Ok(Err(_)) | Err(Elapsed) => return Begun::Close,
        }
    }
    match listener.protocol {
        Protocol::Http => Begun::Requests,
        Protocol::Https => tls(cx, client, view, id).await,
        Protocol::Tcp | Protocol::Udp => match view.snapshot.stream(id) {
            Some((stream, gate)) => Begun::Raw(Box::new(Raw::stream(view.clone(), stream, gate.clone()))),
            None => Begun::Close,
        },
    }
}

/// The connection is that of another client from here on. False when that client has too many.
fn believe(cx: &Rc<Context>, client: &mut Client, view: &View, addresses: Addresses) -> bool {
    client.address = addresses.source.ip().to_canonical();
    let config = &view.snapshot.config;
    let mut ticket = None;
    // Another proxy, in front of the one that names it, speaks for many clients.
    if !config.trusted_proxies.iter().any(|set| set.contains(client.address)) {
        let max = config.limits.connections_per_client.try_into().unwrap_or(u32::MAX);
        match cx.clients.enter(client.address, max) {
            Ok(counted) => ticket = Some(counted),
            Err(_) => {
                cx.stats.accept_errors.add(1);
                return false;
            }
        }
    }
    client.proxied = Some(Box::new(Proxied::new(cx, addresses, ticket)));
    true
}

/// A connection to a port where TLS is spoken.
async fn tls(cx: &Rc<Context>, client: &mut Client, view: Rc<View>, id: ListenerId) -> Begun {
    let deadline = client.alarm.deadline();
    if let Err(error) = memory::take(cx, client, HANDSHAKE, deadline, false).await {
        return turned_away(cx, client, Protocol::Https, error.cause, None);
    }
    let Client { intake, inbox, alarm, .. } = client;
    let opened = alarm.guard(pin!(opening(intake, inbox, &cx.handle))).await;
    let name = match opened {
        Ok(Ok(Opening::Tls(name))) => name,
        Ok(Ok(Opening::Http)) => return plain_http(cx, client).await,
        Ok(Err(Refused::Hello(error))) => {
            tell(client, error.alert()).await;
            return turned_away(cx, client, Protocol::Https, Cause::Hello(error), None);
        }
        Ok(Ok(Opening::Other) | Err(_)) | Err(Elapsed) => return Begun::Close,
    };
    let site = view.snapshot.table.site(id, name.as_deref().unwrap_or_default().as_bytes());
    match site.and_then(|site| Some((site, view.snapshot.config.sites[site.index()].tls.as_ref()?))) {
        Some((site, SiteTls::Passthrough)) => Begun::Raw(Box::new(Raw::passthrough(view.clone(), site, name))),
        Some((site, SiteTls::Terminate(_))) if view.snapshot.tls.server_config(id, site).is_some() => {
            handshake(cx, client, &view, (id, site), name).await
        }
        // A site that has no usable certificate is as unknown as one that does not exist: to show another's would be
        // worse.
        _ => {
            tell(client, Alert::UnrecognizedName).await;
            turned_away(cx, client, Protocol::Https, Cause::UnknownName, name)
        }
    }
}

/// Ends TLS here.
async fn handshake(
    cx: &Rc<Context>,
    client: &mut Client,
    view: &View,
    (id, site): (ListenerId, SiteId),
    name: Option<Box<str>>,
) -> Begun {
    let tls = &view.snapshot.tls;
    let (Some(config), Some(policy)) = (tls.server_config(id, site), tls.policy(site)) else { return Begun::Close };
    let Ok(engine) = Engine::server(config.clone()) else { return Begun::Close };
    let Client { intake, outlet, inbox, alarm, .. } = client;
    let hello = std::mem::take(inbox);
    let shaken = alarm.guard(pin!(shake(outlet, intake, engine, hello.bytes(), name.clone()))).await;
    client.inbox = hello;
    client.inbox.clear(&cx.handle);
    match shaken {
        Ok(Ok(plain)) => {
            match plain.is_empty() {
                true => cx.handle.give_bytes(plain),
                false => client.inbox = Inbox::Bytes(plain, 0),
            }
            client.shaken = Some(Box::new(Shaken::new(policy)));
            Begun::Requests
        }
        Ok(Err(ShakeError::Tls(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented))) => {
            turned_away(cx, client, Protocol::Https, Cause::BadCertificate, name)
        }
        Ok(Err(ShakeError::Tls(_))) => turned_away(cx, client, Protocol::Https, Cause::Handshake, name),
        // Whoever looks whether the port is open is no event.
        Ok(Err(ShakeError::Io(_))) | Err(Elapsed) => Begun::Close,
    }
}

/// Somebody wrote http:// in front of a port of https://. Told so, since browsers show it.
async fn plain_http(cx: &Rc<Context>, client: &mut Client) -> Begun {
    let mut meter = Meter::begin(cx, client);
    meter.facts = Facts::unread();
    let error = Error::downstream(Stage::RequestHead, Cause::PlainOnTls);
    Box::pin(fail(cx, client, error, meter)).await;
    Begun::Linger
}

/// Sends an alert in the clear. There is room for it: nothing has been sent yet.
async fn tell(client: &mut Client, alert: Alert) {
    let Client { outlet, alarm, .. } = client;
    let _ = alarm.guard(outlet.send_whole(alert.record().to_vec())).await;
}

/// Logs why a connection ends before its first request. `protocol` is what its listener is for.
fn turned_away(
    cx: &Rc<Context>,
    client: &mut Client,
    protocol: Protocol,
    cause: Cause,
    name: Option<Box<str>>,
) -> Begun {
    let kind = match protocol {
        Protocol::Http => "HTTP",
        Protocol::Https => "TLS",
        Protocol::Tcp | Protocol::Udp => "TCP",
    };
    let mut meter = Meter::begin(cx, client);
    meter.facts = Facts::named(kind, name.as_deref().unwrap_or_default(), "");
    meter.error = Some(Error::downstream(Stage::RequestHead, cause));
    Meter::finish(meter);
    Begun::Linger
}
