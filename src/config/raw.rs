//! The configuration as written: each table read into what it says by itself, with the places that later checks name.
//! Sites are in `site`, streams in `stream`; what only several tables together can get wrong is in `check`.

use super::address::{Peers, SocketPath};
use super::defaults;
use super::file::OwnFolder;
use super::listen::{self, Place};
use super::problem::{At, Problems, Span};
use super::reader::{Item, Read, Table, Wrong};
use super::schema;
use super::site::RawSite;
use super::stream::RawStream;
use super::units::Size;
use crate::model::{
    Cidr, Cores, KernelChoice, Limits, Listener, LogFormat, LogSettings, Privileges, Resources, Timeouts,
};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeTable;

/// A whole file.
pub(super) struct RawConfig {
    pub(super) cores: Cores,
    pub(super) kernel: KernelChoice,
    pub(super) admin: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    pub(super) trusted_proxies: Vec<Cidr>,
    pub(super) via: bool,
    pub(super) kernel_tls: bool,
    pub(super) resources: Resources,
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) log: LogSettings,
    pub(super) privileges: Privileges,
    pub(super) listen: RawListen,
    pub(super) sites: Vec<RawSite>,
    pub(super) streams: Vec<RawStream>,
}

/// `[listen]`. `None`: nothing was written, the default applies.
#[derive(Default)]
pub(super) struct RawListen {
    pub(super) http: Option<Vec<At<Listener>>>,
    pub(super) https: Option<Vec<At<Listener>>>,
}

impl RawConfig {
    pub(super) fn read(document: &DeTable, problems: &mut Problems) -> RawConfig {
        let table = Table::of(document, Span::NOWHERE, &schema::TOP, problems);
        let drain = table.get_or("drain_timeout", defaults::DRAIN, problems);
        RawConfig {
            cores: table.get_or("cores", Cores::All, problems),
            kernel: kernel(&table, problems),
            admin: table.get("admin", problems).map(|path: At<SocketPath>| path.value.0),
            state: table.get("state", problems).map(|path: At<OwnFolder>| path.value.0),
            trusted_proxies: trusted_proxies(&table, problems),
            via: table.get_or("via", defaults::VIA, problems),
            kernel_tls: table.get_or("kernel_tls", defaults::KERNEL_TLS, problems),
            resources: table.get_or("resources", Resources::default(), problems),
            limits: table.get_or("limits", defaults::LIMITS, problems),
            timeouts: Timeouts { drain, ..table.get_or("timeouts", defaults::TIMEOUTS, problems) },
            log: table.get_or("log", defaults::LOG, problems),
            privileges: table.get_or("privileges", defaults::PRIVILEGES, problems),
            listen: listen(&table, problems),
            sites: sites(&table, problems),
            streams: streams(&table, problems),
        }
    }
}

fn trusted_proxies(top: &Table, problems: &mut Problems) -> Vec<Cidr> {
    let list: Vec<At<Peers>> = top.get_or("trusted_proxies", Vec::new(), problems);
    listen::believed(list, problems)
}

/// `[listen]`.
fn listen(top: &Table, problems: &mut Problems) -> RawListen {
    let Some(item) = top.item("listen") else { return RawListen::default() };
    if !item.is_table() {
        let wrong = Wrong::new(format!("listen is {}, not a table", item.type_name()));
        item.wrong(wrong.say("write: [listen]\n       http = \":80\""), problems);
        return RawListen::default();
    }
    let Some(table) = Table::read(item, &schema::LISTEN, problems) else { return RawListen::default() };
    let mut of = |key, place| listen::listeners(&table, key, place, problems).map(listen::plain);
    RawListen { http: of("http", Place::Http), https: of("https", Place::Https) }
}

fn sites(top: &Table, problems: &mut Problems) -> Vec<RawSite> {
    let Some(item) = top.item("site") else {
        if top.item("stream").is_none() {
            problems.missing_at_end("no site is configured", EXAMPLE_SITE);
        }
        return Vec::new();
    };
    if item.is_table() {
        item.wrong(Wrong::new("a site has one pair of brackets").say("write: [[site]]"), problems);
    }
    Vec::read(item, problems).unwrap_or_default().into_iter().map(|site: At<RawSite>| site.value).collect()
}

fn streams(top: &Table, problems: &mut Problems) -> Vec<RawStream> {
    let Some(item) = top.item("stream") else { return Vec::new() };
    if item.is_table() {
        item.wrong(Wrong::new("a stream has one pair of brackets").say("write: [[stream]]"), problems);
    }
    Vec::read(item, problems).unwrap_or_default().into_iter().map(|stream: At<RawStream>| stream.value).collect()
}

impl<'t> Read<'t> for Resources {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Resources> {
        let table = Table::read(item, &schema::RESOURCES, problems)?;
        let memory: Option<At<Size>> = table.get("memory", problems);
        if let Some(size) = memory.as_ref().filter(|size| !defaults::MEMORY_RANGE.contains(&size.value.0)) {
            problems.error(size.at, "memory can be 1MiB to 1024GiB", "write: memory = \"64MiB\"");
        }
        Some(Resources { memory: memory.map(|size| size.value.0) })
    }
}

impl<'t> Read<'t> for Limits {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Limits> {
        let table = Table::read(item, &schema::LIMITS, problems)?;
        let head_bytes: Option<At<Size>> = table.get("head_bytes", problems);
        if let Some(size) = head_bytes.as_ref().filter(|size| !defaults::HEAD_BYTES_RANGE.contains(&size.value.0)) {
            problems.error(size.at, "head_bytes can be 1KiB to 1MiB", "write: head_bytes = \"64KiB\"");
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
            requests: number("requests", 1..=defaults::CONNECTIONS_MAX, of.requests),
            requests_per_client: number("requests_per_client", 1..=defaults::CONNECTIONS_MAX, of.requests_per_client),
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

fn kernel(table: &Table<'_>, problems: &mut Problems) -> KernelChoice {
    let choice = table.item("kernel").and_then(|item| item.choice(KERNELS, "", problems));
    choice.unwrap_or(defaults::KERNEL)
}

pub(super) const KERNELS: &[(&str, KernelChoice)] =
    &[("auto", KernelChoice::Auto), ("uring", KernelChoice::Uring), ("epoll", KernelChoice::Epoll)];

const FORMATS: &[(&str, Option<LogFormat>)] =
    &[("combined", Some(LogFormat::Combined)), ("json", Some(LogFormat::Json)), ("off", None)];

const EXAMPLE_SITE: &str = "write: [[site]]\n       host = \"www.example.com\"\n       upstream = 3000";
