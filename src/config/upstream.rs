//! `upstream`: a pool of servers, how one of them is chosen, and what happens while none is there.

use super::defaults;
use super::problem::{At, Problems};
use super::reader::{Item, Read, Scalar, Table, Wrong};
use super::schema;
use super::server::{ServerUrl, Use};
use super::trust::RawTrust;
use crate::model::{Balance, HashKey, Pool, ProxyVersion, Server};
use std::time::Duration;

/// The pool under `upstream` of `table`, without its name, which is given by what it belongs to. What its servers are
/// for, `of`, decides how they can be reached; where that is not clear there is no pool, only problems.
pub(super) fn pool(table: &Table, of: Option<Use>, problems: &mut Problems) -> Option<Pool> {
    let item = table.item("upstream")?;
    if !item.is_table() {
        return servers(item, of, &RawTrust::default(), None, problems).map(plain_pool);
    }
    let table = Table::read(item, &schema::UPSTREAM, problems)?;
    let max_connections =
        table.number("max_connections", 1..=defaults::CONNECTIONS_MAX as u32, problems).map(|found| found.value);
    let trust = RawTrust::read(&table, problems);
    let Some(list) = table.item("servers") else {
        table.lacks(&["servers"], "upstream has no servers", "write: servers = [3000, 3001]", problems);
        return None;
    };
    let servers = servers(list, of, &trust, max_connections, problems);
    let hold: Option<At<Duration>> = table.get("hold", problems);
    let held = hold.as_ref().map(|hold| hold.value).filter(|hold| !hold.is_zero());
    let queue = table.number("queue", 0..=defaults::QUEUE_MAX, problems);
    let eject_max: Option<At<Duration>> = table.get("eject_max", problems);
    // Of the two, the one that was written pulls the default of the other along.
    let longest = eject_max.as_ref().map_or(defaults::EJECT_FOR, |max| max.value);
    let eject_for = table.wait("eject_for", defaults::EJECT_FOR.min(longest), problems);
    let eject_after: Option<At<EjectAfter>> = table.get("eject_after", problems);
    let balance = balance(&table, of, problems);
    let send_proxy_protocol = send_proxy_protocol(&table, of, problems);
    match (&hold, &queue) {
        (Some(hold), _) if hold.value.is_zero() => {
            problems.warning(hold.at, "hold = \"0s\" holds nothing, as without it", "remove it");
        }
        (Some(_), Some(queue)) if queue.value == 0 => {
            problems.warning(queue.at, "hold holds nothing while queue is 0", "remove one of them");
        }
        _ => {}
    }
    if let Some(Use::Stream { tcp: false, .. }) = of {
        for key in ["hold", "queue"] {
            if let Some(at) = table.key_at(key) {
                problems.warning(at, format!("{key} changes nothing for UDP: datagrams do not wait"), "remove it");
            }
        }
    }
    if let Some(max) = eject_max.as_ref().filter(|max| max.value < eject_for) {
        let hint = "eject_for is the first ejection time, eject_max the longest";
        problems.error(max.at, "eject_max is shorter than eject_for", hint);
    }
    let plain = plain_pool(servers?);
    // See `defaults::EJECT_AFTER_ALONE`.
    let ejects = held.is_some() || table.item("eject_for").is_some() || table.item("eject_max").is_some();
    Some(Pool {
        balance,
        hold: held,
        queue: queue.map_or(plain.queue, |queue| queue.value),
        eject_after: match eject_after {
            Some(written) => written.value.0,
            None if ejects => defaults::EJECT_AFTER,
            None => plain.eject_after,
        },
        eject_for,
        eject_max: eject_max.map_or(defaults::EJECT_MAX.max(eject_for), |max| max.value),
        send_proxy_protocol,
        ..plain
    })
}

fn plain_pool(servers: Vec<Server>) -> Pool {
    let eject_after = if servers.len() == 1 { defaults::EJECT_AFTER_ALONE } else { defaults::EJECT_AFTER };
    Pool {
        name: String::new(),
        servers,
        balance: Balance::default(),
        hold: None,
        queue: defaults::QUEUE,
        eject_after,
        eject_for: defaults::EJECT_FOR,
        eject_max: defaults::EJECT_MAX,
        send_proxy_protocol: None,
    }
}

fn balance(table: &Table, of: Option<Use>, problems: &mut Problems) -> Balance {
    let balance: Option<At<Balance>> = table.get("balance", problems);
    let unread = matches!(of, Some(Use::Passthrough | Use::Stream { .. }));
    match balance {
        Some(At { value: Balance::Hash(HashKey::Header(_) | HashKey::Cookie(_)), at }) if unread => {
            let what = "balance by header or cookie, and what is passed on is not read";
            problems.error(at, what, "write: balance = \"ip_hash\"");
            Balance::default()
        }
        balance => balance.map_or(Balance::default(), |balance| balance.value),
    }
}

fn send_proxy_protocol(table: &Table, of: Option<Use>, problems: &mut Problems) -> Option<ProxyVersion> {
    let item = table.item("send_proxy_protocol")?;
    let refusal = match of {
        Some(Use::Http) => Some((
            "send_proxy_protocol where requests are forwarded: one connection serves many clients",
            "remove it: X-Forwarded-For, Forwarded and X-Real-IP tell who the client is",
        )),
        Some(Use::Stream { udp: true, .. }) => Some((
            "send_proxy_protocol for UDP: datagrams have no beginning that a header could stand at",
            "remove it; TCP can have a stream of its own with it",
        )),
        _ => None,
    };
    match refusal {
        Some((what, hint)) => {
            problems.error(item.at, what, hint);
            None
        }
        None => item.choice(PROXY_VERSIONS, "", problems),
    }
}

/// The servers of a pool, of which there is at least one and none twice.
fn servers(
    item: Item,
    of: Option<Use>,
    trust: &RawTrust,
    max_connections: Option<u32>,
    problems: &mut Problems,
) -> Option<Vec<Server>> {
    let list: Vec<At<RawServer>> = Vec::read(item, problems)?;
    let only_backups = list.iter().all(|server| server.value.backup) && list.len() == item.len();
    if item.is_empty_list() {
        problems.error(item.at, format!("{} lists no server", item.key), "write: servers = [3000]");
    } else if only_backups {
        let hint = "remove `backup` from those that are to be used first";
        problems.warning(item.at, "every server is a backup, so none of them is", hint);
    }
    let of = of?;
    let mut servers: Vec<Server> = Vec::with_capacity(list.len());
    for At { value, at } in list {
        let Some(server) = value.meant(of, trust, problems) else { continue };
        // A server is known by its address, from one configuration to the next: limits and failures are counted by it.
        if servers.iter().any(|other| other.address == server.address) {
            let hint = "write it once, with `weight = 2` for a double share";
            problems.error(at, format!("the server {} is listed twice", server.address), hint);
        }
        servers.push(Server { max_connections: server.max_connections.or(max_connections), ..server });
    }
    // One that could not be read may have been the one with TLS.
    if servers.len() == item.len() {
        trust.check(servers.iter().any(|server| server.tls.is_some()), of, problems);
    }
    Some(servers).filter(|servers| !servers.is_empty())
}

/// A server as written.
struct RawServer<'t> {
    url: ServerUrl,
    url_item: Item<'t>,
    weight: u16,
    backup: bool,
    max_connections: Option<u32>,
    trust: RawTrust,
}

impl RawServer<'_> {
    /// The server, where its address fits what it is for.
    fn meant(self, of: Use, pool: &RawTrust, problems: &mut Problems) -> Option<Server> {
        let reached = self.url.reached(of).map_err(|wrong| self.url_item.wrong(wrong, problems)).ok()?;
        self.trust.check(reached.tls_name.is_some(), of, problems);
        let tls = reached.tls_name.map(|name| self.trust.tls(pool, name));
        let RawServer { weight, backup, max_connections, .. } = self;
        Some(Server { address: reached.address, weight, backup, max_connections, tls })
    }
}

impl<'t> Read<'t> for RawServer<'t> {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawServer<'t>> {
        if !item.is_table() {
            return Some(RawServer {
                url: ServerUrl::read(item, problems)?,
                url_item: item,
                weight: defaults::WEIGHT,
                backup: false,
                max_connections: None,
                trust: RawTrust::default(),
            });
        }
        let table = Table::read(item, &schema::SERVER, problems)?;
        let weight = table.number("weight", 1..=u16::MAX, problems).map_or(defaults::WEIGHT, |weight| weight.value);
        let max_connections =
            table.number("max_connections", 1..=defaults::CONNECTIONS_MAX as u32, problems).map(|found| found.value);
        let backup = table.get_or("backup", false, problems);
        let trust = RawTrust::read(&table, problems);
        let Some(url_item) = table.item("url") else {
            table.lacks(&["url"], "a server without its url", "write: url = \"http://127.0.0.1:3000\"", problems);
            return None;
        };
        let url = ServerUrl::read(url_item, problems)?;
        Some(RawServer { url, url_item, weight, backup, max_connections, trust })
    }
}

impl<'t> Read<'t> for Balance {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Balance> {
        if !item.is_table() {
            return item.choice(BALANCES, ", { header = \"…\" }, { cookie = \"…\" }", problems);
        }
        let table = Table::read(item, &schema::BALANCE, problems)?;
        let header: Option<At<Token>> = table.get("header", problems);
        let cookie: Option<At<Token>> = table.get("cookie", problems);
        match (table.item("header"), table.item("cookie")) {
            (Some(_), None) => header.map(|name| Balance::Hash(HashKey::Header(name.value.0.to_ascii_lowercase()))),
            (None, Some(_)) => cookie.map(|name| Balance::Hash(HashKey::Cookie(name.value.0))),
            (Some(_), Some(cookie)) => {
                problems.error(cookie.at, "balance hashes a header or a cookie, not both", "remove one of them");
                None
            }
            (None, None) => {
                let hint = "write: balance = { cookie = \"session\" }";
                table.lacks(&["header", "cookie"], "balance names neither a header nor a cookie", hint, problems);
                None
            }
        }
    }
}

/// The name of a header field or of a cookie (RFC 9110, section 5.6.2; RFC 6265, section 4.1.1).
struct Token(String);

impl Scalar for Token {
    const EXAMPLE: &'static str = "\"session\"";

    fn from_text(text: &str) -> Result<Token, Wrong> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match !text.is_empty() && text.bytes().all(allowed) {
            true => Ok(Token(text.to_owned())),
            false => Err(Wrong::new(format!("{text:?} cannot be the name of a header or a cookie"))),
        }
    }
}

/// Failures that eject a server; `"never"` is 0.
struct EjectAfter(u32);

impl Scalar for EjectAfter {
    const EXAMPLE: &'static str = "3";

    fn from_text(text: &str) -> Result<EjectAfter, Wrong> {
        let count = if text == "never" { Some(0) } else { text.parse().ok() };
        count
            .map(EjectAfter)
            .ok_or_else(|| Wrong::new(format!("{text:?} is not a number of failures, or \"never\"")).write_bare(3))
    }
}

const BALANCES: &[(&str, Balance)] = &[
    ("round_robin", Balance::RoundRobin),
    ("least_conn", Balance::LeastConn),
    ("two_choices", Balance::TwoChoices),
    ("ip_hash", Balance::Hash(HashKey::ClientIp)),
];

const PROXY_VERSIONS: &[(&str, ProxyVersion)] = &[("v1", ProxyVersion::V1), ("v2", ProxyVersion::V2)];
