//! From what was written to what it means: the checks that need several tables, and the model.

use super::defaults;
use super::problem::{At, Problems, Span};
use super::raw::RawConfig;
use super::site::{RawAction, RawRoute, RawSite};
use crate::model::{Action, Config, HostPattern, Listener, ListenerId, Pool, PoolId, Route, Site};
use std::collections::{HashMap, HashSet};

/// Builds the model. It is usable if no problem is an error.
pub(super) fn config(raw: RawConfig, problems: &mut Problems) -> Config {
    let mut listeners = Listeners::default();
    let common = common(raw.listen, &raw.sites, &mut listeners, problems);
    let mut config = Config {
        cores: raw.cores,
        limits: raw.limits,
        timeouts: raw.timeouts,
        log: raw.log,
        trusted_proxies: raw.trusted_proxies,
        via: raw.via,
        admin: raw.admin,
        ..Config::default()
    };
    let mut hosts = HashMap::new();
    let mut names = HashSet::new();
    for RawSite { hosts: site_hosts, listen, routes } in raw.sites {
        let site_listeners = listen.map_or_else(|| common.clone(), |listen| listeners.ids(listen, problems));
        host_ties(&site_hosts, &site_listeners, &mut hosts, problems);
        route_ties(&routes, problems);
        let Some(name) = site_hosts.first().map(|host| host.value.to_string()) else { continue };
        let first = config.routes.len() as u32;
        for route in routes {
            let route = self::route(route, &name, &mut names, &mut config.pools);
            config.routes.push(route);
        }
        config.sites.push(Site {
            name,
            hosts: site_hosts.into_iter().map(|host| host.value).collect(),
            listeners: site_listeners,
            routes: first..config.routes.len() as u32,
            tls: None,
            hsts: None,
        });
    }
    listeners.overlaps(problems);
    config.listeners = listeners.list.into_iter().map(|listener| listener.value).collect();
    config
}

/// The listeners of the sites that name none of their own.
fn common(
    listen: Option<Vec<At<Listener>>>,
    sites: &[RawSite],
    listeners: &mut Listeners,
    problems: &mut Problems,
) -> Vec<ListenerId> {
    let needed = sites.is_empty() || sites.iter().any(|site| site.listen.is_none());
    let Some(listen) = listen else {
        // Without a word about it, the default address is opened only if a site needs it.
        let default = At { value: defaults::LISTEN, at: Span::NOWHERE };
        return if needed { listeners.ids(vec![default], problems) } else { Vec::new() };
    };
    let own: Vec<&Listener> = sites.iter().flat_map(|site| &site.listen).flatten().map(|own| &own.value).collect();
    for idle in listen.iter().filter(|listener| !needed && !own.contains(&&listener.value)) {
        problems.warning(idle.at, "no site answers here: each has a listen of its own", "remove the address");
    }
    listeners.ids(listen, problems)
}

/// The listeners of all sites, each address once.
#[derive(Default)]
struct Listeners {
    list: Vec<At<Listener>>,
    by_address: HashMap<Listener, ListenerId>,
}

impl Listeners {
    fn ids(&mut self, listen: Vec<At<Listener>>, problems: &mut Problems) -> Vec<ListenerId> {
        let mut ids: Vec<ListenerId> = Vec::with_capacity(listen.len());
        for listener in listen {
            let at = listener.at;
            let id = self.id(listener);
            if ids.contains(&id) {
                problems.error(at, "this address is listed twice", "remove one of them");
            } else {
                ids.push(id);
            }
        }
        ids
    }

    fn id(&mut self, listener: At<Listener>) -> ListenerId {
        let next = ListenerId(self.list.len() as u32);
        // Port 0 is another port each time.
        let id = match listener.value.address.port() {
            0 => next,
            _ => *self.by_address.entry(listener.value.clone()).or_insert(next),
        };
        if id == next {
            self.list.push(listener);
        }
        id
    }

    /// Addresses of one port that cover each other. Both can be bound; the kernel gives a connection to the narrower
    /// one, IPv4 before the two together. Only `:80` beside `[::]:80` is a matter of chance.
    fn overlaps(&self, problems: &mut Problems) {
        for wide in &self.list {
            for narrow in self.list.iter().filter(|narrow| covers(&wide.value, &narrow.value)) {
                let (place, text) = (problems.place(wide.at), listen_text(&wide.value));
                if wide.value.address == narrow.value.address {
                    let what = format!("{} and {text:?} ({place}) are the same address", narrow.value.address);
                    problems.error(narrow.at, what, format!("keep {text:?}: it takes IPv4 and IPv6"));
                } else {
                    let what = format!("{} takes its connections away from {text:?} ({place})", narrow.value.address);
                    problems.warning(narrow.at, what, "fine if that is meant; else remove one of them");
                }
            }
        }
    }
}

/// Whether some connection could be taken by both.
fn covers(wide: &Listener, narrow: &Listener) -> bool {
    let (a, b) = (wide.address, narrow.address);
    wide != narrow
        && a.port() == b.port()
        && a.port() != 0
        && a.ip().is_unspecified()
        && !narrow.dual_stack
        && (wide.dual_stack || a.is_ipv4() == b.is_ipv4() && !b.ip().is_unspecified())
}

fn listen_text(listener: &Listener) -> String {
    match listener.dual_stack {
        true => format!(":{}", listener.address.port()),
        false => listener.address.to_string(),
    }
}

/// The same host twice on a listener: the two sites cannot be told apart.
fn host_ties(
    hosts: &[At<HostPattern>],
    listeners: &[ListenerId],
    seen: &mut HashMap<(ListenerId, HostPattern), Span>,
    problems: &mut Problems,
) {
    for host in hosts {
        // Looked up on all of the listeners before any is entered: one tie is one problem.
        let keys = || listeners.iter().map(|id| (*id, host.value.clone()));
        match keys().find_map(|key| seen.get(&key).copied()) {
            Some(other) => {
                let what =
                    format!("host {:?} has a site already, at {}", host.value.to_string(), problems.place(other));
                problems.error(host.at, what, "make them one site with several routes, or give them a `listen` each");
            }
            None => seen.extend(keys().map(|key| (key, host.at))),
        }
    }
}

/// The same path twice in a site: no order decides between them.
fn route_ties(routes: &[RawRoute], problems: &mut Problems) {
    let mut seen = HashMap::new();
    for route in routes {
        if let Some(other) = seen.insert(&route.path.value, route.path.at) {
            let what = format!("path {:?} has a route already, at {}", route.path.value.0, problems.place(other));
            let hint = "\"/x\" and \"/x/\" are the same path; several servers go into one upstream";
            problems.error(route.path.at, what, hint);
        }
    }
}

fn route(raw: RawRoute, site: &str, names: &mut HashSet<String>, pools: &mut Vec<Pool>) -> Route {
    let action = match raw.action {
        RawAction::Redirect(redirect) => Action::Redirect(redirect),
        RawAction::Proxy(pool) => {
            let id = PoolId(pools.len() as u32);
            pools.push(Pool { name: unique_name(format!("{site}{}", raw.path.value.0), names), ..pool });
            Action::Proxy(id)
        }
    };
    let RawRoute { path, strip_prefix, max_body, request_id, .. } = raw;
    Route { path: path.value.0, action, strip_prefix, max_body, request_id }
}

/// Sites of one host on different listeners can have the same route; the later one gets a number.
fn unique_name(name: String, names: &mut HashSet<String>) -> String {
    let mut unique = name.clone();
    let mut number = 2;
    while !names.insert(unique.clone()) {
        unique = format!("{name}#{number}");
        number += 1;
    }
    unique
}
