//! The head of a request as it goes to a server.

use super::client::AddressText;
use super::{Passing, is_nominated, offered_protocols, prefix, write_number, write_own, write_via};
use ringferry_parser::h1::{
    Fields, HOP_BY_HOP, Known, KnownSet, Method, RequestBody, RequestHead, Target, Version, list,
};

/// What the head of a forwarded request depends on besides the head received.
#[derive(Clone, Copy, Debug)]
pub struct RequestCx<'a> {
    /// The other end of the client's connection.
    pub peer: &'a AddressText,
    /// Who the client is; see [`client_address`](super::client_address).
    pub client: &'a AddressText,
    /// The peer's forwarding fields are believed and added to; else they are overwritten.
    pub peer_is_trusted: bool,
    /// The client's connection is encrypted.
    pub secure: bool,
    /// Whom the client's certificate names, where one was asked for.
    pub client_subject: Option<&'a str>,
    /// `Host` for a request that has none.
    pub default_host: &'a str,
    /// The prefix to remove from the path, as in `model::Route::path`.
    pub strip_prefix: Option<&'a str>,
    /// `X-Request-Id` for a request that has none.
    pub request_id: Option<&'a [u8]>,
    /// Whether `Via` is added.
    pub via: bool,
    /// Our name in `CDN-Loop`: a token that no other proxy has.
    pub instance: &'a str,
}

/// Writes the complete head for the server, the blank line included. The body follows in the framing of `head.body`.
pub fn write_request(head: &RequestHead<'_, '_>, cx: &RequestCx<'_>, out: &mut Vec<u8>) {
    let host = head.host.map_or(cx.default_host.as_bytes(), |host| host.text);
    let has_id = write_lines(head, host, cx, out);
    write_connection(head, out);
    match head.body {
        RequestBody::None => {}
        RequestBody::Length(length) => write_number(b"Content-Length: ", length, out),
        RequestBody::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    }
    write_forwarding(&head.fields, host, cx, out);
    if let Some(subject) = cx.client_subject {
        write_own(b"X-Client-Cert-Subject: ", subject.as_bytes(), out);
    }
    if let Some(id) = cx.request_id.filter(|_| !has_id) {
        write_own(b"X-Request-Id: ", id, out);
    }
    if cx.via {
        write_via(head.version, out);
    }
    write_own(b"CDN-Loop: ", cx.instance.as_bytes(), out);
    out.extend_from_slice(b"\r\n");
}

/// Writes the target in origin form, its bytes as received.
fn write_target(head: &RequestHead<'_, '_>, strip: Option<&str>, out: &mut Vec<u8>) {
    match head.target {
        Target::Asterisk => return out.push(b'*'),
        // RFC 9112 section 3.2.4: the last proxy turns this form into the asterisk.
        Target::Absolute { path: "", query: None, .. } if head.method == Method::Options => return out.push(b'*'),
        Target::Authority(_) => return out.extend_from_slice(head.target_text.as_bytes()),
        Target::Origin { .. } if strip.is_none() => return out.extend_from_slice(head.target_text.as_bytes()),
        Target::Origin { .. } | Target::Absolute { .. } => {}
    }
    let path = head.target.path();
    let path = strip.and_then(|prefix| prefix::strip(path, prefix)).unwrap_or(path.as_bytes());
    out.extend_from_slice(path);
    if let Some(query) = head.target.query() {
        out.push(b'?');
        out.extend_from_slice(query.as_bytes());
    }
}

/// What does not pass: fields of the hop, and those that are written anew from what the parser made of them. And whom a
/// client's certificate names nobody says but the handshake, not even a trusted peer: it may have passed on what it was
/// sent.
const LEFT_OUT: KnownSet = HOP_BY_HOP.and(KnownSet::of(&[
    Known::Host,
    Known::ContentLength,
    Known::XForwardedFor,
    Known::XForwardedProto,
    Known::XForwardedHost,
    Known::XForwardedPrefix,
    Known::Forwarded,
    Known::XRealIp,
    Known::XClientCertSubject,
    Known::Disguised,
]));
/// What does not simply pass, or whose presence matters.
const SPECIAL: KnownSet =
    LEFT_OUT.and(KnownSet::of(&[Known::XForwardedPort, Known::XForwardedServer, Known::Expect, Known::XRequestId]));

/// Writes the request line, `Host`, and the fields that pass, in their order; whether `X-Request-Id` was one.
fn write_lines(head: &RequestHead<'_, '_>, host: &[u8], cx: &RequestCx<'_>, out: &mut Vec<u8>) -> bool {
    let mut passing = match head.clean_line() {
        Some(line) if cx.strip_prefix.is_none() => Passing::behind(line, &head.fields),
        _ => {
            out.extend_from_slice(head.method_text.as_bytes());
            out.push(b' ');
            write_target(head, cx.strip_prefix, out);
            out.extend_from_slice(b" HTTP/1.1\r\n");
            Passing::new(&head.fields)
        }
    };
    let begins_with_host = head.begins_with_host();
    if !begins_with_host {
        passing.end(out);
        write_own(b"Host: ", host, out);
    }
    let special = if head.connection.nominates { KnownSet::ALL } else { SPECIAL };
    let mut has_id = false;
    for field in head.fields.iter() {
        let passes = match field.known {
            known if !special.has(known) => true,
            Known::Host => begins_with_host,
            // Nobody may hide the way that a request has come.
            Known::CdnLoop | Known::Via => true,
            Known::XForwardedPort | Known::XForwardedServer if !cx.peer_is_trusted => false,
            // An HTTP/1.0 client does not know what it asks for (RFC 9110 section 10.1.1).
            Known::Expect if head.version == Version::H10 => false,
            known if LEFT_OUT.has(known) => false,
            _ => !(head.connection.nominates && is_nominated(&head.fields, field.name)),
        };
        if passes {
            has_id |= field.known == Known::XRequestId;
            passing.pass(&field, out);
        }
    }
    passing.end(out);
    has_id
}

/// Writes what our own connection needs: an upgrade that is passed on, the readiness to take trailers.
fn write_connection(head: &RequestHead<'_, '_>, out: &mut Vec<u8>) {
    if !head.upgrade && !head.connection.te {
        return;
    }
    let is_trailers = |coding: &[u8]| coding.eq_ignore_ascii_case(b"trailers");
    let te = head.connection.te && head.fields.all(Known::Te).flat_map(list).any(is_trailers);
    let upgrade = offered_protocols(head).next().is_some();
    out.extend_from_slice(match (upgrade, te) {
        (false, false) => b"",
        (true, false) => b"Connection: Upgrade\r\n",
        (false, true) => b"Connection: TE\r\nTE: trailers\r\n",
        (true, true) => b"Connection: Upgrade, TE\r\nTE: trailers\r\n",
    });
    if upgrade {
        out.extend_from_slice(b"Upgrade: ");
        write_list(offered_protocols(head), out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes who asks, for which host, over what.
fn write_forwarding(fields: &Fields<'_, '_>, host: &[u8], cx: &RequestCx<'_>, out: &mut Vec<u8>) {
    match cx.peer_is_trusted {
        true => write_added_forwarding(fields, host, cx, out),
        false => write_own_forwarding(host, cx, out),
    }
    let stripped = cx.strip_prefix.filter(|&prefix| prefix != "/").unwrap_or_default();
    let outer = fields.all(Known::XForwardedPrefix).find(|value| cx.peer_is_trusted && !value.is_empty());
    if !stripped.is_empty() || outer.is_some() {
        let outer = outer.unwrap_or_default();
        out.extend_from_slice(b"X-Forwarded-Prefix: ");
        out.extend_from_slice(outer.strip_suffix(b"/").unwrap_or(outer));
        prefix::write(stripped, out);
        out.extend_from_slice(b"\r\n");
    }
}

/// What we know ourselves. In few pieces: it is written for nearly every request.
fn write_own_forwarding(host: &[u8], cx: &RequestCx<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"X-Forwarded-For: ");
    out.extend_from_slice(cx.peer.as_bytes());
    match cx.secure {
        true => out.extend_from_slice(b"\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: "),
        false => out.extend_from_slice(b"\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: "),
    }
    out.extend_from_slice(host);
    out.extend_from_slice(b"\r\nX-Real-IP: ");
    out.extend_from_slice(cx.client.as_bytes());
    out.extend_from_slice(b"\r\nForwarded: for=");
    cx.peer.write_as_node(out);
    out.extend_from_slice(b";host=\"");
    out.extend_from_slice(host);
    match cx.secure {
        true => out.extend_from_slice(b"\";proto=https\r\n"),
        false => out.extend_from_slice(b"\";proto=http\r\n"),
    }
}

/// A trusted peer's word, kept and added to.
fn write_added_forwarding(fields: &Fields<'_, '_>, host: &[u8], cx: &RequestCx<'_>, out: &mut Vec<u8>) {
    let believed = |known| fields.all(known).filter(|value| !value.is_empty());
    let scheme: &[u8] = if cx.secure { b"https" } else { b"http" };

    out.extend_from_slice(b"X-Forwarded-For: ");
    write_list(believed(Known::XForwardedFor).chain([cx.peer.as_bytes()]), out);
    out.extend_from_slice(b"\r\n");
    write_own(b"X-Forwarded-Proto: ", believed(Known::XForwardedProto).next().unwrap_or(scheme), out);
    write_own(b"X-Forwarded-Host: ", believed(Known::XForwardedHost).next().unwrap_or(host), out);
    write_own(b"X-Real-IP: ", cx.client.as_bytes(), out);

    out.extend_from_slice(b"Forwarded: ");
    for element in believed(Known::Forwarded) {
        out.extend_from_slice(element);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(b"for=");
    cx.peer.write_as_node(out);
    out.extend_from_slice(b";host=\"");
    out.extend_from_slice(host);
    out.extend_from_slice(b"\";proto=");
    out.extend_from_slice(scheme);
    out.extend_from_slice(b"\r\n");
}

fn write_list<'a>(elements: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    for (index, element) in elements.enumerate() {
        out.extend_from_slice(if index > 0 { b", " } else { b"" });
        out.extend_from_slice(element);
    }
}
