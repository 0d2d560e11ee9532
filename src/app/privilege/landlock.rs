//! Landlock: files are reached only below the paths of a [`Plan`]. What is open already stays usable, and so do
//! sockets: servers come and go, so there is no rule on ports, and connecting to a unix socket is none of its rights.

use super::paths::Plan;
use super::{on, unavailable};
use crate::control::{MeasureState, MeasureStatus};
use landlock::{
    ABI, Access, AccessFs, BitFlags, RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, path_beneath_rules,
};

/// Restricts the calling thread, and those that it starts from here on.
pub(super) fn restrict(plan: &Plan) -> MeasureStatus {
    let allowed = || format!("{} folders can be read, {} written", plan.read.len(), plan.keep.len());
    match enforce(plan).map(|status| status.ruleset) {
        Ok(RulesetStatus::FullyEnforced) => on(allowed()),
        Ok(RulesetStatus::PartiallyEnforced) => {
            let detail = format!("{}; this kernel does not know all rights of Linux 6.10", allowed());
            MeasureStatus { state: MeasureState::Partly, detail }
        }
        Ok(RulesetStatus::NotEnforced) => unavailable(NOT_THERE),
        Err(error) => unavailable(format!("the kernel refuses it: {error}")),
    }
}

fn enforce(plan: &Plan) -> Result<RestrictionStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let keep = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    let remove = AccessFs::RemoveFile;
    let scratch = AccessFs::RemoveFile | AccessFs::RemoveDir;
    let rules = |paths: &[_], access: BitFlags<AccessFs>| path_beneath_rules(paths.to_vec(), access);
    // What a kernel does not know of it is left out (the best effort that the crate makes).
    Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))?
        .create()?
        .add_rules(rules(&plan.read, read))?
        .add_rules(rules(&plan.keep, keep))?
        .add_rules(rules(&plan.remove, remove.into()))?
        .add_rules(rules(&plan.scratch, scratch))?
        .restrict_self()
}

/// The rights of Linux 6.10: all that there are on files and folders but to connect to a socket by its path.
const RIGHTS: ABI = ABI::V5;

const NOT_THERE: &str = "this kernel has no Landlock, or does not start it, or a container refuses it: it has to be \
                         built in (CONFIG_SECURITY_LANDLOCK) and in the list lsm= of the kernel's command line";
