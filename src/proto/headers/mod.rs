//! Which fields pass through the proxy, which end here, and which it adds: hop-by-hop fields, `Via`, `Forwarded` and
//! its kin, loop detection, prefixes put back. The only place that knows.
//!
//! Heads are written in one pass over fields that the parser has classified. Nothing is allocated but the growth of
//! the buffer that is written to.

mod client;
mod prefix;
mod request;
mod response;
#[cfg(test)]
pub(super) mod tests;

pub use client::{AddressText, client_address};
pub use request::{RequestCx, write_request};
pub(super) use response::{HSTS, connection_field};
pub use response::{ResponseCx, write_interim, write_response, write_switch};

use ringferry_parser::h1::{Field, Fields, Known, RequestBody, RequestHead, Version, list};
use std::ops::Range;

/// What we call ourselves in `Via`.
const PSEUDONYM: &[u8] = b"ringferry";

/// Whether the request has come through the proxy `instance` before (RFC 8586): forwarding it again would not end.
pub fn seen_before(fields: &Fields<'_, '_>, instance: &str) -> bool {
    let mut visits = fields.all(Known::CdnLoop).flat_map(list);
    // An element may have parameters behind a semicolon.
    visits
        .any(|visit| visit.split(|&byte| byte == b';').next().is_some_and(|id| id.trim_ascii() == instance.as_bytes()))
}

/// The protocols that the client asks to switch to and that we offer to the server. HTTP/2 over cleartext is left out:
/// it is no tunnel, its requests would pass by every rule of the proxy. Nor is a switch offered along with a body, in the
/// middle of which it could come.
pub fn offered_protocols<'b>(head: &RequestHead<'_, 'b>) -> impl Iterator<Item = &'b [u8]> {
    let has_body = !matches!(head.body, RequestBody::None | RequestBody::Length(0));
    let asked = (head.upgrade && !has_body).then(|| head.fields.all(Known::Upgrade)).into_iter().flatten();
    asked.flat_map(list).filter(|protocol| !protocol.is_empty() && !protocol.eq_ignore_ascii_case(b"h2c"))
}

/// Writes a trailer section, without the fields that must not be in one, and the blank line that ends the message.
pub fn write_trailers(trailers: &Fields<'_, '_>, out: &mut Vec<u8>) {
    let mut passing = Passing::new(trailers);
    for field in trailers.iter().filter(|field| !field.known.is_forbidden_in_trailers()) {
        passing.pass(&field, out);
    }
    passing.end(out);
    out.extend_from_slice(b"\r\n");
}

/// Passes lines on, as they were received where that is how we would write them. Neighbours are copied together.
struct Passing<'f, 's, 'b> {
    fields: &'f Fields<'s, 'b>,
    /// The lines that are to be passed on and have not been.
    lines: Range<usize>,
}

impl<'f, 's, 'b> Passing<'f, 's, 'b> {
    fn new(fields: &'f Fields<'s, 'b>) -> Passing<'f, 's, 'b> {
        Passing { fields, lines: 0..0 }
    }

    /// The first line passes as it was received, in front of the fields.
    fn behind(first_line: Range<usize>, fields: &'f Fields<'s, 'b>) -> Passing<'f, 's, 'b> {
        Passing { fields, lines: first_line }
    }

    /// Passes on a field, which comes behind those before it. It may not be written before the [end](Passing::end).
    #[inline(always)]
    fn pass(&mut self, field: &Field<'b>, out: &mut Vec<u8>) {
        match self.fields.line(field) {
            Some(line) if line.start == self.lines.end => self.lines.end = line.end,
            line => self.pass_apart(line, field.name, field.value, out),
        }
    }

    /// Passes on a field that is no neighbour of those before it, or not written as we would.
    #[inline(never)]
    fn pass_apart(&mut self, line: Option<Range<usize>>, name: &str, value: &[u8], out: &mut Vec<u8>) {
        self.end(out);
        match line {
            Some(line) => self.lines = line,
            None => write_field(name, value, out),
        }
    }

    /// Writes what has not been written yet: something else is to follow it.
    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.fields.lines(std::mem::take(&mut self.lines)));
    }
}

#[inline]
pub(super) fn write_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a field of ours: `prefix` is its name, a colon and a space.
#[inline]
fn write_own(prefix: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(prefix);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Writes `prefix`, the number, and the end of the line.
pub(super) fn write_number(prefix: &[u8], mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(prefix);
    out.extend_from_slice(&digits[first..]);
    out.extend_from_slice(b"\r\n");
}

/// Whether a `Connection` field names this one: it must not be passed on (RFC 9110 section 7.6.1).
fn is_nominated(fields: &Fields<'_, '_>, name: &str) -> bool {
    fields.all(Known::Connection).flat_map(list).any(|option| option.eq_ignore_ascii_case(name.as_bytes()))
}

fn write_via(version: Version, out: &mut Vec<u8>) {
    out.extend_from_slice(if version == Version::H10 { b"Via: 1.0 " } else { b"Via: 1.1 " });
    out.extend_from_slice(PSEUDONYM);
    out.extend_from_slice(b"\r\n");
}
