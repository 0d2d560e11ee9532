//! Listening sockets: those that stay are kept as they are, new ones are made.

use super::Failure;
use super::holder::{Holder, holder};
use super::inherited::Inherited;
use crate::model::Listener;
use crate::snapshot::Bound;
use ringferry_runtime::{BindError, bind_tcp, bind_udp, is_taken, is_taken_udp};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::thread::sleep;
use std::time::Duration;

/// What is known of all listeners that were made.
#[derive(Default)]
pub(super) struct Made {
    /// Sockets that wait for a listener of theirs.
    inherited: Inherited,
    /// See [`Bound::key`].
    last_key: u64,
    /// Those that somebody still has: a core lets go of one that is gone a little later than its configuration does.
    alive: Vec<Weak<Bound>>,
}

impl Made {
    /// Of sockets that somebody else has made; none by us yet.
    pub(super) fn of(inherited: Inherited) -> Made {
        Made { inherited, ..Made::default() }
    }

    /// Closes what was inherited and has not been taken; what to say of it.
    pub(super) fn close_inherited(&mut self) -> Vec<String> {
        self.inherited.close()
    }
}

/// Whether all of `wanted` are free, or inherited. Tells who holds one that is not, which only root may see of others.
pub(super) fn all_available(wanted: &[Listener], inherited: &Inherited) -> Result<(), Failure> {
    wanted.iter().filter(|listener| !inherited.has(listener)).try_for_each(available)
}

/// Makes the sockets of `wanted`, in order, taking over what `current` has of them. All new addresses are tried before
/// the first is bound, so that a failure leaves nothing behind.
pub(super) fn bind(
    wanted: &[Listener],
    current: &[Arc<Bound>],
    cores: usize,
    made: &mut Made,
) -> Result<Vec<Arc<Bound>>, Failure> {
    let mut left: Vec<_> = current.iter().collect();
    let kept = wanted.iter().map(|listener| {
        let place = left.iter().position(|bound| bound.listener == *listener)?;
        Some(left.remove(place).clone())
    });
    let kept: Vec<Option<Arc<Bound>>> = kept.collect();
    let is_new = |(_, kept): &(&Listener, &Option<Arc<Bound>>)| kept.is_none();
    made.alive.retain(|bound| bound.strong_count() > 0);
    // A port of ours may change hands: `127.0.0.1:80` becomes `:80`; or come back that was given up just now.
    let is_ours = |listener: &Listener| {
        let same_port = |bound: Arc<Bound>| bound.address.port() == listener.address.port();
        let same = |bound: Arc<Bound>| bound.listener.is_udp() == listener.is_udp() && same_port(bound);
        made.alive.iter().filter_map(Weak::upgrade).any(same)
    };
    for (listener, _) in wanted.iter().zip(&kept).filter(is_new) {
        if !is_ours(listener) && !made.inherited.has(listener) {
            available(listener)?;
        }
    }
    let bound = wanted.iter().zip(kept).map(|(listener, kept)| match kept {
        Some(bound) => Ok(bound),
        None => {
            made.last_key += 1;
            let key = made.last_key;
            let bound = match made.inherited.take(listener) {
                Some((address, sockets)) => Bound { key, listener: listener.clone(), address, sockets },
                None => make(listener, cores, key)?,
            };
            let bound = Arc::new(bound);
            made.alive.push(Arc::downgrade(&bound));
            Ok(bound)
        }
    });
    bound.collect()
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub enum Obstacle {
    /// Somebody listens there.
    Held(Holder),
    /// The port is for the privileged alone.
    NotAllowed,
    /// The machine has no such address.
    NotHere,
    /// What the kernel said.
    Other(io::Error),
}

impl Obstacle {
    fn of(error: io::Error, port: u16, udp: bool) -> Obstacle {
        match error.kind() {
            ErrorKind::AddrInUse => Obstacle::Held(holder(port, udp)),
            ErrorKind::PermissionDenied => Obstacle::NotAllowed,
            ErrorKind::AddrNotAvailable => Obstacle::NotHere,
            _ => Obstacle::Other(error),
        }
    }

    /// What is in the way.
    pub fn cause(&self) -> String {
        match self {
            Obstacle::Held(Holder::Another(process)) => format!("{process} holds it"),
            Obstacle::Held(Holder::Ourselves) => "sockets of this process are not closed yet".to_owned(),
            Obstacle::Held(Holder::Unseen) => "it is in use, and by whom cannot be seen".to_owned(),
            Obstacle::NotAllowed => "ports below 1024 need a privilege".to_owned(),
            Obstacle::NotHere => "this machine does not have that address".to_owned(),
            Obstacle::Other(error) => error.to_string(),
        }
    }

    /// What to do about it, if that is known.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Obstacle::Held(Holder::Another(_)) => "stop that, or listen on another address".to_owned(),
            Obstacle::Held(Holder::Ourselves) => "try again in a moment".to_owned(),
            Obstacle::Held(Holder::Unseen) => "listen on another address".to_owned(),
            Obstacle::NotAllowed => format!(
                "run as root, or: setcap cap_net_bind_service=+ep {}",
                std::env::current_exe().map_or("ringferry".into(), |path| path.display().to_string())
            ),
            Obstacle::NotHere => "see `ip address`".to_owned(),
            Obstacle::Other(_) => return None,
        })
    }
}

/// What is in the way of listening on an address, if anything is. Nothing stays bound.
pub fn obstacle(listener: &Listener) -> Option<Obstacle> {
    let BindError { address, error } = taken(listener).err()?;
    Some(Obstacle::of(error, address.port(), listener.is_udp()))
}

fn available(listener: &Listener) -> Result<(), Failure> {
    patiently(|| taken(listener)).map_err(|error| explain(error, listener))
}

fn taken(listener: &Listener) -> Result<(), BindError> {
    // Port 0 is a free one by definition.
    if listener.address.port() == 0 {
        return Ok(());
    }
    let is_taken = if listener.is_udp() { is_taken_udp } else { is_taken };
    match is_taken(listener.address, listener.dual_stack) {
        Err(BindError { error, .. }) if listener.dual_stack && no_ipv6(&error) => is_taken(ipv4(listener), false),
        result => result,
    }
}

fn make(listener: &Listener, cores: usize, key: u64) -> Result<Bound, Failure> {
    let bind = if listener.is_udp() { bind_udp } else { bind_tcp };
    let bound = || match bind(listener.address, listener.dual_stack, cores) {
        Err(BindError { error, .. }) if listener.dual_stack && no_ipv6(&error) => bind(ipv4(listener), false, cores),
        bound => bound,
    };
    let (address, sockets) = patiently(bound).map_err(|error| explain(error, listener))?;
    Ok(Bound { key, listener: listener.clone(), address, sockets })
}

/// Tries again for a moment while an address is in use: sockets that a core, or a process that has just ended, has closed
/// go when the kernel gets to it.
fn patiently<T>(mut bind: impl FnMut() -> Result<T, BindError>) -> Result<T, BindError> {
    for _ in 0..TRIES {
        match bind() {
            Err(error) if error.error.kind() == ErrorKind::AddrInUse => sleep(TRY_AGAIN),
            result => return result,
        }
    }
    bind()
}

/// How often, and how soon, it is tried again: a ring that ends keeps its sockets for 50 to 100 ms.
const TRIES: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// A machine without IPv6: the address without a host means IPv4 alone there.
fn no_ipv6(error: &std::io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == ErrorKind::AddrNotAvailable
}

fn ipv4(listener: &Listener) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, listener.address.port()).into()
}

/// What is in the way and what to do about it, in one line.
fn explain(error: BindError, listener: &Listener) -> Failure {
    let BindError { address, error } = error;
    let obstacle = Obstacle::of(error, address.port(), listener.is_udp());
    let remedy = obstacle.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
    let (scheme, cause) = (listener.protocol.scheme(), obstacle.cause());
    Failure::Resource(format!("cannot listen on {scheme}://{address}: {cause}{remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Protocol;
    use std::net::{TcpListener, UdpSocket};
    use std::thread::spawn;

    fn any(protocol: Protocol) -> Listener {
        Listener { protocol, ..Listener::http((Ipv4Addr::LOCALHOST, 0).into(), false) }
    }

    #[test]
    fn a_listener_may_come_back_while_a_core_still_has_its_former_sockets() {
        for protocol in [Protocol::Http, Protocol::Udp] {
            let mut made = Made::default();
            let former = bind(&[any(protocol)], &[], 2, &mut made).unwrap();
            let listener = Listener { address: former[0].address, ..any(protocol) };
            // The configuration in force has it no more.
            let again = bind(&[listener], &[], 2, &mut made).unwrap();
            assert_eq!(again[0].address, former[0].address);
            assert_ne!(again[0].key, former[0].key);
        }
    }

    #[test]
    fn what_is_about_to_be_closed_is_waited_for_and_what_stays_is_told() {
        let mut made = Made::default();
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Listener { address: held.local_addr().unwrap(), ..any(Protocol::Http) };
        let Err(Failure::Resource(why)) = bind(std::slice::from_ref(&listener), &[], 1, &mut made) else { panic!() };
        // Of itself it does not speak as of another.
        assert!(why.ends_with("sockets of this process are not closed yet; try again in a moment"), "{why}");
        let closing = spawn(move || {
            sleep(TRY_AGAIN);
            drop(held);
        });
        bind(&[listener], &[], 1, &mut made).unwrap();
        closing.join().unwrap();
    }

    #[test]
    fn a_port_that_was_ours_is_tried_as_any_other() {
        let mut made = Made::default();
        let address = bind(&[any(Protocol::Udp)], &[], 1, &mut made).unwrap()[0].address;
        let _held = UdpSocket::bind(address).unwrap();
        let listener = Listener { address, ..any(Protocol::Udp) };
        assert!(bind(&[listener], &[], 1, &mut made).is_err());
        assert_eq!(made.alive.len(), 0);
    }
}
