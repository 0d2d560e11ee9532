//! Sizes as a person writes them, and the one byte range of a download (RFC 9110, 14.1.2).

use std::ops::Range;

/// `1GiB`, `100MiB`, `64KiB`, `1g`, or a number of bytes.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit: u64 = match text[digits..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

/// What a `Range` field asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    /// No range, or one that may be ignored: several at once, another unit, bad syntax.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes that are not there: 416.
    Nothing,
}

/// Reads a `Range` field for a file of `size` bytes.
pub(super) fn asked(field: &str, size: u64) -> Asked {
    let Some((first, last)) = field.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Asked::Whole;
    };
    let part = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        // "-500": the last 500.
        (Err(_), Ok(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Asked::Whole,
    };
    if part.is_empty() { Asked::Nothing } else { Asked::Part(part) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let check = |text, expect| assert_eq!(size(text), expect, "{text}");
        check("0", Some(0));
        check("17", Some(17));
        check("1g", Some(1 << 30));
        check("1GiB", Some(1 << 30));
        check("100MiB", Some(100 << 20));
        check("64kib", Some(64 << 10));
        check("", None);
        check("GiB", None);
        check("1.5g", None);
        check("-1", None);
        check("1é", None);
        check("99999999999999999999", None);
        check("18446744073709551615g", None);
    }

    #[test]
    fn one_range_of_bytes_is_understood() {
        let check = |field, expect| assert_eq!(asked(field, 1000), expect, "{field}");
        check("bytes=0-0", Asked::Part(0..1));
        check("bytes=10-19", Asked::Part(10..20));
        check("bytes=990-5000", Asked::Part(990..1000));
        check("bytes=990-18446744073709551615", Asked::Part(990..1000));
        check("bytes=500-", Asked::Part(500..1000));
        check("bytes=-1", Asked::Part(999..1000));
        check("bytes=-5000", Asked::Part(0..1000));
        check("bytes=1000-", Asked::Nothing);
        check("bytes=-0", Asked::Nothing);
        check("bytes=9-8", Asked::Whole);
        check("bytes=-", Asked::Whole);
        check("bytes=0-1,5-6", Asked::Whole);
        check("lines=0-1", Asked::Whole);
        check("bytes=a-b", Asked::Whole);
    }
}
