//! The servers among which one algorithm chooses, with their weights: random draws by weight, load by weight.

use super::Servers;
use crate::model::{Pool, Rng, hash64};
use std::cmp::Ordering;

/// A server as the algorithms see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Index in the pool.
    pub(super) server: usize,
    pub(super) weight: u16,
    /// Weights of the members up to and including this one.
    weight_up_to: u64,
    /// Who it is, whatever its place in the pool: the hash of its address as text.
    pub(super) identity: u64,
}

impl Member {
    /// Compares requests in flight for each unit of weight, without a division.
    pub(super) fn cmp_load(&self, other: &Member, servers: &impl Servers) -> Ordering {
        let scaled = |one: &Member, by: &Member| u64::from(servers.in_flight(one.server)) * u64::from(by.weight);
        scaled(self, other).cmp(&scaled(other, self))
    }
}

/// Servers of a pool: its backups, or those that are not.
#[derive(Debug)]
pub(super) struct Members(Vec<Member>);

impl Members {
    pub(super) fn of(pool: &Pool, backup: bool) -> Members {
        let chosen = pool.servers.iter().enumerate().filter(|(_, server)| server.backup == backup);
        let members = chosen.scan(0, |weight_up_to, (index, server)| {
            *weight_up_to += u64::from(server.weight);
            Some(Member {
                server: index,
                weight: server.weight,
                weight_up_to: *weight_up_to,
                identity: hash64(server.address.to_string().as_bytes()),
            })
        });
        Members(members.collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn usable(&self, servers: &impl Servers) -> impl Iterator<Item = &Member> {
        self.0.iter().filter(|member| servers.usable(member.server))
    }

    /// One of those that `accept` takes, at random by weight; `None` when it takes none.
    pub(super) fn draw(&self, rng: &mut Rng, accept: impl Fn(&Member) -> bool) -> Option<&Member> {
        let total = self.0.last()?.weight_up_to;
        // Nearly always the first draw is taken, so that a pick looks at two servers and not at all of them.
        for _ in 0..DRAWS_MAX {
            let point = rng.below(total);
            let member = &self.0[self.0.partition_point(|member| member.weight_up_to <= point)];
            if accept(member) {
                return Some(member);
            }
        }
        choose_by_weight(self.0.iter().filter(|member| accept(member)), rng)
    }
}

/// One of `members` at random by weight, in one pass.
pub(super) fn choose_by_weight<'a>(members: impl Iterator<Item = &'a Member>, rng: &mut Rng) -> Option<&'a Member> {
    let mut total = 0;
    let mut chosen = None;
    for member in members {
        total += u64::from(member.weight);
        if rng.below(total) < u64::from(member.weight) {
            chosen = Some(member);
        }
    }
    chosen
}

/// Draws that may be refused before all members are looked at; the outcome is equally likely either way.
const DRAWS_MAX: u32 = 4;
