//! The head of a response as it goes to the client.

use super::{Passing, is_nominated, prefix, write_field, write_number, write_via};
use ringferry_parser::h1::{HOP_BY_HOP, Known, KnownSet, ResponseBody, ResponseHead, Version, list};

/// What the head of a response depends on besides the head received.
#[derive(Clone, Copy)]
pub struct ResponseCx<'a> {
    /// How the body is framed for the client; see [`client_framing`](crate::proto::h1::client_framing).
    pub framing: ResponseBody,
    /// Whether the client's connection stays open; see [`client_stays`](crate::proto::h1::client_stays).
    pub keep_alive: bool,
    /// The version that the client speaks.
    pub client_version: Version,
    /// Writes `Date`, as an IMF-fixdate, for a response that has none: most have, so it is not made before that is known.
    pub date: &'a dyn Fn(&mut Vec<u8>),
    /// The prefix that was removed from the request's path, to be put back; as in `model::Route::path`.
    pub strip_prefix: Option<&'a str>,
    /// The host that the client asked, as received: absolute URLs of it get the prefix back too.
    pub host: &'a str,
    /// Whether `Via` is added.
    pub via: bool,
    /// `Strict-Transport-Security`, in the place of what the server says.
    pub hsts: Option<&'a str>,
}

/// Writes the complete head of a final response, the blank line included.
pub fn write_response(head: &ResponseHead<'_, '_>, cx: &ResponseCx<'_>, out: &mut Vec<u8>) {
    let length = length(head, cx.framing);
    let seen = write_end_to_end(head, cx, length.is_some(), begin(head, out), out);
    if !seen.date {
        write_changed("Date", out, cx.date);
    }
    if cx.via {
        write_via(head.version, out);
    }
    if let Some(hsts) = cx.hsts {
        write_field(HSTS, hsts.as_bytes(), out);
    }
    match length {
        Some(length) if !seen.length => write_number(b"Content-Length: ", length, out),
        None if cx.framing == ResponseBody::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    out.extend_from_slice(connection_field(cx.keep_alive, cx.client_version));
    out.extend_from_slice(b"\r\n");
}

/// Writes the complete head of an interim response (1xx other than 101).
pub fn write_interim(head: &ResponseHead<'_, '_>, cx: &ResponseCx<'_>, out: &mut Vec<u8>) {
    write_end_to_end(head, cx, false, begin(head, out), out);
    out.extend_from_slice(b"\r\n");
}

/// Writes the complete head of a 101 that [may pass](crate::proto::h1::check_switch).
pub fn write_switch(head: &ResponseHead<'_, '_>, cx: &ResponseCx<'_>, out: &mut Vec<u8>) {
    write_status_line(head, out);
    out.extend_from_slice(b"Connection: Upgrade\r\n");
    for protocol in head.fields.all(Known::Upgrade).flat_map(list).filter(|protocol| !protocol.is_empty()) {
        write_field("Upgrade", protocol, out);
    }
    write_end_to_end(head, cx, false, Passing::new(&head.fields), out);
    out.extend_from_slice(b"\r\n");
}

/// The `Connection` field of a response of ours, where one is needed: the silent default is to stay for HTTP/1.1 and to
/// close for HTTP/1.0, but old clients that asked want to hear it, and a proxy in front may.
pub(in crate::proto) fn connection_field(keep_alive: bool, client: Version) -> &'static [u8] {
    match (keep_alive, client) {
        (false, _) => b"Connection: close\r\n",
        (true, Version::H10) => b"Connection: keep-alive\r\n",
        (true, Version::H11) => b"",
    }
}

/// Begins with the status line.
fn begin<'f, 's, 'b>(head: &'f ResponseHead<'s, 'b>, out: &mut Vec<u8>) -> Passing<'f, 's, 'b> {
    if let Some(line) = head.clean_line() {
        return Passing::behind(line, &head.fields);
    }
    write_status_line(head, out);
    Passing::new(&head.fields)
}

/// Our own version, whatever the client's: RFC 9110 section 6.2.
fn write_status_line(head: &ResponseHead<'_, '_>, out: &mut Vec<u8>) {
    let digit = |place: u16| b'0' + (head.status / place % 10) as u8;
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(&[digit(100), digit(10), digit(1), b' ']);
    out.extend_from_slice(head.reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// What `Content-Length` says to the client.
fn length(head: &ResponseHead<'_, '_>, framing: ResponseBody) -> Option<u64> {
    match framing {
        ResponseBody::Length(length) => Some(length),
        // After HEAD and in a 304 it tells what a GET would get; a 204 must not have it (RFC 9110 section 8.6).
        ResponseBody::None => head.content_length.filter(|_| head.status != 204),
        ResponseBody::Chunked | ResponseBody::Close => None,
    }
}

/// What does not simply pass, or whose presence matters,
const SPECIAL: KnownSet = HOP_BY_HOP.and(KnownSet::of(&[Known::ContentLength, Known::Date]));
/// where a prefix is put back,
const PREFIXED: KnownSet = KnownSet::of(&[Known::Location, Known::Refresh, Known::SetCookie]);
/// and where `Strict-Transport-Security` is ours.
const UNKNOWN: KnownSet = KnownSet::of(&[Known::Other]);

/// Which fields were among those that have been passed on.
#[derive(Default)]
struct Seen {
    date: bool,
    length: bool,
}

/// Writes the fields that pass, in their order, behind what is `passing`. `Content-Length` is one of them only if it
/// `has_length` and is spelt as we would.
fn write_end_to_end<'s, 'b>(
    head: &ResponseHead<'s, 'b>,
    cx: &ResponseCx<'_>,
    has_length: bool,
    mut passing: Passing<'_, 's, 'b>,
    out: &mut Vec<u8>,
) -> Seen {
    let prefix = cx.strip_prefix.filter(|&prefix| prefix != "/");
    let mut special = SPECIAL;
    if head.connection.nominates {
        special = KnownSet::ALL;
    }
    if prefix.is_some() {
        special = special.and(PREFIXED);
    }
    if cx.hsts.is_some() {
        special = special.and(UNKNOWN);
    }
    let mut seen = Seen::default();
    for field in head.fields.iter() {
        match (field.known, prefix) {
            (known, _) if !special.has(known) => passing.pass(&field, out),
            // There is one at most, and nothing but digits in it (`parser/src/h1/body.rs`).
            (Known::ContentLength, _) => match field.value {
                [b'1'..=b'9', ..] | b"0" if has_length => {
                    seen.length = true;
                    passing.pass(&field, out);
                }
                _ => continue,
            },
            (known, _) if HOP_BY_HOP.has(known) => continue,
            _ if head.connection.nominates && is_nominated(&head.fields, field.name) => continue,
            // Of several, browsers heed the first.
            (Known::Other, _) if cx.hsts.is_some() && field.name.eq_ignore_ascii_case(HSTS) => continue,
            (Known::Location, Some(prefix)) => {
                passing.end(out);
                write_changed(field.name, out, |out| prefix::write_location(field.value, prefix, cx.host, out));
            }
            (Known::Refresh, Some(prefix)) => {
                passing.end(out);
                write_changed(field.name, out, |out| prefix::write_refresh(field.value, prefix, cx.host, out));
            }
            (Known::SetCookie, Some(prefix)) => {
                passing.end(out);
                write_changed(field.name, out, |out| prefix::write_cookie(field.value, prefix, out));
            }
            (known, _) => {
                seen.date |= known == Known::Date;
                passing.pass(&field, out);
            }
        }
    }
    passing.end(out);
    seen
}

pub(in crate::proto) const HSTS: &str = "Strict-Transport-Security";

fn write_changed(name: &str, out: &mut Vec<u8>, write_value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    write_value(out);
    out.extend_from_slice(b"\r\n");
}
