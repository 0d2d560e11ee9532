//! `[[site]]` and its routes, as written. What `upstream` says is in `upstream`, what a site says of TLS in `tls`; ties
//! between sites are in `check`.

use super::access;
use super::defaults;
use super::listen::{self, Place};
use super::problem::{At, Problems};
use super::rate::RawRate;
use super::reader::{Item, Read, Scalar, Table, Wrong};
use super::schema;
use super::server::Use;
use super::tls::{self, RawTls};
use super::units::Size;
use super::upstream;
use super::word::{RoutePath, Target};
use crate::model::{Access, HostPattern, Hsts, Listener, Pool, Protocol, Redirect, SiteTls};
use std::net::Ipv4Addr;

/// A `[[site]]`.
pub(super) struct RawSite {
    pub(super) hosts: Vec<At<HostPattern>>,
    /// `None`: it is on the common listeners.
    pub(super) listen: Option<Vec<At<Listener>>>,
    pub(super) tls: Option<SiteTls>,
    pub(super) hsts: Option<Hsts>,
    pub(super) routes: Vec<RawRoute>,
    /// For routes that have no lists of their own.
    pub(super) access: Access,
    /// For routes that have no rate of their own.
    pub(super) rate: Option<RawRate>,
}

/// A route, or what stands for one directly in a site.
pub(super) struct RawRoute {
    pub(super) path: At<RoutePath>,
    pub(super) action: RawAction,
    pub(super) strip_prefix: bool,
    pub(super) max_body: Option<u64>,
    pub(super) request_id: bool,
    /// `None`: those of the site.
    pub(super) access: Option<Access>,
    /// `None`: that of the site.
    pub(super) rate: Option<RawRate>,
}

/// What a route does.
pub(super) enum RawAction {
    Proxy(Pool),
    Redirect(Redirect),
}

impl<'t> Read<'t> for RawSite {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawSite> {
        let table = Table::read(item, &schema::SITE, problems)?;
        let hosts: Vec<At<RawHost>> = table.get_or("host", Vec::new(), problems);
        if table.item("host").is_none_or(|item| item.is_empty_list()) {
            let hint = "write: host = \"www.example.com\", or host = \"*\" for every host without a site of its own";
            table.lacks(&["host"], "a site without a host", hint, problems);
        }
        let access = access::access(&table, problems).unwrap_or_default();
        let rate = table.get("rate", problems).map(|rate| rate.value);
        let tls = tls::tls(&table, problems);
        let hsts = tls::hsts(&table, &tls, problems);
        let listen = listeners(&table, &tls, problems);
        let hosts = patterns(hosts, &tls, problems);
        let (tls, routes) = match tls {
            RawTls::Plain => (None, routes(&table, Some(Use::Http), problems)),
            // It is one with TLS in any case, as far as others are concerned.
            RawTls::Unclear => (Some(tls::UNCLEAR), routes(&table, None, problems)),
            RawTls::Tls(SiteTls::Passthrough) => {
                never_asked_for(&hosts, problems);
                (Some(SiteTls::Passthrough), passed_through(&table, problems))
            }
            RawTls::Tls(tls) => (Some(tls), routes(&table, Some(Use::Http), problems)),
        };
        Some(RawSite { hosts, listen, tls, hsts, routes, access, rate })
    }
}

/// What the hosts are for routing. Who writes http:// in front of one wants it without TLS.
fn patterns(hosts: Vec<At<RawHost>>, tls: &RawTls, problems: &mut Problems) -> Vec<At<HostPattern>> {
    let pattern = |At { value: RawHost { pattern, plain }, at }| {
        if plain && matches!(tls, RawTls::Tls(_)) {
            let hint = format!("write \"{pattern}\": http:// is redirected; or give it a site of its own, without TLS");
            problems.error(at, "http:// in front of a host, in a site with TLS", hint);
        }
        At { value: pattern, at }
    };
    hosts.into_iter().map(pattern).collect()
}

/// A host as written.
struct RawHost {
    pattern: HostPattern,
    /// http:// was in front of it.
    plain: bool,
}

impl Scalar for RawHost {
    const EXAMPLE: &'static str = HostPattern::EXAMPLE;

    fn from_text(text: &str) -> Result<RawHost, Wrong> {
        Ok(RawHost { pattern: HostPattern::from_text(text)?, plain: text.starts_with("http://") })
    }
}

/// The addresses that a site names for itself.
fn listeners(site: &Table, tls: &RawTls, problems: &mut Problems) -> Option<Vec<At<Listener>>> {
    let place = match tls {
        RawTls::Plain => Place::PlainSite,
        RawTls::Tls(_) => Place::TlsSite,
        RawTls::Unclear => Place::SomeSite,
    };
    let list = listen::plain(listen::listeners(site, "listen", place, problems)?);
    let item = site.item("listen")?;
    let only_http = !list.is_empty() && list.iter().all(|listener| listener.value.protocol == Protocol::Http);
    if matches!(place, Place::TlsSite) && only_http && list.len() == item.len() {
        let what = "a site with TLS, and no address for TLS in listen";
        problems.error(item.at, what, "write: listen = \"https://:8443\", or tls = \"off\" for a site without");
    }
    Some(list)
}

/// Clients name a host in SNI, never an address (RFC 6066, section 3).
fn never_asked_for(hosts: &[At<HostPattern>], problems: &mut Problems) {
    let is_address = |host: &HostPattern| match host {
        HostPattern::Exact(host) => host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok(),
        _ => false,
    };
    for host in hosts.iter().filter(|host| is_address(&host.value)) {
        let what = format!("{:?} is never asked for: TLS names hosts, not addresses", host.value.to_string());
        problems.warning(host.at, what, "write the host name, or host = \"*\" for whoever names none");
    }
}

/// The one route of a site that passes TLS through.
fn passed_through(site: &Table, problems: &mut Problems) -> Vec<RawRoute> {
    // Where there is another way for requests, its own problem says what such a site needs.
    if ["upstream", "route", "redirect"].iter().all(|key| site.item(key).is_none()) {
        let hint = "write: upstream = \"tcp://192.168.1.50:443\"";
        site.lacks(&["upstream"], "a site that passes TLS through needs upstream", hint, problems);
    }
    let pool = upstream::pool(site, Some(Use::Passthrough), problems);
    let route = |pool| RawRoute {
        path: At { value: RoutePath::everything(), at: site.at },
        action: RawAction::Proxy(pool),
        strip_prefix: false,
        max_body: None,
        request_id: false,
        access: None,
        rate: None,
    };
    pool.map(route).into_iter().collect()
}

/// The routes of a site: those of `route`, else the one that the site itself stands for, whose servers are for `of`.
fn routes(site: &Table, of: Option<Use>, problems: &mut Problems) -> Vec<RawRoute> {
    let Some(list) = site.item("route") else {
        let everything = At { value: RoutePath::everything(), at: site.at };
        return route(site, Some(everything), of, problems).into_iter().collect();
    };
    for key in ["upstream", "redirect", "strip_prefix", "max_body", "request_id"] {
        if let Some(at) = site.key_at(key) {
            let hint = format!("write {key} in the routes; one with path = \"/\" takes what the others leave");
            problems.error(at, format!("{key} beside route: which route is it for?"), hint);
        }
    }
    if list.is_empty_list() {
        let hint = "write: route = [{ path = \"/\", upstream = 3000 }]";
        problems.error(list.at, "route lists no route", hint);
    }
    Vec::read(list, problems).unwrap_or_default().into_iter().map(|route: At<RawRoute>| route.value).collect()
}

impl<'t> Read<'t> for RawRoute {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawRoute> {
        let table = Table::read(item, &schema::ROUTE, problems)?;
        let path = match table.item("path") {
            Some(_) => table.get("path", problems),
            None => Some(At { value: RoutePath::everything(), at: table.at }),
        };
        let access = access::access(&table, problems);
        let rate = table.get("rate", problems).map(|rate| rate.value);
        Some(RawRoute { access, rate, ..route(&table, path, Some(Use::Http), problems)? })
    }
}

/// What stands in a site for its one route, and in a route. Without a readable path only the problems are of interest.
fn route(table: &Table, path: Option<At<RoutePath>>, of: Option<Use>, problems: &mut Problems) -> Option<RawRoute> {
    let strip_prefix: Option<At<bool>> = table.get("strip_prefix", problems);
    let max_body: Option<At<Size>> = table.get("max_body", problems);
    let request_id: Option<At<bool>> = table.get("request_id", problems);
    let action = action(table, of, problems);
    let path = path?;
    if let Some(strip) = strip_prefix.as_ref().filter(|strip| strip.value && path.value == RoutePath::everything()) {
        let hint = "give the route a path, or remove it";
        problems.warning(strip.at, "strip_prefix changes nothing: the path is \"/\"", hint);
    }
    Some(RawRoute {
        path,
        action: action?,
        strip_prefix: strip_prefix.is_some_and(|strip| strip.value),
        max_body: max_body.map(|size| size.value.0),
        request_id: request_id.is_some_and(|wanted| wanted.value),
        access: None,
        rate: None,
    })
}

/// Exactly one of `upstream` and `redirect`.
fn action(table: &Table, of: Option<Use>, problems: &mut Problems) -> Option<RawAction> {
    let pool = upstream::pool(table, of, problems);
    let redirect: Option<At<Redirect>> = table.get("redirect", problems);
    match (table.key_at("upstream"), table.key_at("redirect")) {
        (Some(_), None) => return pool.map(RawAction::Proxy),
        (Some(_), Some(at)) => {
            problems.error(at, "upstream and redirect: a request can go one way only", "remove one of them");
        }
        (None, Some(_)) => {
            for key in ["strip_prefix", "max_body", "request_id"] {
                if let Some(at) = table.key_at(key) {
                    problems.warning(at, format!("{key} changes nothing in a redirect"), "remove it");
                }
            }
        }
        (None, None) => {
            let what = format!("{} needs upstream or redirect", table.name());
            let hint = "write: upstream = 3000, or redirect = \"https://www.example.com\"";
            table.lacks(&["upstream", "redirect", "route"], what, hint, problems);
        }
    }
    redirect.map(|redirect| RawAction::Redirect(redirect.value))
}

impl<'t> Read<'t> for Redirect {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Redirect> {
        let of = |target: Target, status| Redirect { to: target.url, keep_path: target.keep_path, status };
        if !item.is_table() {
            return Some(of(Target::read(item, problems)?, defaults::REDIRECT_STATUS));
        }
        let table = Table::read(item, &schema::REDIRECT, problems)?;
        let status = table.number("status", 300..=399, problems);
        if let Some(status) = status.as_ref().filter(|status| ![301, 302, 307, 308].contains(&status.value)) {
            let hint = "write 308 (moved for good) or 307 (for now); 301 and 302 turn a POST into a GET";
            problems.error(status.at, format!("status {} is not one of 301, 302, 307, 308", status.value), hint);
        }
        if table.item("to").is_none() {
            let hint = "write: to = \"https://www.example.com\"";
            table.lacks(&["to"], "a redirect without its target", hint, problems);
        }
        let target = table.get("to", problems)?.value;
        Some(of(target, status.map_or(defaults::REDIRECT_STATUS, |status| status.value)))
    }
}
