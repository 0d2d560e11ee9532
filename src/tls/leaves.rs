//! The certificates that our own authority has issued: which names a site needs, from when to when they are good, and
//! when it is time for new ones. They and their keys are never written down: whoever starts again issues again.

use super::authority::{Authority, CLOCK_FLOOR_S, SKEW_S, not_made};
use super::pair::Pair;
use super::problem::Fault;
use crate::model::HostPattern;
use rcgen::SanType;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

/// Issued certificates, as many as there are sites that want one.
#[derive(Clone, Debug, Default)]
pub struct Leaves {
    leaves: Vec<Leaf>,
}

#[derive(Clone, Debug)]
struct Leaf {
    names: Vec<SanType>,
    /// Whose it is: the print of the authority's key.
    issuer: [u8; 32],
    /// The seconds since 1970 in which it stays in use.
    used_s: Range<u64>,
    pair: Arc<Pair>,
}

impl Leaves {
    /// The pair for a site with these hosts: the one among `last` if it is still to be used, else a new one. `machine`
    /// has the names and addresses of this machine, which the default site is asked for.
    pub fn pair(
        &mut self,
        last: &Leaves,
        authority: &Authority,
        hosts: &[HostPattern],
        machine: &[String],
        now_s: u64,
    ) -> Result<Arc<Pair>, Fault> {
        let names = names(hosts, machine)?;
        let is_good =
            |leaf: &&Leaf| leaf.names == names && leaf.issuer == *authority.key_print() && leaf.used_s.contains(&now_s);
        if let Some(known) = self.leaves.iter().find(is_good) {
            return Ok(known.pair.clone());
        }
        let leaf = match last.leaves.iter().find(is_good) {
            Some(kept) => kept.clone(),
            None => Leaf::issue(authority, names, now_s)?,
        };
        self.leaves.push(leaf.clone());
        Ok(leaf.pair)
    }

    /// When the next one is due, in seconds since 1970 by the clock of the wall; `None` while there is none. To be
    /// compared with that clock now and then: a timer would miss that the clock has been set.
    pub fn due_s(&self) -> Option<u64> {
        self.leaves.iter().map(|leaf| leaf.used_s.end).min()
    }
}

impl Leaf {
    fn issue(authority: &Authority, names: Vec<SanType>, now_s: u64) -> Result<Leaf, Fault> {
        let (validity_s, used_s) = times(authority, now_s);
        let (chain, key) = authority.issue(names.clone(), validity_s)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = any_supported_type(&key).map_err(not_made)?;
        let pair = Pair::new(INTERNAL, chain, key)?;
        Ok(Leaf { names, issuer: *authority.key_print(), used_s, pair: Arc::new(pair) })
    }
}

/// When a certificate issued now is good, and in which of that time it is used.
fn times(authority: &Authority, now_s: u64) -> (RangeInclusive<u64>, Range<u64>) {
    if now_s < CLOCK_FLOOR_S {
        // What day it is nobody knows, only that it is a later one: clients, whose clocks are right, get one that is
        // good all the time, until ours has been set.
        return (CLOCK_FLOOR_S..=*authority.validity_s().end(), 0..CLOCK_FLOOR_S);
    }
    let begin_s = now_s - SKEW_S;
    (begin_s..=now_s.saturating_add(LIFETIME_S), begin_s..now_s.saturating_add(LIFETIME_S / 3 * 2))
}

/// The names that clients of these hosts ask for, each once.
fn names(hosts: &[HostPattern], machine: &[String]) -> Result<Vec<SanType>, Fault> {
    let mut names = Vec::new();
    for host in hosts {
        match host {
            HostPattern::Exact(host) => names.push(name(host)?),
            HostPattern::Wildcard(_) => names.push(name(&host.to_string())?),
            HostPattern::Any => {
                for host in machine {
                    names.push(name(host)?);
                }
            }
        }
    }
    let mut unique: Vec<SanType> = Vec::with_capacity(names.len());
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    if unique.is_empty() { Err(not_made("there is no name to make it for")) } else { Ok(unique) }
}

fn name(host: &str) -> Result<SanType, Fault> {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => {
            let name = host.try_into().map_err(|_| not_made(format_args!("{host:?} is not ASCII")))?;
            Ok(SanType::DnsName(name))
        }
    }
}

/// The origin of issued pairs: as in `tls = "internal"`.
pub const INTERNAL: &str = "internal";
/// 30 days. Nothing can call a certificate back, so one whose key has got out should not be good for long; a new one
/// costs nothing. After two thirds of it 10 days are left in which renewing may fail, or this machine's clock be slow.
const LIFETIME_S: u64 = 30 * 24 * 60 * 60;
