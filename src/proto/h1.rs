//! The rules of an HTTP/1 exchange: who keeps a connection, how a response is framed for its client, what may be
//! tried again, what a 101 needs. Small pure functions; the data plane acts on them.

use super::error::{Cause, Error, Retry};
use super::headers::offered_protocols;
use ringferry_parser::h1::{Connection, Known, Method, RequestHead, ResponseBody, ResponseHead, Version, list};

/// Interim responses that one request may get before its final one.
pub const INTERIMS_MAX: u32 = 64;

/// Whether a peer that sent such a head is ready for another message on its connection (RFC 9112 section 9.3).
pub fn keeps_alive(version: Version, connection: Connection) -> bool {
    !connection.close && (version == Version::H11 || connection.keep_alive)
}

/// Whether the client's connection can serve another request once this response is sent. `request_ended`: the request
/// was received to its end, which an early response does not wait for.
pub fn client_stays(request: &RequestHead<'_, '_>, framing: ResponseBody, request_ended: bool) -> bool {
    keeps_alive(request.version, request.connection) && framing != ResponseBody::Close && request_ended
}

/// Whether the server's connection can carry another request once the response is received. `request_ended`: the
/// request was sent to its end; else the server still waits for the rest of it.
pub fn server_stays(response: &ResponseHead<'_, '_>, request_ended: bool) -> bool {
    keeps_alive(response.version, response.connection) && response.body != ResponseBody::Close && request_ended
}

/// How a body is framed for the client. An old client knows no chunks; for a new one a body of unknown length gets
/// them, so that it can tell the end from a broken connection and keep its own.
pub fn client_framing(client: Version, body: ResponseBody) -> ResponseBody {
    match (body, client) {
        (ResponseBody::Chunked | ResponseBody::Close, Version::H11) => ResponseBody::Chunked,
        (ResponseBody::Chunked | ResponseBody::Close, Version::H10) => ResponseBody::Close,
        (ResponseBody::None | ResponseBody::Length(_), _) => body,
    }
}

/// Whether an interim response is passed on: an HTTP/1.0 client would take it for the final one.
pub fn passes_interim(client: Version) -> bool {
    client == Version::H11
}

/// Whether a request may be sent again after `error`. `body_untouched`: no byte of its body was read for sending.
pub fn may_retry(error: &Error, method: Method, body_untouched: bool) -> bool {
    match error.retry_safe() {
        Retry::Always => body_untouched,
        Retry::IfIdempotent => body_untouched && method.is_idempotent(),
        Retry::Never => false,
    }
}

/// Whether a 101 may turn the connection into a tunnel: the client asked, we passed it on, and the server chose one of
/// the protocols asked for (RFC 9110 section 7.8).
pub fn check_switch(request: &RequestHead<'_, '_>, response: &ResponseHead<'_, '_>) -> Result<(), Cause> {
    let chosen = || response.fields.all(Known::Upgrade).flat_map(list).filter(|protocol| !protocol.is_empty());
    let asked = |protocol: &[u8]| offered_protocols(request).any(|offer| offer.eq_ignore_ascii_case(protocol));
    if response.upgrade && chosen().next().is_some() && chosen().all(asked) {
        Ok(())
    } else {
        Err(Cause::UnaskedSwitch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Stage;
    use super::super::headers::tests::{with_request, with_response};
    use super::*;

    #[test]
    fn connections_are_kept_by_version_and_option() {
        let check = |fields: &str, old: bool, new: bool| {
            for (version, expect) in [("1.0", old), ("1.1", new)] {
                let wire = format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n");
                with_request(&wire, |head| {
                    assert_eq!(client_stays(head, ResponseBody::Length(1), true), expect, "{wire}");
                    assert!(!client_stays(head, ResponseBody::Length(1), false), "the rest of the request is unread");
                    assert!(!client_stays(head, ResponseBody::Close, true), "only the end ends the body");
                });
                let wire = format!("HTTP/{version} 200 OK\r\nContent-Length: 1\r\n{fields}\r\n");
                with_response(&wire, Method::Get, |head| {
                    assert_eq!(server_stays(head, true), expect, "{wire}");
                    assert!(!server_stays(head, false), "the server waits for the rest of the request");
                });
            }
        };
        check("", false, true);
        check("Connection: close\r\n", false, false);
        check("Connection: Keep-Alive\r\n", true, true);
        check("Connection: keep-alive, close\r\n", false, false);
        with_response("HTTP/1.1 200 OK\r\n\r\n", Method::Get, |head| assert!(!server_stays(head, true)));
    }

    #[test]
    fn a_body_is_framed_for_what_its_client_can_read() {
        use ResponseBody::*;
        for (body, old, new) in
            [(None, None, None), (Length(3), Length(3), Length(3)), (Chunked, Close, Chunked), (Close, Close, Chunked)]
        {
            assert_eq!(client_framing(Version::H10, body), old);
            assert_eq!(client_framing(Version::H11, body), new);
        }
        assert!(passes_interim(Version::H11) && !passes_interim(Version::H10));
    }

    #[test]
    fn a_request_is_sent_again_only_when_that_does_no_harm() {
        let refused = Error::upstream(Stage::Connect, Cause::Refused);
        let closed = Error::upstream(Stage::ResponseHead, Cause::Closed);
        let late = Error::upstream(Stage::ResponseHead, Cause::TimedOut);
        for (error, method, body_untouched, expect) in [
            (refused, Method::Post, true, true),
            (refused, Method::Post, false, false),
            (closed, Method::Get, true, true),
            (closed, Method::Put, true, true),
            (closed, Method::Put, false, false),
            (closed, Method::Post, true, false),
            (closed, Method::Other, true, false),
            (late, Method::Get, true, false),
        ] {
            assert_eq!(may_retry(&error, method, body_untouched), expect, "{error} {method:?} {body_untouched}");
        }
    }

    #[test]
    fn a_switch_must_have_been_asked_for() {
        let check = |request: &str, response: &str, expect: bool| {
            let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{request}\r\n");
            let response = format!("HTTP/1.1 101 Switching Protocols\r\n{response}\r\n");
            with_request(&request, |request| {
                with_response(&response, Method::Get, |response| {
                    assert_eq!(check_switch(request, response).is_ok(), expect, "{request:?} {response:?}");
                });
            });
        };
        let asks = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
        check(asks, "Connection: upgrade\r\nUpgrade: WebSocket\r\n", true);
        check("Connection: Upgrade\r\nUpgrade: a, b/1\r\n", "Connection: upgrade\r\nUpgrade: B/1\r\n", true);
        check(asks, "Connection: upgrade\r\nUpgrade: other\r\n", false);
        check(asks, "Connection: upgrade\r\nUpgrade: websocket, other\r\n", false);
        check(asks, "Connection: upgrade\r\nUpgrade:\r\n", false);
        check(asks, "Upgrade: websocket\r\n", false);
        check(asks, "", false);
        check("", "Connection: upgrade\r\nUpgrade: websocket\r\n", false);
        check("Upgrade: websocket\r\n", "Connection: upgrade\r\nUpgrade: websocket\r\n", false);
        check("Connection: Upgrade\r\nUpgrade: h2c\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n", false);
    }
}
