//! Which certificate a client gets: by the name that it asks for and the signatures that it takes. Built once for a
//! snapshot and never changed, so nothing is locked.

use super::pair::Pair;
use super::problem::{Fault, Problem};
use crate::model::{HostPattern, SiteId};
use crate::route::Hosts;
use ringferry_parser::host::normal_text;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::cmp::Reverse;
use std::sync::Arc;

/// A site that ends TLS, and its pairs.
#[derive(Clone, Debug)]
pub struct SitePairs<'a> {
    /// The site.
    pub site: SiteId,
    /// What it answers for.
    pub hosts: &'a [HostPattern],
    /// Its pairs, of several kinds of keys or for several of its hosts.
    pub pairs: Vec<Arc<Pair>>,
}

/// The certificates of the sites on a listener.
#[derive(Debug, Default)]
pub struct CertStore {
    hosts: Hosts,
    /// By [`SiteId`], in order of preference; empty for sites that do not end TLS.
    pairs: Vec<Vec<Arc<Pair>>>,
}

impl CertStore {
    /// Sorts the pairs for use, and says which sites they do not serve well at the second `now_s` since 1970. Such
    /// pairs are used all the same: a certificate that clients warn of is better than none, and the clock of a small
    /// board may be wrong until the network has told it the time.
    pub fn build<'a>(
        sites: impl IntoIterator<Item = SitePairs<'a>>,
        now_s: u64,
    ) -> (CertStore, Vec<(SiteId, Problem)>) {
        let (mut store, mut problems) = (CertStore::default(), Vec::new());
        for SitePairs { site, hosts, mut pairs } in sites {
            problems.extend(doubts(hosts, &pairs, now_s).into_iter().map(|problem| (site, problem)));
            pairs.sort_by_key(|pair| {
                (!pair.validity_s().contains(&now_s), pair.kind(), Reverse(*pair.validity_s().end()))
            });
            hosts.iter().for_each(|host| store.hosts.insert(host, site));
            if store.pairs.len() <= site.index() {
                store.pairs.resize_with(site.index() + 1, Vec::new);
            }
            store.pairs[site.index()] = pairs;
        }
        (store, problems)
    }

    /// The pairs of a site, the preferred ones first.
    pub fn pairs(&self, site: SiteId) -> &[Arc<Pair>] {
        self.pairs.get(site.index()).map(Vec::as_slice).unwrap_or_default()
    }

    /// The certificate for a client that asks for `name` and can verify `schemes`: of the site with the most specific
    /// host, the first that is for the name and that the client takes. A client that names nothing we have gets what
    /// the default site has, or nothing.
    pub fn resolve(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.map(normal_text).unwrap_or_default();
        let pairs = self.pairs(self.hosts.matches(name.as_bytes()).next()?);
        let usable = || pairs.iter().filter(|pair| pair.signs(schemes));
        let best = usable().find(|pair| pair.names().cover(&name)).or_else(|| usable().next());
        // A pair that the client cannot verify makes rustls end the handshake with the alert that says so.
        best.or(pairs.first()).map(|pair| pair.certified().clone())
    }
}

impl ResolvesServerCert for CertStore {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        CertStore::resolve(self, hello.server_name(), hello.signature_schemes())
    }
}

/// What clients of a site may hold against its pairs.
fn doubts(hosts: &[HostPattern], pairs: &[Arc<Pair>], now_s: u64) -> Vec<Problem> {
    if pairs.is_empty() {
        return hosts.iter().map(|host| Fault::NoneForHost.of(host.to_string())).collect();
    }
    let mut problems = Vec::new();
    for pair in pairs {
        let (from, to) = (*pair.validity_s().start(), *pair.validity_s().end());
        if now_s > to {
            problems.push(Fault::Expired(to).of(pair.origin()));
        } else if now_s < from {
            problems.push(Fault::NotYetValid(from).of(pair.origin()));
        }
        if pair.names().is_empty() {
            problems.push(Fault::NoNames.of(pair.origin()));
        }
    }
    // A host may be covered by any of them. Where none does, the first one with names stands for all.
    if let Some(first) = pairs.iter().find(|pair| !pair.names().is_empty()) {
        let open = hosts.iter().filter(|host| !pairs.iter().any(|pair| pair.names().cover_all(host)));
        problems.extend(open.map(|host| {
            let fault = Fault::NotCovered { host: host.to_string(), names: first.names().clone() };
            fault.of(first.origin())
        }));
    }
    problems
}
