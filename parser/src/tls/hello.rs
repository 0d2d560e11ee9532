//! What a complete ClientHello says (RFC 8446 section 4.1.2), as far as routing needs it.

use super::HelloError;
use crate::host::dns_name;
use std::net::IpAddr;

/// A ClientHello. Of one with Encrypted ClientHello, this is the outer one, which names the public host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The host that the client wants, as received: a DNS name in any case, perhaps with a trailing dot. `None` also for a
    /// client that sent an address instead.
    /// [`normalize`](crate::host::normalize) gives it the spelling that routing compares.
    pub server_name: Option<&'a str>,
    /// The application protocols that it offers.
    pub alpn: Alpn<'a>,
}

/// A list of application protocols (RFC 7301), the preferred one first. It is empty where the client sent none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alpn<'a>(&'a [u8]);

const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_ALPN: u16 = 16;
const NAME_TYPE_HOST: u8 = 0;
const SESSION_ID_BYTES_MAX: usize = 32;
const RANDOM_BYTES: usize = 32;
const VERSION_BYTES: usize = 2;

impl<'a> Hello<'a> {
    /// Reads the message behind its header. Extensions other than the two in question, also ones that nobody has
    /// defined yet, are stepped over.
    pub(super) fn parse(body: &'a [u8]) -> Result<Hello<'a>, HelloError> {
        let mut body = Input(body);
        body.take(VERSION_BYTES + RANDOM_BYTES)?;
        let session_id = body.vector_u8()?;
        let cipher_suites = body.vector_u16()?;
        let compressions = body.vector_u8()?;
        let pairs = !cipher_suites.is_empty() && cipher_suites.len().is_multiple_of(2);
        if session_id.len() > SESSION_ID_BYTES_MAX || !pairs || compressions.is_empty() {
            return Err(HelloError::Length);
        }
        // Clients from before there were extensions end here.
        if body.is_empty() {
            return Ok(Hello::default());
        }
        let mut extensions = Input(body.last_vector_u16()?);
        let (mut server_name, mut alpn) = (None, None);
        while !extensions.is_empty() {
            let (kind, data) = (extensions.u16()?, Input(extensions.vector_u16()?));
            match kind {
                EXTENSION_SERVER_NAME => once(&mut server_name, host_name(data)?, HelloError::NameRepeated)?,
                EXTENSION_ALPN => once(&mut alpn, Alpn::parse(data)?, HelloError::AlpnRepeated)?,
                _ => {}
            }
        }
        Ok(Hello { server_name: server_name.flatten(), alpn: alpn.unwrap_or_default() })
    }
}

/// The host name of a `server_name` extension. Other types of names may stand beside it; they have lengths as well
/// (RFC 6066 section 3).
fn host_name(mut data: Input<'_>) -> Result<Option<&str>, HelloError> {
    let mut names = Input(data.last_vector_u16()?);
    if names.is_empty() {
        return Err(HelloError::Length);
    }
    let mut host = None;
    while !names.is_empty() {
        let (kind, name) = (names.u8()?, names.vector_u16()?);
        if kind == NAME_TYPE_HOST {
            let name = if is_address(name) { None } else { Some(dns_name(name).ok_or(HelloError::NameInvalid)?) };
            once(&mut host, name, HelloError::NameRepeated)?;
        }
    }
    Ok(host.flatten())
}

/// Whether it is an address as text. It has no place there (RFC 6066 section 3), but clients that are told to connect to
/// one send it; every server takes them as those that send no name.
fn is_address(name: &[u8]) -> bool {
    str::from_utf8(name).is_ok_and(|name| name.parse::<IpAddr>().is_ok())
}

/// Fills a slot that must be empty still.
fn once<T>(slot: &mut Option<T>, value: T, repeated: HelloError) -> Result<(), HelloError> {
    slot.replace(value).map_or(Ok(()), |_| Err(repeated))
}

impl<'a> Alpn<'a> {
    fn parse(mut data: Input<'a>) -> Result<Alpn<'a>, HelloError> {
        let list = data.last_vector_u16()?;
        let mut protocols = Input(list);
        while !protocols.is_empty() {
            if protocols.vector_u8()?.is_empty() {
                return Err(HelloError::AlpnInvalid);
            }
        }
        if list.is_empty() { Err(HelloError::AlpnInvalid) } else { Ok(Alpn(list)) }
    }

    /// The protocols by name: `h2`, `http/1.1`.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let mut protocols = Input(self.0);
        std::iter::from_fn(move || protocols.vector_u8().ok())
    }
}

/// What is left to read of a structure. A field that does not fit into it is an error.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], HelloError> {
        let (field, rest) = self.0.split_at_checked(len).ok_or(HelloError::Length)?;
        self.0 = rest;
        Ok(field)
    }

    fn u8(&mut self) -> Result<u8, HelloError> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, HelloError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    /// A field with its length in front, in one byte.
    fn vector_u8(&mut self) -> Result<&'a [u8], HelloError> {
        let len = self.u8()?.into();
        self.take(len)
    }

    /// A field with its length in front, in two bytes.
    fn vector_u16(&mut self) -> Result<&'a [u8], HelloError> {
        let len = self.u16()?.into();
        self.take(len)
    }

    /// The same, and nothing behind it.
    fn last_vector_u16(&mut self) -> Result<&'a [u8], HelloError> {
        let field = self.vector_u16()?;
        if self.is_empty() { Ok(field) } else { Err(HelloError::Length) }
    }
}
