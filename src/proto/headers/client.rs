//! Who the client is: the peer of the connection, or behind trusted proxies whom they vouch for. The one definition,
//! for limits, hashing and the log.

use crate::model::Cidr;
use ringferry_parser::h1::{Fields, Known, list};
use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The rightmost address of `X-Forwarded-For` (else `Forwarded`) that is not trusted, when the peer itself is; else the
/// peer. What a stranger writes further left is never looked at.
pub fn client_address(peer: IpAddr, fields: &Fields<'_, '_>, trusted: &[Cidr]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|set| set.contains(address));
    let mut client = peer.to_canonical();
    if !is_trusted(client) {
        return client;
    }
    let by_list = fields.all(Known::XForwardedFor).rev().flat_map(|value| list(value).rev()).map(address);
    let by_element = fields.all(Known::Forwarded).rev().flat_map(|value| list(value).rev()).map(forwarded_for);
    let use_list = fields.first(Known::XForwardedFor).is_some();
    let mut hops = by_list.take_while(|_| use_list).chain(by_element.take_while(|_| !use_list));
    // What is no address ends the chain: the last hop that is known counts.
    while let Some(Some(hop)) = hops.next() {
        client = hop.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// The `for` of a `Forwarded` element: `for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    element.split(|&byte| byte == b';').find_map(|pair| {
        let (name, value) = pair.trim_ascii().split_at_checked(4)?;
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        if name.eq_ignore_ascii_case(b"for=") { address(value) } else { None }
    })
}

/// An address, with a port or without: some proxies add one.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let bare = text.parse().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    bare.or_else(bracketed).or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// An address as text, made once for a connection. An IPv4 address in IPv6 clothes is written as IPv4.
#[derive(Clone, Copy, Debug)]
pub struct AddressText {
    bytes: [u8; 45],
    len: u8,
    is_v6: bool,
}

impl AddressText {
    /// The text of `address`.
    pub fn new(address: IpAddr) -> AddressText {
        let address = address.to_canonical();
        let mut bytes = [0; 45];
        let len = match address {
            IpAddr::V4(address) => write_v4(address.octets(), &mut bytes),
            IpAddr::V6(address) => {
                let mut rest = &mut bytes[..];
                // The longest address fits, so there is no error to handle; a cut one would be a wrong one.
                let written = write!(rest, "{address}");
                debug_assert!(written.is_ok());
                45 - rest.len()
            }
        };
        AddressText { bytes, len: len as u8, is_v6: address.is_ipv6() }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }

    /// As the value of a `Forwarded` parameter: an IPv6 address in brackets and quotes.
    pub(super) fn write_as_node(&self, out: &mut Vec<u8>) {
        if !self.is_v6 {
            return out.extend_from_slice(self.as_bytes());
        }
        out.extend_from_slice(b"\"[");
        out.extend_from_slice(self.as_bytes());
        out.extend_from_slice(b"]\"");
    }
}

/// Dotted decimal, without the formatting machinery: it is written for every request.
fn write_v4(octets: [u8; 4], out: &mut [u8; 45]) -> usize {
    let mut len = 0;
    for octet in octets {
        let [text @ .., digits] = OCTETS[usize::from(octet)];
        out[len..len + 4].copy_from_slice(&text);
        len += usize::from(digits) + 1;
    }
    len - 1
}

/// Each octet in decimal with a point behind it, and how many digits that are.
const OCTETS: [[u8; 5]; 256] = {
    let mut octets = [[b'.', b'.', b'.', b'.', 0]; 256];
    let mut octet = 0;
    while octet < 256 {
        let digits = 1 + (octet >= 10) as usize + (octet >= 100) as usize;
        let (mut place, mut rest) = (digits, octet);
        while place > 0 {
            place -= 1;
            octets[octet][place] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        octets[octet][4] = digits as u8;
        octet += 1;
    }
    octets
};

#[cfg(test)]
mod tests {
    use super::super::tests::with_request;
    use super::*;
    use std::net::Ipv4Addr;

    #[track_caller]
    fn check(peer: &str, fields: &str, expect: &str) {
        let set = |address: &str, prefix_len| Cidr { address: address.parse().unwrap(), prefix_len };
        let trusted = [set("10.0.0.0", 8), set("fd00::", 8)];
        with_request(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), |head| {
            let client = client_address(peer.parse().unwrap(), &head.fields, &trusted);
            assert_eq!(client, expect.parse::<IpAddr>().unwrap(), "{peer} {fields}");
        });
    }

    #[test]
    fn a_stranger_is_the_client_whatever_it_says() {
        check("203.0.113.9", "X-Forwarded-For: 10.0.0.1\r\n", "203.0.113.9");
        check("::ffff:203.0.113.9", "Forwarded: for=10.0.0.1\r\n", "203.0.113.9");
    }

    #[test]
    fn behind_trusted_proxies_the_rightmost_stranger_is_the_client() {
        check("10.0.0.1", "", "10.0.0.1");
        check("::ffff:10.0.0.1", "X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9");
        check("10.0.0.1", "X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2\r\n", "203.0.113.9");
        check("10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9");
        check("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3");
        check("fd00::1", "X-Forwarded-For: 2001:db8::1, fd00::2\r\n", "2001:db8::1");
        check("10.0.0.1", "X-Forwarded-For: 203.0.113.9:4711\r\n", "203.0.113.9");
        check("10.0.0.1", "X-Forwarded-For: [2001:db8::1]:4711\r\n", "2001:db8::1");
        check("10.0.0.1", "X-Forwarded-For: 203.0.113.9, nonsense, 10.0.0.2\r\n", "10.0.0.2");
        check("10.0.0.1", "X-Forwarded-For: 203.0.113.9,\r\n", "10.0.0.1");
        check("10.0.0.1", "Forwarded: for=6.6.6.6, for=203.0.113.9;proto=https\r\n", "203.0.113.9");
        check("10.0.0.1", "Forwarded: proto=https; For=\"[2001:db8::1]:4711\"\r\n", "2001:db8::1");
        check("10.0.0.1", "Forwarded: for=unknown\r\n", "10.0.0.1");
        check("10.0.0.1", "Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9");
    }

    #[test]
    fn addresses_are_written_as_text() {
        let longest = "2001:1db8:1111:1111:1111:1111:1111:1111";
        for (address, text, node) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1".to_owned()),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1".to_owned()),
            ("2001:DB8::1", "2001:db8::1", "\"[2001:db8::1]\"".to_owned()),
            (longest, longest, format!("\"[{longest}]\"")),
        ] {
            let written = AddressText::new(address.parse().unwrap());
            let mut out = Vec::new();
            written.write_as_node(&mut out);
            assert_eq!((written.as_bytes(), out), (text.as_bytes(), node.into_bytes()));
        }
    }

    #[test]
    fn an_address_is_written_as_everywhere() {
        for text in ["0.0.0.0", "9.10.99.100", "255.255.255.255", "2001:db8::1", "::1"] {
            assert_eq!(AddressText::new(text.parse().unwrap()).as_bytes(), text.as_bytes());
        }
        assert_eq!(AddressText::new("::ffff:192.0.2.1".parse().unwrap()).as_bytes(), b"192.0.2.1");
        for octet in 0..=255 {
            let address = Ipv4Addr::new(octet, 255 - octet, 7, octet);
            assert_eq!(AddressText::new(address.into()).as_bytes(), address.to_string().as_bytes());
        }
    }
}
