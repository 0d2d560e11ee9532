use super::*;

/// The verdict on the whole, and on every growing prefix: the first that is not partial must be the same.
#[track_caller]
fn verdict(wire: &[u8]) -> Result<Parsed<Header>, ProxyError> {
    let whole = parse(wire);
    let mut prefixes = (0..=wire.len()).map(|end| parse(&wire[..end]));
    let grown = prefixes.find(|verdict| *verdict != Ok(Parsed::Partial)).unwrap_or(Ok(Parsed::Partial));
    assert_eq!(grown, whole, "{:?} byte by byte, then at once", String::from_utf8_lossy(wire));
    whole
}

/// `ends` is a source and a destination with a space between them, or nothing.
#[track_caller]
fn accept(wire: &[u8], ends: &str) {
    let expect = Header { addresses: (!ends.is_empty()).then(|| addresses(ends)), len: wire.len() };
    assert_eq!(verdict(wire), Ok(Parsed::Complete(expect)), "{:?}", String::from_utf8_lossy(wire));
    assert_eq!(verdict(&[wire, b"\x16\x03\r\n"].concat()), Ok(Parsed::Complete(expect)), "with more behind it");
    assert_eq!(verdict(&wire[..wire.len() - 1]), Ok(Parsed::Partial));
}

#[track_caller]
fn refuse(wire: &[u8], expect: ProxyError) {
    assert_eq!(verdict(wire), Err(expect), "{:?}", String::from_utf8_lossy(wire));
}

fn addresses(ends: &str) -> Addresses {
    let (source, destination) = ends.split_once(' ').unwrap();
    Addresses { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

/// A header of version 2 whose length is right.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    [SIGNATURE, &[command, family][..], &(block.len() as u16).to_be_bytes(), block].concat()
}

const INET: &[u8] = b"\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb";
const INET_ENDS: &str = "192.0.2.1:56324 198.51.100.2:443";

#[test]
fn lines_of_version_1_tell_both_ends() {
    accept(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", INET_ENDS);
    accept(b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0 255.255.255.255:65535");
    accept(b"PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", "[2001:db8::1]:1 [::1]:2");
    let long = "2001:0db8:0000:0000:0000:0000:0000:0001";
    accept(format!("PROXY TCP6 {long} {long} 65535 65535\r\n").as_bytes(), "[2001:db8::1]:65535 [2001:db8::1]:65535");
}

#[test]
fn unknown_leaves_the_addresses_of_the_connection() {
    accept(b"PROXY UNKNOWN\r\n", "");
    accept(b"PROXY UNKNOWN \r\n", "");
    accept(b"PROXY UNKNOWN 192.0.2.1 198.51.100.2 1 2\r\n", "");
    accept(format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_BYTES_MAX - 16)).as_bytes(), "");
    refuse(format!("PROXY UNKNOWN {}\r\n", "f".repeat(LINE_BYTES_MAX - 15)).as_bytes(), ProxyError::TooLong);
}

#[test]
fn a_line_has_one_form() {
    for fields in [
        "TCP4",
        "TCP4 192.0.2.1 198.51.100.2",
        "TCP4 192.0.2.1 198.51.100.2 1",
        "TCP4 192.0.2.1 198.51.100.2 1 2 ",
        "TCP4 192.0.2.1 198.51.100.2 1 2 3",
        "TCP4  192.0.2.1 198.51.100.2 1 2",
        "TCP4 192.0.2.1  198.51.100.2 1 2",
        " TCP4 192.0.2.1 198.51.100.2 1 2",
        "TCP4\t192.0.2.1 198.51.100.2 1 2",
        "TCP4 192.0.2.01 198.51.100.2 1 2",
        "TCP4 192.0.2 198.51.100.2 1 2",
        "TCP4 192.0.2.256 198.51.100.2 1 2",
        "TCP4 192.0.2.1 ::1 1 2",
        "TCP4 a.test 198.51.100.2 1 2",
        "TCP6 192.0.2.1 198.51.100.2 1 2",
        "TCP6 [::1] ::1 1 2",
        "TCP6 ::1%1 ::1 1 2",
        "TCP6 ::1::2 ::1 1 2",
        "TCP4 192.0.2.1 198.51.100.2 01 2",
        "TCP4 192.0.2.1 198.51.100.2 00 2",
        "TCP4 192.0.2.1 198.51.100.2 +1 2",
        "TCP4 192.0.2.1 198.51.100.2 -1 2",
        "TCP4 192.0.2.1 198.51.100.2 65536 2",
        "TCP4 192.0.2.1 198.51.100.2 1 x",
        "TCP5 192.0.2.1 198.51.100.2 1 2",
        "UDP4 192.0.2.1 198.51.100.2 1 2",
        "tcp4 192.0.2.1 198.51.100.2 1 2",
        "UNKNOWNX",
        "unknown",
        "",
        "\u{e9}",
    ] {
        refuse(format!("PROXY {fields}\r\n").as_bytes(), ProxyError::Line);
    }
    refuse(b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", ProxyError::Line);
    refuse(b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\rx", ProxyError::Line);
    refuse(b"PROXY UNKNOWN\nPROXY UNKNOWN\r\n", ProxyError::Line);
    refuse(b"PROXY UNKNOWN \xff\r\n", ProxyError::Line);
    refuse(&[b"PROXY TCP4 ", &[b'1'; LINE_BYTES_MAX][..]].concat(), ProxyError::TooLong);
}

#[test]
fn what_begins_otherwise_has_no_header() {
    for wire in ["GET / HTTP/1.1", "POST / HTTP/1.1", "PROXY\r\n", "PROXY\t", "proxy ", "\r\n\r\nG", "\r\r", "\n", "\0"]
    {
        refuse(wire.as_bytes(), ProxyError::Missing);
    }
    refuse(b"\x16\x03\x01", ProxyError::Missing);
    refuse(b"\r\n\r\n\0\r\nQUIT\r\n", ProxyError::Missing);
}

#[test]
fn version_2_tells_both_ends() {
    let inet6 = [&Ipv6Addr::LOCALHOST.octets()[..], &[0x20, 1, 0xd, 0xb8], &[0; 12], &[0, 1, 0xff, 0xff]].concat();
    for transport in [1, 2] {
        accept(&v2(0x21, 0x10 | transport, INET), INET_ENDS);
        accept(&v2(0x21, 0x20 | transport, &inet6), "[::1]:1 [2001:db8::]:65535");
        accept(&v2(0x21, 0x30 | transport, &[b'/'; UNIX_BYTES]), "");
    }
}

#[test]
fn local_and_unspecified_leave_the_addresses_of_the_connection() {
    accept(&v2(0x20, 0, b""), "");
    // Everything but the length is ignored.
    accept(&v2(0x20, 0x11, INET), "");
    accept(&v2(0x20, 0xff, b"\x04\xff"), "");
    accept(&v2(0x21, 0, b""), "");
    for family in [0, 1, 2, 0x10, 0x20, 0x30] {
        accept(&v2(0x21, family, b"\x04\xff"), "");
    }
}

#[test]
fn what_stands_behind_the_addresses_is_stepped_over() {
    accept(&v2(0x21, 0x11, &[INET, b"\x04\0\0\x02\0\x06a.test\xe0\0\x01x"].concat()), INET_ENDS);
    let certificate = [INET, b"\x20\x0f\xf1", &vec![7; BLOCK_BYTES_MAX - 15]].concat();
    accept(&v2(0x21, 0x11, &certificate), INET_ENDS);
    for extras in [&b"\x04"[..], b"\x04\0", b"\x04\0\x01", b"\x04\0\0\x04", b"\x04\0\x02x", b"\x04\xff\xffxx"] {
        refuse(&v2(0x21, 0x11, &[INET, extras].concat()), ProxyError::Length);
        refuse(&v2(0x21, 0x31, &[&[0; UNIX_BYTES], extras].concat()), ProxyError::Length);
    }
}

#[test]
fn other_headers_of_version_2_are_refused() {
    for command in [0, 0x01, 0x11, 0x22, 0x2f, 0x31, 0xff] {
        refuse(&v2(command, 0x11, INET), ProxyError::Command);
    }
    for family in [0x03, 0x0f, 0x13, 0x23, 0x33, 0x40, 0x41, 0xf1] {
        refuse(&v2(0x21, family, INET), ProxyError::Family);
    }
    refuse(&v2(0x21, 0x11, &INET[1..]), ProxyError::Length);
    refuse(&v2(0x21, 0x12, b""), ProxyError::Length);
    refuse(&v2(0x21, 0x21, &[0; 35]), ProxyError::Length);
    refuse(&v2(0x21, 0x31, &[0; UNIX_BYTES - 1]), ProxyError::Length);
    // At once, not when all of it has come.
    let long = v2(0x20, 0, &[0; BLOCK_BYTES_MAX + 1]);
    refuse(&long[..FIXED_BYTES], ProxyError::TooLong);
}

/// What is written for `ends` is read as `expect`, and is `line` in version 1.
#[track_caller]
fn check_written(ends: &str, line: &str, expect: &str) {
    let mut out = b"before".to_vec();
    write_v1(addresses(ends), &mut out);
    assert_eq!(out, format!("before{line}\r\n").into_bytes());
    accept(&out[6..], expect);
    for transport in [Transport::Stream, Transport::Datagram] {
        let mut out = Vec::new();
        write_v2(transport, addresses(ends), &mut out);
        accept(&out, expect);
        assert_eq!(out[13] & 15, if transport == Transport::Stream { 1 } else { 2 });
    }
}

#[test]
fn what_is_written_is_read_as_the_same() {
    check_written(INET_ENDS, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443", INET_ENDS);
    check_written("[2001:db8::1]:1 [::1]:65535", "PROXY TCP6 2001:db8::1 ::1 1 65535", "[2001:db8::1]:1 [::1]:65535");
    let mut out = Vec::new();
    write_v2(Transport::Stream, addresses(INET_ENDS), &mut out);
    assert_eq!(out, v2(0x21, 0x11, INET));
}

#[test]
fn both_ends_are_written_in_one_family() {
    let mapped = "[::ffff:192.0.2.1]:1 [2001:db8::2]:2";
    check_written("192.0.2.1:1 [2001:db8::2]:2", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2", mapped);
    check_written("[::1]:1 192.0.2.1:2", "PROXY TCP6 ::1 ::ffff:192.0.2.1 1 2", "[::1]:1 [::ffff:192.0.2.1]:2");
    let both_mapped = "[::ffff:192.0.2.1]:56324 [::ffff:198.51.100.2]:443";
    check_written(both_mapped, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443", INET_ENDS);
}
