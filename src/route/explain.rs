//! Why a request goes where it goes, for people. The answer comes from the table's own lookups; only the words are
//! made here.

use super::https::https_origin;
use super::table::{Found, NoRoute, Table};
use crate::model::{Config, ListenerId, Protocol, RouteId, SiteId, SiteTls};
use ringferry_parser::path::Path;
use std::fmt;
use std::net::Ipv4Addr;

/// What answers a request, and why everything else does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was asked for.
    pub asked: Asked,
    /// The answer, as a client would get it.
    pub outcome: Outcome,
    /// Every route of the chosen site, where its routes count, and every other site, in the order of the configuration.
    pub candidates: Vec<Candidate>,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where it was asked for.
    pub on: ListenerId,
    /// The same as text, `https://[::]:443`.
    pub listener: String,
    /// The host, or the name in the ClientHello; empty where a client sends none.
    pub host: String,
    /// The path as received, and its normal form, which the route is chosen by. `None`: a name alone.
    pub path: Option<(String, String)>,
}

/// What a client gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What this route does.
    Route(Found),
    /// What the servers of this site say: TLS is passed through to them, and nothing is known of the path.
    PassedThrough(SiteId),
    /// TLS, which ends here for this site. The path was not asked.
    Terminated(SiteId),
    /// A redirect to the same address by TLS: the site has it, and the listener has not.
    ToHttps(Found, String),
    /// A page that says what is wrong.
    Refused(NoRoute),
    /// An alert: no site has the name, and there is no handshake.
    UnknownName,
    /// 421, as TLS was made for the first site and the host is the second one's; unless both have a certificate in
    /// common and let in the same clients.
    OtherSite(SiteId, Found),
}

/// A site, or one route of the site that was chosen by its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The site.
    pub site: SiteId,
    /// Its name.
    pub name: String,
    /// The route and its path; `None` where the site as a whole was out, or answers as a whole.
    pub route: Option<(RouteId, String)>,
    /// How it fared.
    pub verdict: Verdict,
}

/// How a candidate fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answers.
    Wins,
    /// It would answer by the path as received, and another by the normal form, or none.
    WinsAsReceived,
    /// It would answer by the normal form of the path, and another by the path as received, or none.
    WinsNormalised,
    /// Its path matches, and a longer one does too.
    ShorterPrefix,
    /// Its path is not a prefix of the request's in whole segments.
    OtherPath,
    /// Its host matches, and a more specific one does too.
    LessSpecificHost,
    /// Its host does not match.
    OtherHost,
    /// Its host matches, but it answers on other listeners only.
    OtherListener,
    /// TLS is made for it, and the host is another's.
    HasName,
    /// The host is its, and TLS is made for another, or for none.
    HasHost,
}

/// Explains what a request gets, on a listener of HTTP or of TLS. `table` was built from `config`.
pub fn explain(table: &Table, config: &Config, listener: ListenerId, host: &str, path: &Path<'_>) -> Explanation {
    let outcome = match config.listeners[listener.index()].protocol {
        Protocol::Https => by_tls(table, config, listener, host, path),
        _ => plainly(table, config, listener, host, path),
    };
    let candidates = match &outcome {
        Outcome::Route(_) | Outcome::Refused(_) => candidates(table, config, listener, host, Some(path), &outcome),
        _ => candidates(table, config, listener, host, None, &outcome),
    };
    let path = (path.raw.to_owned(), String::from_utf8_lossy(path.normal).into_owned());
    Explanation { asked: asked(config, listener, host, Some(path)), outcome, candidates }
}

/// Explains what a client of TLS gets by the name in its first message alone; an empty one stands for none.
pub fn explain_name(table: &Table, config: &Config, listener: ListenerId, name: &str) -> Explanation {
    let outcome = match table.site(listener, name.as_bytes()) {
        None => Outcome::UnknownName,
        Some(site) => match config.sites[site.index()].tls {
            Some(SiteTls::Passthrough) => Outcome::PassedThrough(site),
            _ => Outcome::Terminated(site),
        },
    };
    let candidates = candidates(table, config, listener, name, None, &outcome);
    Explanation { asked: asked(config, listener, name, None), outcome, candidates }
}

fn asked(config: &Config, on: ListenerId, host: &str, path: Option<(String, String)>) -> Asked {
    Asked { on, listener: config.listeners[on.index()].url(), host: host.to_owned(), path }
}

/// A request that comes without TLS.
fn plainly(table: &Table, config: &Config, listener: ListenerId, host: &str, path: &Path<'_>) -> Outcome {
    match table.find_agreeing(listener, host.as_bytes(), path) {
        Err(reason) => Outcome::Refused(reason),
        Ok(found) if config.sites[found.site.index()].tls.is_some() => {
            let listeners = config.sites[found.site.index()].listeners.iter().map(|id| &config.listeners[id.index()]);
            let secure = listeners.filter(|listener| listener.protocol == Protocol::Https);
            let origin = https_origin(host, secure.map(|listener| listener.address.port()));
            Outcome::ToHttps(found, format!("{origin}{}", path.raw))
        }
        Ok(found) => Outcome::Route(found),
    }
}

/// A request on a connection of TLS that was made for its host.
fn by_tls(table: &Table, config: &Config, listener: ListenerId, host: &str, path: &Path<'_>) -> Outcome {
    let Some(site) = table.site(listener, server_name(host).as_bytes()) else { return Outcome::UnknownName };
    if config.sites[site.index()].tls == Some(SiteTls::Passthrough) {
        return Outcome::PassedThrough(site);
    }
    match table.find_agreeing(listener, host.as_bytes(), path) {
        Ok(found) if found.site != site => Outcome::OtherSite(site, found),
        Ok(found) => Outcome::Route(found),
        Err(reason) => Outcome::Refused(reason),
    }
}

/// The name that a client asks for in its first message: none where the host is an address (RFC 6066 section 3).
fn server_name(host: &str) -> &str {
    let is_address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    if is_address { "" } else { host }
}

/// How every site fared, by `host`; of the one that it chose every route, where a path is given.
fn candidates(
    table: &Table,
    config: &Config,
    listener: ListenerId,
    host: &str,
    path: Option<&Path<'_>>,
    outcome: &Outcome,
) -> Vec<Candidate> {
    let here: Vec<SiteId> = table.sites(listener, host.as_bytes()).collect();
    let elsewhere: Vec<SiteId> = (0..config.listeners.len() as u32)
        .map(ListenerId)
        .flat_map(|other| table.sites(other, host.as_bytes()))
        .collect();

    let mut candidates = Vec::new();
    for (id, site) in (0..).map(SiteId).zip(&config.sites) {
        let mut candidate = |route, verdict| {
            candidates.push(Candidate { site: id, name: site.name.clone(), route, verdict });
        };
        match (here.first() == Some(&id), path) {
            (true, Some(path)) => {
                let raw_choice = table.routes(id, path.decoded).last();
                let matching: Vec<RouteId> = table.routes(id, path.normal).collect();
                for route in site.route_ids() {
                    let by_normal_form = matching.last() == Some(&route);
                    let verdict = match outcome {
                        Outcome::Refused(NoRoute::Ambiguous) if by_normal_form => Verdict::WinsNormalised,
                        Outcome::Refused(NoRoute::Ambiguous) if raw_choice == Some(route) => Verdict::WinsAsReceived,
                        _ if by_normal_form => Verdict::Wins,
                        _ if matching.contains(&route) => Verdict::ShorterPrefix,
                        _ => Verdict::OtherPath,
                    };
                    candidate(Some((route, config.routes[route.index()].path.clone())), verdict);
                }
            }
            (true, None) => candidate(
                None,
                match outcome {
                    Outcome::UnknownName | Outcome::OtherSite(..) => Verdict::HasHost,
                    _ => Verdict::Wins,
                },
            ),
            _ if matches!(outcome, Outcome::OtherSite(site, _) if *site == id) => candidate(None, Verdict::HasName),
            _ if here.contains(&id) => candidate(None, Verdict::LessSpecificHost),
            _ if elsewhere.contains(&id) => candidate(None, Verdict::OtherListener),
            _ => candidate(None, Verdict::OtherHost),
        }
    }
    candidates
}

impl Outcome {
    /// Why there is no answer but a refusal; `None` where there is one.
    pub fn refusal(&self) -> Option<String> {
        Some(match self {
            Outcome::Refused(reason) => reason.to_string(),
            Outcome::UnknownName => "no site has this name (TLS alert unrecognized_name)".to_owned(),
            Outcome::OtherSite(..) => {
                "TLS is made for one site, and the host is another's (421, unless both show one certificate and let in \
                 the same clients)"
                    .to_owned()
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Asked { listener, host, path, .. } = &self.asked;
        let name = if host.is_empty() { "a client that sends no name" } else { host };
        match path {
            Some((path, _)) => writeln!(f, "{host}{path} on {listener}")?,
            None => writeln!(f, "{name} on {listener}")?,
        }
        if let Some((_, normal)) = path.as_ref().filter(|(raw, normal)| raw != normal) {
            writeln!(f, "  in normal form: {normal}")?;
        }
        if path.is_some() && listener.starts_with("https:") && server_name(host).is_empty() {
            writeln!(f, "  clients send no name in TLS when the host is an address: the site is chosen without")?;
        }
        if let Some(refusal) = self.outcome.refusal() {
            writeln!(f, "  no route: {refusal}")?;
        }
        let (won, lost): (Vec<_>, Vec<_>) = self.candidates.iter().partition(|c| c.verdict == Verdict::Wins);
        for candidate in won.into_iter().chain(lost) {
            write!(f, "  site {}", candidate.name)?;
            if let Some((_, path)) = &candidate.route {
                write!(f, ", route {path}")?;
            }
            writeln!(f, ": {}", candidate.verdict)?;
        }
        Ok(())
    }
}

impl fmt::Display for NoRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoRoute::Host => "no site has this host (421)",
            NoRoute::Path => "the site has no route for this path (404)",
            NoRoute::Ambiguous => "the path as sent and its normal form choose different routes (400)",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Wins => "answers",
            Verdict::WinsAsReceived => "the path as sent chooses it",
            Verdict::WinsNormalised => "the normal form of the path chooses it",
            Verdict::ShorterPrefix => "matches, but a longer path wins",
            Verdict::OtherPath => "another path",
            Verdict::LessSpecificHost => "matches, but a more specific host wins",
            Verdict::OtherHost => "another host",
            Verdict::OtherListener => "the host matches, but on other listeners only",
            Verdict::HasName => "TLS is made for it",
            Verdict::HasHost => "has the host",
        })
    }
}
