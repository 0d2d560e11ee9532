//! Giving up what is not needed any more, step by step, and saying how far that went.
//!
//! The order is what keeps a reload working: change the user, with the two capabilities that a reload needs → bind, as
//! that user → no_new_privs → Landlock → threads and their rings, restricted → seccomp, when the last ring is there. No
//! step is a reason not to start: what this machine refuses is told, and the rest is done all the same.

mod landlock;
mod paths;
mod seccomp;
mod user;

pub(super) use paths::Plan;
pub(super) use user::{UserChange, change_user, give_up_capabilities};

use crate::control::{MeasureState, MeasureStatus, PrivilegeStatus};
use crate::model::Privileges;
use nix::sys::prctl::set_no_new_privs;
use ringferry_runtime::RingRestriction;

/// Takes effect for the calling thread and for those that it starts from here on.
pub(super) fn confine(wanted: &Privileges, plan: &Plan, status: &mut PrivilegeStatus) {
    if wanted.no_new_privs {
        status.no_new_privs = match set_no_new_privs() {
            Ok(()) => on(""),
            Err(error) => unavailable(format!("the kernel refuses it: {error}")),
        };
    }
    if wanted.landlock {
        status.landlock = landlock::restrict(plan);
    }
    if !status.landlock.is_on() && status.user.detail.contains(user::READS_ALL) {
        status.user.detail += ", which without Landlock reads every file";
    }
}

/// What became of the rings of all cores.
pub(super) fn rings(restrictions: &[RingRestriction]) -> MeasureStatus {
    let refused = restrictions.iter().find_map(|restriction| match restriction {
        RingRestriction::Refused(why) => Some(why),
        RingRestriction::On | RingRestriction::Off => None,
    });
    match refused {
        Some(why) => unavailable(format!("the kernel refuses it: {why}; Linux 6.1 has it")),
        None if restrictions.contains(&RingRestriction::On) => on(""),
        None => MeasureStatus::default(),
    }
}

/// Takes effect for all threads at once. From here on nobody gets another ring.
pub(super) fn seal(wanted: &Privileges, status: &mut PrivilegeStatus) {
    if wanted.seccomp {
        status.seccomp = seccomp::refuse();
    }
}

/// What is in force, as a part of the line that says that it has begun; empty if nothing is.
pub(super) fn summary(status: &PrivilegeStatus) -> String {
    let in_force = measures(status).filter(|(_, _, measure)| measure.is_on());
    let names: Vec<String> = in_force
        .map(|(key, name, measure)| if key == "user" { format!("user {}", short(measure)) } else { name.to_owned() })
        .collect();
    if names.is_empty() { String::new() } else { format!("; confined by {}", names.join(", ")) }
}

/// A line for each measure that this machine refuses: what, why, and how to have it or do without.
pub(super) fn refusals(status: &PrivilegeStatus) -> impl Iterator<Item = String> {
    let refused = measures(status).filter(|(_, _, measure)| measure.state == MeasureState::Unavailable);
    refused.map(|(key, name, measure)| match key {
        "user" => format!("warning: privileges.user: still who started it: {}", measure.detail),
        _ => format!("not confined by {name}: {}; {key} = false in [privileges] does without", measure.detail),
    })
}

/// Each measure with its key in the configuration and its name for people, in the order in which they are taken.
fn measures(status: &PrivilegeStatus) -> impl Iterator<Item = (&'static str, &'static str, &MeasureStatus)> {
    let PrivilegeStatus { user, no_new_privs, landlock, rings, seccomp } = status;
    [
        ("user", "user", user),
        ("no_new_privs", "no_new_privs", no_new_privs),
        ("landlock", "Landlock", landlock),
        ("restrict_rings", "restricted rings", rings),
        ("seccomp", "seccomp", seccomp),
    ]
    .into_iter()
}

/// The name of the user alone.
fn short(measure: &MeasureStatus) -> &str {
    measure.detail.split([' ', ',']).next().unwrap_or_default()
}

fn on(detail: impl Into<String>) -> MeasureStatus {
    MeasureStatus { state: MeasureState::On, detail: detail.into() }
}

fn unavailable(detail: impl Into<String>) -> MeasureStatus {
    MeasureStatus { state: MeasureState::Unavailable, detail: detail.into() }
}
