//! What comes and goes beside the bytes of a datagram, as the kernel lays it out in memory: who sent it, to which of our
//! addresses, and how many datagrams the bytes are. Laid out and read byte by byte; no system call.

use super::segments::Segments;
use io_uring::types::RecvMsgOut;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::num::NonZeroU16;

/// The address of ours that a datagram was sent to, and is to be answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LocalAddress {
    /// As the socket sees it: mapped into IPv6 where an IPv4 datagram came to a socket of both.
    pub ip: IpAddr,
    /// The index of the interface that it came in by.
    pub interface: u32,
}

/// What a receive of datagrams left in its buffer, besides the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) peer: SocketAddr,
    pub(crate) local: Option<LocalAddress>,
    /// Bytes of each datagram, where several were joined.
    pub(crate) size: Option<NonZeroU16>,
    /// The datagram was larger than the buffer.
    pub(crate) truncated: bool,
    /// Where the bytes begin; they go on to the end.
    pub(crate) start: usize,
}

/// The message header of all receives: how much room there is for names and control messages, and no memory of its own.
struct Template(libc::msghdr);

// SAFETY: its pointers are null, and nobody writes to it: it lies in memory that cannot be written.
unsafe impl Sync for Template {}

static TEMPLATE: Template = {
    // SAFETY: msghdr is plain data for which all zeroes is the empty message.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_namelen = NAME_BYTES as _;
    message.msg_controllen = CONTROL_BYTES as _;
    Template(message)
};

/// Room for the address of either family, rounded up so that what follows is aligned.
const NAME_BYTES: usize = 32;
/// Room for the two control messages that we ask for or send: an address of ours, and the size of segments.
const CONTROL_BYTES: usize = space(20) + space(4);
/// struct cmsghdr of the kernel: a length, a level, a type.
const HEAD_BYTES: usize = size_of::<usize>() + 8;

const _: () = assert!(NAME_BYTES >= size_of::<libc::sockaddr_in6>());

/// Where in its buffer a receive leaves what: four numbers (struct io_uring_recvmsg_out), the name, control messages,
/// and at last the bytes.
const NAME_AT: usize = 16;
const CONTROL_AT: usize = NAME_AT + NAME_BYTES;
pub(super) const BYTES_AT: usize = CONTROL_AT + CONTROL_BYTES;

/// Bytes of a control message with `len` bytes of data.
const fn space(len: usize) -> usize {
    HEAD_BYTES + len.next_multiple_of(size_of::<usize>())
}

/// For receives of many datagrams; see [`received`]. Lives as long as the program.
pub(crate) fn template() -> *const libc::msghdr {
    &raw const TEMPLATE.0
}

/// The room for names and for control messages in what comes before the bytes, for a receive that is no ring operation.
pub(super) fn rooms(head: &mut [u8; BYTES_AT]) -> (&mut [u8], &mut [u8]) {
    head[NAME_AT..].split_at_mut(NAME_BYTES)
}

/// The numbers at the front: how many bytes there are of name, control messages and datagram, and the flags of
/// recvmsg(2).
pub(super) fn write_numbers(head: &mut [u8; BYTES_AT], numbers: [u32; 4]) {
    for (place, number) in head.chunks_exact_mut(size_of::<u32>()).zip(numbers) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
}

/// Reads what a receive left in `buffer`; `None` where it is not what the kernel writes.
pub(crate) fn received(buffer: &[u8]) -> Option<Received> {
    let out = RecvMsgOut::parse(buffer, &TEMPLATE.0).ok()?;
    let mut received = Received {
        peer: socket_address(out.name_data())?,
        local: None,
        size: None,
        truncated: out.is_payload_truncated(),
        start: buffer.len() - out.payload_data().len(),
    };
    for (level, kind, data) in messages(out.control_data()) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // struct in_pktinfo: interface, the address that is ours, the one in the header (a broadcast, perhaps).
                let ip = Ipv4Addr::from(array::<4>(data, 4)?);
                received.local = Some(LocalAddress { ip: ip.into(), interface: u32::from_ne_bytes(array(data, 0)?) });
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let ip = Ipv6Addr::from(array::<16>(data, 0)?);
                let interface = u32::from_ne_bytes(array(data, 16)?);
                // Nobody answers from the address of a group: the kernel chooses one then.
                received.local = (!ip.is_multicast()).then_some(LocalAddress { ip: ip.into(), interface });
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let size = i32::from_ne_bytes(array(data, 0)?);
                received.size = u16::try_from(size).ok().and_then(NonZeroU16::new);
            }
            _ => {}
        }
    }
    Some(received)
}

/// The control messages of a send.
#[derive(Clone)]
pub(super) struct Control {
    bytes: [u8; CONTROL_BYTES],
    len: usize,
}

impl Control {
    /// Names the address to send from, if there is one.
    pub(super) fn from(local: Option<LocalAddress>) -> Control {
        let mut control = Control { bytes: [0; CONTROL_BYTES], len: 0 };
        match local.map(|local| (local.ip, local.interface)) {
            Some((IpAddr::V4(ip), _)) => {
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&ip.octets());
                control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            Some((IpAddr::V6(ip), interface)) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                // Elsewhere an interface would overrule the routes: the way back may be another than the way here.
                if ip.is_unicast_link_local() {
                    info[16..].copy_from_slice(&interface.to_ne_bytes());
                }
                control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
            None => {}
        }
        control
    }

    /// Has the bytes taken apart into datagrams of their size.
    pub(super) fn segmented(mut self, datagrams: &Segments<'_>) -> Control {
        if let Some(size) = datagrams.size() {
            self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.get().to_ne_bytes());
        }
        self
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Room for what comes with a receive.
    pub(super) fn room() -> [u8; CONTROL_BYTES] {
        [0; CONTROL_BYTES]
    }

    pub(super) fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let place = &mut self.bytes[self.len..self.len + space(data.len())];
        let (head, body) = place.split_at_mut(HEAD_BYTES);
        head[..HEAD_BYTES - 8].copy_from_slice(&(HEAD_BYTES + data.len()).to_ne_bytes());
        head[HEAD_BYTES - 8..HEAD_BYTES - 4].copy_from_slice(&level.to_ne_bytes());
        head[HEAD_BYTES - 4..].copy_from_slice(&kind.to_ne_bytes());
        body[..data.len()].copy_from_slice(data);
        self.len += space(data.len());
    }
}

/// Control messages: level, type, data.
pub(super) fn messages(mut control: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from_ne_bytes(array(control, 0)?);
        let level = i32::from_ne_bytes(array(control, HEAD_BYTES - 8)?);
        let kind = i32::from_ne_bytes(array(control, HEAD_BYTES - 4)?);
        let data = control.get(HEAD_BYTES..len)?;
        control = control.get(HEAD_BYTES + data.len().next_multiple_of(size_of::<usize>())..).unwrap_or_default();
        Some((level, kind, data))
    })
}

/// A sockaddr of either family.
fn socket_address(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(array(name, 0)?);
    let port = u16::from_be_bytes(array(name, 2)?);
    match i32::from(family) {
        libc::AF_INET => Some(SocketAddrV4::new(array::<4>(name, 4)?.into(), port).into()),
        libc::AF_INET6 => {
            // The flow label is of one datagram, not of a peer.
            let scope = u32::from_ne_bytes(array(name, 24)?);
            Some(SocketAddrV6::new(array::<16>(name, 8)?.into(), port, 0, scope).into())
        }
        _ => None,
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer as the kernel fills it.
    fn buffer(name: &[u8], control: &[u8], flags: i32, payload: &[u8]) -> Vec<u8> {
        let heads = [name.len() as u32, control.len() as u32, payload.len() as u32, flags as u32];
        let mut buffer: Vec<u8> = heads.iter().flat_map(|head| head.to_ne_bytes()).collect();
        for (field, room) in [(name, NAME_BYTES), (control, CONTROL_BYTES)] {
            buffer.extend(field.iter().copied().chain(std::iter::repeat(0)).take(room));
        }
        buffer.extend_from_slice(payload);
        buffer
    }

    fn v4(port: u16, ip: [u8; 4]) -> Vec<u8> {
        let family = libc::AF_INET as u16;
        [&family.to_ne_bytes()[..], &port.to_be_bytes(), &ip, &[0; 8]].concat()
    }

    #[test]
    fn what_was_received_is_read_with_who_sent_it_and_where_to() {
        let mut control = Control::from(Some(LocalAddress { ip: "127.0.0.2".parse().unwrap(), interface: 0 }));
        control.push(libc::SOL_UDP, libc::UDP_GRO, &3i32.to_ne_bytes());
        let buffer = buffer(&v4(53, [192, 0, 2, 1]), control.bytes(), 0, b"payload");
        let received = received(&buffer).unwrap();
        assert_eq!(received.peer, "192.0.2.1:53".parse().unwrap());
        assert_eq!(received.local, Some(LocalAddress { ip: "127.0.0.2".parse().unwrap(), interface: 0 }));
        assert_eq!((received.size.unwrap().get(), received.truncated), (3, false));
        assert_eq!(&buffer[received.start..], b"payload");
    }

    #[test]
    fn an_address_of_ipv6_keeps_its_interface_where_it_is_needed() {
        #[track_caller]
        fn check(ip: &str, expect: Option<u32>) {
            let local = LocalAddress { ip: ip.parse().unwrap(), interface: 7 };
            let control = Control::from(Some(local));
            let name = [&(libc::AF_INET6 as u16).to_ne_bytes()[..], &[0; 26]].concat();
            let received = received(&buffer(&name, control.bytes(), libc::MSG_TRUNC, b"")).unwrap();
            assert_eq!(received.local.map(|local| local.interface), expect);
            assert!(received.truncated);
        }
        check("2001:db8::1", Some(0));
        check("fe80::1", Some(7));
        check("ff02::1", None);
    }

    #[test]
    fn a_buffer_cut_anywhere_is_refused_or_read_and_never_panics() {
        let control = Control::from(Some(LocalAddress { ip: "127.0.0.2".parse().unwrap(), interface: 0 }));
        let whole = buffer(&v4(53, [192, 0, 2, 1]), control.bytes(), 0, b"payload");
        for cut in 0..whole.len() {
            let head_only = whole.len() - b"payload".len();
            assert_eq!(received(&whole[..cut]).is_some(), cut >= head_only, "cut at {cut}");
        }
        for place in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut odd = whole.clone();
                odd[place] = byte;
                if let Some(received) = received(&odd) {
                    assert!(received.start <= odd.len());
                }
            }
        }
    }
}
