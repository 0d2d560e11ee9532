//! What this machine is called, by its owner and by its clients.

use nix::unistd::gethostname;
use std::net::{Ipv4Addr, UdpSocket};

/// Its host name; empty where it has none.
pub(super) fn name() -> String {
    gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The names and addresses that a client on this machine or on its network may use for it.
///
/// Of the addresses it is the one by which the machine reaches others, and none of IPv6: those come and go by the day,
/// and nobody types them.
pub(super) fn names() -> Vec<String> {
    let mut names = Vec::new();
    let name = name().to_ascii_lowercase();
    if is_host(&name) {
        // What mDNS answers to.
        let local = (!name.contains('.')).then(|| format!("{name}.local"));
        names.push(name);
        names.extend(local);
    }
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.extend(address().map(|address| address.to_string()));
    names
}

fn is_host(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// The address that packets to far away would have. None is sent: connecting a datagram socket only asks for the way.
fn address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // TEST-NET-1 (RFC 5737): far away for everybody.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip().to_canonical() {
        std::net::IpAddr::V4(address) if !address.is_loopback() && !address.is_unspecified() => Some(address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_names_that_can_stand_in_a_certificate() {
        let names = names();
        for always in ["localhost", "127.0.0.1", "::1"] {
            assert!(names.iter().any(|name| name == always), "{names:?}");
        }
        assert!(names.iter().all(|name| is_host(name) || name.contains(':')), "{names:?}");
        for odd in ["", "a b", "pi_1", "zoë"] {
            assert!(!is_host(odd), "{odd}");
        }
    }
}
