//! `[[site]]` and its routes, as written. What `upstream` says is in `upstream`; ties between sites are in `check`.

use super::defaults;
use super::problem::{At, Problems};
use super::reader::{Item, Read, Table};
use super::schema;
use super::units::Size;
use super::word::{RoutePath, Target};
use crate::model::{HostPattern, Listener, Pool, Redirect};

/// A `[[site]]`.
pub(super) struct RawSite {
    pub(super) hosts: Vec<At<HostPattern>>,
    /// `None`: it is on the common listeners.
    pub(super) listen: Option<Vec<At<Listener>>>,
    pub(super) routes: Vec<RawRoute>,
}

/// A route, or what stands for one directly in a site.
pub(super) struct RawRoute {
    pub(super) path: At<RoutePath>,
    pub(super) action: RawAction,
    pub(super) strip_prefix: bool,
    pub(super) max_body: Option<u64>,
    pub(super) request_id: bool,
}

/// What a route does.
pub(super) enum RawAction {
    Proxy(Pool),
    Redirect(Redirect),
}

impl<'t> Read<'t> for RawSite {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawSite> {
        let table = Table::read(item, &schema::SITE, problems)?;
        let hosts: Vec<At<HostPattern>> = table.get_or("host", Vec::new(), problems);
        if table.item("host").is_none_or(|item| item.is_empty_list()) {
            let hint = "write: host = \"www.example.com\", or host = \"*\" for every host without a site of its own";
            table.lacks(&["host"], "a site without a host", hint, problems);
        }
        let listen = listeners(&table, "listen", problems);
        Some(RawSite { hosts, listen, routes: routes(&table, problems) })
    }
}

/// The addresses to listen on under `key`.
pub(super) fn listeners(table: &Table, key: &'static str, problems: &mut Problems) -> Option<Vec<At<Listener>>> {
    let list: At<Vec<At<Listener>>> = table.get(key, problems)?;
    if table.item(key).is_some_and(|item| item.is_empty_list()) {
        problems.error(list.at, format!("{key} lists no address"), format!("write: {key} = \":80\""));
    }
    Some(list.value)
}

/// The routes of a site: those of `route`, else the one that the site itself stands for.
fn routes(site: &Table, problems: &mut Problems) -> Vec<RawRoute> {
    let Some(list) = site.item("route") else {
        let everything = At { value: RoutePath::everything(), at: site.at };
        return route(site, Some(everything), problems).into_iter().collect();
    };
    for key in ["upstream", "redirect", "strip_prefix", "max_body", "request_id"] {
        if let Some(at) = site.key_at(key) {
            let hint = format!("write {key} in the routes; one with path = \"/\" takes what the others leave");
            problems.error(at, format!("{key} beside route: which route is it for?"), hint);
        }
    }
    if list.is_empty_list() {
        let hint = "write: route = [{ path = \"/\", upstream = 3000 }]";
        problems.error(list.at, "route lists no route", hint);
    }
    Vec::read(list, problems).unwrap_or_default().into_iter().map(|route: At<RawRoute>| route.value).collect()
}

impl<'t> Read<'t> for RawRoute {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawRoute> {
        let table = Table::read(item, &schema::ROUTE, problems)?;
        let path = match table.item("path") {
            Some(_) => table.get("path", problems),
            None => Some(At { value: RoutePath::everything(), at: table.at }),
        };
        route(&table, path, problems)
    }
}

/// What a site and a route have in common. Without a readable path only the problems are of interest.
fn route(table: &Table, path: Option<At<RoutePath>>, problems: &mut Problems) -> Option<RawRoute> {
    let strip_prefix: Option<At<bool>> = table.get("strip_prefix", problems);
    let max_body: Option<At<Size>> = table.get("max_body", problems);
    let request_id: Option<At<bool>> = table.get("request_id", problems);
    let action = action(table, problems);
    let path = path?;
    if let Some(strip) = strip_prefix.as_ref().filter(|strip| strip.value && path.value == RoutePath::everything()) {
        let hint = "give the route a path, or remove it";
        problems.warning(strip.at, "strip_prefix changes nothing: the path is \"/\"", hint);
    }
    Some(RawRoute {
        path,
        action: action?,
        strip_prefix: strip_prefix.is_some_and(|strip| strip.value),
        max_body: max_body.map(|size| size.value.0),
        request_id: request_id.is_some_and(|wanted| wanted.value),
    })
}

/// Exactly one of `upstream` and `redirect`.
fn action(table: &Table, problems: &mut Problems) -> Option<RawAction> {
    let pool: Option<At<Pool>> = table.get("upstream", problems);
    let redirect: Option<At<Redirect>> = table.get("redirect", problems);
    match (table.key_at("upstream"), table.key_at("redirect")) {
        (Some(_), None) => return pool.map(|pool| RawAction::Proxy(pool.value)),
        (Some(_), Some(at)) => {
            problems.error(at, "upstream and redirect: a request can go one way only", "remove one of them");
        }
        (None, Some(_)) => {
            for key in ["strip_prefix", "max_body", "request_id"] {
                if let Some(at) = table.key_at(key) {
                    problems.warning(at, format!("{key} changes nothing in a redirect"), "remove it");
                }
            }
        }
        (None, None) => {
            let what = format!("{} needs upstream or redirect", table.name());
            let hint = "write: upstream = 3000, or redirect = \"https://www.example.com\"";
            table.lacks(&["upstream", "redirect", "route"], what, hint, problems);
        }
    }
    redirect.map(|redirect| RawAction::Redirect(redirect.value))
}

impl<'t> Read<'t> for Redirect {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<Redirect> {
        let of = |target: Target, status| Redirect { to: target.url, keep_path: target.keep_path, status };
        if !item.is_table() {
            return Some(of(Target::read(item, problems)?, defaults::REDIRECT_STATUS));
        }
        let table = Table::read(item, &schema::REDIRECT, problems)?;
        let status = table.number("status", 300..=399, problems);
        if let Some(status) = status.as_ref().filter(|status| ![301, 302, 307, 308].contains(&status.value)) {
            let hint = "write 308 (moved for good) or 307 (for now); 301 and 302 turn a POST into a GET";
            problems.error(status.at, format!("status {} is not one of 301, 302, 307, 308", status.value), hint);
        }
        if table.item("to").is_none() {
            let hint = "write: to = \"https://www.example.com\"";
            table.lacks(&["to"], "a redirect without its target", hint, problems);
        }
        let target = table.get("to", problems)?.value;
        Some(of(target, status.map_or(defaults::REDIRECT_STATUS, |status| status.value)))
    }
}
