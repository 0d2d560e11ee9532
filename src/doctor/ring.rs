//! io_uring: what a ring was found to have, or who refuses it.

use super::files::Files;
use super::kernel::{Kernel, OF_RINGS};
use super::{Advice, Finding, Ring, Running};
use crate::model::KernelChoice;
use ringferry_runtime::{KernelError, RingFeatures, RingRestriction};

/// Whether a seccomp profile is in force, which this process has been given by who started it; `None` if that is not told.
pub(super) fn seccomp(files: &Files) -> Option<bool> {
    let status = files.read("/proc/self/status")?;
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"))?;
    Some(mode.trim() != "0")
}

pub(super) fn facts(features: &RingFeatures) -> Ring {
    Ring {
        deferred: features.deferred,
        restricted: features.restriction == RingRestriction::On,
        no_iowait: features.no_iowait,
    }
}

/// `ring` is what a try came to; `chosen` what the configuration wants. What a running Ringferry has says more than a try
/// of ours: a unit, or a container, may give it less.
pub(super) fn judge(
    ring: Result<RingFeatures, KernelError>,
    kernel: &Kernel,
    seccomp: Option<bool>,
    chosen: KernelChoice,
    running: &Running,
    advice: &Advice<'_>,
) -> Finding {
    match (ring, chosen) {
        (Ok(_), KernelChoice::Epoll) => {
            Finding::ok("io_uring", "works, and is not used: the configuration says kernel = \"epoll\"")
        }
        (Err(_), KernelChoice::Epoll) => {
            Finding::ok("io_uring", "not to be had, and not wanted: the configuration says kernel = \"epoll\"")
        }
        (Ok(features), _) => match running.refused() {
            None => judge_features(&features),
            Some(why) => {
                let (cause, remedy) = why.split_once(": ").unwrap_or((why, "ringferry status"));
                Finding::hint("io_uring", format!("works here, but not for the Ringferry that runs: {cause}"), remedy)
            }
        },
        // Those of one user count together: what the other has may be what we lack.
        (Err(KernelError::Resources(_)), _) if running.has_rings() => {
            Finding::ok("io_uring", "works for the Ringferry that runs")
        }
        (Err(error), KernelChoice::Uring) => {
            let (cause, remedy) = explain(error, kernel, seccomp, advice);
            let seen = format!("{cause}; with kernel = \"uring\" nothing starts");
            Finding::bad("io_uring", seen, format!("write kernel = \"auto\" into the file; or {remedy}"))
        }
        (Err(error), KernelChoice::Auto) => {
            let (cause, remedy) = explain(error, kernel, seccomp, advice);
            let seen = format!("{cause}; epoll takes its place, for 5 to 25 % more CPU");
            Finding::hint("io_uring", seen, remedy)
        }
    }
}

fn judge_features(features: &RingFeatures) -> Finding {
    if let RingRestriction::Refused(why) = &features.restriction {
        let seen = format!("works, but cannot be kept to what a proxy does ({why})");
        return Finding::hint("io_uring", seen, "update the kernel: Linux 6.1 has it");
    }
    if !features.deferred {
        let seen = "works, with more interruptions than needed (no DEFER_TASKRUN)";
        return Finding::hint("io_uring", seen, "update the kernel: Linux 6.1 has it");
    }
    let waits = if features.no_iowait { "" } else { "; before Linux 6.15 `top` shows its waiting as iowait (wa)" };
    Finding::ok("io_uring", format!("works, and can be kept to what a proxy does{waits}"))
}

/// The cause and the remedy of the error, with what is known about this process.
fn explain(error: KernelError, kernel: &Kernel, seccomp: Option<bool>, advice: &Advice<'_>) -> (String, String) {
    // Some profiles answer as if the kernel were an old one.
    let error = match error {
        KernelError::Missing(why) if seccomp == Some(true) && kernel.is_at_least(OF_RINGS) => KernelError::Refused(why),
        error => error,
    };
    let cause = error.cause();
    match (&error, seccomp) {
        (KernelError::Disabled(_), _) => (cause, advice.sysctl(&["kernel.io_uring_disabled=0".to_owned()])),
        (KernelError::Refused(_), Some(false)) => (
            format!("{cause}, and by no seccomp profile: a security module does it"),
            "sudo dmesg | grep -i -e denied -e io_uring".to_owned(),
        ),
        (KernelError::Refused(_), Some(true)) => (format!("{cause} by a seccomp profile"), error.remedy().to_owned()),
        _ => (cause, error.remedy().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use std::io;

    const HERE: &Advice<'_> = &Advice { container: None };
    const EPERM: i32 = 1;
    const ENOSYS: i32 = 38;

    fn kernel(release: &str) -> Kernel {
        Kernel { release: release.into(), machine: "aarch64".into(), program_bits: 64 }
    }

    #[test]
    fn who_refuses_a_ring_is_told_apart() {
        let error = io::Error::from_raw_os_error;
        #[track_caller]
        fn check(error: KernelError, release: &str, seccomp: Option<bool>, seen: &str, todo: &str) {
            let found = judge(Err(error), &kernel(release), seccomp, KernelChoice::Auto, &Running::No, HERE);
            assert_eq!(found.level, Level::Hint);
            assert!(found.seen.starts_with(seen), "{found:#?}");
            assert!(found.todo.as_ref().is_some_and(|text| text.contains(todo)), "{found:#?}");
        }
        // kernel.io_uring_disabled = 2, in a container or not.
        let disabled = || KernelError::Disabled(error(EPERM));
        let seen = "io_uring is switched off on this machine (Operation not permitted (os error 1)); epoll";
        check(disabled(), "6.12.25+rpt-rpi-v8", Some(true), seen, "sysctl -w kernel.io_uring_disabled=0");
        // docker's profile; and one that hides it.
        let seen = "io_uring is refused to this process (Operation not permitted (os error 1)) by a seccomp profile; ";
        check(KernelError::Refused(error(EPERM)), "6.12.25", Some(true), seen, "--security-opt seccomp=FILE");
        let seen =
            "io_uring is refused to this process (Function not implemented (os error 38)) by a seccomp profile; ";
        check(KernelError::Missing(error(ENOSYS)), "6.1.0", Some(true), seen, "--security-opt seccomp=FILE");
        // No profile at all.
        let seen = "io_uring is refused to this process (Operation not permitted (os error 1)), and by no seccomp";
        check(KernelError::Refused(error(EPERM)), "6.12.25", Some(false), seen, "dmesg");
        // An old kernel, in a container or not.
        let missing = || KernelError::Missing(error(ENOSYS));
        check(missing(), "4.19.97-v7+", Some(false), "this kernel has no io_uring", "Linux 6.1 or later");
        check(missing(), "4.19.97-v7+", Some(true), "this kernel has no io_uring", "Linux 6.1 or later");
        let seen = "this kernel's io_uring has no provided-buffer rings; epoll takes its place";
        check(KernelError::TooOld("provided-buffer rings"), "5.15.0", Some(false), seen, "Linux 6.1 or later");
        check(KernelError::Resources(error(12)), "5.4.0", None, "a core cannot be made (Cannot allocate", "ulimit -l");
    }

    #[test]
    fn what_the_configuration_wants_and_what_runs_count() {
        let refused = || Err(KernelError::Refused(io::Error::from_raw_os_error(EPERM)));
        let whole = RingFeatures { deferred: true, no_iowait: true, restriction: RingRestriction::On };
        let judge = |ring, chosen, running: &Running| judge(ring, &kernel("6.12.0"), Some(true), chosen, running, HERE);
        let found = judge(refused(), KernelChoice::Uring, &Running::No);
        assert_eq!((found.level, found.seen.contains("nothing starts")), (Level::Bad, true), "{found:?}");
        assert_eq!(judge(refused(), KernelChoice::Epoll, &Running::No).level, Level::Ok);
        assert_eq!(judge(Ok(whole.clone()), KernelChoice::Epoll, &Running::No).level, Level::Ok);
        assert_eq!(
            judge(Ok(whole.clone()), KernelChoice::Auto, &Running::No),
            Finding::ok("io_uring", "works, and can be kept to what a proxy does")
        );
        let young = RingFeatures { no_iowait: false, ..whole.clone() };
        let found = judge(Ok(young), KernelChoice::Auto, &Running::No);
        assert_eq!((found.level, found.seen.contains("6.15")), (Level::Ok, true), "{found:?}");
        let old = RingFeatures { deferred: false, ..whole.clone() };
        assert_eq!(judge(Ok(old), KernelChoice::Auto, &Running::No).level, Level::Hint);
        let none_left = Err(KernelError::Resources(io::Error::from_raw_os_error(12)));
        let found = judge(none_left, KernelChoice::Auto, &Running::planted("io_uring", None, &[]));
        assert_eq!(found.level, Level::Ok, "{found:?}");
        // A unit may refuse what a shell of root has.
        let error = KernelError::Refused(io::Error::from_raw_os_error(EPERM));
        let found = judge(Ok(whole), KernelChoice::Auto, &Running::planted("epoll", Some(&error.to_string()), &[]));
        assert!(found.seen.ends_with("refused to this process (Operation not permitted (os error 1))"), "{found:?}");
        assert_eq!(found.todo.as_deref(), Some(error.remedy()));
    }

    #[test]
    fn a_profile_is_seen_in_the_status_of_the_process() {
        let status = |text| {
            Files::Planted(match text {
                0 => &[("/proc/self/status", "Name:\tringferry\nNoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n")],
                2 => &[("/proc/self/status", "Name:\tringferry\nNoNewPrivs:\t0\nSeccomp:\t2\nSeccomp_filters:\t1\n")],
                _ => &[("/proc/self/status", "Name:\tringferry\n")],
            })
        };
        assert_eq!([0, 2, 9].map(|mode| seccomp(&status(mode))), [Some(false), Some(true), None]);
    }
}
