//! `ringferry explain`: where a URL goes, by the routing code of the proxy itself.
//!
//! Only reads the URL, picks the listener that its port leads to, and words the answer; which site and route win is
//! decided in `route`.

use super::{Exit, ExplainArgs, complain, say, source};
use crate::model::{Action, Balance, Config, HashKey, ListenerId, Route, RouteId, Server};
use crate::route::{self, Explanation, NoRoute, Table, Verdict};
use ringferry_parser::host::{self, Authority};
use ringferry_parser::path::{Path, Scratch, Suspicious};
use serde_json::{Value, json};
use std::fmt::Write;

pub(super) fn explain(args: ExplainArgs) -> Exit {
    let config = match source::config(&args.config.file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match explanation(&config, &args.url) {
        Ok(explanation) if args.json => say(as_json(&config, &explanation)),
        Ok(explanation) => say(as_text(&config, &explanation)),
        Err(why) => {
            complain(why);
            return Exit::Usage;
        }
    }
    Exit::Ok
}

/// Several addresses may have the port; the one where a site answers says most, then the one that has the host.
fn explanation(config: &Config, url: &str) -> Result<Explanation, String> {
    let asked = Asked::parse(url)?;
    let mut scratch = Scratch::default();
    let path = Path::read(&asked.path, &mut scratch).map_err(|why| format!("{url}: {}", refused(why)))?;
    let table = Table::build(config);
    let explain = |listener| route::explain(&table, config, listener, &asked.host, &path);
    let explanations = asked.listeners(config).into_iter().map(explain);
    let best = explanations.min_by_key(|explanation| match explanation.outcome {
        Ok(_) => 0,
        Err(NoRoute::Path | NoRoute::Ambiguous) => 1,
        Err(NoRoute::Host) => 2,
    });
    best.ok_or_else(|| {
        let addresses: Vec<_> = config.listeners.iter().map(|listener| listener.address.to_string()).collect();
        format!("{url}: nothing listens on port {}; these are listened on: {}", asked.port(), addresses.join(", "))
    })
}

/// Why the proxy answers 400 before it looks for a route.
fn refused(why: Suspicious) -> &'static str {
    match why {
        Suspicious::Relative => "the path is refused with 400; it begins with a slash",
        Suspicious::BadPercent => {
            "the path is refused with 400: a % without two hexadecimal digits; write %25 for the sign itself"
        }
        Suspicious::Nul => "the path is refused with 400: no application expects %00; remove it",
    }
}

/// What a URL asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    /// In the spelling that routing compares.
    host: String,
    /// As written.
    port: Option<u16>,
    /// As a client sends it, without the query.
    path: String,
}

impl Asked {
    fn parse(url: &str) -> Result<Asked, String> {
        let wrong = |why: &str| format!("{url}: {why}");
        let scheme = url.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?', '#']));
        let rest = match scheme {
            Some((scheme, rest)) if !scheme.eq_ignore_ascii_case("http") => {
                return Err(wrong(&format!("this version serves http:// only; write http://{rest}")));
            }
            Some((_, rest)) => rest,
            None => url,
        };
        // The fragment stays with the client.
        let sent = rest.split('#').next().unwrap_or_default();
        let (authority, target) = sent.split_at(sent.find(['/', '?']).unwrap_or(sent.len()));
        // A colon without a port is what remains of `http:/example.com`.
        let parsed = Authority::parse(authority.as_bytes()).ok().filter(|_| !authority.ends_with(':'));
        let Some(Authority { host, port, .. }) = parsed else {
            let hint = match authority {
                _ if !authority.is_ascii() => "write the xn-- form of the host, as `dig` shows it",
                _ if authority.contains('@') => "remove what stands before the @, which no client sends here",
                _ if authority.matches(':').count() > 1 => "an IPv6 address is written http://[::1]:8080/path",
                _ => "write it like http://example.com:8080/path",
            };
            return Err(wrong(&format!("{authority:?} is not a host, with a port or without; {hint}")));
        };
        if let Some(odd) = target.chars().find(|c| !c.is_ascii_graphic()) {
            let encoded: String = odd.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect();
            return Err(wrong(&format!("a URL with {odd:?} is refused with 400; clients send it as {encoded}")));
        }
        let path = target.split('?').next().filter(|path| !path.is_empty()).unwrap_or("/");
        let host = host::normalize(host, &mut [0; host::HOST_BYTES_MAX]).to_owned();
        Ok(Asked { host, port, path: path.to_owned() })
    }

    /// The port that a client connects to.
    fn port(&self) -> u16 {
        self.port.unwrap_or(80)
    }

    /// The listeners that a client could reach. Without a port in the URL, and with nothing on 80, that is all of
    /// them: something in front of the machine may lead from 80 to any port.
    fn listeners(&self, config: &Config) -> Vec<ListenerId> {
        let ids = || (0..).map(ListenerId).zip(&config.listeners);
        let on_port: Vec<_> =
            ids().filter(|(_, listener)| listener.address.port() == self.port()).map(|(id, _)| id).collect();
        if on_port.is_empty() && self.port.is_none() { ids().map(|(id, _)| id).collect() } else { on_port }
    }
}

fn as_text(config: &Config, explanation: &Explanation) -> String {
    let mut text = explanation.to_string().trim_end().to_owned();
    if let Ok(found) = &explanation.outcome {
        text.push('\n');
        for line in actions(config, &config.routes[found.route.index()]) {
            let _ = write!(text, "\n  {line}");
        }
    }
    text
}

/// What is done with a request of this route, one line each.
fn actions(config: &Config, route: &Route) -> Vec<String> {
    let mut lines = Vec::new();
    if route.strip_prefix {
        lines.push(format!("cuts {0} off the path, says so in X-Forwarded-Prefix: {0}", route.path));
    }
    if let Some(bytes) = route.max_body {
        lines.push(format!("refuses request bodies of more than {bytes} bytes (413)"));
    }
    lines.push(match &route.action {
        Action::Proxy(pool) => {
            let pool = &config.pools[pool.index()];
            let servers: Vec<_> = pool.servers.iter().map(server).collect();
            match &servers[..] {
                [only] => format!("forwards to {only}"),
                several => format!("forwards to one of {}, chosen by {}", several.join(", "), balance(&pool.balance)),
            }
        }
        Action::Redirect(to) => {
            let rest = if to.keep_path { " and the path and query asked for" } else { "" };
            format!("redirects to {}{rest} ({})", to.to, to.status)
        }
    });
    lines
}

fn server(server: &Server) -> String {
    let weight = if server.weight == 1 { String::new() } else { format!(" (weight {})", server.weight) };
    let backup = if server.backup { " (backup)" } else { "" };
    format!("{}{weight}{backup}", server.address)
}

fn balance(balance: &Balance) -> String {
    match balance {
        Balance::RoundRobin => "round_robin".into(),
        Balance::LeastConn => "least_conn".into(),
        Balance::TwoChoices => "two_choices".into(),
        Balance::Hash(HashKey::ClientIp) => "ip_hash".into(),
        Balance::Hash(HashKey::Header(name)) => format!("a hash of the header {name}"),
        Balance::Hash(HashKey::Cookie(name)) => format!("a hash of the cookie {name}"),
    }
}

fn as_json(config: &Config, explanation: &Explanation) -> Value {
    let path_of = |route: &RouteId| &config.routes[route.index()].path;
    let candidates = explanation.candidates.iter().map(|candidate| {
        let route = candidate.route.as_ref().map(|(route, _)| path_of(route));
        let wins = candidate.verdict == Verdict::Wins;
        json!({ "site": candidate.name, "route": route, "wins": wins, "why": candidate.verdict.to_string() })
    });
    let candidates = candidates.collect::<Vec<_>>();
    let asked = json!({ "listener": explanation.listener, "host": explanation.host, "path": explanation.path, "normalised": explanation.normalised });
    let answer = match &explanation.outcome {
        Ok(found) => json!({
            "site": config.sites[found.site.index()].name,
            "route": path_of(&found.route),
            "does": actions(config, &config.routes[found.route.index()]),
        }),
        Err(reason) => json!({ "refused": reason.to_string() }),
    };
    json!({ "asked": asked, "answer": answer, "candidates": candidates })
}

#[cfg(test)]
mod tests;
