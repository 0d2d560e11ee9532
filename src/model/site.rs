//! Sites and their routes.

use super::{Access, Hsts, ListenerId, PoolId, Rate, RouteId, SiteTls};
use std::fmt;
use std::ops::Range;

/// One or more hosts and their routes.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// What logs and `status` call it: the first host as written.
    pub name: String,
    /// At least one.
    pub hosts: Vec<HostPattern>,
    /// The listeners that serve it: those named by the site, else the common ones.
    pub listeners: Vec<ListenerId>,
    /// Its routes, as a range of [`RouteId`]s. A site that passes TLS through has one, for everything, to its pool.
    pub routes: Range<u32>,
    /// What it does with TLS; `None` serves it without, on the listeners of HTTP alone.
    pub tls: Option<SiteTls>,
    /// Tells browsers to come by TLS alone.
    pub hsts: Option<Hsts>,
    /// Who may come, where no route says otherwise.
    pub access: Access,
}

impl Site {
    /// The ids of the routes.
    pub fn route_ids(&self) -> impl Iterator<Item = RouteId> + use<> {
        self.routes.clone().map(RouteId)
    }
}

/// Which hosts a site answers for. Names are lower case, without a port or a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `blog.example.com`, or an address literal as written in a URL (`[::1]`, `192.0.2.1`).
    Exact(String),
    /// `*.example.com`, held as `example.com`: any host with one or more labels before it.
    Wildcard(String),
    /// `*`: the default site.
    Any,
}

/// As written in a configuration.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(host) => f.write_str(host),
            HostPattern::Wildcard(parent) => write!(f, "*.{parent}"),
            HostPattern::Any => f.write_str("*"),
        }
    }
}

/// A path prefix and what is done with a request under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Whole segments, normalised, with a leading slash and without a trailing one: `/blog`; `/` is everything.
    pub path: String,
    /// What is done.
    pub action: Action,
    /// The prefix is removed from the target before it is forwarded, and put back into the response.
    pub strip_prefix: bool,
    /// Bytes of a request body; `None` sets no limit.
    pub max_body: Option<u64>,
    /// Adds `X-Request-Id` where the request has none.
    pub request_id: bool,
    /// Who may come: its own lists, else those of the site.
    pub access: Access,
    /// How often each client may: its own rate, else that of the site, which all of its routes count together.
    pub rate: Option<Rate>,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Forwarded to a pool.
    Proxy(PoolId),
    /// Answered with a redirect.
    Redirect(Redirect),
}

/// A redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// An absolute URL without a path keeps the request's path and query; one that ends in a path replaces them.
    pub to: String,
    /// Path and query of the request are appended to `to`.
    pub keep_path: bool,
    /// 301, 302, 307 or 308.
    pub status: u16,
}
