//! Which protocol a client speaks, by the first bytes of its connection, where it is the client that speaks first.
//!
//! A guess that costs nothing: whether the bytes keep what they promise is for the parser of that protocol to say.

use crate::h1::body::token_len;

/// The protocol that the first bytes are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A TLS handshake record, of SSL 3.0 or later: for a [`HelloReader`](crate::tls::HelloReader).
    Tls,
    /// The whole preface of HTTP/2, sent by a client that knows without asking that we speak it.
    Http2,
    /// What may be the head of an HTTP/1 request, or at least deserves an answer in HTTP/1.
    Http1,
    /// None of them.
    Other,
}

/// What a client of HTTP/2 sends first (RFC 9113 section 3.4).
pub const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The protocol of a connection that begins with these bytes; `None` while more of them are needed to tell, at most
/// as many as the preface of HTTP/2 has.
pub fn detect(received: &[u8]) -> Option<Protocol> {
    match *received {
        [] | [0x16] => None,
        [0x16, 3, ..] => Some(Protocol::Tls),
        _ if received.starts_with(HTTP2_PREFACE) => Some(Protocol::Http2),
        _ if HTTP2_PREFACE.starts_with(received) => None,
        // The empty line that may stand before a request.
        [b'\r', ..] => Some(Protocol::Http1),
        [first, ..] if token_len(&[first]) == 1 => Some(Protocol::Http1),
        _ => Some(Protocol::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bytes` are undecided until the one at `decided` is there, and stay decided.
    #[track_caller]
    fn check(bytes: &[u8], decided: usize, expect: Protocol) {
        for end in 0..=bytes.len() {
            let verdict = (end > decided).then_some(expect);
            assert_eq!(detect(&bytes[..end]), verdict, "{end} bytes of {:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_handshake_record_is_tls() {
        check(b"\x16\x03\x01\x02\x00\x01", 1, Protocol::Tls);
        check(b"\x16\x03\x03", 1, Protocol::Tls);
        check(b"\x16\x02\x00", 1, Protocol::Other);
        check(b"\x15\x03\x01", 0, Protocol::Other);
        // As SSL 2.0 began.
        check(b"\x80\x2e\x01\x03\x01", 0, Protocol::Other);
    }

    #[test]
    fn only_the_whole_preface_is_http_2() {
        check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04", 23, Protocol::Http2);
        check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", 23, Protocol::Http1);
        check(b"PRI * HTTP/1.1\r\n", 11, Protocol::Http1);
        check(b"PRIVATE / HTTP/1.1\r\n", 3, Protocol::Http1);
        check(b"PUT / HTTP/1.1\r\n", 1, Protocol::Http1);
    }

    #[test]
    fn what_may_be_a_request_is_http_1() {
        check(b"GET / HTTP/1.1\r\n", 0, Protocol::Http1);
        check(b"\r\nGET / HTTP/1.1\r\n", 0, Protocol::Http1);
        check(b"!odd / HTTP/1.1\r\n", 0, Protocol::Http1);
        for first in [b'\0', b' ', b'\n', b'/', b'(', 0x7f, 0xff] {
            check(&[first, b'G'], 0, Protocol::Other);
        }
    }
}
