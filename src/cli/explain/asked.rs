//! A URL to be explained: what it asks for, and which listeners it leads to.

use crate::model::{Config, ListenerId, Protocol};
use ringferry_parser::host::{self, Authority};
use std::net::IpAddr;

/// What a URL asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Url {
    /// As written; without one it depends on what is listened on.
    pub(super) scheme: Option<Scheme>,
    /// In the spelling that routing compares. Empty for `tls://:443`, a client that sends no name, and for streams,
    /// which ask for none.
    pub(super) host: String,
    /// As written.
    pub(super) port: Option<u16>,
    /// As a client sends it, without the query.
    pub(super) path: String,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    /// TLS as far as the name that it asks for.
    Tls,
    Tcp,
    Udp,
}

impl Scheme {
    fn of(word: &str) -> Option<Scheme> {
        let known = [Scheme::Http, Scheme::Https, Scheme::Tls, Scheme::Tcp, Scheme::Udp];
        known.into_iter().find(|scheme| scheme.word().eq_ignore_ascii_case(word))
    }

    fn word(self) -> &'static str {
        if self == Scheme::Tls { "tls" } else { self.protocol().scheme() }
    }

    /// What is spoken on the listeners that it leads to.
    pub(super) fn protocol(self) -> Protocol {
        match self {
            Scheme::Http => Protocol::Http,
            Scheme::Https | Scheme::Tls => Protocol::Https,
            Scheme::Tcp => Protocol::Tcp,
            Scheme::Udp => Protocol::Udp,
        }
    }

    /// Whether there is more to ask for than a connection and a name.
    fn has_path(self) -> bool {
        matches!(self, Scheme::Http | Scheme::Https)
    }

    fn is_stream(self) -> bool {
        matches!(self, Scheme::Tcp | Scheme::Udp)
    }

    fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Http => Some(80),
            Scheme::Https | Scheme::Tls => Some(443),
            Scheme::Tcp | Scheme::Udp => None,
        }
    }
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Url, String> {
        let wrong = |why: &str| format!("{url}: {why}");
        let (scheme, rest) = match url.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?', '#'])) {
            Some((word, rest)) => match Scheme::of(word) {
                Some(scheme) => (Some(scheme), rest),
                None => {
                    return Err(wrong(&format!(
                        "{word}:// is not served; one of http://, https://, tls://, tcp://, udp://"
                    )));
                }
            },
            None => (None, url),
        };
        // The fragment stays with the client.
        let sent = rest.split('#').next().unwrap_or_default();
        let (authority, target) = sent.split_at(sent.find(['/', '?']).unwrap_or(sent.len()));
        if let Some(scheme) = scheme.filter(|scheme| !scheme.has_path() && !["", "/"].contains(&target)) {
            let scheme = scheme.word();
            return Err(wrong(&format!("{scheme}:// has no path; write {scheme}://{authority}")));
        }
        // A colon without a port is what remains of `http:/example.com`.
        let parsed = Authority::parse(authority.as_bytes()).ok().filter(|_| !authority.ends_with(':'));
        let nameless = scheme.filter(|scheme| !scheme.has_path()).and_then(|_| port_alone(authority));
        let (host, port) = match (parsed, nameless) {
            (_, Some(port)) => ("", Some(port)),
            (Some(parsed), None) => (&authority[..parsed.host.len()], parsed.port),
            (None, None) => {
                let example = example(scheme);
                let hint = match authority {
                    _ if !authority.is_ascii() => "write the xn-- form of the host, as `dig` shows it".to_owned(),
                    _ if authority.contains('@') => {
                        "remove what stands before the @, which no client sends here".to_owned()
                    }
                    _ if authority.matches(':').count() > 1 => {
                        format!("an IPv6 address is written {}", example.replace("example.com", "[::1]"))
                    }
                    _ => format!("write it like {example}"),
                };
                return Err(wrong(&format!("{authority:?} is not a host, with a port or without; {hint}")));
            }
        };
        if let Some(scheme) = scheme.filter(|scheme| scheme.is_stream() && port.is_none()) {
            let scheme = scheme.word();
            return Err(wrong(&format!("{scheme}:// has no usual port; write {scheme}://{authority}:PORT")));
        }
        if let Some(odd) = target.chars().find(|c| !c.is_ascii_graphic()) {
            let encoded: String = odd.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}")).collect();
            return Err(wrong(&format!("a URL with {odd:?} is refused with 400; clients send it as {encoded}")));
        }
        let path = target.split('?').next().filter(|path| !path.is_empty()).unwrap_or("/");
        let host = host::normal_text(host);
        Ok(Url { scheme, host, port, path: path.to_owned() })
    }

    /// What a client speaks. Without a word: HTTP, unless there is TLS alone.
    pub(super) fn scheme(&self, config: &Config) -> Scheme {
        let is_there = |scheme| !self.listeners(config, scheme).is_empty();
        let https_alone = || !is_there(Scheme::Http) && is_there(Scheme::Https);
        self.scheme.unwrap_or_else(|| if https_alone() { Scheme::Https } else { Scheme::Http })
    }

    /// The port that a client connects to.
    pub(super) fn port(&self, scheme: Scheme) -> Option<u16> {
        self.port.or(scheme.default_port())
    }

    /// The listeners that a client could reach. Without a port in the URL, and with nothing on the usual one, that is
    /// all that speak so: something in front of the machine may lead from there to any port.
    pub(super) fn listeners(&self, config: &Config, scheme: Scheme) -> Vec<ListenerId> {
        let all = (0..).map(ListenerId).zip(&config.listeners);
        let mut ids: Vec<ListenerId> =
            all.filter(|(_, listener)| listener.protocol == scheme.protocol()).map(|(id, _)| id).collect();
        let address = |id: &ListenerId| config.listeners[id.index()].address;
        let has_port = |id: &ListenerId| Some(address(id).port()) == self.port(scheme);
        if self.port.is_some() || ids.iter().any(has_port) {
            ids.retain(has_port);
        }
        // The kernel gives a stream's connection to the narrower of two; sites are told apart by their hosts.
        if let Some(ip) = self.address().filter(|_| scheme.is_stream()) {
            let is_exact = |id: &ListenerId| address(id).ip() == ip;
            let is_exact_there = ids.iter().any(is_exact);
            ids.retain(|id| if is_exact_there { is_exact(id) } else { address(id).ip().is_unspecified() });
        }
        ids
    }

    /// The same for a listener that speaks something else.
    pub(super) fn in_scheme(&self, protocol: Protocol) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let path = if matches!(protocol, Protocol::Http | Protocol::Https) { &*self.path } else { "" };
        let host = if path.is_empty() || !self.host.is_empty() { &*self.host } else { "example.com" };
        format!("{}://{host}{port}{path}", protocol.scheme())
    }

    /// The host, if it is an address.
    fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }
}

/// The port in `:443`.
fn port_alone(authority: &str) -> Option<u16> {
    authority.strip_prefix(':')?.parse().ok()
}

fn example(scheme: Option<Scheme>) -> &'static str {
    match scheme {
        None | Some(Scheme::Http) => "http://example.com:8080/path",
        Some(Scheme::Https) => "https://example.com:8443/path",
        Some(Scheme::Tls) => "tls://example.com:8443",
        Some(Scheme::Tcp) => "tcp://:2222",
        Some(Scheme::Udp) => "udp://:53",
    }
}
