//! Addresses: those that we listen on, those of unix sockets, and sets of peers. Those of servers are in
//! `server`. Syntax only: nothing is resolved.

use super::defaults;
use super::name;
use super::reader::{Scalar, Wrong};
use crate::model::{Cidr, Listener, Protocol};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Without a protocol in front it is one for HTTP, as long as the place where it stands does not say otherwise.
impl Scalar for Listener {
    const EXAMPLE: &'static str = "\":80\"";

    fn from_text(text: &str) -> Result<Listener, Wrong> {
        let (front, bare) = split_protocol(text);
        let (front, protocol) = front.unwrap_or(("", Protocol::Http));
        let of = |address, dual_stack| Listener { protocol, ..Listener::http(address, dual_stack) };
        if let Ok(ip) = bare.parse::<IpAddr>() {
            let example = SocketAddr::new(ip, usual_port(protocol));
            return Err(Wrong::new(format!("{text:?} has no port")).write(format_args!("{front}{example}")));
        }
        let port_alone = bare.strip_prefix(':').or((!bare.contains(':')).then_some(bare));
        if let Some(port) = port_alone.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit())) {
            return Ok(of(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), name::port(port)?), true));
        }
        if let Ok(address) = bare.parse() {
            return Ok(of(address, false));
        }
        let (host, port) = name::split_port(bare.trim_start_matches('/'));
        let port = port.and_then(|port| name::port(port).ok()).unwrap_or(usual_port(protocol));
        let address = if host == "localhost" { "127.0.0.1" } else { "" };
        Err(Wrong::new(format!("{text:?} is not an address to listen on"))
            .write(format_args!("{front}{address}:{port}")))
    }
}

/// The protocol in front of an address to listen on, and the address.
pub(super) fn split_protocol(text: &str) -> (Option<(&'static str, Protocol)>, &str) {
    let named = PROTOCOLS.iter().find_map(|front| Some((Some(*front), text.strip_prefix(front.0)?)));
    named.unwrap_or((None, text))
}

/// Streams are written in another way: their addresses are no URLs.
const PROTOCOLS: &[(&str, Protocol)] =
    &[("http://", Protocol::Http), ("https://", Protocol::Https), ("tcp/", Protocol::Tcp), ("udp/", Protocol::Udp)];

/// A port to show to whoever wrote none.
fn usual_port(protocol: Protocol) -> u16 {
    match protocol {
        Protocol::Http => 80,
        Protocol::Https => 443,
        Protocol::Tcp => 2222,
        Protocol::Udp => 53,
    }
}

/// The path of a unix socket of ours.
pub(super) struct SocketPath(pub(super) PathBuf);

impl Scalar for SocketPath {
    const EXAMPLE: &'static str = "\"/run/ringferry.sock\"";

    fn from_text(text: &str) -> Result<SocketPath, Wrong> {
        socket_path(text).map(SocketPath)
    }
}

pub(super) fn socket_path(text: &str) -> Result<PathBuf, Wrong> {
    if !text.starts_with('/') {
        return Err(Wrong::new(format!("{text:?} is not the path of a socket: it begins with a slash")));
    }
    if text.len() > SOCKET_PATH_MAX || text.contains('\0') {
        return Err(Wrong::new(format!("the path of a unix socket has at most {SOCKET_PATH_MAX} bytes, and no NUL")));
    }
    // The two slashes of "unix:///run/app.sock" belong to the scheme.
    Ok(PathBuf::from(format!("/{}", text.trim_start_matches('/'))))
}

/// Peers, as written in one place: one set, or the several that a word stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Peers(pub(super) Vec<Cidr>);

impl Scalar for Peers {
    const EXAMPLE: &'static str = "\"192.168.0.0/16\"";

    fn from_text(text: &str) -> Result<Peers, Wrong> {
        match text {
            "lan" => return Ok(Peers(defaults::LAN.to_vec())),
            "loopback" => return Ok(Peers(defaults::LOOPBACK.to_vec())),
            _ => {}
        }
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(Wrong::new(format!(
                "{text:?} is not an address, a set as 192.168.0.0/16, \"lan\" or \"loopback\""
            )));
        };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => Some(width),
            Some(length) => length.parse::<u8>().ok().filter(|length| *length <= width),
        };
        let Some(prefix_len) = length else {
            return Err(Wrong::new(format!("{text:?}: what follows the slash is a number up to {width}")));
        };
        // Sets are matched in canonical form: ::ffff:10.0.0.0/104 is 10.0.0.0/8.
        match (address, address.to_canonical()) {
            (IpAddr::V6(_), IpAddr::V4(mapped)) if prefix_len >= 96 => {
                Ok(Peers(vec![Cidr { address: mapped.into(), prefix_len: prefix_len - 96 }]))
            }
            _ => Ok(Peers(vec![Cidr { address, prefix_len }])),
        }
    }
}

/// `sun_path` of Linux has 108 bytes, the last one is NUL.
const SOCKET_PATH_MAX: usize = 107;

#[cfg(test)]
mod tests {
    use super::super::tests::check_scalar;
    use super::*;

    #[track_caller]
    fn listen(text: &str, expect: Result<&str, &str>) {
        let show = |listener: Listener| {
            let dual = if listener.dual_stack { " dual" } else { "" };
            format!("{} {}{dual}", listener.protocol.scheme(), listener.address)
        };
        check_scalar(text, show, expect);
    }

    #[test]
    fn a_listener_is_a_port_or_an_address_with_a_port() {
        listen(":80", Ok("http [::]:80 dual"));
        listen("8080", Ok("http [::]:8080 dual"));
        listen("http://:8081", Ok("http [::]:8081 dual"));
        listen(":0", Ok("http [::]:0 dual"));
        listen("127.0.0.1:8080", Ok("http 127.0.0.1:8080"));
        listen("[::1]:8080", Ok("http [::1]:8080"));
        listen("[::]:8080", Ok("http [::]:8080"));
        listen("127.0.0.1", Err("\"127.0.0.1\" has no port"));
        listen("::1", Err("\"::1\" has no port"));
        listen("localhost:80", Err("\"localhost:80\" is not an address to listen on"));
        listen("*:80", Err("\"*:80\" is not an address to listen on"));
        listen(":", Err("\"\" is not a port: a number up to 65535"));
        listen("", Err("\"\" is not a port: a number up to 65535"));
        listen("70000", Err("\"70000\" is not a port: a number up to 65535"));
        listen("unix:/run/a", Err("\"unix:/run/a\" is not an address to listen on"));
    }

    #[test]
    fn a_listener_may_say_what_is_spoken_there() {
        listen("https://:443", Ok("https [::]:443 dual"));
        listen("https://127.0.0.1:8443", Ok("https 127.0.0.1:8443"));
        listen("tcp/:2222", Ok("tcp [::]:2222 dual"));
        listen("tcp/2222", Ok("tcp [::]:2222 dual"));
        listen("udp/[::1]:53", Ok("udp [::1]:53"));
        listen("udp/:0", Ok("udp [::]:0 dual"));
        listen("tcp/::1", Err("\"tcp/::1\" has no port"));
        listen("tcp://:2222", Err("\"tcp://:2222\" is not an address to listen on"));
        listen("tcp/", Err("\"\" is not a port: a number up to 65535"));
    }

    #[track_caller]
    fn peers(text: &str, expect: Result<&str, &str>) {
        let show = |peers: Peers| {
            let shown = peers.0.iter().map(|set| format!("{}/{}", set.address, set.prefix_len));
            shown.collect::<Vec<_>>().join(" ")
        };
        check_scalar(text, show, expect);
    }

    #[test]
    fn peers_are_a_set_an_address_or_a_word() {
        peers("10.0.0.0/8", Ok("10.0.0.0/8"));
        peers("192.168.1.5", Ok("192.168.1.5/32"));
        peers("fd00::/8", Ok("fd00::/8"));
        peers("::1", Ok("::1/128"));
        peers("0.0.0.0/0", Ok("0.0.0.0/0"));
        peers("::ffff:10.0.0.0/104", Ok("10.0.0.0/8"));
        peers(
            "lan",
            Ok("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 127.0.0.0/8 169.254.0.0/16 ::1/128 fe80::/10 fc00::/7"),
        );
        peers("loopback", Ok("127.0.0.0/8 ::1/128"));
        peers("10.0.0.0/33", Err("\"10.0.0.0/33\": what follows the slash is a number up to 32"));
        peers("cdn", Err("\"cdn\" is not an address, a set as 192.168.0.0/16, \"lan\" or \"loopback\""));
    }
}
