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
    /// All of it, in ASCII.
    pub text: &'a [u8],
    /// Without the port; an IPv6 address in its brackets.
    pub host: &'a [u8],
    /// `None` where no port is written; an empty one counts as none.
    pub port: Option<u16>,
    /// The host has its [one spelling](normalize).
    is_normal: bool,
}

/// The text is no host with an optional port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidHost;

impl<'a> Authority<'a> {
    /// Takes a host apart. Stricter than RFC 3986, which allows punctuation and percent-encoding that no host in use
    /// has: letters, digits, `-`, `_`, `~` in labels that are not empty, or an IPv6 address in brackets.
    pub fn parse(text: &'a [u8]) -> Result<Authority<'a>, InvalidHost> {
        let (end, is_normal) = match text.starts_with(b"[") {
            true => {
                let end = text.iter().position(|&byte| byte == b']').ok_or(InvalidHost)? + 1;
                ipv6(&text[..end]).ok_or(InvalidHost)?;
                (end, false)
            }
            false => {
                let (end, kinds) = name_len(text).ok_or(InvalidHost)?;
                (end, kinds & UPPER == 0 && text[end - 1] != b'.')
            }
        };
        let (host, port) = text.split_at(end);
        Ok(Authority { text, host, port: parse_port(port)?, is_normal })
    }

    /// The host in its [one spelling](normalize).
    pub fn normal<'s>(&'s self, scratch: &'s mut HostScratch) -> &'s [u8] {
        if self.is_normal { self.host } else { normalize(self.host, scratch) }
    }
}

/// Room for a host in its one spelling.
pub type HostScratch = [u8; HOST_BYTES_MAX];

/// The one spelling of a host that routing compares: lower case, no trailing dot, an IPv6 address in its shortest form.
/// Borrows from `host` where it has that spelling already.
pub fn normalize<'a>(host: &'a [u8], scratch: &'a mut HostScratch) -> &'a [u8] {
    let name = host.strip_suffix(b".").unwrap_or(host);
    if let Some(address) = ipv6(name) {
        let mut rest = &mut scratch[..];
        // The longest address is far shorter than the room.
        let written = write!(rest, "[{address}]").map(|()| HOST_BYTES_MAX - rest.len());
        return written.map_or(name, |len| &scratch[..len]);
    }
    if !name.iter().any(u8::is_ascii_uppercase) {
        return name;
    }
    let Some(room) = scratch.get_mut(..name.len()) else { return name };
    room.copy_from_slice(name);
    room.make_ascii_lowercase();
    room
}

/// The same as text, for what is not done for every request.
pub fn normal_text(host: &str) -> String {
    String::from_utf8_lossy(normalize(host.as_bytes(), &mut [0; HOST_BYTES_MAX])).into_owned()
}

/// The text as a DNS name: a host that is no address and has no port. This is what TLS calls a host name (RFC 6066
/// section 3); an internationalised one is in its ASCII form there too.
pub fn dns_name(text: &[u8]) -> Option<&str> {
    let name = str::from_utf8(text).ok().filter(|_| is_name(text))?;
    let is_address = name.strip_suffix('.').unwrap_or(name).parse::<Ipv4Addr>().is_ok();
    (!is_address).then_some(name)
}

fn is_name(host: &[u8]) -> bool {
    name_len(host).is_some_and(|(len, _)| len == host.len())
}

/// How long the name is that `text` begins with, and of which kinds its bytes are, all together; `None` where that is
/// none.
fn name_len(text: &[u8]) -> Option<(usize, u8)> {
    let mut previous = b'.';
    let (mut len, mut kinds) = (0, 0);
    for &byte in text {
        let kind = KINDS[usize::from(byte)];
        // No label is empty, but for the one behind a trailing dot, which ends a full name.
        if kind == 0 || (byte == b'.' && previous == b'.') {
            break;
        }
        previous = byte;
        kinds |= kind;
        len += 1;
    }
    (1..=HOST_BYTES_MAX).contains(&len).then_some((len, kinds))
}

/// The kind of each byte: 0 where no name has it.
const KINDS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => PLAIN,
            b'A'..=b'Z' => UPPER,
            _ => 0,
        };
        byte += 1;
    }
    table
};
const PLAIN: u8 = 1;
const UPPER: u8 = 2;

fn ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    let address = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    str::from_utf8(address).ok()?.parse().ok()
}

/// `""`, `":"` or `":8080"`.
fn parse_port(text: &[u8]) -> Result<Option<u16>, InvalidHost> {
    let digits = match text {
        [] | [b':'] => return Ok(None),
        [b':', digits @ ..] => digits,
        _ => return Err(InvalidHost),
    };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let port = digits.iter().try_fold(0u16, |port, byte| port.checked_mul(10)?.checked_add(digit(byte)?));
    port.map(Some).ok_or(InvalidHost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(&str, Option<u16>)>) {
        let mut scratch = [0; HOST_BYTES_MAX];
        let parsed = Authority::parse(text.as_bytes()).ok();
        let normal = parsed.as_ref().map(|found| (str::from_utf8(found.normal(&mut scratch)).unwrap(), found.port));
        assert_eq!(normal, expect, "{text:?}");
        let normalized = parsed.map(|found| normalize(found.host, &mut scratch).to_vec());
        assert_eq!(normalized.as_deref(), expect.map(|(host, _)| host.as_bytes()), "{text:?}");
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
            let once = normalize(text.as_bytes(), &mut first);
            assert_eq!(normalize(once, &mut second), once);
        }
    }
}
