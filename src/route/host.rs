//! The hosts that one listener answers for, most specific first. Knows nothing of paths.

use crate::model::{FixedState, HostPattern, SiteId};
use std::collections::HashMap;

/// Host patterns and their sites.
#[derive(Debug, Default)]
pub struct Hosts {
    exact: HashMap<Box<[u8]>, SiteId, FixedState>,
    /// `*.example.com` under `example.com`.
    wildcard: HashMap<Box<[u8]>, SiteId, FixedState>,
    /// Bytes of the longest wildcard: no longer suffix is tried, so that a host of thousands of labels, which a peer
    /// may send, costs no more than the configuration allows.
    wildcard_bytes_max: usize,
    any: Option<SiteId>,
}

impl Hosts {
    /// Two sites with the same host are an error in the configuration; should it happen, the first one stays.
    pub fn insert(&mut self, pattern: &HostPattern, site: SiteId) {
        match pattern {
            HostPattern::Exact(host) => {
                self.exact.entry(host.as_bytes().into()).or_insert(site);
            }
            HostPattern::Wildcard(parent) => {
                self.wildcard_bytes_max = self.wildcard_bytes_max.max(parent.len());
                self.wildcard.entry(parent.as_bytes().into()).or_insert(site);
            }
            HostPattern::Any => {
                self.any.get_or_insert(site);
            }
        }
    }

    /// The sites that answer for `host`, lazily, the most specific first: exact, the longest wildcard, `*`.
    pub fn matches<'a>(&'a self, host: &'a [u8]) -> impl Iterator<Item = SiteId> + 'a {
        let exact = self.exact.get(host).copied();
        let wildcard = self.parents(host).filter_map(|parent| self.wildcard.get(parent).copied());
        exact.into_iter().chain(wildcard).chain(self.any)
    }

    /// What follows each dot, `a.b.c` → `b.c`, `c`, as far as a wildcard may be that long.
    fn parents<'a>(&self, host: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // At least one byte stands before the dot: a wildcard takes one or more labels, not an empty one.
        let first = host.len().saturating_sub(self.wildcard_bytes_max + 1).max(1);
        let dots = host.iter().enumerate().skip(first).filter(|&(_, byte)| *byte == b'.');
        dots.map(|(at, _)| &host[at + 1..])
    }
}
