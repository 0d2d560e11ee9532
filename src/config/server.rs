//! A server: how it is written, and what it can be for a site, for TLS that is passed through, and for a stream.
//! Syntax only: nothing is resolved.

use super::address::socket_path;
use super::name::{self, Host};
use super::reader::{Scalar, Wrong};
use crate::model::ServerAddress;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// What the servers of a pool are for: how they can be written depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    /// Requests are forwarded.
    Http,
    /// TLS is passed through, told apart by SNI.
    Passthrough,
    /// What comes in by these is passed on.
    Stream { tcp: bool, udp: bool },
}

/// A server as written.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ServerUrl {
    /// The whole of it.
    text: String,
    scheme: Option<Scheme>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scheme {
    Http,
    Https,
    Tcp,
    Udp,
}

#[derive(Clone, Debug, PartialEq)]
enum Place {
    Network { host: Host, port: Option<u16> },
    Unix(PathBuf),
}

/// How a server is reached.
#[derive(Debug, PartialEq)]
pub(super) struct Reached {
    pub(super) address: ServerAddress,
    /// By TLS, where its certificate is for this host unless the configuration names another.
    pub(super) tls_name: Option<String>,
}

impl ServerUrl {
    /// How a server of a pool for `of` is reached.
    pub(super) fn reached(self, of: Use) -> Result<Reached, Wrong> {
        match of {
            Use::Http => self.check_http()?,
            Use::Passthrough => self.check_passthrough()?,
            Use::Stream { tcp, udp } => self.check_stream(tcp, udp)?,
        }
        let tls = self.scheme == Some(Scheme::Https);
        let (host, port) = match self.place {
            Place::Unix(path) => return Ok(Reached { address: ServerAddress::Unix(path), tls_name: None }),
            Place::Network { host, port } => (host, port),
        };
        let port = port.unwrap_or(if tls || matches!(of, Use::Passthrough) { 443 } else { 80 });
        Ok(match host {
            Host::Ip(ip) => {
                Reached { address: ServerAddress::Ip(SocketAddr::new(ip, port)), tls_name: tls.then(|| ip.to_string()) }
            }
            Host::Name(host) => {
                Reached { tls_name: tls.then(|| host.clone()), address: ServerAddress::Name { host, port } }
            }
        })
    }

    fn check_http(&self) -> Result<(), Wrong> {
        if !matches!(self.scheme, Some(Scheme::Tcp | Scheme::Udp)) {
            return Ok(());
        }
        Err(Wrong::new(format!("{:?}: the servers of a site are spoken to by HTTP", self.text)).say(
            "write http:// or https://; what is not HTTP is passed on by tls = \"passthrough\" or by a [[stream]]",
        ))
    }

    fn check_passthrough(&self) -> Result<(), Wrong> {
        let what = match self.scheme {
            None | Some(Scheme::Tcp) => return Ok(()),
            Some(Scheme::Http) => "TLS is passed through as it came, so the server has to speak it",
            Some(Scheme::Https) => "TLS is passed through as it came, none is added",
            Some(Scheme::Udp) => "TLS is passed through by TCP",
        };
        Err(Wrong::new(format!("{:?}: {what}", self.text)).write(self.with("tcp://", 443)))
    }

    fn check_stream(&self, tcp: bool, udp: bool) -> Result<(), Wrong> {
        let wrong = |what: &str| Wrong::new(format!("{:?}: {what}", self.text));
        if let (Place::Unix(_), true) = (&self.place, udp) {
            return Err(wrong("datagrams go to an address and a port").write("127.0.0.1:53"));
        }
        match self.scheme {
            Some(Scheme::Http | Scheme::Https) => {
                let what = "a stream passes on what comes and speaks no protocol of its own";
                let (scheme, port) = if self.scheme == Some(Scheme::Http) { ("http", 80) } else { ("https", 443) };
                let front = match (tcp, udp) {
                    (true, true) => "",
                    (_, false) => "tcp://",
                    (false, true) => "udp://",
                };
                let meant = self.with(front, port);
                return Err(
                    wrong(what).say(format!("write: {meant:?}; requests are forwarded to {scheme}:// by a [[site]]"))
                );
            }
            Some(Scheme::Tcp | Scheme::Udp) if tcp && udp => {
                let either = "write the address without it for both, or make two streams of it";
                return Err(wrong("this stream listens on TCP and on UDP").say(either));
            }
            Some(Scheme::Tcp) if udp => {
                return Err(wrong("this stream listens on UDP alone").write(self.with("udp://", 53)));
            }
            Some(Scheme::Udp) if tcp => {
                return Err(wrong("this stream listens on TCP alone").write(self.with("tcp://", 22)));
            }
            _ => {}
        }
        if let Place::Network { port: None, .. } = self.place {
            let (front, usual_port) = match self.scheme {
                Some(Scheme::Udp) => ("udp://", 53),
                Some(Scheme::Tcp) => ("tcp://", 22),
                _ => ("", if udp { 53 } else { 22 }),
            };
            return Err(Wrong::new(format!("{:?} has no port", self.text)).write(self.with(front, usual_port)));
        }
        Ok(())
    }

    /// The server with something else in front, to be written instead.
    fn with(&self, front: &str, usual_port: u16) -> String {
        match &self.place {
            Place::Unix(path) => format!("unix:{}", path.display()),
            Place::Network { host: Host::Ip(ip), port } => {
                format!("{front}{}", SocketAddr::new(*ip, port.unwrap_or(usual_port)))
            }
            Place::Network { host: Host::Name(host), port } => {
                format!("{front}{host}:{}", port.unwrap_or(usual_port))
            }
        }
    }
}

impl Scalar for ServerUrl {
    const EXAMPLE: &'static str = "\"http://127.0.0.1:3000\"";

    fn from_text(text: &str) -> Result<ServerUrl, Wrong> {
        let (scheme, rest) = split_scheme(text)?;
        let place = match rest.strip_prefix("unix:") {
            Some(path) => Place::Unix(unix(text, scheme, path)?),
            None => network(text, scheme, rest)?,
        };
        Ok(ServerUrl { text: text.to_owned(), scheme, place })
    }
}

/// The scheme, and what follows it; all of it where there is none.
fn split_scheme(text: &str) -> Result<(Option<Scheme>, &str), Wrong> {
    if let Some((front, path)) = text.split_once("+unix:") {
        let path = format!("unix:/{}", path.trim_start_matches('/'));
        return Err(if front.eq_ignore_ascii_case("https") {
            tls_to_socket(text, &path)
        } else {
            Wrong::new(format!("{text:?}: a unix socket has no protocol in front")).write(path)
        });
    }
    let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| !scheme.contains(':')) else {
        return Ok((None, text));
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "tcp" => Scheme::Tcp,
        "udp" => Scheme::Udp,
        "unix" => return Ok((None, text)),
        other => {
            let meant = if matches!(other, "wss" | "tls" | "ssl") { "https" } else { "http" };
            return Err(Wrong::new(format!("{scheme:?} is not a protocol that servers are reached by"))
                .write(format_args!("{meant}://{rest}")));
        }
    };
    Ok((Some(scheme), rest))
}

fn unix(text: &str, scheme: Option<Scheme>, path: &str) -> Result<PathBuf, Wrong> {
    match scheme {
        None | Some(Scheme::Http) => socket_path(path),
        Some(Scheme::Https) => Err(tls_to_socket(text, &format!("unix:{path}"))),
        Some(Scheme::Tcp | Scheme::Udp) => {
            Err(Wrong::new(format!("{text:?}: a unix socket has no protocol in front"))
                .write(format_args!("unix:{path}")))
        }
    }
}

fn tls_to_socket(text: &str, instead: &str) -> Wrong {
    Wrong::new(format!("{text:?}: TLS is not spoken to unix sockets: what they carry does not leave the machine"))
        .write(instead)
}

fn network(text: &str, scheme: Option<Scheme>, rest: &str) -> Result<Place, Wrong> {
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#']) {
        if let Some(Scheme::Tcp | Scheme::Udp) = scheme {
            return Err(
                Wrong::new(format!("{text:?} has a path: what is passed on has none")).say("write the address alone")
            );
        }
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
        let port = Some(server_port(authority)?);
        return Ok(Place::Network { host: Host::Ip(Ipv4Addr::LOCALHOST.into()), port });
    }
    let (host, port) = name::split_port(authority);
    let port = port.map(server_port).transpose()?;
    let host = name::host(host)?;
    if let Host::Ip(ip) = host
        && ip.is_unspecified()
    {
        let front = &text[..text.len() - rest.len()];
        let loopback = if ip.is_ipv4() { "127.0.0.1" } else { "[::1]" };
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        return Err(Wrong::new(format!("{text:?}: a server listens there, it is reached by another address"))
            .write(format_args!("{front}{loopback}{port}")));
    }
    Ok(Place::Network { host, port })
}

fn server_port(text: &str) -> Result<u16, Wrong> {
    match name::port(text)? {
        0 => Err(Wrong::new("port 0 is not a port that a server can be reached at")),
        port => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(of: Use, text: &str, expect: Result<&str, &str>) {
        let reached = ServerUrl::from_text(text).and_then(|url| url.reached(of));
        let shown = reached.map(|Reached { address, tls_name }| {
            let kind = if matches!(address, ServerAddress::Name { .. }) { "name " } else { "" };
            format!("{kind}{address}{}", tls_name.map_or(String::new(), |name| format!(" tls {name}")))
        });
        assert_eq!(shown.map_err(Wrong::into_what), expect.map(str::to_owned).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn a_server_is_a_port_an_address_a_name_or_a_socket() {
        let server = |text, expect| check(Use::Http, text, expect);
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
        server("ftp://app", Err("\"ftp\" is not a protocol that servers are reached by"));
        server(
            "http://app/x",
            Err("\"http://app/x\" has a path: requests are forwarded with the path that they came with"),
        );
        server("http://me@app", Err("\"http://me@app\" has a user name: credentials are never sent to a server"));
        server("", Err("\"\" is not a host name: it is empty"));
        let long = format!("unix:/{}", "a".repeat(107));
        server(&long, Err("the path of a unix socket has at most 107 bytes, and no NUL"));
        server("tcp://app:22", Err("\"tcp://app:22\": the servers of a site are spoken to by HTTP"));
        server("udp://app:53", Err("\"udp://app:53\": the servers of a site are spoken to by HTTP"));
    }

    #[test]
    fn a_server_with_tls_has_a_certificate_for_its_name() {
        let server = |text, expect| check(Use::Http, text, expect);
        server("https://App.", Ok("name app:443 tls app"));
        server("https://app:8443/", Ok("name app:8443 tls app"));
        server("https://10.0.0.5", Ok("10.0.0.5:443 tls 10.0.0.5"));
        server("https://[::1]:8443", Ok("[::1]:8443 tls ::1"));
        server("https://8443", Ok("127.0.0.1:8443 tls 127.0.0.1"));
        let to_socket = "TLS is not spoken to unix sockets: what they carry does not leave the machine";
        for text in ["https+unix:/run/a", "https+unix:///run/a", "https://unix:/run/a"] {
            check(Use::Http, text, Err(&format!("{text:?}: {to_socket}")));
        }
        server("http+unix:/run/a", Err("\"http+unix:/run/a\": a unix socket has no protocol in front"));
    }

    #[test]
    fn a_server_of_tls_that_is_passed_through_is_spoken_to_by_nothing_else() {
        let server = |text, expect| check(Use::Passthrough, text, expect);
        server("tcp://192.168.1.50:8443", Ok("192.168.1.50:8443"));
        server("tcp://vpn", Ok("name vpn:443"));
        server("vpn", Ok("name vpn:443"));
        server("vpn:8443", Ok("name vpn:8443"));
        server("8443", Ok("127.0.0.1:8443"));
        server("unix:/run/vpn", Ok("unix:/run/vpn"));
        server("https://vpn", Err("\"https://vpn\": TLS is passed through as it came, none is added"));
        server("http://vpn", Err("\"http://vpn\": TLS is passed through as it came, so the server has to speak it"));
        server("udp://vpn:443", Err("\"udp://vpn:443\": TLS is passed through by TCP"));
        server("tcp://vpn/x", Err("\"tcp://vpn/x\" has a path: what is passed on has none"));
        server("tcp://unix:/run/vpn", Err("\"tcp://unix:/run/vpn\": a unix socket has no protocol in front"));
    }

    #[test]
    fn a_server_of_a_stream_has_a_port_and_fits_what_is_listened_on() {
        let (tcp, udp) = (Use::Stream { tcp: true, udp: false }, Use::Stream { tcp: false, udp: true });
        let both = Use::Stream { tcp: true, udp: true };
        for of in [tcp, udp, both] {
            check(of, "app:22", Ok("name app:22"));
            check(of, "22", Ok("127.0.0.1:22"));
            check(of, "[::1]:22", Ok("[::1]:22"));
            check(of, "app", Err("\"app\" has no port"));
            let what = "a stream passes on what comes and speaks no protocol of its own";
            check(of, "https://app", Err(&format!("\"https://app\": {what}")));
        }
        check(tcp, "tcp://app:22", Ok("name app:22"));
        check(udp, "udp://app:53", Ok("name app:53"));
        check(tcp, "unix:/run/a", Ok("unix:/run/a"));
        check(tcp, "tcp://app/", Err("\"tcp://app/\" has no port"));
        check(udp, "unix:/run/a", Err("\"unix:/run/a\": datagrams go to an address and a port"));
        check(both, "unix:/run/a", Err("\"unix:/run/a\": datagrams go to an address and a port"));
        check(tcp, "udp://app:53", Err("\"udp://app:53\": this stream listens on TCP alone"));
        check(udp, "tcp://app:53", Err("\"tcp://app:53\": this stream listens on UDP alone"));
        check(both, "tcp://app:53", Err("\"tcp://app:53\": this stream listens on TCP and on UDP"));
    }
}
