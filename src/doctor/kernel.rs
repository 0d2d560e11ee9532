//! The kernel: its release, what it runs on, and the size of its pages.

use super::files::Files;
use super::{Finding, size};
use nix::sys::utsname::uname;

/// What it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kernel {
    /// `6.12.25+rpt-rpi-v8`.
    pub(super) release: String,
    /// `aarch64`, `armv7l`.
    pub(super) machine: String,
    /// Bits of an address in this program.
    pub(super) program_bits: u32,
}

/// From here on rings are as cores want them.
pub(super) const OF_RINGS: (u32, u32) = (6, 1);

impl Kernel {
    /// `(6, 12)`.
    pub(super) fn version(&self) -> Option<(u32, u32)> {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    }

    /// Whether it is of this version or later. Of one that says nothing that can be read, nothing is held to be missing.
    pub(super) fn is_at_least(&self, version: (u32, u32)) -> bool {
        self.version().is_none_or(|own| own >= version)
    }
}

pub(super) fn read(files: &Files) -> Kernel {
    let machine = uname().map(|names| names.machine().to_string_lossy().into_owned()).unwrap_or_default();
    let release = files.read("/proc/sys/kernel/osrelease").unwrap_or_default();
    Kernel { release, machine, program_bits: usize::BITS }
}

pub(super) fn judge(kernel: &Kernel, model: Option<&str>) -> Finding {
    let Kernel { release, machine, program_bits } = kernel;
    let on = model.map(|model| format!(", {model}")).unwrap_or_default();
    let seen = format!("Linux {release} on {machine}{on}");
    let kernel_is_64 = machine.contains("64") || machine == "armv8b" || machine == "s390x";
    match (program_bits, kernel_is_64) {
        (64, _) => Finding::ok("kernel", seen),
        (_, true) => Finding::hint(
            "kernel",
            format!("{seen}, and this program has 32 bits: TLS is slower, and memory ends at 3 GiB"),
            "install a 64-bit system (Raspberry Pi Imager: Raspberry Pi OS, 64-bit) and its package of Ringferry",
        ),
        (_, false) => Finding::hint(
            "kernel",
            format!("{seen}, of 32 bits: TLS is slower, and memory ends at 3 GiB"),
            "install a 64-bit system, if the board is a Raspberry Pi 3 or later (Raspberry Pi Imager: 64-bit)",
        ),
    }
}

/// Nothing depends on it that is not asked for elsewhere; but boards differ in it, and so do reports about them.
pub(super) fn judge_page(page_bytes: usize) -> Finding {
    Finding::ok("page_size", size(page_bytes as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn kernel(release: &str, machine: &str, program_bits: u32) -> Kernel {
        Kernel { release: release.into(), machine: machine.into(), program_bits }
    }

    #[test]
    fn releases_of_all_kinds_have_a_version() {
        for (release, expect) in [
            ("6.12.25+rpt-rpi-v8", Some((6, 12))),
            ("6.1.0-25-arm64", Some((6, 1))),
            ("5.15.167.4-microsoft-standard-WSL2", Some((5, 15))),
            ("6.18-rc1", Some((6, 18))),
            ("", None),
            ("next", None),
        ] {
            assert_eq!(kernel(release, "aarch64", 64).version(), expect, "{release}");
        }
        assert!(!kernel("5.10.103-v7l+", "armv7l", 32).is_at_least(OF_RINGS));
        assert!(kernel("next", "aarch64", 64).is_at_least(OF_RINGS));
    }

    #[test]
    fn a_system_of_32_bits_is_told_what_it_does_without() {
        let pi = Some("Raspberry Pi 4 Model B Rev 1.4");
        let found = judge(&kernel("6.12.25+rpt-rpi-v8", "aarch64", 64), pi);
        assert_eq!(found.seen, "Linux 6.12.25+rpt-rpi-v8 on aarch64, Raspberry Pi 4 Model B Rev 1.4");
        assert_eq!(found.level, Level::Ok);
        // Raspberry Pi OS of 32 bits has had a kernel of 64 for years.
        let found = judge(&kernel("6.6.51+rpt-rpi-v8", "aarch64", 32), pi);
        assert_eq!((found.level, found.seen.contains("this program has 32 bits")), (Level::Hint, true), "{found:?}");
        let found = judge(&kernel("5.10.103-v7l+", "armv7l", 32), None);
        assert_eq!((found.level, found.seen.contains("armv7l, of 32 bits")), (Level::Hint, true), "{found:?}");
    }
}
