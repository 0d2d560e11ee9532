//! Addresses: those that we listen on, those of servers, and sets of peers. Syntax only: nothing is resolved.

use super::defaults;
use super::name::{self, Host};
use super::reader::{Scalar, Wrong};
use crate::model::{Cidr, Listener, ServerAddress};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

impl Scalar for Listener {
    const EXAMPLE: &'static str = "\":80\"";

    fn from_text(text: &str) -> Result<Listener, Wrong> {
        let bare = text.strip_prefix("http://").unwrap_or(text);
        if bare.starts_with("https://") || bare.starts_with("unix:") || bare.starts_with("tcp") {
            return Err(Wrong::new(format!("{text:?}: this version listens for plain HTTP on TCP only")).write(":80"));
        }
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Err(Wrong::new(format!("{text:?} has no port")).write(SocketAddr::new(ip, 80)));
        }
        let port_alone = bare.strip_prefix(':').or((!bare.contains(':')).then_some(bare));
        if let Some(port) = port_alone.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit())) {
            let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), name::port(port)?);
            return Ok(Listener::http(address, true));
        }
        if let Ok(address) = bare.parse() {
            return Ok(Listener::http(address, false));
        }
        let (host, port) = name::split_port(bare);
        let port = port.and_then(|port| name::port(port).ok()).unwrap_or(80);
        let address = if host == "localhost" { "127.0.0.1" } else { "" };
        Err(Wrong::new(format!("{text:?} is not an address to listen on")).write(format_args!("{address}:{port}")))
    }
}

impl Scalar for ServerAddress {
    const EXAMPLE: &'static str = "\"http://127.0.0.1:3000\"";

    fn from_text(text: &str) -> Result<ServerAddress, Wrong> {
        let rest = without_scheme(text)?;
        if let Some(path) = rest.strip_prefix("unix:") {
            return socket_path(path).map(ServerAddress::Unix);
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(Wrong::new(format!(
                "{text:?} has a path: requests are forwarded with the path that they came with"
            ))
            .say("write the address alone; `strip_prefix = true` in a route removes the path of that route"));
        }
        if authority.contains('@') {
            return Err(Wrong::new(format!("{text:?} has a user name: credentials are never sent to a server"))
                .say("write the address alone; what the client sends in Authorization is passed on"));
        }
        if !authority.is_empty() && authority.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(ServerAddress::Ip(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), server_port(authority)?)));
        }
        let (host, port) = name::split_port(authority);
        let port = port.map_or(Ok(80), server_port)?;
        match name::host(host)? {
            Host::Ip(ip) if ip.is_unspecified() => {
                let loopback = if ip.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
                Err(Wrong::new(format!("{text:?}: a server listens there, it is reached by another address"))
                    .write(SocketAddr::new(loopback, port)))
            }
            Host::Ip(ip) => Ok(ServerAddress::Ip(SocketAddr::new(ip, port))),
            Host::Name(host) => Ok(ServerAddress::Name { host, port }),
        }
    }
}

/// What follows `http://`, or all of it when there is no scheme.
fn without_scheme(text: &str) -> Result<&str, Wrong> {
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| !scheme.contains(':')) else {
        return Ok(text);
    };
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(rest),
        "unix" => Ok(text),
        "https" => Err(Wrong::new("https:// to a server is not in this version of Ringferry yet")
            .say(format!("write http:// where the server speaks plain HTTP: {:?}", format!("http://{rest}")))),
        "tcp" => {
            Err(Wrong::new("tcp:// is not in this version of Ringferry yet").say("this version forwards HTTP only"))
        }
        _ => Err(Wrong::new(format!("{scheme:?} is not a protocol that servers are reached by"))
            .write(format_args!("http://{rest}"))),
    }
}

fn server_port(text: &str) -> Result<u16, Wrong> {
    match name::port(text)? {
        0 => Err(Wrong::new("port 0 is not a port that a server can be reached at")),
        port => Ok(port),
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

fn socket_path(text: &str) -> Result<PathBuf, Wrong> {
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
        if text == "lan" {
            return Ok(Peers(defaults::LAN.to_vec()));
        }
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(Wrong::new(format!("{text:?} is not an address, a set as 192.168.0.0/16, or \"lan\"")));
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
        let show =
            |listener: Listener| format!("{}{}", listener.address, if listener.dual_stack { " dual" } else { "" });
        check_scalar(text, show, expect);
    }

    #[test]
    fn a_listener_is_a_port_or_an_address_with_a_port() {
        listen(":80", Ok("[::]:80 dual"));
        listen("8080", Ok("[::]:8080 dual"));
        listen("http://:8081", Ok("[::]:8081 dual"));
        listen(":0", Ok("[::]:0 dual"));
        listen("127.0.0.1:8080", Ok("127.0.0.1:8080"));
        listen("[::1]:8080", Ok("[::1]:8080"));
        listen("[::]:8080", Ok("[::]:8080"));
        listen("127.0.0.1", Err("\"127.0.0.1\" has no port"));
        listen("::1", Err("\"::1\" has no port"));
        listen("localhost:80", Err("\"localhost:80\" is not an address to listen on"));
        listen("*:80", Err("\"*:80\" is not an address to listen on"));
        listen(":", Err("\"\" is not a port: a number up to 65535"));
        listen("", Err("\"\" is not a port: a number up to 65535"));
        listen("70000", Err("\"70000\" is not a port: a number up to 65535"));
        listen("https://:443", Err("\"https://:443\": this version listens for plain HTTP on TCP only"));
    }

    #[track_caller]
    fn server(text: &str, expect: Result<&str, &str>) {
        let show = |address| match address {
            ServerAddress::Name { .. } => format!("name {address}"),
            _ => address.to_string(),
        };
        check_scalar(text, show, expect);
    }

    #[test]
    fn a_server_is_a_port_an_address_a_name_or_a_socket() {
        server("3000", Ok("127.0.0.1:3000"));
        server("http://127.0.0.1:3000", Ok("127.0.0.1:3000"));
        server("http://127.0.0.1:3000/", Ok("127.0.0.1:3000"));
        server("HTTP://App.Local.:81", Ok("name app.local:81"));
        server("app", Ok("name app:80"));
        server("[::1]:3000", Ok("[::1]:3000"));
        server("::1", Ok("[::1]:80"));
        server("unix:/run/app.sock", Ok("unix:/run/app.sock"));
        server("unix:///run/app.sock", Ok("unix:/run/app.sock"));
        server("http://unix:/run/app.sock", Ok("unix:/run/app.sock"));
        server("unix:app.sock", Err("\"app.sock\" is not the path of a socket: it begins with a slash"));
        server("0", Err("port 0 is not a port that a server can be reached at"));
        server("app:http", Err("\"http\" is not a port: a number up to 65535"));
        server("0.0.0.0:3000", Err("\"0.0.0.0:3000\": a server listens there, it is reached by another address"));
        server("https://app", Err("https:// to a server is not in this version of Ringferry yet"));
        server("tcp://app:22", Err("tcp:// is not in this version of Ringferry yet"));
        server("ftp://app", Err("\"ftp\" is not a protocol that servers are reached by"));
        server(
            "http://app/x",
            Err("\"http://app/x\" has a path: requests are forwarded with the path that they came with"),
        );
        server("http://me@app", Err("\"http://me@app\" has a user name: credentials are never sent to a server"));
        server("", Err("\"\" is not a host name: it is empty"));
        let long = format!("unix:/{}", "a".repeat(107));
        server(&long, Err("the path of a unix socket has at most 107 bytes, and no NUL"));
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
        peers("10.0.0.0/33", Err("\"10.0.0.0/33\": what follows the slash is a number up to 32"));
        peers("cdn", Err("\"cdn\" is not an address, a set as 192.168.0.0/16, or \"lan\""));
    }
}
