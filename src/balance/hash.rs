//! Consistent hash: rendezvous, by weight. Every key ranks all servers; the first usable one gets the request.
//!
//! A server that goes away moves only its own keys, spread over the others by weight, and gets them back when it
//! returns. No ring to build, nothing to keep: cores, restarts and other proxies agree by themselves.

use super::Servers;
use super::members::{Member, Members};
use crate::model::hash_pair;

#[derive(Debug)]
pub(super) struct Rendezvous {
    members: Members,
}

impl Rendezvous {
    pub(super) fn new(members: Members) -> Rendezvous {
        Rendezvous { members }
    }

    pub(super) fn pick(&self, servers: &impl Servers, key: u64) -> Option<usize> {
        let scored = self.members.usable(servers).map(|member| (score(member, key), member.server));
        scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, server)| server)
    }
}

/// A draw from an exponential distribution whose mean is the weight, fixed by key and server: the largest of such
/// draws belongs to a server with a probability proportional to its weight.
fn score(member: &Member, key: u64) -> f64 {
    let bits = hash_pair(key, member.identity) >> 12;
    // Fifty-two bits and a half are exact, so this is never 0 and never 1, and its logarithm finite and not 0.
    let uniform = (bits as f64 + 0.5) / (1_u64 << 52) as f64;
    f64::from(member.weight) / -uniform.ln()
}
