//! Host names and ports, as they stand in addresses, URLs and `host`. Syntax only: nothing is resolved.

use super::reader::Wrong;
use std::net::{IpAddr, Ipv6Addr};

/// A host without its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Ip(IpAddr),
    /// Lower case, without a trailing dot.
    Name(String),
}

/// Reads a host; an IPv6 address may stand in brackets.
pub(super) fn host(text: &str) -> Result<Host, Wrong> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address
            .map(|ip| Host::Ip(ip.into()))
            .ok_or_else(|| Wrong::new(format!("{text:?} is not an IPv6 address")));
    }
    match text.parse() {
        Ok(ip) => Ok(Host::Ip(ip)),
        Err(_) => host_name(text).map(Host::Name),
    }
}

fn host_name(text: &str) -> Result<String, Wrong> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let wrong = |why: &str| Err(Wrong::new(format!("{text:?} is not a host name: {why}")));
    if !name.is_ascii() {
        let why = "letters outside of ASCII have an xn-- form";
        return wrong(why).map_err(|wrong| wrong.say("write the xn-- form, as certificates and `dig` show it"));
    }
    if name.is_empty() {
        return wrong("it is empty");
    }
    if let Some(odd) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        return wrong(&format!("{odd:?} cannot be in it"));
    }
    if name.len() > NAME_MAX || name.split('.').any(|label| label.len() > LABEL_MAX) {
        return wrong("it is too long");
    }
    if name.split('.').any(str::is_empty) {
        return wrong("it has an empty part between dots");
    }
    if name.split('.').any(|label| label.starts_with('-') || label.ends_with('-')) {
        return wrong("a part of it begins or ends with a dash");
    }
    // "10.0.0.256" is a slip in an address, and no top-level domain is a number.
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return wrong("it ends in a number, and is not an IPv4 address either");
    }
    Ok(name)
}

/// Splits `host:port`. The colons of an IPv6 address without brackets are not taken for one of a port.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Reads a port, `0` included.
pub(super) fn port(text: &str) -> Result<u16, Wrong> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.ok_or_else(|| Wrong::new(format!("{text:?} is not a port: a number up to 65535")))
}

/// Bytes of a whole name, and of a part between dots (RFC 1035, section 2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        let got = host(text).map(|host| match host {
            Host::Ip(ip) => format!("ip {ip}"),
            Host::Name(name) => name,
        });
        assert_eq!(got.map_err(Wrong::into_what), expect.map(str::to_owned).map_err(|why| format!("{text:?} {why}")));
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        check("Www.Example.COM.", Ok("www.example.com"));
        check("my_app-1", Ok("my_app-1"));
        check("192.0.2.1", Ok("ip 192.0.2.1"));
        check("[::1]", Ok("ip ::1"));
        check("::1", Ok("ip ::1"));
        check("[::1", Err("is not an IPv6 address"));
        check("10.0.0.256", Err("is not a host name: it ends in a number, and is not an IPv4 address either"));
        check("münchen.example", Err("is not a host name: letters outside of ASCII have an xn-- form"));
        check("a b", Err("is not a host name: ' ' cannot be in it"));
        check("a-.b", Err("is not a host name: a part of it begins or ends with a dash"));
        check("a..b", Err("is not a host name: it has an empty part between dots"));
        check("", Err("is not a host name: it is empty"));
        check(".", Err("is not a host name: it is empty"));
        check(&"a".repeat(64), Err("is not a host name: it is too long"));
    }

    #[test]
    fn a_port_follows_the_last_colon_of_a_host() {
        for (text, expect) in [
            ("a", ("a", None)),
            ("a:80", ("a", Some("80"))),
            ("a:", ("a", Some(""))),
            ("[::1]", ("[::1]", None)),
            ("[::1]:80", ("[::1]", Some("80"))),
            ("::1", ("::1", None)),
        ] {
            assert_eq!(split_port(text), expect);
        }
        assert_eq!(port("8080"), Ok(8080));
        for text in ["", "+1", "65536", "http"] {
            assert!(port(text).is_err(), "{text}");
        }
    }
}
