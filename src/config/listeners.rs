//! The listeners of all sites and streams, each address once: who shares one, and what cannot be on the same.

use super::defaults;
use super::problem::{At, Problems, Span};
use super::raw::RawListen;
use super::site::RawSite;
use crate::model::{Listener, ListenerId, Protocol};
use std::collections::HashMap;
use std::net::SocketAddr;

/// Those that were named so far.
#[derive(Default)]
pub(super) struct Listeners {
    list: Vec<At<Listener>>,
    by_place: HashMap<Place, ListenerId>,
}

/// Address, IPv4 and IPv6 together, UDP: one of our listeners can be there.
type Place = (SocketAddr, bool, bool);

/// The listeners of the sites that name none of their own.
pub(super) struct Common {
    /// For all of them; where a site has TLS, it redirects from here.
    http: Vec<ListenerId>,
    /// For those with TLS.
    https: Vec<ListenerId>,
}

impl Common {
    /// Those of a site.
    pub(super) fn of(&self, tls: bool) -> Vec<ListenerId> {
        let https: &[ListenerId] = if tls { &self.https } else { &[] };
        [https, &self.http].concat()
    }
}

impl Listeners {
    /// The common ones, of `[listen]` or by default. Without a word about it, an address is opened only if a site needs
    /// it; and if https is written alone, no other is opened just to redirect from it.
    pub(super) fn common(
        &mut self,
        listen: RawListen,
        sites: &[RawSite],
        streams: bool,
        problems: &mut Problems,
    ) -> Common {
        let mut needing = sites.iter().filter(|site| site.listen.is_none());
        let tls_needed = needing.clone().any(|site| site.tls.is_some());
        let plain_needed = needing.any(|site| site.tls.is_none());
        let http_needed = plain_needed || tls_needed && listen.https.is_none();
        // Without anything that could answer there is a problem already.
        if streams || !sites.is_empty() {
            let has_tls = sites.iter().any(|site| site.tls.is_some());
            if !plain_needed && !tls_needed {
                let why = if sites.is_empty() { "there are streams alone" } else { "each has a listen of its own" };
                idle(&listen.http, why, sites, problems);
            }
            if !tls_needed {
                let why = if has_tls { "each with TLS has a listen of its own" } else { "none has TLS" };
                idle(&listen.https, why, sites, problems);
            }
        }
        let default = |value, needed: bool| needed.then_some(At { value, at: Span::NOWHERE }).into_iter().collect();
        let http = listen.http.unwrap_or_else(|| default(defaults::LISTEN_HTTP, http_needed));
        let https = listen.https.unwrap_or_else(|| default(defaults::LISTEN_HTTPS, tls_needed));
        Common { http: self.ids(http, problems), https: self.ids(https, problems) }
    }

    /// The ids of what one site, one stream or one key lists.
    pub(super) fn ids(&mut self, listen: Vec<At<Listener>>, problems: &mut Problems) -> Vec<ListenerId> {
        let mut ids: Vec<ListenerId> = Vec::with_capacity(listen.len());
        for listener in listen {
            let Some(id) = self.shared(&listener) else {
                ids.push(self.add(listener));
                continue;
            };
            let other = &self.list[id.index()];
            if ids.contains(&id) && other.value == listener.value {
                problems.error(listener.at, "this address is listed twice", "remove one of them");
            } else if let Some((what, hint)) = conflict(&listener, other, problems) {
                // Nobody can look at a default: the one that was written is shown.
                let at = if listener.at == Span::NOWHERE { other.at } else { listener.at };
                problems.error(at, what, hint);
            } else {
                ids.push(id);
            }
        }
        ids
    }

    /// The listener that is there already. Port 0 is another port each time.
    fn shared(&self, listener: &At<Listener>) -> Option<ListenerId> {
        self.by_place.get(&place(&listener.value)).copied().filter(|_| listener.value.address.port() != 0)
    }

    fn add(&mut self, listener: At<Listener>) -> ListenerId {
        let id = ListenerId(self.list.len() as u32);
        self.by_place.insert(place(&listener.value), id);
        self.list.push(listener);
        id
    }

    /// Addresses of one port that cover each other. Both can be bound; the kernel gives a connection to the narrower
    /// one, IPv4 before the two together. Only `:80` beside `[::]:80` is a matter of chance.
    pub(super) fn overlaps(&self, problems: &mut Problems) {
        for wide in &self.list {
            for narrow in self.list.iter().filter(|narrow| covers(&wide.value, &narrow.value)) {
                let (there, text) = (problems.place(wide.at), listen_text(&wide.value));
                if wide.value.address == narrow.value.address {
                    let what = format!("{} and {text:?} ({there}) are the same address", narrow.value.address);
                    problems.error(narrow.at, what, format!("keep {text:?}: it takes IPv4 and IPv6"));
                } else {
                    let taken = if wide.value.is_udp() { "datagrams" } else { "connections" };
                    let what = format!("{} takes its {taken} away from {text:?} ({there})", narrow.value.address);
                    problems.warning(narrow.at, what, "fine if that is meant; else remove one of them");
                }
            }
        }
    }

    /// All of them, by id.
    pub(super) fn into_list(self) -> Vec<Listener> {
        self.list.into_iter().map(|listener| listener.value).collect()
    }
}

/// Why the second of two on one address cannot be there, and what to do about it.
fn conflict(listener: &At<Listener>, other: &At<Listener>, problems: &Problems) -> Option<(String, &'static str)> {
    let (new, old) = if listener.at == Span::NOWHERE { (other, listener) } else { (listener, other) };
    let (text, there) = (listen_text(&new.value), problems.place(old.at));
    if new.value.protocol != old.value.protocol {
        let what = format!("{text:?} is for {} already ({there})", old.value.protocol.scheme());
        return Some((what, "one address speaks one protocol: give one of them another port"));
    }
    if matches!(new.value.protocol, Protocol::Tcp | Protocol::Udp) {
        let what = format!("{text:?} has a stream already ({there})");
        return Some((what, "make them one stream with several servers, or give them an address each"));
    }
    if new.value.proxy_protocol != old.value.proxy_protocol {
        let what = format!("{text:?} has another proxy_protocol already, or another from ({there})");
        return Some((what, "write the same in both places: one address has one rule"));
    }
    None
}

/// Common addresses that no site is on, but for those that a site lists as its own.
fn idle(listen: &Option<Vec<At<Listener>>>, why: &str, sites: &[RawSite], problems: &mut Problems) {
    let own: Vec<&Listener> = sites.iter().flat_map(|site| &site.listen).flatten().map(|own| &own.value).collect();
    let is_own = |listener: &Listener| listener.address.port() != 0 && own.contains(&listener);
    for idle in listen.iter().flatten().filter(|listener| !is_own(&listener.value)) {
        problems.warning(idle.at, format!("no site answers here: {why}"), "remove the address");
    }
}

/// Whether some connection could be taken by both.
fn covers(wide: &Listener, narrow: &Listener) -> bool {
    let (a, b) = (wide.address, narrow.address);
    place(wide) != place(narrow)
        && wide.is_udp() == narrow.is_udp()
        && a.port() == b.port()
        && a.port() != 0
        && a.ip().is_unspecified()
        && !narrow.dual_stack
        && (wide.dual_stack || a.is_ipv4() == b.is_ipv4() && !b.ip().is_unspecified())
}

fn place(listener: &Listener) -> Place {
    (listener.address, listener.dual_stack, listener.is_udp())
}

fn listen_text(listener: &Listener) -> String {
    match listener.dual_stack {
        true => format!(":{}", listener.address.port()),
        false => listener.address.to_string(),
    }
}
