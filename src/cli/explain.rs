//! `ringferry explain`: where a URL goes, by the routing code of the proxy itself.
//!
//! Only picks the listener that a URL leads to, and words the answer; which site and route win is decided in `route`.

mod asked;
mod stream;
mod words;

use super::{Exit, ExplainArgs, complain, say, source};
use crate::model::{Access, Config, ListenerId, RouteId, SiteId, SiteTls};
use crate::route::{self, Explanation, Found, NoRoute, Outcome, Table, Verdict};
use asked::{Scheme, Url};
use ringferry_parser::path::{Path, Scratch, Suspicious};
use serde_json::{Value, json};
use std::fmt::Write;
use std::net::IpAddr;
use stream::Taken;

pub(super) fn explain(args: ExplainArgs) -> Exit {
    let config = match source::config(&args.config.file) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    match answer(&config, &args.url) {
        Ok(answer) if args.json => say(answer.as_json(&config, args.from)),
        Ok(answer) => say(answer.as_text(&config, args.from)),
        Err(why) => {
            complain(why);
            return Exit::Usage;
        }
    }
    Exit::Ok
}

/// What a URL leads to.
#[derive(Debug)]
enum Answer<'c> {
    /// A site, or none.
    Site(Explanation),
    /// A stream.
    Stream(Taken<'c>),
}

impl Answer<'_> {
    fn as_text(&self, config: &Config, from: Option<IpAddr>) -> String {
        let text = match self {
            Answer::Site(explanation) => as_text(config, explanation),
            Answer::Stream(taken) => taken.as_text(config),
        };
        match self.lets_in(config, from) {
            Some((from, true)) => format!("{text}\n  lets {from} in"),
            Some((from, false)) => format!("{text}\n  turns {from} away{}", self.turned_away()),
            None => text,
        }
    }

    fn as_json(&self, config: &Config, from: Option<IpAddr>) -> Value {
        let mut json = match self {
            Answer::Site(explanation) => as_json(config, explanation),
            Answer::Stream(taken) => taken.as_json(config),
        };
        if let Some((from, lets_in)) = self.lets_in(config, from) {
            json["asked"]["from"] = json!(from);
            json["answer"]["lets_in"] = json!(lets_in);
        }
        json
    }

    /// Whether a client at `from` may come; `None` where nobody is asked, or where nothing answers anybody.
    fn lets_in(&self, config: &Config, from: Option<IpAddr>) -> Option<(IpAddr, bool)> {
        let from = from?;
        let access = match self {
            Answer::Stream(taken) => taken.access(),
            Answer::Site(explanation) => access(config, &explanation.outcome)?,
        };
        Some((from, access.lets_in(from)))
    }

    /// What a client sees that may not come.
    fn turned_away(&self) -> &'static str {
        match self {
            Answer::Site(Explanation { outcome: Outcome::PassedThrough(_), .. }) | Answer::Stream(_) => "",
            Answer::Site(_) => " (403)",
        }
    }
}

/// Who may come to what answers. Of a name alone it is not known which route will be asked for.
fn access<'c>(config: &'c Config, outcome: &Outcome) -> Option<&'c Access> {
    match outcome {
        Outcome::Route(found) | Outcome::ToHttps(found, _) => Some(&config.routes[found.route.index()].access),
        Outcome::PassedThrough(site) => Some(&config.sites[site.index()].access),
        Outcome::Terminated(_) | Outcome::Refused(_) | Outcome::UnknownName | Outcome::OtherSite(..) => None,
    }
}

fn answer<'c>(config: &'c Config, url: &str) -> Result<Answer<'c>, String> {
    let asked = Url::parse(url)?;
    let scheme = asked.scheme(config);
    let listeners = asked.listeners(config, scheme);
    if listeners.is_empty() {
        return Err(nobody_there(config, url, &asked, scheme));
    }
    match scheme {
        Scheme::Tcp | Scheme::Udp => stream::taken(config, url, &listeners).map(Answer::Stream),
        Scheme::Tls => {
            let table = Table::build(config);
            let explain = |listener: &ListenerId| route::explain_name(&table, config, *listener, &asked.host);
            Ok(Answer::Site(most_telling(listeners.iter().map(explain))))
        }
        Scheme::Http | Scheme::Https => {
            let mut scratch = Scratch::default();
            let path = Path::read(&asked.path, &mut scratch).map_err(|why| format!("{url}: {}", refused(why)))?;
            let table = Table::build(config);
            let explain = |listener: &ListenerId| route::explain(&table, config, *listener, &asked.host, &path);
            Ok(Answer::Site(most_telling(listeners.iter().map(explain))))
        }
    }
}

/// Several addresses may have the port; the one where a site answers says most, then the one that has the host.
fn most_telling(explanations: impl Iterator<Item = Explanation>) -> Explanation {
    let rank = |explanation: &Explanation| match explanation.outcome {
        Outcome::Route(_) | Outcome::PassedThrough(_) | Outcome::Terminated(_) => 0,
        Outcome::ToHttps(..) => 1,
        Outcome::Refused(NoRoute::Path | NoRoute::Ambiguous) | Outcome::OtherSite(..) => 2,
        Outcome::Refused(NoRoute::Host) | Outcome::UnknownName => 3,
    };
    explanations.min_by_key(rank).expect("a listener was found")
}

/// Why nothing answers there, and what can be asked instead.
fn nobody_there(config: &Config, url: &str, asked: &Url, scheme: Scheme) -> String {
    let port = asked.port(scheme).unwrap_or_default();
    match config.listeners.iter().find(|listener| listener.address.port() == port) {
        Some(other) => {
            let spoken = other.protocol.scheme();
            let write = asked.in_scheme(other.protocol);
            format!("{url}: port {port} speaks {spoken}, not {}; write {write}", scheme.protocol().scheme())
        }
        None => {
            let addresses: Vec<_> = config.listeners.iter().map(|listener| listener.url()).collect();
            format!("{url}: nothing listens on port {port}; these are listened on: {}", addresses.join(", "))
        }
    }
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

fn as_text(config: &Config, explanation: &Explanation) -> String {
    let mut text = explanation.to_string().trim_end().to_owned();
    for (index, line) in does(config, explanation).iter().enumerate() {
        let _ = write!(text, "{}\n  {line}", if index == 0 { "\n" } else { "" });
    }
    text
}

/// What is done, one line each; nothing where it is refused.
fn does(config: &Config, explanation: &Explanation) -> Vec<String> {
    let listener = &config.listeners[explanation.asked.on.index()];
    let mut lines: Vec<String> = words::proxy_header(listener).into_iter().collect();
    let site = |id: SiteId| &config.sites[id.index()];
    match &explanation.outcome {
        Outcome::Route(found) => {
            if tls_of(explanation).is_some() {
                lines.extend(words::tls(site(found.site)));
            }
            lines.extend(words::actions(config, &config.routes[found.route.index()]));
        }
        Outcome::PassedThrough(id) => lines.extend(words::passed_through(config, site(*id))),
        Outcome::Terminated(id) => lines.extend(words::tls(site(*id))),
        Outcome::ToHttps(found, to) => {
            lines.extend(words::access(access(config, &explanation.outcome)));
            lines.push(format!("redirects to {to} (308), and the query with it: the site has TLS"));
            // Who ended TLS in front of us says so.
            let may_end_in_front = site(found.site).tls.as_ref().is_some_and(SiteTls::may_end_in_front);
            if !config.trusted_proxies.is_empty() && may_end_in_front {
                lines.push(
                    "serves those of trusted_proxies that say X-Forwarded-Proto: https as if they had come by TLS"
                        .into(),
                );
            }
        }
        Outcome::Refused(_) | Outcome::UnknownName | Outcome::OtherSite(..) => lines.clear(),
    }
    lines
}

/// How TLS is taken, where it is: `terminated` or `passthrough`.
fn tls_of(explanation: &Explanation) -> Option<&'static str> {
    match explanation.outcome {
        Outcome::PassedThrough(_) => Some("passthrough"),
        Outcome::Terminated(_) => Some("terminated"),
        Outcome::Route(_) if explanation.asked.listener.starts_with("https:") => Some("terminated"),
        _ => None,
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
    let mut asked = json!({ "listener": explanation.asked.listener, "host": explanation.asked.host });
    if let Some((path, normalised)) = &explanation.asked.path {
        asked["path"] = json!(path);
        asked["normalised"] = json!(normalised);
    }
    let mut answer = match &explanation.outcome {
        Outcome::Route(found) => {
            json!({ "site": config.sites[found.site.index()].name, "route": path_of(&found.route) })
        }
        Outcome::PassedThrough(site) | Outcome::Terminated(site) | Outcome::ToHttps(Found { site, .. }, _) => {
            json!({ "site": config.sites[site.index()].name })
        }
        refusal => json!({ "refused": refusal.refusal() }),
    };
    if let Some(tls) = tls_of(explanation) {
        answer["tls"] = json!(tls);
    }
    if explanation.outcome.refusal().is_none() {
        answer["does"] = json!(does(config, explanation));
    }
    json!({ "asked": asked, "answer": answer, "candidates": candidates })
}

#[cfg(test)]
mod tests;
