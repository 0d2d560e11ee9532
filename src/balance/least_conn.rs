//! The server with the fewest requests in flight for its weight; among equals, at random by weight.

use super::Servers;
use super::members::{Members, choose_by_weight};
use crate::model::Rng;

#[derive(Debug)]
pub(super) struct LeastConn {
    members: Members,
    rng: Rng,
}

impl LeastConn {
    pub(super) fn new(members: Members, rng: &mut Rng) -> LeastConn {
        LeastConn { members, rng: Rng::new(rng.next_u64()) }
    }

    pub(super) fn pick(&mut self, servers: &impl Servers) -> Option<usize> {
        let least = self.members.usable(servers).min_by(|a, b| a.cmp_load(b, servers))?;
        // Other cores count at the same time: a server may have changed since. Whatever is drawn was usable.
        let equals = self.members.usable(servers).filter(|member| member.cmp_load(least, servers).is_le());
        let chosen = choose_by_weight(equals, &mut self.rng).unwrap_or(least);
        Some(chosen.server)
    }
}
