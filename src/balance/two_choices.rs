//! The less loaded of two servers drawn at random by weight: nearly as even as the least loaded of all, looks at two
//! servers only, and cores that see the same counts do not rush to the same server.

use super::Servers;
use super::members::Members;
use crate::model::Rng;

#[derive(Debug)]
pub(super) struct TwoChoices {
    members: Members,
    rng: Rng,
}

impl TwoChoices {
    pub(super) fn new(members: Members, rng: &mut Rng) -> TwoChoices {
        TwoChoices { members, rng: Rng::new(rng.next_u64()) }
    }

    pub(super) fn pick(&mut self, servers: &impl Servers) -> Option<usize> {
        let rng = &mut self.rng;
        let first = self.members.draw(rng, |member| servers.usable(member.server))?;
        let second = self.members.draw(rng, |member| member.server != first.server && servers.usable(member.server));
        // Of two equals the first: an idle pool is used exactly by weight.
        match second {
            Some(second) if second.cmp_load(first, servers).is_lt() => Some(second.server),
            _ => Some(first.server),
        }
    }
}
