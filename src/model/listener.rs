//! Addresses that we accept on, and sets of peer addresses.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address that we accept on, and what is spoken there. `":8080"` becomes one listener on `[::]:8080` that takes IPv4 as well
/// (`dual_stack`), or two where the machine has no IPv6; the choice is made when binding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listener {
    /// Address and port; port 0 asks the kernel for a free one (tests).
    pub address: SocketAddr,
    /// The address was written without a host: IPv4 and IPv6 together.
    pub dual_stack: bool,
    /// What is spoken there.
    pub protocol: Protocol,
    /// Connections have to begin with a PROXY header, and to come from one of these peers. `None`: none is looked for.
    pub proxy_protocol: Option<Vec<Cidr>>,
}

impl Listener {
    /// An address for HTTP without TLS, of which nothing else is known.
    pub const fn http(address: SocketAddr, dual_stack: bool) -> Listener {
        Listener { address, dual_stack, protocol: Protocol::Http, proxy_protocol: None }
    }

    /// Whether it takes datagrams, and so shares no port with one that takes connections.
    pub fn is_udp(&self) -> bool {
        self.protocol == Protocol::Udp
    }

    /// The address as configured, with what is spoken there: `https://[::]:443`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.protocol.scheme(), self.address)
    }
}

/// What is spoken on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP without TLS.
    Http,
    /// TLS, told apart by the name that the client asks for: ended here or passed through.
    Https,
    /// Whatever comes is for the pool of one stream.
    Tcp,
    /// Datagrams, for the pool of one stream.
    Udp,
}

impl Protocol {
    /// As in `http://`, and as logs and `status` say it.
    pub fn scheme(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

/// A set of addresses, `192.168.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    /// Any address in the set.
    pub address: IpAddr,
    /// How many leading bits count: 0 to 32 or 0 to 128.
    pub prefix_len: u8,
}

impl Cidr {
    /// Whether all of `other` is in the set.
    pub fn includes(&self, other: &Cidr) -> bool {
        self.prefix_len <= other.prefix_len && self.contains(other.address)
    }

    /// Whether `peer` is in the set. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address.to_canonical(), peer.to_canonical()) {
            (IpAddr::V4(set), IpAddr::V4(peer)) => {
                same_prefix(set.to_bits().into(), peer.to_bits().into(), self.prefix_len, 32)
            }
            (IpAddr::V6(set), IpAddr::V6(peer)) => same_prefix(set.to_bits(), peer.to_bits(), self.prefix_len, 128),
            _ => false,
        }
    }
}

/// `192.168.0.0/16`; a single address without the length.
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix_len == width {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix_len)
        }
    }
}

fn same_prefix(a: u128, b: u128, prefix_len: u8, width: u32) -> bool {
    let dropped = width.saturating_sub(prefix_len.into());
    dropped >= width || (a ^ b) >> dropped == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(set: &str, prefix_len: u8, peer: &str, expect: bool) {
        let set = Cidr { address: set.parse().unwrap(), prefix_len };
        assert_eq!(set.contains(peer.parse().unwrap()), expect);
    }

    #[test]
    fn a_peer_is_in_a_set_when_the_prefix_bits_agree() {
        check("192.168.0.0", 16, "192.168.255.1", true);
        check("192.168.0.0", 16, "192.169.0.1", false);
        check("192.168.0.0", 16, "::ffff:192.168.3.4", true);
        check("10.0.0.1", 32, "10.0.0.1", true);
        check("10.0.0.1", 32, "10.0.0.2", false);
        check("0.0.0.0", 0, "203.0.113.9", true);
        check("0.0.0.0", 0, "2001:db8::1", false);
        check("fd00::", 8, "fdff::1", true);
        check("::", 0, "2001:db8::1", true);
    }
}
