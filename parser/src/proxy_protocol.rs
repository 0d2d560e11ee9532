//! The PROXY protocol, versions 1 and 2 (haproxy's `proxy-protocol.txt`): whom a connection is from, as the proxy in
//! front of us tells it, or as we tell the server behind us.
//!
//! Who may be believed, and where a header is required, is decided by the caller; there is no guessing whether one is
//! there. What a header may carry beside the addresses is stepped over.

use crate::Parsed;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The client.
    pub source: SocketAddr,
    /// What the client connected to.
    pub destination: SocketAddr,
}

/// A header in front of the bytes of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the connection is said to be. `None` where the header leaves that to the connection itself: the sender
    /// speaks for itself (`LOCAL`), or knows no internet addresses (`UNKNOWN`, unix sockets).
    pub addresses: Option<Addresses>,
    /// Bytes of the header: those of the client start here.
    pub len: usize,
}

/// What a connection carries, as version 2 tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Stream,
    /// UDP.
    Datagram,
}

/// Why a header is refused. There is no way to tell the sender but to close the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// The connection begins with something else.
    Missing,
    /// The line of version 1 is not of its one form.
    Line,
    /// More bytes than a header may have.
    TooLong,
    /// A version 2 header of another version, or with an unknown command.
    Command,
    /// An address family or a transport that version 2 does not have.
    Family,
    /// A length that contradicts another.
    Length,
}

/// Bytes of a line of version 1, its end included: what the longest addresses take.
pub const LINE_BYTES_MAX: usize = 107;

/// Bytes that may follow the fixed part of version 2. Addresses take up to 216 of them; the largest thing known to be
/// sent behind them is a client certificate of 1 or 2 KiB.
pub const BLOCK_BYTES_MAX: usize = 4096;

const LINE_START: &[u8] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED_BYTES: usize = 16;
const UNIX_BYTES: usize = 2 * 108;

/// Reads the header in `received`: all bytes of the connection, from the first one. Nothing is kept between calls,
/// since a header is short, or its length stands at its start.
pub fn parse(received: &[u8]) -> Result<Parsed<Header>, ProxyError> {
    match received {
        [b'P', ..] => parse_v1(received),
        [b'\r', ..] => parse_v2(received),
        [] => Ok(Parsed::Partial),
        _ => Err(ProxyError::Missing),
    }
}

fn parse_v1(received: &[u8]) -> Result<Parsed<Header>, ProxyError> {
    if !begins_alike(received, LINE_START) {
        return Err(ProxyError::Missing);
    }
    let window = &received[..received.len().min(LINE_BYTES_MAX)];
    let end = window.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(window.len());
    let (line, end_of_line) = window.split_at(end);
    match end_of_line {
        [b'\r', b'\n', ..] => Ok(Parsed::Complete(Header { addresses: parse_line(line)?, len: line.len() + 2 })),
        [] | [b'\r'] if window.len() < LINE_BYTES_MAX => Ok(Parsed::Partial),
        [] | [b'\r'] => Err(ProxyError::TooLong),
        _ => Err(ProxyError::Line),
    }
}

fn parse_line(line: &[u8]) -> Result<Option<Addresses>, ProxyError> {
    let fields =
        line.strip_prefix(LINE_START).and_then(|fields| str::from_utf8(fields).ok()).ok_or(ProxyError::Line)?;
    match fields.split_once(' ').unwrap_or((fields, "")) {
        ("TCP4", rest) => parse_ends::<Ipv4Addr>(rest).map(Some).ok_or(ProxyError::Line),
        ("TCP6", rest) => parse_ends::<Ipv6Addr>(rest).map(Some).ok_or(ProxyError::Line),
        // Whatever follows is to be ignored.
        ("UNKNOWN", _) => Ok(None),
        _ => Err(ProxyError::Line),
    }
}

/// `SOURCE DESTINATION PORT PORT`, with single spaces.
fn parse_ends<Ip: std::str::FromStr + Into<IpAddr>>(text: &str) -> Option<Addresses> {
    let mut fields = text.split(' ');
    let mut ip = || fields.next()?.parse::<Ip>().ok();
    let (source, destination) = (ip()?, ip()?);
    let mut port = || parse_port(fields.next()?);
    let (source_port, destination_port) = (port()?, port()?);
    fields.next().is_none().then(|| Addresses {
        source: SocketAddr::new(source.into(), source_port),
        destination: SocketAddr::new(destination.into(), destination_port),
    })
}

/// A port without a sign and without leading zeros.
fn parse_port(text: &str) -> Option<u16> {
    let plain = matches!(text.as_bytes(), [b'0'] | [b'1'..=b'9', ..]);
    text.parse().ok().filter(|_| plain)
}

fn parse_v2(received: &[u8]) -> Result<Parsed<Header>, ProxyError> {
    if !begins_alike(received, SIGNATURE) {
        return Err(ProxyError::Missing);
    }
    let Some((fixed, rest)) = received.split_first_chunk::<FIXED_BYTES>() else { return Ok(Parsed::Partial) };
    let [.., version_command, family_transport, high, low] = *fixed;
    let block_len = usize::from(u16::from_be_bytes([high, low]));
    let local = match version_command {
        0x20 => true,
        0x21 => false,
        _ => return Err(ProxyError::Command),
    };
    if block_len > BLOCK_BYTES_MAX {
        return Err(ProxyError::TooLong);
    }
    let Some(block) = rest.get(..block_len) else { return Ok(Parsed::Partial) };
    let addresses = if local { None } else { parse_block(family_transport, block)? };
    Ok(Parsed::Complete(Header { addresses, len: FIXED_BYTES + block_len }))
}

fn parse_block(family_transport: u8, block: &[u8]) -> Result<Option<Addresses>, ProxyError> {
    let (addresses, extras) = match (family_transport >> 4, family_transport & 15) {
        // Not specified: whatever follows is to be ignored.
        (0, 0..=2) | (1..=3, 0) => return Ok(None),
        (1, 1 | 2) => split_ends::<4>(block).map(|(ends, rest)| (Some(ends), rest)),
        (2, 1 | 2) => split_ends::<16>(block).map(|(ends, rest)| (Some(ends), rest)),
        (3, 1 | 2) => block.get(UNIX_BYTES..).map(|rest| (None, rest)),
        _ => return Err(ProxyError::Family),
    }
    .ok_or(ProxyError::Length)?;
    check_extras(extras)?;
    Ok(addresses)
}

/// Both addresses, then both ports.
fn split_ends<const N: usize>(block: &[u8]) -> Option<(Addresses, &[u8])>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = block.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk()?;
    let (destination_port, rest) = rest.split_first_chunk()?;
    let end = |ip: &[u8; N], port: &[u8; 2]| SocketAddr::new(IpAddr::from(*ip), u16::from_be_bytes(*port));
    Some((Addresses { source: end(source, source_port), destination: end(destination, destination_port) }, rest))
}

/// A row of type, length and value, which fills the block to its end.
fn check_extras(mut extras: &[u8]) -> Result<(), ProxyError> {
    while !extras.is_empty() {
        let [_, high, low, rest @ ..] = extras else { return Err(ProxyError::Length) };
        extras = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..).ok_or(ProxyError::Length)?;
    }
    Ok(())
}

/// Whether the two are the same as far as both go.
fn begins_alike(received: &[u8], start: &[u8]) -> bool {
    received.iter().zip(start).all(|(a, b)| a == b)
}

/// Appends a header of version 1, for a TCP connection.
pub fn write_v1(addresses: Addresses, out: &mut Vec<u8>) {
    let (source_port, destination_port) = (addresses.source.port(), addresses.destination.port());
    let written = match addresses.in_one_family() {
        OneFamily::V4(source, destination) => {
            write!(out, "PROXY TCP4 {source} {destination} {source_port} {destination_port}\r\n")
        }
        OneFamily::V6(source, destination) => {
            write!(out, "PROXY TCP6 {source} {destination} {source_port} {destination_port}\r\n")
        }
    };
    debug_assert!(written.is_ok(), "a vector takes all bytes");
}

/// Appends a header of version 2.
pub fn write_v2(transport: Transport, addresses: Addresses, out: &mut Vec<u8>) {
    let transport = match transport {
        Transport::Stream => 1,
        Transport::Datagram => 2,
    };
    out.extend_from_slice(SIGNATURE);
    match addresses.in_one_family() {
        OneFamily::V4(source, destination) => {
            out.extend_from_slice(&[0x21, 0x10 | transport, 0, 12]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        OneFamily::V6(source, destination) => {
            out.extend_from_slice(&[0x21, 0x20 | transport, 0, 36]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
    }
    out.extend_from_slice(&addresses.source.port().to_be_bytes());
    out.extend_from_slice(&addresses.destination.port().to_be_bytes());
}

enum OneFamily {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Addresses {
    /// A header has room for one family. IPv4 addresses are told as such also where a socket for both families mapped
    /// them, and are mapped where the other end has none.
    fn in_one_family(&self) -> OneFamily {
        let mapped = |ip| match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        match (self.source.ip().to_canonical(), self.destination.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => OneFamily::V4(source, destination),
            (source, destination) => OneFamily::V6(mapped(source), mapped(destination)),
        }
    }
}

impl ProxyError {
    /// A few words for the log.
    pub fn label(self) -> &'static str {
        match self {
            ProxyError::Missing => "no PROXY protocol header",
            ProxyError::Line => "bad PROXY protocol line",
            ProxyError::TooLong => "PROXY protocol header too long",
            ProxyError::Command => "unknown PROXY protocol version or command",
            ProxyError::Family => "unknown PROXY protocol address family",
            ProxyError::Length => "wrong length in the PROXY protocol header",
        }
    }
}

impl std::fmt::Display for ProxyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

impl std::error::Error for ProxyError {}

#[cfg(test)]
mod tests;
