//! The clock of the wall. Many boards have none that runs without power, and begin in 1970, or where they ended last.

use super::files::Files;
use super::{Advice, Finding};
use crate::tls::{CLOCK_FLOOR_S, day};
use ringferry_runtime::time::is_synchronized;

/// What it says, and who keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    /// Seconds since 1970.
    now_s: u64,
    /// There is a clock that runs without power. Whether its battery is good nobody tells.
    has_rtc: bool,
    /// Something has set it by the network; `None` where the kernel does not say.
    synchronized: Option<bool>,
    /// Bits of a time in the C library that this program was built for.
    time_bits: u32,
}

pub(super) fn read(files: &Files, now_s: u64) -> Clock {
    // Of 32 bits on the older ones of the systems of 32 bits.
    let time_bits = libc::time_t::BITS;
    Clock { now_s, has_rtc: !files.list("/sys/class/rtc").is_empty(), synchronized: is_synchronized(), time_bits }
}

/// Whether certificates can be judged by it.
pub(super) fn is_believed(now_s: u64) -> bool {
    now_s >= CLOCK_FLOOR_S
}

pub(super) fn judge(clock: &Clock, advice: &Advice<'_>) -> Finding {
    let Clock { now_s, has_rtc, synchronized, time_bits } = *clock;
    let seen = format!("{} {:02}:{:02} UTC", day(now_s), now_s / 3600 % 24, now_s / 60 % 60);
    let board = if has_rtc { "" } else { "; this machine has no clock that runs without power" };
    let set = advice.on_host("sudo timedatectl set-ntp true");
    if !is_believed(now_s) {
        let seen = format!("{seen}, which cannot be, and by it every certificate is refused{board}");
        return Finding::bad("clock", seen, set);
    }
    match (synchronized, time_bits) {
        (Some(false), _) => Finding::hint("clock", format!("{seen}, and nothing keeps it right{board}"), set),
        (_, 32) => Finding::hint(
            "clock",
            format!("{seen}; times of this system end on 2038-01-19"),
            "install a 64-bit system, or one whose C library has times of 64 bits (Debian 13)",
        ),
        (Some(true), _) => Finding::ok("clock", format!("{seen}, kept right by the network{board}")),
        (None, _) => Finding::ok("clock", format!("{seen}; whether something keeps it right is not told here{board}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_clock_that_cannot_be_right_is_bad_and_one_that_nobody_keeps_a_hint() {
        #[track_caller]
        fn check(now_s: u64, has_rtc: bool, synchronized: Option<bool>, level: Level, told: &str) {
            let found = judge(&Clock { now_s, has_rtc, synchronized, time_bits: 64 }, &Advice { container: None });
            assert_eq!(found.level, level, "{found:?}");
            assert!(found.seen.contains(told), "{found:?}");
            assert_eq!(found.todo.is_some(), level != Level::Ok);
        }
        // A Raspberry Pi 4 just after power has come, without and with the network.
        check(181, false, Some(false), Level::Bad, "1970-01-01 00:03 UTC, which cannot be");
        check(
            1_764_597_000,
            false,
            Some(true),
            Level::Ok,
            "2025-12-01 13:50 UTC, kept right by the network; this machine",
        );
        check(1_764_597_000, false, Some(false), Level::Hint, "nothing keeps it right; this machine has no clock");
        // A Raspberry Pi 5 with a battery; a container that may not ask.
        check(1_764_597_000, true, Some(true), Level::Ok, "kept right by the network");
        check(1_764_597_000, true, None, Level::Ok, "is not told here");
        check(CLOCK_FLOOR_S - 1, true, Some(true), Level::Bad, "2023-12-31 23:59 UTC");
        check(CLOCK_FLOOR_S, true, Some(true), Level::Ok, "2024-01-01 00:00 UTC");
    }

    #[test]
    fn times_of_32_bits_end() {
        let old = Clock { now_s: 1_764_597_000, has_rtc: false, synchronized: Some(true), time_bits: 32 };
        let found = judge(&old, &Advice { container: None });
        assert_eq!((found.level, found.seen.contains("2038-01-19")), (Level::Hint, true), "{found:?}");
    }

    #[test]
    fn a_board_without_a_clock_has_no_device_for_it() {
        let with = Files::Planted(&[("/sys/class/rtc/rtc0/name", "rpi-rtc soc@107c000000:firmware:rpi_rtc\n")]);
        assert!(read(&with, 0).has_rtc);
        assert!(!read(&Files::Planted(&[]), 0).has_rtc);
    }
}
