//! Memory, and the disk that our own folder lies on.

use super::files::Files;
use super::{Finding, size};
use crate::app::{Failure, State, machine_memory, meminfo, wants_authority};
use crate::limit::Budget;
use crate::model::Config;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::path::{Path, PathBuf};

/// What there is of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Of the machine, or what our control group may have of it.
    pub(super) total: Option<u64>,
    /// What of the machine's is free, or can be freed.
    pub(super) available: Option<u64>,
}

pub(super) fn read_memory(files: &Files) -> Memory {
    let available = files.read("/proc/meminfo").and_then(|text| meminfo(&text, "MemAvailable"));
    Memory { total: machine_memory(), available }
}

/// With less the kernel begins to end programs, or with less than an eighth of a small machine.
fn scarce(total: u64) -> u64 {
    (48 << 20).min(total / 8)
}

pub(super) fn judge_memory(memory: &Memory, budget: Result<Budget, Failure>) -> Finding {
    let budget = match budget {
        Ok(budget) => budget,
        Err(failure) => return Finding::bad("memory", failure.to_string(), "ringferry check"),
    };
    let takes = format!("Ringferry takes {} at the most", size(budget.ceiling));
    let (Some(total), Some(available)) = (memory.total, memory.available) else {
        return Finding::ok("memory", format!("the kernel does not tell; {takes}"));
    };
    // Of a control group it is not told, and not more than all of it.
    let available = available.min(total);
    let free = format!("{} of {} free", size(available), size(total));
    let who = "see what takes it: ps -eo rss,comm --sort=-rss | head";
    if available < scarce(total) {
        return Finding::bad("memory", format!("{free}: next to nothing"), who);
    }
    if available < budget.ceiling {
        let least = Budget::min(budget.cores);
        let lower = (available / 2).max(least).min(budget.ceiling) >> 20;
        let seen = format!("{free}, and Ringferry may take {} under load", size(budget.ceiling));
        return Finding::hint("memory", seen, format!("write `memory = \"{lower}MiB\"` below [resources]; or {who}"));
    }
    Finding::ok("memory", format!("{free}; {takes}"))
}

/// The file system of our own folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Disk {
    /// The folder, or the nearest one above that is there.
    path: PathBuf,
    /// Bytes and free ones; `None` if it cannot be told, as of one that lies in memory and has no bound.
    room: Option<(u64, u64)>,
    read_only: bool,
    /// Something has to be written there: our own authority.
    is_wanted: bool,
}

/// Where the service of the package keeps it, whoever asks.
const OF_SERVICE: &str = "/var/lib/ringferry";

pub(super) fn read_disk(config: &Config) -> Disk {
    let of_service = || Path::new(OF_SERVICE).is_dir().then(|| PathBuf::from(OF_SERVICE));
    let folder = config.state.clone().or_else(of_service);
    let folder = folder.or_else(|| State::of(config).ok().map(|state| state.folder().to_path_buf()));
    let folder = folder.unwrap_or_else(|| "/".into());
    let path = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_path_buf();
    let told = statvfs(&path).ok();
    // Whose types differ between processors.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let room = told.map(|disk| {
        let block = disk.fragment_size() as u64;
        (block * disk.blocks() as u64, block * disk.blocks_available() as u64)
    });
    let room = room.filter(|(total, _)| *total > 0);
    Disk {
        path,
        room,
        read_only: told.is_some_and(|disk| disk.flags().contains(FsFlags::ST_RDONLY)),
        is_wanted: wants_authority(config),
    }
}

/// A few files of some KiB have to fit; what else is on a board wants more.
const FULL: u64 = 1 << 20;
const NEARLY_FULL: u64 = 100 << 20;

pub(super) fn judge_disk(disk: &Disk) -> Finding {
    let path = disk.path.display();
    let Some((total, free)) = disk.room else {
        return Finding::ok("disk", format!("{path}: the system does not tell"));
    };
    let seen = format!("{path}: {} of {} free", size(free), size(total));
    let what = "see what takes it: sudo du -xh / | sort -h | tail -n 20";
    if disk.read_only {
        // On purpose, or because the card has failed, which Linux answers so.
        let why = "unless that is on purpose, see why: sudo dmesg | grep -i -e mmc -e ext4";
        return match disk.is_wanted {
            true => Finding::bad(
                "disk",
                format!("{path} can only be read, and an authority for tls = \"internal\" has to be kept there"),
                format!("name another folder with state; {why}"),
            ),
            false => Finding::hint("disk", format!("{path} can only be read, which is enough to serve"), why),
        };
    }
    match free {
        ..FULL => Finding::bad("disk", format!("{seen}: it is full"), what),
        FULL..NEARLY_FULL => Finding::hint("disk", format!("{seen}: it is nearly full"), what),
        _ => Finding::ok("disk", format!("{seen}; nothing is written while it serves")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    const MIB: u64 = 1 << 20;

    #[test]
    fn memory_is_held_against_the_ceiling() {
        #[track_caller]
        fn check(total: u64, available: u64, level: Level, told: &str) {
            let memory = Memory { total: Some(total * MIB), available: Some(available * MIB) };
            let found = judge_memory(&memory, Ok(Budget::for_machine(memory.total, 4)));
            assert_eq!(found.level, level, "{found:?}");
            assert!(format!("{} {:?}", found.seen, found.todo).contains(told), "{found:?}");
        }
        check(3791, 3012, Level::Ok, "2.9 GiB of 3.7 GiB free; Ringferry takes 256 MiB at the most");
        check(926, 200, Level::Hint, "memory = \\\"100MiB\\\"");
        check(926, 20, Level::Bad, "next to nothing");
        // Half of the smallest board that is tried is as it should be.
        check(102, 44, Level::Ok, "44 MiB of 102 MiB free");
        check(102, 12, Level::Bad, "next to nothing");
        let unknown = judge_memory(&Memory::default(), Ok(Budget::for_machine(None, 4)));
        assert!(unknown.level == Level::Ok && unknown.seen.contains("does not tell"), "{unknown:?}");
        let failure = Failure::Configuration("resources.memory: 1 KiB are too little".into());
        assert_eq!(judge_memory(&Memory::default(), Err(failure)).level, Level::Bad);
    }

    #[test]
    fn a_full_or_broken_card_is_told() {
        let disk = |free, read_only| Disk {
            path: "/var/lib".into(),
            room: Some((29 << 30, free)),
            read_only,
            is_wanted: true,
        };
        for (free, read_only, level, told) in [
            (11 << 30, false, Level::Ok, "/var/lib: 11 GiB of 29 GiB free; nothing"),
            (50 * MIB, false, Level::Hint, "nearly full"),
            (0, false, Level::Bad, "it is full"),
            (11 << 30, true, Level::Bad, "can only be read"),
        ] {
            let found = judge_disk(&disk(free, read_only));
            assert_eq!((found.level, found.seen.contains(told)), (level, true), "{found:?}");
        }
        // As boards are set up that lose their power now and then.
        let unwanted = Disk { is_wanted: false, ..disk(11 << 30, true) };
        assert_eq!(judge_disk(&unwanted).level, Level::Hint);
        assert_eq!(judge_disk(&Disk::default()).level, Level::Ok);
    }

    #[test]
    fn this_machine_has_both() {
        assert!(read_memory(&Files::System).available.is_some_and(|bytes| bytes > 0));
        let config = Config { state: Some("/no/such/folder".into()), ..Config::default() };
        let disk = read_disk(&config);
        assert_eq!(disk.path, Path::new("/"));
        assert!(disk.room.is_some_and(|(total, free)| total > 0 && free <= total), "{disk:?}");
    }
}
