//! A seccomp profile around the program under test, as containers have one.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use std::env::consts::ARCH;
use std::thread;

/// What a profile may say no to. Both are younger than the table of system calls was made one for all machines, so each
/// has one number everywhere.
#[derive(Clone, Copy)]
pub(crate) enum SystemCall {
    IoUringSetup = 425,
    EpollPwait2 = 441,
}

/// Starts something, a program most likely, for which the system calls end like `action`; nobody else notices. `start`
/// runs on a thread of its own, which the profile is laid on, and what it starts inherits it.
#[track_caller]
pub(crate) fn under_seccomp<T: Send>(
    action: SeccompAction,
    calls: &[SystemCall],
    start: impl FnOnce() -> T + Send,
) -> T {
    let rules = calls.iter().map(|call| (*call as i64, Vec::new())).collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, ARCH.try_into().unwrap()).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    thread::scope(|scope| {
        let started = scope.spawn(move || {
            apply_filter(&program).unwrap();
            start()
        });
        started.join().unwrap()
    })
}
