//! `ringferry explain`: where a URL goes, by the routing code of the proxy itself.
//!
//! Only reads the URL, picks the listener that its port leads to, and words the answer; which site and route win is
//! decided in `route`.

use super::pending::{Explanation, Verdict, normalised, route_explain};
use super::{Exit, ExplainArgs, complain, say, source};
use crate::model::{Action, Balance, Config, HashKey, ListenerId, Route, RouteId, Server};
use hyper::Uri;
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

fn explanation(config: &Config, url: &str) -> Result<Explanation, String> {
    let asked = Asked::parse(url)?;
    let listeners = asked.listeners(config)?;
    let path = normalised(&asked.path)?;
    let mut all = listeners.into_iter().map(|listener| route_explain(config, listener, &asked.host, &path));
    let first = all.next().expect("there is a listener for the port, or an error instead");
    // Several addresses with one port: the one where a site answers says most.
    Ok(if first.outcome.is_ok() { first } else { all.find(|other| other.outcome.is_ok()).unwrap_or(first) })
}

/// What a URL asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    /// Lower case, without a trailing dot.
    host: String,
    /// As written; a client would use 80 without it.
    port: Option<u16>,
    /// Without the query.
    path: String,
}

impl Asked {
    fn parse(url: &str) -> Result<Asked, String> {
        let whole = if url.contains("://") { url.into() } else { format!("http://{url}") };
        let uri: Uri =
            whole.parse().map_err(|error| format!("{url}: {error}; write it like http://example.com/path"))?;
        match uri.scheme_str() {
            Some("http") => {}
            scheme => return Err(format!("{url}: this version serves http:// only, not {}://", scheme.unwrap_or(""))),
        }
        let host = uri.host().unwrap_or("").to_ascii_lowercase();
        Ok(Asked { host: host.trim_end_matches('.').into(), port: uri.port_u16(), path: uri.path().into() })
    }

    /// The listeners that a client could reach. Without a port in the URL, and with nothing on 80, that is all of
    /// them: something in front of the machine may lead from 80 to any port.
    fn listeners(&self, config: &Config) -> Result<Vec<ListenerId>, String> {
        let ids = || (0..).map(ListenerId).zip(&config.listeners);
        let wanted = self.port.unwrap_or(80);
        let on_port: Vec<_> =
            ids().filter(|(_, listener)| listener.address.port() == wanted).map(|(id, _)| id).collect();
        if !on_port.is_empty() {
            return Ok(on_port);
        }
        let addresses: Vec<_> = config.listeners.iter().map(|listener| listener.address.to_string()).collect();
        match self.port {
            None if !addresses.is_empty() => Ok(ids().map(|(id, _)| id).collect()),
            _ => Err(format!("nothing listens on port {wanted}; the listeners are {}", addresses.join(", "))),
        }
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
    let asked = json!({ "listener": explanation.listener, "host": explanation.host, "path": explanation.path });
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
mod tests {
    use super::*;
    use crate::model::{Listener, Pool, PoolId, Redirect, ServerAddress};

    #[test]
    fn a_url_is_read_as_a_client_would() {
        let check = |url, host: &str, port, path: &str| {
            assert_eq!(Asked::parse(url), Ok(Asked { host: host.into(), port, path: path.into() }), "{url}");
        };
        check("http://Blog.Example.com./a%2Fb/?q=1#top", "blog.example.com", None, "/a%2Fb/");
        check("http://example.com", "example.com", None, "/");
        check("example.com/x", "example.com", None, "/x");
        check("localhost:8080", "localhost", Some(8080), "/");
        check("http://[::1]:80/", "[::1]", Some(80), "/");
        for wrong in ["https://example.com/", "http://", "http://a b/", ""] {
            assert!(Asked::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_port_of_a_url_leads_to_its_listeners() {
        let listener = |address: &str| Listener { address: address.parse().unwrap(), dual_stack: false };
        let config = |addresses: &[&str]| Config {
            listeners: addresses.iter().map(|address| listener(address)).collect(),
            ..Config::default()
        };
        let check = |url, addresses: &[&str], expect: Option<&[u32]>| {
            let found = Asked::parse(url).unwrap().listeners(&config(addresses)).ok();
            assert_eq!(found, expect.map(|ids| ids.iter().copied().map(ListenerId).collect()), "{url}");
        };
        let both = ["127.0.0.1:80", "[::1]:80", "0.0.0.0:8080"];
        check("http://a/", &both, Some(&[0, 1]));
        check("http://a:8080/", &both, Some(&[2]));
        check("http://a:81/", &both, None);
        check("http://a/", &["0.0.0.0:8080"], Some(&[0]));
        check("http://a:80/", &["0.0.0.0:8080"], None);
    }

    #[test]
    fn the_answer_says_what_is_done_with_the_request() {
        let server = |port, weight, backup| Server {
            address: ServerAddress::Ip(([127, 0, 0, 1], port).into()),
            weight,
            backup,
            max_connections: None,
        };
        let pool = |servers| Pool {
            name: "a".into(),
            servers,
            balance: Balance::LeastConn,
            hold: None,
            queue: 0,
            eject_after: 0,
            eject_for: Default::default(),
            eject_max: Default::default(),
        };
        let config = Config {
            pools: vec![pool(vec![server(1, 1, false)]), pool(vec![server(1, 3, false), server(2, 1, true)])],
            ..Config::default()
        };
        let check = |action, strip_prefix, max_body, expect: &[&str]| {
            let route = Route { path: "/x".into(), action, strip_prefix, max_body, request_id: false };
            assert_eq!(actions(&config, &route), expect);
        };
        check(Action::Proxy(PoolId(0)), false, None, &["forwards to 127.0.0.1:1"]);
        check(
            Action::Proxy(PoolId(1)),
            true,
            Some(10),
            &[
                "cuts /x off the path, says so in X-Forwarded-Prefix: /x",
                "refuses request bodies of more than 10 bytes (413)",
                "forwards to one of 127.0.0.1:1 (weight 3), 127.0.0.1:2 (backup), chosen by least_conn",
            ],
        );
        let redirect = |keep_path| Action::Redirect(Redirect { to: "https://b".into(), keep_path, status: 308 });
        check(redirect(false), false, None, &["redirects to https://b (308)"]);
        check(redirect(true), false, None, &["redirects to https://b and the path and query asked for (308)"]);
    }
}
