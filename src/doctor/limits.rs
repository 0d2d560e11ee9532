//! What this process may have: locked memory, descriptors, pipes.
//!
//! A service has limits of its own, which its unit sets: those of a shell are a hint at what `run` would have in it.

use super::files::Files;
use super::kernel::Kernel;
use super::{Advice, Finding, Running, size};
use crate::app::descriptors_for_connections;
use crate::limit::Budget;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use ringferry_runtime::probe::{WANTED, pipe_bytes};

/// Bytes that the Ringferry that runs may lock, or one of ours could; `None` is no limit.
pub(super) fn memlock(files: &Files, running: &Running) -> Option<u64> {
    match of_process(files, running, "Max locked memory") {
        Some(limit) => limit,
        None => {
            let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
            (soft != RLIM_INFINITY).then_some(soft)
        }
    }
}

/// Between these versions rings are not counted as memory that is locked, before and after they are, for all processes of
/// a user together.
const UNCOUNTED_FROM: (u32, u32) = (5, 12);
const COUNTED_FROM: (u32, u32) = (6, 14);

/// A core takes 124 KiB with its buffer rings, and as much for a moment in which the one that was tried is not gone yet; the
/// control plane some 30 (Linux 6.18, x86-64, 2026-12-01: two cores need 384 KiB). Pages of 16 KiB make more of it.
const LOCKED_BY_CORE: u64 = 256 << 10;

pub(super) fn judge_memlock(limit: Option<u64>, kernel: &Kernel, cores: usize, advice: &Advice<'_>) -> Finding {
    let told = limit.map_or("no limit".to_owned(), size);
    let wanted = LOCKED_BY_CORE * (cores as u64 + 1);
    let is_counted = !kernel.is_at_least(UNCOUNTED_FROM) || kernel.is_at_least(COUNTED_FROM);
    match limit {
        Some(limit) if is_counted && limit < wanted => {
            let seen = format!("{told}, and io_uring locks up to {} for each user that is not root", size(wanted));
            Finding::hint("memlock", seen, advice.memlock(wanted.max(8 << 20)))
        }
        Some(_) if is_counted => Finding::ok("memlock", format!("{told}, enough for the rings of all cores")),
        _ => Finding::ok("memlock", told),
    }
}

/// Descriptors that the Ringferry that runs has, or that one of ours would have: it raises its limit as far as it may.
pub(super) fn descriptors(files: &Files, running: &Running) -> u64 {
    let own = || getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, hard)| soft.max(hard));
    of_process(files, running, "Max open files").map_or_else(own, |limit| limit.unwrap_or(u64::MAX))
}

/// A limit of the Ringferry that runs, if we may know: the first figure of its line, which may be that there is none.
fn of_process(files: &Files, running: &Running, name: &str) -> Option<Option<u64>> {
    let limits = files.read(&format!("/proc/{}/limits", running.pid()?))?;
    let soft = limits.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?;
    if soft == "unlimited" { Some(None) } else { Some(Some(soft.parse().ok()?)) }
}

pub(super) fn judge_descriptors(limit: u64, connections: usize, cores: usize, advice: &Advice<'_>) -> Finding {
    let room = descriptors_for_connections(limit, cores).saturating_mul(cores as u64);
    let connections = connections as u64;
    if room >= connections {
        return Finding::ok("descriptors", format!("{limit}, enough for limits.connections = {connections}"));
    }
    // Two for a connection that is passed on, some for the rest: what the unit of the package has for the default.
    let wanted = connections.next_power_of_two().saturating_mul(4);
    let seen =
        format!("{limit}, which is room for {room} of the {connections} connections that limits.connections allows");
    Finding::hint("descriptors", seen, advice.descriptors(wanted))
}

/// What there is of pipes, through which long bodies pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pipes {
    /// What one takes, by a try.
    tried: Option<u64>,
    /// What one may be made to take.
    max: Option<u64>,
    /// Pages that all pipes of a user may have before they get small ones; 0 is no limit.
    user_pages: Option<u64>,
}

pub(super) fn pipes(files: &Files) -> Pipes {
    Pipes {
        tried: pipe_bytes().ok().map(|bytes| bytes as u64),
        max: files.number("/proc/sys/fs/pipe-max-size"),
        user_pages: files.number("/proc/sys/fs/pipe-user-pages-soft"),
    }
}

pub(super) fn judge_pipes(pipes: &Pipes, budget: Option<&Budget>, page_bytes: usize, advice: &Advice<'_>) -> Finding {
    let Pipes { tried, max, user_pages } = *pipes;
    let asked = WANTED.pipe_bytes;
    let all = budget.map_or(0, |budget| (budget.buffers.pipes * budget.cores) as u64) * asked;
    let of_user = user_pages.filter(|pages| *pages > 0).map(|pages| pages * page_bytes as u64);
    let told = |tried: u64| format!("a pipe takes {} of the {} asked for", size(tried), size(asked));
    match (tried, max, of_user) {
        (None, ..) => Finding::hint(
            "pipes",
            "none can be made: long bodies are copied",
            "see whether there are descriptors left: cat /proc/sys/fs/file-nr",
        ),
        (Some(tried), Some(max), _) if tried < asked && max < asked => Finding::hint(
            "pipes",
            format!("{}: long bodies move in smaller steps", told(tried)),
            advice.sysctl(&[format!("fs.pipe-max-size={}", asked.next_power_of_two().max(1 << 20))]),
        ),
        (Some(tried), ..) if tried < asked => Finding::hint(
            "pipes",
            format!("{}, since this user has many already: long bodies move in smaller steps", told(tried)),
            advice.sysctl(&[format!("fs.pipe-user-pages-soft={}", 2 * user_pages.unwrap_or(16_384))]),
        ),
        (Some(_), _, Some(of_user)) if of_user < all => Finding::hint(
            "pipes",
            format!("a user may have {} in pipes, all cores together up to {}", size(of_user), size(all)),
            advice.sysctl(&[format!("fs.pipe-user-pages-soft={}", all.div_ceil(page_bytes as u64))]),
        ),
        (Some(tried), ..) => {
            let of_user = of_user.map_or("as many as wanted".to_owned(), |all| format!("{} for each user", size(all)));
            Finding::ok("pipes", format!("{} each, {of_user}", size(tried)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;
    use crate::doctor::container::Container;

    const HERE: Advice<'_> = Advice { container: None };

    #[test]
    fn locked_memory_matters_on_kernels_that_count_rings_there() {
        #[track_caller]
        fn check(limit: Option<u64>, release: &str, level: Level, told: &str) {
            let kernel = Kernel { release: release.into(), ..Kernel::default() };
            let found = judge_memlock(limit, &kernel, 4, &HERE);
            assert_eq!((found.level, found.seen.contains(told)), (level, true), "{found:?}");
        }
        check(Some(64 << 10), "6.1.21-v8+", Level::Ok, "64 KiB");
        check(Some(64 << 10), "6.12.25+rpt-rpi-2712", Level::Ok, "64 KiB");
        check(Some(64 << 10), "6.18.2", Level::Hint, "64 KiB, and io_uring locks up to 1.2 MiB");
        check(Some(64 << 10), "5.10.103-v7l+", Level::Hint, "64 KiB, and");
        check(Some(8 << 20), "6.18.2", Level::Ok, "8 MiB, enough");
        check(None, "6.18.2", Level::Ok, "no limit");
    }

    #[test]
    fn descriptors_are_held_against_the_connections_that_are_allowed() {
        let found = judge_descriptors(1024, 32_768, 4, &HERE);
        assert_eq!(found.level, Level::Hint);
        assert!(found.seen.starts_with("1024, which is room for 608 of the 32768 connections"), "{found:?}");
        assert!(found.todo.unwrap().starts_with("LimitNOFILE=131072 in the unit"));
        let docker = Container::planted("docker");
        let found = judge_descriptors(1024, 32_768, 4, &Advice { container: Some(&docker) });
        assert_eq!(found.todo.as_deref(), Some("docker run --ulimit nofile=131072"));
        assert_eq!(judge_descriptors(1024, 500, 4, &HERE).level, Level::Ok);
        assert_eq!(judge_descriptors(1 << 19, 32_768, 4, &HERE).level, Level::Ok);
    }

    #[test]
    fn what_the_running_one_has_counts() {
        let files = Files::Planted(&[(
            "/proc/4711/limits",
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max open files            131072               524288               files     \n\
             Max locked memory         65536                65536                bytes     \n\
             Max address space         unlimited            unlimited            bytes     \n",
        )]);
        let running = Running::planted("io_uring", None, &[]);
        assert_eq!(memlock(&files, &running), Some(64 << 10));
        assert_eq!(of_process(&files, &running, "Max address space"), Some(None));
        assert_eq!(of_process(&files, &Running::No, "Max address space"), None);
        assert_eq!(descriptors(&files, &running), 131_072);
        assert!(descriptors(&files, &Running::No) > 0);
    }

    #[test]
    fn pipes_should_be_as_large_as_cores_ask_for() {
        #[track_caller]
        fn check(tried: u64, max: u64, user_pages: u64, level: Level, told: &str) {
            let budget = Budget::for_machine(Some(4 << 30), 4);
            assert_eq!(budget.buffers.pipes * budget.cores, 128, "what the cases are made for");
            let pipes = Pipes { tried: Some(tried), max: Some(max), user_pages: Some(user_pages) };
            let found = judge_pipes(&pipes, Some(&budget), 4096, &HERE);
            assert_eq!(found.level, level, "{found:?}");
            assert!(found.todo.as_ref().unwrap_or(&found.seen).contains(told), "{found:?}");
        }
        check(256 << 10, 1 << 20, 16_384, Level::Ok, "256 KiB each, 64 MiB for each user");
        check(256 << 10, 1 << 20, 0, Level::Ok, "as many as wanted");
        check(64 << 10, 64 << 10, 16_384, Level::Hint, "fs.pipe-max-size=1048576");
        check(4 << 10, 1 << 20, 16_384, Level::Hint, "fs.pipe-user-pages-soft=32768");
        check(256 << 10, 1 << 20, 1024, Level::Hint, "fs.pipe-user-pages-soft=8192");
        let none = judge_pipes(&Pipes::default(), None, 16_384, &HERE);
        assert!(none.seen.starts_with("none can be made"), "{none:?}");
    }
}
