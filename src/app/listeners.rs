//! Listening sockets: those that stay are kept as they are, new ones are made.

use super::Failure;
use super::holder::holder;
use crate::model::{Listener, Protocol};
use crate::snapshot::Bound;
use ringferry_runtime::{BindError, bind_tcp, bind_udp, is_taken, is_taken_udp};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// Whether all of `wanted` are free. Tells who holds one that is not, which only root may see of others.
pub(super) fn all_available(wanted: &[Listener]) -> Result<(), Failure> {
    wanted.iter().try_for_each(available)
}

/// Makes the sockets of `wanted`, in order, taking over what `current` has of them. All new addresses are tried before
/// the first is bound, so that a failure leaves nothing behind.
pub(super) fn bind(
    wanted: &[Listener],
    current: &[Arc<Bound>],
    cores: usize,
    next_key: &mut u64,
) -> Result<Vec<Arc<Bound>>, Failure> {
    let mut left: Vec<_> = current.iter().collect();
    let kept = wanted.iter().map(|listener| {
        let place = left.iter().position(|bound| bound.listener == *listener)?;
        Some(left.remove(place).clone())
    });
    let kept: Vec<Option<Arc<Bound>>> = kept.collect();
    let is_new = |(_, kept): &(&Listener, &Option<Arc<Bound>>)| kept.is_none();
    // A port of ours may change hands: `127.0.0.1:80` becomes `:80`.
    let is_ours = |listener: &Listener| {
        let same_port = |bound: &Arc<Bound>| bound.address.port() == listener.address.port();
        current.iter().any(|bound| same_port(bound) && is_udp(&bound.listener) == is_udp(listener))
    };
    for (listener, _) in wanted.iter().zip(&kept).filter(is_new) {
        if !is_ours(listener) {
            available(listener)?;
        }
    }
    let made = wanted.iter().zip(kept).map(|(listener, kept)| match kept {
        Some(bound) => Ok(bound),
        None => {
            *next_key += 1;
            make(listener, cores, *next_key).map(Arc::new)
        }
    });
    made.collect()
}

fn available(listener: &Listener) -> Result<(), Failure> {
    // Port 0 is a free one by definition.
    if listener.address.port() == 0 {
        return Ok(());
    }
    let is_taken = if is_udp(listener) { is_taken_udp } else { is_taken };
    let taken = match is_taken(listener.address, listener.dual_stack) {
        Err(BindError { error, .. }) if listener.dual_stack && no_ipv6(&error) => is_taken(ipv4(listener), false),
        result => result,
    };
    taken.map_err(|error| explain(error, listener))
}

fn make(listener: &Listener, cores: usize, key: u64) -> Result<Bound, Failure> {
    let bind = if is_udp(listener) { bind_udp } else { bind_tcp };
    let bound = match bind(listener.address, listener.dual_stack, cores) {
        Err(BindError { error, .. }) if listener.dual_stack && no_ipv6(&error) => bind(ipv4(listener), false, cores),
        bound => bound,
    };
    let (address, sockets) = bound.map_err(|error| explain(error, listener))?;
    Ok(Bound { key, listener: listener.clone(), address, sockets })
}

fn is_udp(listener: &Listener) -> bool {
    listener.protocol == Protocol::Udp
}

/// A machine without IPv6: the address without a host means IPv4 alone there.
fn no_ipv6(error: &std::io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == ErrorKind::AddrNotAvailable
}

fn ipv4(listener: &Listener) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, listener.address.port()).into()
}

/// What to do about it, in one line.
fn explain(error: BindError, listener: &Listener) -> Failure {
    let BindError { address, error } = error;
    let why = match error.kind() {
        ErrorKind::AddrInUse => match holder(address.port(), is_udp(listener)) {
            Some(holder) => format!("{holder} holds it; stop that, or listen on another address"),
            None => "another process holds it; stop that, or listen on another address".to_owned(),
        },
        ErrorKind::PermissionDenied => format!(
            "ports below 1024 need a privilege; run as root, or: setcap cap_net_bind_service=+ep {}",
            std::env::current_exe().map_or("ringferry".into(), |path| path.display().to_string())
        ),
        ErrorKind::AddrNotAvailable => "this machine does not have that address; see `ip address`".to_owned(),
        _ => error.to_string(),
    };
    Failure::Resource(format!("cannot listen on {}://{address}: {why}", listener.protocol.scheme()))
}
