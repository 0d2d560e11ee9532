//! Why a request goes where it goes, for people. The answer comes from the table's own lookups; only the words are
//! made here.

use super::table::{Found, NoRoute, Table};
use crate::model::{Config, ListenerId, RouteId, SiteId};
use ringferry_parser::path::Path;
use std::fmt;

/// What answers a request, and why everything else does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The listener's address, as text.
    pub listener: String,
    /// The host asked for.
    pub host: String,
    /// The path asked for, as received.
    pub path: String,
    /// Its normal form, which the route is chosen by.
    pub normalised: String,
    /// The answer, as a request would get it.
    pub outcome: Result<Found, NoRoute>,
    /// Every route of the chosen site and every other site, in the order of the configuration.
    pub candidates: Vec<Candidate>,
}

/// A site, or one route of the site that was chosen by its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The site.
    pub site: SiteId,
    /// Its name.
    pub name: String,
    /// The route and its path; `None` when the site as a whole was out.
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
}

/// Explains the answer of [`Table::find_agreeing`] for the same arguments. `table` was built from `config`.
pub fn explain(table: &Table, config: &Config, listener: ListenerId, host: &str, path: &Path<'_>) -> Explanation {
    let outcome = table.find_agreeing(listener, host, path);
    let here: Vec<SiteId> = table.sites(listener, host).collect();
    let elsewhere: Vec<SiteId> =
        (0..config.listeners.len() as u32).map(ListenerId).flat_map(|other| table.sites(other, host)).collect();

    let mut candidates = Vec::new();
    for (id, site) in (0..).map(SiteId).zip(&config.sites) {
        let mut candidate = |route, verdict| {
            candidates.push(Candidate { site: id, name: site.name.clone(), route, verdict });
        };
        if here.first() == Some(&id) {
            let raw_choice = table.routes(id, path.decoded).last();
            let matching: Vec<RouteId> = table.routes(id, path.normal).collect();
            for route in site.route_ids() {
                let by_normal_form = matching.last() == Some(&route);
                let verdict = match outcome {
                    Err(NoRoute::Ambiguous) if by_normal_form => Verdict::WinsNormalised,
                    Err(NoRoute::Ambiguous) if raw_choice == Some(route) => Verdict::WinsAsReceived,
                    _ if by_normal_form => Verdict::Wins,
                    _ if matching.contains(&route) => Verdict::ShorterPrefix,
                    _ => Verdict::OtherPath,
                };
                candidate(Some((route, config.routes[route.index()].path.clone())), verdict);
            }
        } else if here.contains(&id) {
            candidate(None, Verdict::LessSpecificHost);
        } else if elsewhere.contains(&id) {
            candidate(None, Verdict::OtherListener);
        } else {
            candidate(None, Verdict::OtherHost);
        }
    }
    Explanation {
        listener: config.listeners[listener.index()].address.to_string(),
        host: host.to_owned(),
        path: path.raw.to_owned(),
        normalised: String::from_utf8_lossy(path.normal).into_owned(),
        outcome,
        candidates,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}{} on {}", self.host, self.path, self.listener)?;
        if self.normalised != self.path {
            writeln!(f, "  in normal form: {}", self.normalised)?;
        }
        if let Err(reason) = self.outcome {
            writeln!(f, "  no route: {reason}")?;
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
        })
    }
}
