//! Waits and sizes: `"10s"`, `"64KiB"`.

use super::reader::{Scalar, Wrong};
use std::time::Duration;

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) u64);

impl Scalar for Duration {
    const EXAMPLE: &'static str = "\"30s\"";

    fn from_text(text: &str) -> Result<Duration, Wrong> {
        let (digits, unit) = split(text);
        let Some((_, unit_ms)) = TIME_UNITS.iter().find(|(name, _)| *name == unit) else {
            let wrong = Wrong::new(match unit {
                "" => format!("{text:?} has no unit: ms, s, m, h or d"),
                _ => format!("{text:?} is not a time: a whole number and ms, s, m, h or d"),
            });
            return Err(if digits.is_empty() { wrong.write("30s") } else { wrong.write(format_args!("{digits}s")) });
        };
        let ms = digits.parse().ok().and_then(|number: u64| number.checked_mul(*unit_ms));
        match ms {
            Some(ms) if ms <= TIME_MAX_MS => Ok(Duration::from_millis(ms)),
            _ if digits.is_empty() => {
                Err(Wrong::new(format!("{text:?} has no number")).write(format_args!("30{unit}")))
            }
            _ => Err(Wrong::new(format!("{text:?} is longer than a year")).write("365d")),
        }
    }
}

impl Scalar for Size {
    const EXAMPLE: &'static str = "\"64KiB\"";

    fn from_text(text: &str) -> Result<Size, Wrong> {
        let (digits, unit) = split(text);
        let Some((_, unit_bytes)) = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) else {
            let wrong =
                Wrong::new(format!("{text:?} is not a size: a whole number and B, KB, KiB, MB, MiB, GB or GiB"));
            // "10M" is read as ten million by some and as ten times 1,048,576 by others.
            let meant =
                unit.chars().next().map(|letter| letter.to_ascii_uppercase()).filter(|letter| "KMG".contains(*letter));
            return Err(match meant {
                Some(letter) if !digits.is_empty() => wrong.write(format_args!("{digits}{letter}iB")),
                _ => wrong.write("64KiB"),
            });
        };
        match digits.parse().ok().and_then(|number: u64| number.checked_mul(*unit_bytes)) {
            Some(bytes) => Ok(Size(bytes)),
            None if digits.is_empty() => Err(Wrong::new(format!("{text:?} has no number")).write("64KiB")),
            None => Err(Wrong::new(format!("{text:?} is too large"))),
        }
    }
}

/// The digits that a text begins with, and the rest.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    (digits, unit.trim_start())
}

const TIME_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
/// A longer wait is a slip; and it keeps sums of times far from any overflow.
const TIME_MAX_MS: u64 = 365 * 86_400_000;

/// A bare number is bytes.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn time(text: &str, expect: Result<u64, &str>) {
        let got = Duration::from_text(text).map(|time| time.as_millis() as u64);
        assert_eq!(got.map_err(Wrong::into_what), expect.map_err(str::to_owned));
    }

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        time("500ms", Ok(500));
        time("10s", Ok(10_000));
        time("0s", Ok(0));
        time("5m", Ok(300_000));
        time("1h", Ok(3_600_000));
        time("365d", Ok(31_536_000_000));
        time(" 10 s ", Ok(10_000));
        time("366d", Err("\"366d\" is longer than a year"));
        time("99999999999999999999s", Err("\"99999999999999999999s\" is longer than a year"));
        time("30", Err("\"30\" has no unit: ms, s, m, h or d"));
        time("", Err("\"\" has no unit: ms, s, m, h or d"));
        time("s", Err("\"s\" has no number"));
        time("1.5s", Err("\"1.5s\" is not a time: a whole number and ms, s, m, h or d"));
        time("-1s", Err("\"-1s\" is not a time: a whole number and ms, s, m, h or d"));
        time("10sec", Err("\"10sec\" is not a time: a whole number and ms, s, m, h or d"));
    }

    #[track_caller]
    fn size(text: &str, expect: Result<u64, &str>) {
        let got = Size::from_text(text).map(|size| size.0);
        assert_eq!(got.map_err(Wrong::into_what), expect.map_err(str::to_owned));
    }

    #[test]
    fn a_size_is_a_number_and_a_unit_or_bytes() {
        size("65536", Ok(65_536));
        size("64KiB", Ok(65_536));
        size("10MB", Ok(10_000_000));
        size("10mib", Ok(10 << 20));
        size("2 GiB", Ok(2 << 30));
        size("17179869184GiB", Err("\"17179869184GiB\" is too large"));
        size("10M", Err("\"10M\" is not a size: a whole number and B, KB, KiB, MB, MiB, GB or GiB"));
        size("big", Err("\"big\" is not a size: a whole number and B, KB, KiB, MB, MiB, GB or GiB"));
        size("KiB", Err("\"KiB\" has no number"));
    }
}
