//! Hosts as `Host` and request targets name them: checked, split from the port, and in one spelling for routing.
//!
//! Nothing is resolved, and internationalised names are expected in their ASCII form.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of a host, without the port: the longest DNS name with its trailing dot.
pub const HOST_BYTES_MAX: usize = 254;

/// A host with an optional port, as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// All of it.
    pub text: &'a str,
    /// Without the port; an IPv6 address in its brackets.
    pub host: &'a str,
    /// `None` where no port is written; an empty one counts as none.
    pub port: Option<u16>,
}

/// The text is no host with an optional port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHost;

impl<'a> Authority<'a> {
    /// Takes a host apart. Stricter than RFC 3986, which allows punctuation and percent-encoding that no host in use
    /// has: letters, digits, `-`, `_`, `~` in labels that are not empty, or an IPv6 address in brackets.
    pub fn parse(text: &'a [u8]) -> Result<Authority<'a>, InvalidHost> {
        let is_bracketed = text.starts_with(b"[");
        let end = match is_bracketed {
            true => text.iter().position(|&byte| byte == b']').ok_or(InvalidHost)? + 1,
            false => name_len(text).ok_or(InvalidHost)?,
        };
        let text = str::from_utf8(text).map_err(|_| InvalidHost)?;
        let (host, port) = text.split_at_checked(end).ok_or(InvalidHost)?;
        if is_bracketed && ipv6(host).is_none() {
            return Err(InvalidHost);
        }
        Ok(Authority { text, host, port: parse_port(port)? })
    }
}

/// Room for a host in its one spelling.
pub type HostScratch = [u8; HOST_BYTES_MAX];

/// The one spelling of a host that routing compares: lower case, no trailing dot, an IPv6 address in its shortest form.
/// Borrows from `host` where it has that spelling already.
pub fn normalize<'a>(host: &'a str, scratch: &'a mut HostScratch) -> &'a str {
    let name = host.strip_suffix('.').unwrap_or(host);
    if let Some(address) = ipv6(name) {
        let mut rest = &mut scratch[..];
        // The longest address is far shorter than the room.
        let written = write!(rest, "[{address}]").map(|()| HOST_BYTES_MAX - rest.len());
        return written.ok().and_then(|len| str::from_utf8(&scratch[..len]).ok()).unwrap_or(name);
    }
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return name;
    }
    let Some(room) = scratch.get_mut(..name.len()) else { return name };
    room.copy_from_slice(name.as_bytes());
    room.make_ascii_lowercase();
    str::from_utf8(room).unwrap_or(name)
}

/// The text as a DNS name: a host that is no address and has no port. This is what TLS calls a host name (RFC 6066
/// section 3); an internationalised one is in its ASCII form there too.
pub fn dns_name(text: &[u8]) -> Option<&str> {
    let name = str::from_utf8(text).ok().filter(|_| is_name(text))?;
    let is_address = name.strip_suffix('.').unwrap_or(name).parse::<Ipv4Addr>().is_ok();
    (!is_address).then_some(name)
}

fn is_name(host: &[u8]) -> bool {
    name_len(host) == Some(host.len())
}

/// How long the name is that `text` begins with; `None` where that is none.
fn name_len(text: &[u8]) -> Option<usize> {
    let mut previous = b'.';
    let mut len = 0;
    for &byte in text {
        // No label is empty, but for the one behind a trailing dot, which ends a full name.
        if !IN_NAME[usize::from(byte)] || (byte == b'.' && previous == b'.') {
            break;
        }
        previous = byte;
        len += 1;
    }
    (1..=HOST_BYTES_MAX).contains(&len).then_some(len)
}

/// The bytes that names have.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'-' | b'.' | b'_' | b'~');
        byte += 1;
    }
    table
};

fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// `""`, `":"` or `":8080"`.
fn parse_port(text: &str) -> Result<Option<u16>, InvalidHost> {
    match text.as_bytes() {
        [] | [b':'] => Ok(None),
        // The sign that an integer may have is not one that a port may have.
        [b':', b'0'..=b'9', ..] => text[1..].parse().map(Some).map_err(|_| InvalidHost),
        _ => Err(InvalidHost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(&str, Option<u16>)>) {
        let mut scratch = [0; HOST_BYTES_MAX];
        let parsed = Authority::parse(text.as_bytes()).ok();
        assert_eq!(parsed.map(|found| (normalize(found.host, &mut scratch), found.port)), expect, "{text:?}");
    }

    #[test]
    fn hosts_have_one_spelling() {
        check("a.test", Some(("a.test", None)));
        check("A.Test:8080", Some(("a.test", Some(8080))));
        check("a.test.", Some(("a.test", None)));
        check("A_b.test.:", Some(("a_b.test", None)));
        check("xn--bcher-kva.test", Some(("xn--bcher-kva.test", None)));
        check("192.0.2.1:080", Some(("192.0.2.1", Some(80))));
        check("[::1]", Some(("[::1]", None)));
        check("[2001:DB8:0:0::1]:443", Some(("[2001:db8::1]", Some(443))));
        check("localhost", Some(("localhost", None)));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in ["", ".", ".a", "a..b", "a b", "a/b", "a#b", "a?b", "a@b", "a,b", "a\\b", "<a>", "%61", "é", "a\0"]
        {
            check(text, None);
        }
        for text in [":80", "a:x", "a:80a", "a:+80", "a:-1", "a:65536", "a:80:80", "a: 80"] {
            check(text, None);
        }
        for text in
            ["::1", "[::1", "::1]", "[::1]x", "[::1]80", "[]", "[a]", "[::1%eth0]", "[::1].", "[192.0.2.1]", "x[::1]"]
        {
            check(text, None);
        }
        check(&"a".repeat(HOST_BYTES_MAX), Some((&"a".repeat(HOST_BYTES_MAX), None)));
        check(&"A".repeat(HOST_BYTES_MAX + 1), None);
    }

    #[test]
    fn a_dns_name_is_a_host_that_is_no_address() {
        for text in ["a.test", "A_b.Test.", "xn--bcher-kva.test", "localhost", "1.2.3.4.test", "1.2.3"] {
            assert_eq!(dns_name(text.as_bytes()), Some(text));
        }
        for text in ["", ".", "a..b", "a:80", "a:", "192.0.2.1", "192.0.2.1.", "::1", "[::1]", "bücher.test", "*.test"]
        {
            assert_eq!(dns_name(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(dns_name(b"a\xff.test"), None);
    }

    #[test]
    fn normalizing_twice_is_normalizing_once() {
        for text in ["a.test", "A.TEST.", "[2001:DB8::]", "a-B"] {
            let (mut first, mut second) = ([0; HOST_BYTES_MAX], [0; HOST_BYTES_MAX]);
            let once = normalize(text, &mut first);
            assert_eq!(normalize(once, &mut second), once);
        }
    }
}
