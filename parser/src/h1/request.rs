//! Request heads, from the request line to the blank line.

use super::body::{Declared, token_len};
use super::{
    Bad, Connection, FIELDS_MAX, FieldSlots, Fields, HeadError, HeadLimits, Known, Method, Parsed, RequestBody, Target,
    Version, fields,
};
use crate::host::Authority;
use std::ops::Range;

/// Empty lines that are skipped before a request line (RFC 9112 section 2.2): old clients send one after a body.
pub const LEADING_LINES_MAX: usize = 2;

/// A request head, borrowed from the buffer that it was received into.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'s, 'b> {
    /// The method.
    pub method: Method,
    /// The method as received.
    pub method_text: &'b str,
    /// The target, taken apart.
    pub target: Target<'b>,
    /// The target as received.
    pub target_text: &'b str,
    /// The version of the client's message.
    pub version: Version,
    /// The fields, in the order received.
    pub fields: Fields<'s, 'b>,
    /// Whom the request is for: the authority of an absolute target, else `Host`. Only an HTTP/1.0 request may have
    /// none.
    pub host: Option<Authority<'b>>,
    /// What follows the head.
    pub body: RequestBody,
    /// What the `Connection` fields ask for.
    pub connection: Connection,
    /// Another protocol is asked for, with `Upgrade` and with `Connection: upgrade` (HTTP/1.1 only).
    pub upgrade: bool,
    /// The client waits for a 100 (Continue) before it sends the body.
    pub expect_continue: bool,
    /// Bytes of the head, the blank line and skipped empty lines included: the body starts here.
    pub head_len: usize,
}

impl RequestHead<'_, '_> {
    /// Where the request line is among the [lines](Fields::lines), if it is written as we would write it to a server.
    pub fn clean_line(&self) -> Option<Range<usize>> {
        let line = self.fields.first_line();
        let len = self.method_text.len() + " ".len() + self.target_text.len() + " HTTP/1.1\r\n".len();
        let is_clean =
            self.version == Version::H11 && matches!(self.target, Target::Origin { .. }) && line.len() == len;
        is_clean.then_some(line)
    }

    /// Whether `Host` is the first field, and says whom the request is for.
    pub fn begins_with_host(&self) -> bool {
        let first = self.fields.iter().next();
        first.is_some_and(|field| field.known == Known::Host) && !matches!(self.target, Target::Absolute { .. })
    }
}

/// Parses the request head at the start of `buf`.
pub fn parse<'s, 'b>(
    buf: &'b [u8],
    slots: &'s mut FieldSlots<'b>,
    limits: &HeadLimits,
) -> Result<Parsed<RequestHead<'s, 'b>>, HeadError> {
    // What lies beyond the limit is never looked at: the verdict must not depend on how much has arrived.
    let window = &buf[..buf.len().min(limits.bytes)];
    let full = window.len() == limits.bytes;
    let Some(start) = skip_leading_lines(window)? else {
        return if full { Err(HeadError::TargetTooLong) } else { Ok(Parsed::Partial) };
    };
    let window = &window[start..];

    let FieldSlots { headers, known } = slots;
    let mut line = httparse::Request::new(&mut []);
    let outcome = line.parse_with_uninit_headers(window, &mut headers[..limits.fields.min(FIELDS_MAX)]);
    // However much has come, so that a method that is too long and then breaks off is refused as its beginning was.
    if line.method.map_or_else(|| token_len(window), str::len) > Method::BYTES_MAX {
        return Err(HeadError::MethodTooLong);
    }
    let len = match outcome {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if !full => return Ok(Parsed::Partial),
        Ok(httparse::Status::Partial) if window.contains(&b'\n') => return Err(HeadError::TooLarge),
        Ok(httparse::Status::Partial) => return Err(HeadError::TargetTooLong),
        Err(error) => return Err(explain(error, &line, window)),
    };
    let (Some(method_text), Some(target_text)) = (line.method, line.path) else {
        return Err(Bad::Method.into());
    };

    let method = Method::of(method_text);
    let version = Version::from_minor(line.version);
    let target = Target::parse(method, target_text)?;
    let mut declared = Declared::default();
    let mut connection = Connection::default();
    let mut upgrade = false;
    let mut expect_continue = false;
    let mut host = None;
    let fields = fields::classify(&window[..len], line.headers, known, |field| {
        match field.known {
            Known::ContentLength => declared.content_length(field.value)?,
            Known::TransferEncoding => declared.transfer_encoding(field.value)?,
            Known::Connection => connection.add(field.value)?,
            Known::Upgrade => upgrade = true,
            Known::Expect => expect_continue |= field.value.eq_ignore_ascii_case(b"100-continue"),
            Known::Host if host.is_some() => return Err(Bad::HostRepeated.into()),
            Known::Host => host = Some(Authority::parse(field.value).map_err(|_| Bad::HostInvalid)?),
            _ => {}
        }
        Ok(())
    })?;

    let is_11 = version == Version::H11;
    if host.is_none() && is_11 {
        return Err(Bad::HostMissing.into());
    }
    Ok(Parsed::Complete(RequestHead {
        method,
        method_text,
        target,
        target_text,
        version,
        fields,
        host: match target {
            Target::Absolute { authority, .. } => Some(authority),
            _ => host,
        },
        body: declared.request(version)?,
        connection,
        // An HTTP/1.0 client knows neither of them (RFC 9110 sections 7.8 and 10.1.1).
        upgrade: upgrade && connection.upgrade && is_11,
        expect_continue: expect_continue && is_11,
        head_len: start + len,
    }))
}

/// Where the request line starts; `None` while that cannot be said.
fn skip_leading_lines(buf: &[u8]) -> Result<Option<usize>, HeadError> {
    let mut start = 0;
    while start < 2 * LEADING_LINES_MAX && buf[start..].starts_with(b"\r\n") {
        start += 2;
    }
    match buf[start..] {
        [] => Ok(None),
        [b'\r'] if start < 2 * LEADING_LINES_MAX => Ok(None),
        [b'\r' | b'\n', ..] => Err(Bad::LeadingLines.into()),
        _ => Ok(Some(start)),
    }
}

/// What the tokenizer's error means, by how far it came.
fn explain(error: httparse::Error, line: &httparse::Request<'_, '_>, window: &[u8]) -> HeadError {
    match (error, line.path) {
        (httparse::Error::Token, _) if line.method.is_some() => Bad::Target.into(),
        (httparse::Error::Version, Some(path)) => {
            let at = path.as_ptr().addr() - window.as_ptr().addr() + path.len() + 1;
            match window.get(at..).unwrap_or_default() {
                [b'H', b'T', b'T', b'P', b'/', b'0' | b'2'..=b'9', ..] => HeadError::UnsupportedVersion,
                [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9', ..] => HeadError::UnsupportedVersion,
                _ => Bad::Version.into(),
            }
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests;
