//! The routing table: hosts by listener, paths by site, compiled once from a configuration.

use super::host::Hosts;
use super::path::Paths;
use crate::model::{Config, ListenerId, RouteId, SiteId};
use ringferry_parser::path::Path;

/// What answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The site of the most specific host.
    pub site: SiteId,
    /// Its route with the longest path.
    pub route: RouteId,
}

/// Why nothing answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoute {
    /// No site of this listener has this host: 421.
    Host,
    /// The site has no route for this path: 404. A less specific site is not asked instead.
    Path,
    /// The path as received and the normalised path choose differently, so we and the server might see two different
    /// resources: 400.
    Ambiguous,
}

/// The routing table of a configuration.
#[derive(Debug)]
pub struct Table {
    /// By [`ListenerId`].
    hosts: Vec<Hosts>,
    /// By [`SiteId`].
    paths: Vec<Paths>,
}

impl Table {
    /// Compiles the sites of `config`.
    pub fn build(config: &Config) -> Table {
        let mut hosts: Vec<Hosts> = config.listeners.iter().map(|_| Hosts::default()).collect();
        let mut paths = Vec::with_capacity(config.sites.len());
        for (id, site) in (0..).map(SiteId).zip(&config.sites) {
            for listener in &site.listeners {
                for pattern in &site.hosts {
                    hosts[listener.index()].insert(pattern, id);
                }
            }
            let mut tree = Paths::default();
            for route in site.route_ids() {
                tree.insert(&config.routes[route.index()].path, route);
            }
            paths.push(tree);
        }
        Table { hosts, paths }
    }

    /// The site and route for a request on `listener`. `host` is lower case without port and trailing dot; `path` is
    /// normalised and begins with a slash.
    pub fn find(&self, listener: ListenerId, host: &[u8], path: &[u8]) -> Result<Found, NoRoute> {
        let site = self.sites(listener, host).next().ok_or(NoRoute::Host)?;
        let route = self.paths[site.index()].longest(path).ok_or(NoRoute::Path)?;
        Ok(Found { site, route })
    }

    /// As [`find`](Table::find), and both readings of the path must choose the same route: the server gets the bytes
    /// that the client sent, and may read them either way.
    pub fn find_agreeing(&self, listener: ListenerId, host: &[u8], path: &Path<'_>) -> Result<Found, NoRoute> {
        let site = self.sites(listener, host).next().ok_or(NoRoute::Host)?;
        let paths = &self.paths[site.index()];
        let route = paths.longest(path.normal);
        if !path.is_unambiguous() && paths.longest(path.decoded) != route {
            return Err(NoRoute::Ambiguous);
        }
        Ok(Found { site, route: route.ok_or(NoRoute::Path)? })
    }

    /// The site of `listener` that answers for `host`, spelt as for [`find`](Table::find).
    pub fn site(&self, listener: ListenerId, host: &[u8]) -> Option<SiteId> {
        self.sites(listener, host).next()
    }

    /// The sites of `listener` that answer for `host`, the most specific first.
    pub(super) fn sites<'a>(&'a self, listener: ListenerId, host: &'a [u8]) -> impl Iterator<Item = SiteId> + 'a {
        self.hosts[listener.index()].matches(host)
    }

    /// The routes of `site` that take `path`, the longest last.
    pub(super) fn routes(&self, site: SiteId, path: &[u8]) -> impl Iterator<Item = RouteId> {
        self.paths[site.index()].matches(path)
    }
}
