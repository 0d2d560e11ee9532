//! The configuration as written: each table read into what it says by itself, with the places that later checks name.
//! What only several tables together can get wrong is in `check`.

use super::address::{Peers, SocketPath};
use super::defaults;
use super::problem::{At, Problems, Span};
use super::reader::{Item, Read, Table, Wrong};
use super::schema;
use super::units::Size;
use super::word::{RoutePath, Target};
use crate::model::{Cidr, Cores, HostPattern, Limits, Listener, LogFormat, LogSettings, Pool, Redirect, Timeouts};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeTable;

/// A whole file.
pub(super) struct RawConfig {
    pub(super) cores: Cores,
    pub(super) admin: Option<PathBuf>,
    pub(super) trusted_proxies: Vec<Cidr>,
    pub(super) via: bool,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) log: LogSettings,
    /// `None`: nothing was written, the default applies.
    pub(super) listen: Option<Vec<At<Listener>>>,
    pub(super) sites: Vec<RawSite>,
}

/// A `[[site]]`.
pub(super) struct RawSite {
    pub(super) hosts: Vec<At<HostPattern>>,
    pub(super) listen: Option<Vec<At<Listener>>>,
    pub(super) routes: Vec<RawRoute>,
}

/// A route, or what stands for one directly in a site.
pub(super) struct RawRoute {
    pub(super) path: At<RoutePath>,
    pub(super) action: RawAction,
    pub(super) strip_prefix: bool,
    pub(super) max_body: Option<u64>,
    pub(super) request_id: bool,
}

/// What a route does.
pub(super) enum RawAction {
    Proxy(Pool),
    Redirect(Redirect),
}

impl RawConfig {
    pub(super) fn read(document: &DeTable, problems: &mut Problems) -> RawConfig {
        let table = Table::of(document, Span::NOWHERE, &schema::TOP, problems);
        let trusted: Vec<At<Peers>> = table.get_or("trusted_proxies", Vec::new(), problems);
        let drain = table.get_or("drain_timeout", defaults::DRAIN, problems);
        RawConfig {
            cores: table.get_or("cores", Cores::All, problems),
            admin: table.get("admin", problems).map(|path: At<SocketPath>| path.value.0),
            trusted_proxies: trusted.into_iter().flat_map(|peers| peers.value.0).collect(),
            via: table.get_or("via", defaults::VIA, problems),
            limits: table.get_or("limits", defaults::LIMITS, problems),
            timeouts: Timeouts { drain, ..table.get_or("timeouts", defaults::TIMEOUTS, problems) },
            log: table.get_or("log", defaults::LOG, problems),
            listen: listen(&table, problems),
            sites: sites(&table, problems),
        }
    }
}

/// `[listen]`.
fn listen(top: &Table, problems: &mut Problems) -> Option<Vec<At<Listener>>> {
    let item = top.item("listen")?;
    if !item.is_table() {
        let wrong = Wrong::new(format!("listen is {}, not a table", item.type_name()));
        item.wrong(wrong.say("write: [listen]\n       http = \":80\""), problems);
        return None;
    }
    let table = Table::read(item, &schema::LISTEN, problems)?;
    listeners(&table, "http", problems)
}

fn listeners(table: &Table, key: &'static str, problems: &mut Problems) -> Option<Vec<At<Listener>>> {
    let list: At<Vec<At<Listener>>> = table.get(key, problems)?;
    if table.item(key).is_some_and(|item| item.is_empty_list()) {
        problems.error(list.at, format!("{key} lists no address"), format!("write: {key} = \":80\""));
    }
    Some(list.value)
}

fn sites(top: &Table, problems: &mut Problems) -> Vec<RawSite> {
    let Some(item) = top.item("site") else {
        problems.missing_at_end("no site is configured", EXAMPLE_SITE.to_owned());
        return Vec::new();
    };
    if item.is_table() {
        item.wrong(Wrong::new("a site has one pair of brackets").say("write: [[site]]"), problems);
    }
    Vec::read(item, problems).unwrap_or_default().into_iter().map(|site: At<RawSite>| site.value).collect()
}

impl<'t> Read<'t> for RawSite {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawSite> {
        let table = Table::read(item, &schema::SITE, problems)?;
        let hosts: Vec<At<HostPattern>> = table.get_or("host", Vec::new(), problems);
        if table.item("host").is_none_or(|item| item.is_empty_list()) {
            let hint = "write: host = \"www.example.com\", or host = \"*\" for every host without a site of its own";
            problems.missing(table.at, "a site without a host", hint.to_owned());
        }
        let listen = listeners(&table, "listen", problems);
        Some(RawSite { hosts, listen, routes: routes(&table, problems) })
    }
}

/// The routes of a site: those of `route`, else the one that the site itself stands for.
fn routes(site: &Table, problems: &mut Problems) -> Vec<RawRoute> {
    let Some(list) = site.item("route") else {
        return route(site, At { value: everything(), at: site.at }, problems).into_iter().collect();
    };
    for key in ["upstream", "redirect", "strip_prefix", "max_body", "request_id"] {
        if let Some(at) = site.key_at(key) {
            let hint = format!("write {key} in the routes; a route with path = \"/\" takes what the others leave");
            problems.error(at, format!("{key} beside route: which route would it be for?"), hint);
        }
    }
    if list.is_empty_list() {
        problems.error(
            list.at,
            "route lists no route",
            "write: route = [{ path = \"/\", upstream = 3000 }]".to_owned(),
        );
    }
    Vec::read(list, problems).unwrap_or_default().into_iter().map(|route: At<RawRoute>| route.value).collect()
}

impl<'t> Read<'t> for RawRoute {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawRoute> {
        let table = Table::read(item, &schema::ROUTE, problems)?;
        let path = table.get("path", problems).unwrap_or(At { value: everything(), at: table.at });
        route(&table, path, problems)
    }
}

fn everything() -> RoutePath {
    RoutePath("/".to_owned())
}

/// What a site and a route have in common.
fn route(table: &Table, path: At<RoutePath>, problems: &mut Problems) -> Option<RawRoute> {
    let strip_prefix: Option<At<bool>> = table.get("strip_prefix", problems);
    let max_body: Option<At<Size>> = table.get("max_body", problems);
    let request_id: Option<At<bool>> = table.get("request_id", problems);
    let pool: Option<At<Pool>> = table.get("upstream", problems);
    let redirect: Option<At<Redirect>> = table.get("redirect", problems);
    let upstream_at = table.key_at("upstream");
    let redirect_at = table.key_at("redirect");
    match (upstream_at, redirect_at) {
        (Some(_), Some(at)) => {
            problems.error(at, "upstream and redirect: a request can go one way only", "remove one of them".to_owned())
        }
        (None, None) => problems.missing(
            table.at,
            format!("{} needs upstream or redirect", table.name()),
            UPSTREAM_OR_REDIRECT.to_owned(),
        ),
        (None, Some(_)) => {
            for key in ["strip_prefix", "max_body", "request_id"] {
                if let Some(at) = table.key_at(key) {
                    problems.warning(at, format!("{key} changes nothing in a redirect"), "remove the line".to_owned());
                }
            }
        }
        (Some(_), None) => {}
    }
    if let Some(strip) = strip_prefix.as_ref().filter(|strip| strip.value && path.value.0 == "/") {
        problems.warning(
            strip.at,
            "strip_prefix changes nothing: the path is \"/\"",
            "give the route a path, or remove it".to_owned(),
        );
    }
    let action = match (pool, redirect) {
        (Some(pool), _) => RawAction::Proxy(pool.value),
        (None, redirect) => RawAction::Redirect(redirect?.value),
    };
    Some(RawRoute {
        path,
        action,
        strip_prefix: strip_prefix.is_some_and(|strip| strip.value),
        max_body: max_body.map(|size| size.value.0),
        request_id: request_id.is_some_and(|wanted| wanted.value),
    })
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
            let hint = "write 308 (moved for good) or 307 (for now); 301 and 302 turn a POST into a GET".to_owned();
            problems.error(status.at, format!("status {} is not one of 301, 302, 307, 308", status.value), hint);
        }
        if table.item("to").is_none() {
            problems.missing(
                table.at,
                "redirect without its target",
                "write: to = \"https://www.example.com\"".to_owned(),
            );
        }
        Some(of(table.get("to", problems)?.value, status.map_or(defaults::REDIRECT_STATUS, |status| status.value)))
    }
}

impl<'t> Read<'t> for Limits {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Limits> {
        let table = Table::read(item, &schema::LIMITS, problems)?;
        let head_bytes: Option<At<Size>> = table.get("head_bytes", problems);
        if let Some(size) = head_bytes.as_ref().filter(|size| !defaults::HEAD_BYTES_RANGE.contains(&size.value.0)) {
            problems.error(size.at, "head_bytes can be 1KiB to 1MiB", "write: head_bytes = \"64KiB\"".to_owned());
        }
        let mut number = |key, range, default| table.number(key, range, problems).map_or(default, |found| found.value);
        let of = defaults::LIMITS;
        Some(Limits {
            head_bytes: head_bytes.map_or(of.head_bytes, |size| size.value.0 as usize),
            header_count: number("header_count", 1..=defaults::HEADER_COUNT_MAX, of.header_count),
            connections: number("connections", 1..=defaults::CONNECTIONS_MAX, of.connections),
            connections_per_client: number(
                "connections_per_client",
                1..=defaults::CONNECTIONS_MAX,
                of.connections_per_client,
            ),
            idle_per_server: number("idle_per_server", 0..=defaults::CONNECTIONS_MAX, of.idle_per_server),
        })
    }
}

impl<'t> Read<'t> for Timeouts {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Timeouts> {
        let table = Table::read(item, &schema::TIMEOUTS, problems)?;
        let mut wait = |key, default: Duration| table.wait(key, default, problems);
        let of = defaults::TIMEOUTS;
        Some(Timeouts {
            head: wait("head", of.head),
            idle: wait("idle", of.idle),
            body_idle: wait("body_idle", of.body_idle),
            tunnel_idle: wait("tunnel_idle", of.tunnel_idle),
            connect: wait("connect", of.connect),
            first_byte: wait("first_byte", of.first_byte),
            upstream_idle: wait("upstream_idle", of.upstream_idle),
            drain: of.drain,
        })
    }
}

impl<'t> Read<'t> for LogSettings {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<LogSettings> {
        let table = Table::read(item, &schema::LOG, problems)?;
        let Some(format) = table.item("format") else { return Some(defaults::LOG) };
        let format = format.choice(FORMATS, "", problems)?;
        Some(LogSettings { format })
    }
}

const FORMATS: &[(&str, Option<LogFormat>)] =
    &[("combined", Some(LogFormat::Combined)), ("json", Some(LogFormat::Json)), ("off", None)];

const EXAMPLE_SITE: &str = "write: [[site]]\n       host = \"www.example.com\"\n       upstream = 3000";
const UPSTREAM_OR_REDIRECT: &str = "write: upstream = 3000, or redirect = \"https://www.example.com\"";
