//! From what was written to what it means: the checks that need several tables, and the model.

use super::listeners::Listeners;
use super::problem::{At, Problems, Span};
use super::raw::RawConfig;
use super::site::{RawAction, RawRoute, RawSite};
use super::stream::RawStream;
use crate::model::{Access, Action, Config, HostPattern, ListenerId, Pool, PoolId, Route, Site, Stream};
use std::collections::{HashMap, HashSet};

/// Builds the model. It is usable if no problem is an error.
pub(super) fn config(raw: RawConfig, problems: &mut Problems) -> Config {
    let mut listeners = Listeners::default();
    let common = listeners.common(raw.listen, &raw.sites, !raw.streams.is_empty(), problems);
    let mut config = Config {
        cores: raw.cores,
        resources: raw.resources,
        kernel: raw.kernel,
        limits: raw.limits,
        timeouts: raw.timeouts,
        log: raw.log,
        privileges: raw.privileges,
        trusted_proxies: raw.trusted_proxies,
        via: raw.via,
        kernel_tls: raw.kernel_tls,
        admin: raw.admin,
        state: raw.state,
        ..Config::default()
    };
    let mut hosts = HashMap::new();
    let mut names = HashSet::new();
    let mut counted = HashSet::new();
    for RawSite { hosts: site_hosts, listen, tls, hsts, routes, access, rate } in raw.sites {
        let site_listeners = listen.map_or_else(|| common.of(tls.is_some()), |listen| listeners.ids(listen, problems));
        host_ties(&site_hosts, tls.is_some(), &site_listeners, &mut hosts, problems);
        route_ties(&routes, problems);
        let Some(name) = site_hosts.first().map(|host| host.value.to_string()) else { continue };
        let first = config.routes.len() as u32;
        let site_rate = rate.map(|rate| rate.of(&unique_name(name.clone(), &mut counted)));
        for mut route in routes {
            let own_rate = route.rate.take();
            let own_rate =
                own_rate.map(|rate| rate.of(&unique_name(format!("{name}{}", route.path.value.0), &mut counted)));
            let access = route.access.take().unwrap_or_else(|| access.clone());
            let route = self::route(route, &name, &mut names, &mut config.pools);
            config.routes.push(Route { access, rate: own_rate.or_else(|| site_rate.clone()), ..route });
        }
        config.sites.push(Site {
            name,
            hosts: site_hosts.into_iter().map(|host| host.value).collect(),
            listeners: site_listeners,
            routes: first..config.routes.len() as u32,
            tls,
            hsts,
            access,
        });
    }
    for stream in raw.streams {
        let stream_listeners = listeners.ids(stream.listen.clone(), problems);
        config.streams.extend(self::stream(stream, stream_listeners, &mut names, &mut config.pools));
    }
    listeners.overlaps(problems);
    config.listeners = listeners.into_list();
    config
}

/// The same host twice on a listener: the two sites cannot be told apart.
fn host_ties(
    hosts: &[At<HostPattern>],
    tls: bool,
    listeners: &[ListenerId],
    seen: &mut HashMap<(ListenerId, HostPattern), (Span, bool)>,
    problems: &mut Problems,
) {
    for host in hosts {
        // Looked up on all of the listeners before any is entered: one tie is one problem.
        let keys = || listeners.iter().map(|id| (*id, host.value.clone()));
        match keys().find_map(|key| seen.get(&key).copied()) {
            Some((other, other_tls)) => {
                let what =
                    format!("host {:?} has a site already, at {}", host.value.to_string(), problems.place(other));
                let hint = match tls == other_tls {
                    true => "make them one site with several routes, or give them a `listen` each",
                    false => "remove the one without TLS: the other answers http:// as well, and redirects to https://",
                };
                problems.error(host.at, what, hint);
            }
            None => seen.extend(keys().map(|key| (key, (host.at, tls)))),
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
            let name = unique_name(format!("{site}{}", raw.path.value.0), names);
            Action::Proxy(add(Pool { name, ..pool }, pools))
        }
    };
    let RawRoute { path, strip_prefix, max_body, request_id, .. } = raw;
    Route { path: path.value.0, action, strip_prefix, max_body, request_id, access: Access::default(), rate: None }
}

fn stream(
    raw: RawStream,
    listeners: Vec<ListenerId>,
    names: &mut HashSet<String>,
    pools: &mut Vec<Pool>,
) -> Option<Stream> {
    let RawStream { name, pool, idle, udp_idle, max_connections, access, .. } = raw;
    let name = unique_name(name, names);
    let pool = add(Pool { name: name.clone(), ..pool? }, pools);
    Some(Stream { name, listeners, pool, idle, udp_idle, max_connections, access })
}

fn add(pool: Pool, pools: &mut Vec<Pool>) -> PoolId {
    pools.push(pool);
    PoolId(pools.len() as u32 - 1)
}

/// Sites of one host on different listeners can have the same route, and streams port 0; the later one gets a number.
fn unique_name(name: String, names: &mut HashSet<String>) -> String {
    let mut unique = name.clone();
    let mut number = 2;
    while !names.insert(unique.clone()) {
        unique = format!("{name}#{number}");
        number += 1;
    }
    unique
}
