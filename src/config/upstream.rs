//! `upstream`: a pool of servers, how one of them is chosen, and what happens while none is there.

use super::defaults;
use super::problem::{At, Problems};
use super::reader::{Item, Read, Scalar, Table, Wrong};
use super::schema;
use crate::model::{Balance, HashKey, Pool, Server, ServerAddress};
use std::time::Duration;

/// A pool without its name, which the route gives.
impl<'t> Read<'t> for Pool {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Pool> {
        if !item.is_table() {
            return servers(item, None, problems).map(pool);
        }
        let table = Table::read(item, &schema::UPSTREAM, problems)?;
        let max_connections =
            table.number("max_connections", 1..=defaults::CONNECTIONS_MAX as u32, problems).map(|found| found.value);
        let Some(list) = table.item("servers") else {
            table.lacks(&["servers"], "upstream has no servers", "write: servers = [3000, 3001]", problems);
            return None;
        };
        let servers = servers(list, max_connections, problems);
        let hold: Option<At<Duration>> = table.get("hold", problems);
        let held = hold.as_ref().map(|hold| hold.value).filter(|hold| !hold.is_zero());
        let queue = table.number("queue", 0..=defaults::QUEUE_MAX, problems);
        let eject_max: Option<At<Duration>> = table.get("eject_max", problems);
        // Of the two, the one that was written pulls the default of the other along.
        let longest = eject_max.as_ref().map_or(defaults::EJECT_FOR, |max| max.value);
        let eject_for = table.wait("eject_for", defaults::EJECT_FOR.min(longest), problems);
        let eject_after: Option<At<EjectAfter>> = table.get("eject_after", problems);
        let balance = table.get_or("balance", Balance::default(), problems);
        let plain = pool(servers?);
        // See `defaults::EJECT_AFTER_ALONE`.
        let ejects = held.is_some() || table.item("eject_for").is_some() || table.item("eject_max").is_some();
        let read = Pool {
            balance,
            hold: held,
            queue: queue.as_ref().map_or(plain.queue, |queue| queue.value),
            eject_after: match eject_after {
                Some(written) => written.value.0,
                None if ejects => defaults::EJECT_AFTER,
                None => plain.eject_after,
            },
            eject_for,
            eject_max: eject_max.as_ref().map_or(defaults::EJECT_MAX.max(eject_for), |max| max.value),
            ..plain
        };
        match (&hold, &queue) {
            (Some(hold), _) if hold.value.is_zero() => {
                problems.warning(hold.at, "hold = \"0s\" holds nothing, as without it", "remove it");
            }
            (Some(_), Some(queue)) if queue.value == 0 => {
                problems.warning(queue.at, "hold holds nothing while queue is 0", "remove one of them");
            }
            _ => {}
        }
        if let Some(max) = eject_max.filter(|max| max.value < eject_for) {
            let hint = "eject_for is the first ejection time, eject_max the longest";
            problems.error(max.at, "eject_max is shorter than eject_for", hint);
        }
        Some(read)
    }
}

fn pool(servers: Vec<Server>) -> Pool {
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

/// The servers of a pool, of which there is at least one and none twice.
fn servers(item: Item, max_connections: Option<u32>, problems: &mut Problems) -> Option<Vec<Server>> {
    let list: Vec<At<Server>> = Vec::read(item, problems)?;
    let only_backups = list.iter().all(|server| server.value.backup) && list.len() == item.len();
    let mut servers: Vec<Server> = Vec::with_capacity(list.len());
    for At { value, at } in list {
        // A server is known by its address, from one configuration to the next: limits and failures are counted by it.
        if servers.iter().any(|server| server.address == value.address) {
            let hint = "write it once, with `weight = 2` for a double share";
            problems.error(at, format!("the server {} is listed twice", value.address), hint);
        }
        servers.push(Server { max_connections: value.max_connections.or(max_connections), ..value });
    }
    if item.is_empty_list() {
        problems.error(item.at, format!("{} lists no server", item.key), "write: servers = [3000]");
    } else if only_backups {
        let hint = "remove `backup` from those that are to be used first";
        problems.warning(item.at, "every server is a backup, so none of them is", hint);
    }
    Some(servers).filter(|servers| !servers.is_empty())
}

impl<'t> Read<'t> for Server {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Server> {
        if !item.is_table() {
            let address = ServerAddress::read(item, problems)?;
            return Some(Server { address, weight: defaults::WEIGHT, backup: false, max_connections: None, tls: None });
        }
        let table = Table::read(item, &schema::SERVER, problems)?;
        let weight = table.number("weight", 1..=u16::MAX, problems).map_or(defaults::WEIGHT, |weight| weight.value);
        let max_connections =
            table.number("max_connections", 1..=defaults::CONNECTIONS_MAX as u32, problems).map(|found| found.value);
        let backup = table.get_or("backup", false, problems);
        let Some(_) = table.item("url") else {
            table.lacks(&["url"], "a server without its url", "write: url = \"http://127.0.0.1:3000\"", problems);
            return None;
        };
        let address = table.get("url", problems)?.value;
        Some(Server { address, weight, backup, max_connections, tls: None })
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
