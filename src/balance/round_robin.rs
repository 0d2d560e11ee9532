//! Smooth weighted round robin: weights 5, 1, 1 give `a a b a c a a`, not `a a a a a b c`.

use super::Servers;
use super::members::Members;
use crate::model::Rng;

#[derive(Debug)]
pub(super) struct RoundRobin {
    members: Members,
    /// By server: what the pool owes it, in units of weight. The sum is always 0.
    credit: Vec<i64>,
}

impl RoundRobin {
    pub(super) fn new(members: Members, rng: &mut Rng) -> RoundRobin {
        let servers = members.usable(&Everyone).map(|member| member.server + 1).max().unwrap_or(0);
        let turns = rng.below(members.len() as u64);
        let mut round_robin = RoundRobin { members, credit: vec![0; servers] };
        // Somewhere in the round, so that cores do not go through it in step.
        for _ in 0..turns {
            round_robin.pick(&Everyone);
        }
        round_robin
    }

    /// Each usable server earns its weight, the one with the most credit is picked and pays what all have earned.
    /// A server that comes back goes on with the credit that it had: no burst makes up for its absence.
    pub(super) fn pick(&mut self, servers: &impl Servers) -> Option<usize> {
        let mut earned = 0;
        let mut best: Option<usize> = None;
        for member in self.members.usable(servers) {
            self.credit[member.server] += i64::from(member.weight);
            earned += i64::from(member.weight);
            if best.is_none_or(|best| self.credit[member.server] > self.credit[best]) {
                best = Some(member.server);
            }
        }
        self.credit[best?] -= earned;
        best
    }
}

/// A world in which every server is usable and idle.
struct Everyone;

impl Servers for Everyone {
    fn usable(&self, _: usize) -> bool {
        true
    }

    fn in_flight(&self, _: usize) -> u32 {
        0
    }
}
