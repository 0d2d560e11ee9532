//! Appends to a line: numbers, durations, addresses, and text from strangers made harmless.
//!
//! By hand rather than by `format!`, whose machinery costs more than all else that is done for a line.

use std::io::Write;
use std::net::IpAddr;

/// Bytes of one field that came from a peer; what is longer is cut and ends in `...`.
pub(super) const FIELD_BYTES_MAX: usize = 4096;

/// Appends `value` in decimal.
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends `value`, modulo 10 to the `WIDTH`, with leading zeros.
pub(super) fn padded<const WIDTH: usize>(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit += (value % 10) as u8;
        value /= 10;
    }
    out.extend_from_slice(&digits);
}

/// Appends microseconds as seconds: `0.001234`.
pub(super) fn seconds(out: &mut Vec<u8>, micros: u64) {
    number(out, micros / 1_000_000);
    out.push(b'.');
    padded::<6>(out, micros);
}

/// Appends an address in its usual form.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                number(out, octet.into());
            }
        }
        // Writing to a Vec cannot fail, and the shortening of zeros is not worth a second implementation.
        IpAddr::V6(v6) => _ = write!(out, "{v6}"),
    }
}

/// Appends text for a combined line: whatever could end the quotes or the line, or move a cursor, becomes `\x0A`.
/// Bytes beyond ASCII too, since nobody vouches for their encoding.
pub(super) fn quoted(out: &mut Vec<u8>, text: &[u8]) {
    escaped(out, text, |byte| matches!(byte, b'"' | b'\\') || !(b' '..=b'~').contains(&byte));
}

/// As [`quoted`], for a value without quotes around it: a space would end it, and an empty one is `-`.
pub(super) fn bare(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        return out.push(b'-');
    }
    escaped(out, text, |byte| matches!(byte, b'"' | b'\\') || !(b'!'..=b'~').contains(&byte));
}

fn escaped(out: &mut Vec<u8>, text: &[u8], unsafe_byte: impl Fn(u8) -> bool) {
    let (mut rest, cut) = within_max(text);
    while let Some(at) = rest.iter().position(|&byte| unsafe_byte(byte)) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(b"\\x");
        hex(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(cut);
}

/// Appends text as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn json_string(out: &mut Vec<u8>, text: &[u8]) {
    let (text, cut) = within_max(text);
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        json_chunk(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    out.extend_from_slice(cut);
    out.push(b'"');
}

fn json_chunk(out: &mut Vec<u8>, mut rest: &str) {
    // Control characters beyond ASCII (U+0080 to U+009F) are legal JSON but move cursors on some terminals.
    while let Some((at, special)) = rest.char_indices().find(|&(_, c)| c == '"' || c == '\\' || c.is_control()) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        match special {
            '"' | '\\' => out.extend_from_slice(&[b'\\', special as u8]),
            control => {
                out.extend_from_slice(b"\\u00");
                hex(out, control as u8); // every control character is below U+0100
            }
        }
        rest = &rest[at + special.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
}

fn within_max(text: &[u8]) -> (&[u8], &'static [u8]) {
    match text.split_at_checked(FIELD_BYTES_MAX) {
        Some((head, tail)) if !tail.is_empty() => (head, b"..."),
        _ => (text, b""),
    }
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(append: impl FnOnce(&mut Vec<u8>), expect: &str) {
        let mut out = b">".to_vec();
        append(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!(">{expect}"));
    }

    #[test]
    fn numbers_have_no_leading_zeros_unless_asked() {
        check(|out| number(out, 0), "0");
        check(|out| number(out, 10), "10");
        check(|out| number(out, u64::MAX), "18446744073709551615");
        check(|out| padded::<3>(out, 7), "007");
        check(|out| padded::<3>(out, 12_345), "345");
        check(|out| seconds(out, 0), "0.000000");
        check(|out| seconds(out, 61_000_001), "61.000001");
    }

    #[test]
    fn addresses_look_as_usual() {
        check(|out| address(out, "192.0.2.1".parse().unwrap()), "192.0.2.1");
        check(|out| address(out, "0.0.0.255".parse().unwrap()), "0.0.0.255");
        check(|out| address(out, "2001:db8::1".parse().unwrap()), "2001:db8::1");
        check(|out| address(out, "::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1");
    }

    #[test]
    fn text_from_a_peer_never_ends_a_field_or_a_line() {
        check(|out| quoted(out, b"plain text"), "plain text");
        check(|out| quoted(out, b"a\"b\\c\r\nd\0\x7f"), r"a\x22b\x5Cc\x0D\x0Ad\x00\x7F");
        check(|out| quoted(out, "é".as_bytes()), r"\xC3\xA9");
        check(|out| bare(out, b"a b"), r"a\x20b");
        check(|out| bare(out, b""), "-");
        check(|out| json_string(out, b""), r#""""#);
        check(|out| json_string(out, "a\"é\\\n".as_bytes()), r#""a\"é\\\u000A""#);
        check(|out| json_string(out, b"a\xffb\xc3"), "\"a\u{FFFD}b\u{FFFD}\"");
        check(|out| json_string(out, "\u{85}\u{7f}".as_bytes()), r#""\u0085\u007F""#);
    }

    #[test]
    fn a_field_is_cut_at_its_maximum() {
        let exact = "x".repeat(FIELD_BYTES_MAX);
        let longer = format!("{exact}yz");
        check(|out| quoted(out, exact.as_bytes()), &exact);
        check(|out| quoted(out, longer.as_bytes()), &format!("{exact}..."));
        check(|out| json_string(out, longer.as_bytes()), &format!("\"{exact}...\""));
    }
}
