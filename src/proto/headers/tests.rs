use super::*;
use ringferry_parser::h1::{
    FieldSlots, HeadLimits, Method, Parsed, RequestBody, ResponseBody, ResponseHead, request, response,
};
use std::net::IpAddr;

const LIMITS: HeadLimits = HeadLimits { bytes: 65_536, fields: 100 };

/// Parses a request that must be whole and shows its head.
#[track_caller]
pub(in crate::proto) fn with_request(wire: &str, see: impl FnOnce(&RequestHead<'_, '_>)) {
    let mut slots = FieldSlots::new();
    match request::parse(wire.as_bytes(), &mut slots, &LIMITS) {
        Ok(Parsed::Complete(head)) => see(&head),
        other => panic!("{other:?} for {wire:?}"),
    }
}

/// Parses a response that must be whole and shows its head.
#[track_caller]
pub(in crate::proto) fn with_response(wire: &str, method: Method, see: impl FnOnce(&ResponseHead<'_, '_>)) {
    let mut slots = FieldSlots::new();
    match response::parse(wire.as_bytes(), &mut slots, &LIMITS, method) {
        Ok(Parsed::Complete(head)) => see(&head),
        other => panic!("{other:?} for {wire:?}"),
    }
}

fn request_cx<'a>(peer: &'a AddressText, client: &'a AddressText) -> RequestCx<'a> {
    RequestCx {
        peer,
        client,
        peer_is_trusted: false,
        secure: false,
        client_subject: None,
        default_host: "default.test",
        strip_prefix: None,
        request_id: None,
        via: false,
        instance: "us",
    }
}

/// The head that is forwarded for `wire`. It must be one message to the parser, with the same body.
#[track_caller]
fn forwarded(wire: &str, change: impl FnOnce(&mut RequestCx<'_>)) -> String {
    let address = |text: &str| AddressText::new(text.parse::<IpAddr>().unwrap());
    let (peer, client) = (address("192.0.2.7"), address("198.51.100.1"));
    let mut cx = request_cx(&peer, &client);
    change(&mut cx);
    let mut out = Vec::new();
    with_request(wire, |head| {
        write_request(head, &cx, &mut out);
        let text = str::from_utf8(&out).unwrap();
        with_request(text, |again| {
            assert_eq!((again.head_len, again.body), (out.len(), head.body), "{text}");
            assert_eq!((again.method, again.upgrade), (head.method, offered_protocols(head).next().is_some()));
        });
    });
    String::from_utf8(out).unwrap()
}

/// What is forwarded of `fields`, without what the proxy always adds.
#[track_caller]
fn check(fields: &str, expect: &str) {
    let head = forwarded(&format!("POST / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n"), |_| {});
    let own = "POST / HTTP/1.1\r\nHost: a.test\r\n";
    let added = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\n\
        X-Real-IP: 198.51.100.1\r\nForwarded: for=192.0.2.7;host=\"a.test\";proto=http\r\nCDN-Loop: us\r\n\r\n";
    let passed = head.strip_prefix(own).and_then(|rest| rest.strip_suffix(added));
    assert_eq!(passed, Some(expect), "{head}");
}

#[test]
fn a_request_begins_with_a_line_of_ours_and_the_host() {
    for (wire, expect) in [
        ("GET /a?b HTTP/1.1\r\nhost: a.test\r\nA: 1\r\n", "GET /a?b HTTP/1.1\r\nhost: a.test\r\nA: 1\r\n"),
        ("\r\nGET / HTTP/1.1\r\nHost:a.test\r\nA: 1\r\n", "GET / HTTP/1.1\r\nHost: a.test\r\nA: 1\r\n"),
        ("GET / HTTP/1.1\r\nA: 1\r\nHost: a.test\r\nB: 2\r\n", "GET / HTTP/1.1\r\nHost: a.test\r\nA: 1\r\nB: 2\r\n"),
        ("GET http://a.test/x HTTP/1.1\r\nHost: b\r\nA: 1\r\n", "GET /x HTTP/1.1\r\nHost: a.test\r\nA: 1\r\n"),
        ("GET / HTTP/1.0\r\nHost: a.test\r\nA: 1\r\n", "GET / HTTP/1.1\r\nHost: a.test\r\nA: 1\r\n"),
        ("GET / HTTP/1.0\r\nA: 1\r\n", "GET / HTTP/1.1\r\nHost: default.test\r\nA: 1\r\n"),
        ("GET / HTTP/1.0\r\n", "GET / HTTP/1.1\r\nHost: default.test\r\n"),
        ("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n", "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n"),
    ] {
        let head = forwarded(&format!("{wire}\r\n"), |_| {});
        assert!(head.starts_with(&format!("{expect}X-Forwarded-For")), "{head} for {wire}");
    }
}

#[test]
fn a_status_line_is_written_anew_where_it_is_not_as_ours() {
    for (line, expect) in [
        ("HTTP/1.1 200 Fine", "HTTP/1.1 200 Fine"),
        ("HTTP/1.1 299 ", "HTTP/1.1 299 "),
        ("HTTP/1.1 200", "HTTP/1.1 200 "),
        ("HTTP/1.0 200 OK", "HTTP/1.1 200 OK"),
        ("HTTP/1.1 200 d\u{e9}j\u{e0}", "HTTP/1.1 200 "),
    ] {
        let wire = format!("{line}\r\nDate: now\r\nContent-Length: 5\r\n\r\n");
        let expect = format!("{expect}\r\nDate: now\r\nContent-Length: 5\r\n\r\n");
        check_response(write_response, &wire, Method::Get, CX, &expect);
    }
}

#[test]
fn end_to_end_fields_pass_in_their_order() {
    check("Z: 1\r\nCookie: a=b\r\nA:\t x \r\nZ: 2\r\nE:\r\n", "Z: 1\r\nCookie: a=b\r\nA: x\r\nZ: 2\r\nE: \r\n");
    check("Via: 1.0 outer\r\nX-Request-Id: i\r\n", "Via: 1.0 outer\r\nX-Request-Id: i\r\n");
    check("Expect: 100-continue\r\nTrailer: X\r\n", "Expect: 100-continue\r\nTrailer: X\r\n");
}

#[test]
fn fields_of_one_connection_end_here() {
    check("Connection: keep-alive\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\n", "");
    check("Proxy-Authorization: x\r\nTE: gzip\r\nUpgrade: websocket\r\n", "");
    check("Connection: X-Secret, cookie\r\nX-Secret: 1\r\nCookie: a\r\nX: 2\r\n", "X: 2\r\n");
    check("Connection: close, Host, Content-Length\r\nContent-Length: 3\r\n", "Content-Length: 3\r\n");
    check("Connection: Transfer-Encoding\r\nTransfer-Encoding: Chunked\r\n", "Transfer-Encoding: chunked\r\n");
    check("Connection: CDN-Loop, Via\r\nCDN-Loop: x\r\nVia: 1.1 x\r\n", "CDN-Loop: x\r\nVia: 1.1 x\r\n");
}

#[test]
fn framing_is_written_from_what_was_understood() {
    check("content-length: 007\r\n", "Content-Length: 7\r\n");
    check("Content-Length: 0\r\n", "Content-Length: 0\r\n");
    check("Content-Length: 9223372036854775807\r\n", "Content-Length: 9223372036854775807\r\n");
}

#[test]
fn upgrades_pass_but_not_to_http2() {
    check("Connection: upgrade\r\nUpgrade: WebSocket\r\n", "Connection: Upgrade\r\nUpgrade: WebSocket\r\n");
    check("Connection: upgrade\r\nUpgrade: h2c, a/1\r\nUpgrade: b\r\n", "Connection: Upgrade\r\nUpgrade: a/1, b\r\n");
    check("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMA\r\n", "");
}

#[test]
fn readiness_for_trailers_passes_when_it_is_meant_for_us() {
    check("Connection: TE\r\nTE: gzip, Trailers\r\n", "Connection: TE\r\nTE: trailers\r\n");
    check("TE: trailers\r\n", "");
    let both = "Connection: Upgrade, TE\r\nTE: trailers\r\nUpgrade: x\r\n";
    check("Connection: TE, Upgrade\r\nTE: trailers\r\nUpgrade: x\r\n", both);
}

#[test]
fn what_a_stranger_claims_is_overwritten() {
    check(
        "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 6.6.6.7\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n",
        "",
    );
    check(
        "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /e\r\n",
        "",
    );
    check("X_Forwarded_For: 6.6.6.6\r\nX_Real_Ip: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nContent_Length: 5\r\n", "");
    check("X-Forwarded-Server: evil\r\n", "");
}

#[test]
fn what_a_trusted_proxy_says_is_kept_and_added_to() {
    let fields = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 10.0.0.1\r\nForwarded: for=6.6.6.6\r\n\
        X-Forwarded-Proto: https\r\nX-Forwarded-Host: www.test\r\nX-Forwarded-Port: 443\r\nX-Real-IP: 6.6.6.6\r\n\
        X_Forwarded_For: 7.7.7.7\r\nX-Forwarded-Prefix: /outer/\r\n";
    let wire = format!("GET /app/x HTTP/1.1\r\nHost: a:80\r\n{fields}\r\n");
    let head = forwarded(&wire, |cx| {
        cx.peer_is_trusted = true;
        cx.strip_prefix = Some("/app");
    });
    let expect = "GET /x HTTP/1.1\r\nHost: a:80\r\nX-Forwarded-Port: 443\r\n\
        X-Forwarded-For: 6.6.6.6, 10.0.0.1, 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: www.test\r\n\
        X-Real-IP: 198.51.100.1\r\nForwarded: for=6.6.6.6, for=192.0.2.7;host=\"a:80\";proto=http\r\n\
        X-Forwarded-Prefix: /outer/app\r\nCDN-Loop: us\r\n\r\n";
    assert_eq!(head, expect);
}

#[test]
fn the_target_reaches_the_server_in_origin_form() {
    for (method, target, strip, expect) in [
        ("GET", "/a%2Fb/../c?x=%26", None, "/a%2Fb/../c?x=%26"),
        ("GET", "http://b.test:81/x?y", None, "/x?y"),
        ("GET", "http://b.test:81", None, "/"),
        ("GET", "http://b.test:81?y", None, "/?y"),
        ("OPTIONS", "*", None, "*"),
        ("OPTIONS", "http://b.test:81", None, "*"),
        ("OPTIONS", "http://b.test:81/", None, "/"),
        ("GET", "/app/x?y", Some("/app"), "/x?y"),
        ("GET", "/app?y", Some("/app"), "/?y"),
        ("GET", "http://b.test:81/app", Some("/app"), "/"),
        ("GET", "/apple", Some("/app"), "/apple"),
        ("GET", "/x", Some("/"), "/x"),
    ] {
        let wire = format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let head = forwarded(&wire, |cx| cx.strip_prefix = strip);
        let host = if target.starts_with("http") { "b.test:81" } else { "a.test" };
        let start = format!("{method} {expect} HTTP/1.1\r\nHost: {host}\r\n");
        assert!(head.starts_with(&start), "{target} becomes {head}");
        let prefix =
            strip.filter(|&prefix| prefix != "/").map(|prefix| format!("\r\nX-Forwarded-Prefix: {prefix}\r\n"));
        assert_eq!(prefix.is_some(), head.contains("X-Forwarded-Prefix"), "{head}");
        assert!(prefix.is_none_or(|prefix| head.contains(&prefix)), "{head}");
    }
}

#[test]
fn an_old_request_becomes_a_new_one() {
    let wire = "GET / HTTP/1.0\r\nConnection: keep-alive, upgrade\r\nUpgrade: x\r\nExpect: 100-continue\r\n\r\n";
    let head = forwarded(wire, |cx| cx.via = true);
    assert!(head.starts_with("GET / HTTP/1.1\r\nHost: default.test\r\nX-Forwarded-For"), "{head}");
    assert!(head.contains("\r\nVia: 1.0 ringferry\r\n"), "{head}");
}

#[test]
fn an_id_is_given_where_it_is_missing() {
    let id = |fields: &str| {
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = forwarded(&wire, |cx| cx.request_id = Some(b"ours"));
        head.lines().filter_map(|line| line.strip_prefix("X-Request-Id: ")).collect::<Vec<_>>().join("|")
    };
    assert_eq!(id(""), "ours");
    assert_eq!(id("X-Request-Id: theirs\r\n"), "theirs");
    assert_eq!(id("X_Request_Id: disguised\r\n"), "ours");
    assert_eq!(id("Connection: X-Request-Id\r\nX-Request-Id: theirs\r\n"), "ours");
}

#[test]
fn an_encrypted_connection_and_an_ipv6_peer_are_told() {
    let peer = AddressText::new("2001:db8::1".parse().unwrap());
    let mut out = Vec::new();
    with_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", |head| {
        write_request(head, &RequestCx { secure: true, ..request_cx(&peer, &peer) }, &mut out);
    });
    let head = String::from_utf8(out).unwrap();
    assert!(head.contains("\r\nX-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: https\r\n"), "{head}");
    assert!(head.contains("\r\nForwarded: for=\"[2001:db8::1]\";host=\"a\";proto=https\r\n"), "{head}");
}

#[test]
fn a_request_that_was_here_before_is_known() {
    for (fields, expect) in [
        ("", false),
        ("CDN-Loop: us\r\n", true),
        ("CDN-Loop: other, us; v=1\r\n", true),
        ("CDN-Loop: other\r\nCDN-Loop: us\r\n", true),
        ("CDN-Loop: usual, other;id=us\r\n", false),
    ] {
        let wire = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        with_request(&wire, |head| assert_eq!(seen_before(&head.fields, "us"), expect, "{fields}"));
        // Whatever it was, it is known the next time.
        with_request(&forwarded(&wire, |_| {}), |head| assert!(seen_before(&head.fields, "us")));
    }
}

const CX: ResponseCx<'static> = ResponseCx {
    framing: ResponseBody::Length(5),
    keep_alive: true,
    client_version: Version::H11,
    date: &|out| out.extend_from_slice(b"today"),
    strip_prefix: None,
    host: "a.test",
    via: false,
    hsts: None,
};

type Write = fn(&ResponseHead<'_, '_>, &ResponseCx<'_>, &mut Vec<u8>);

/// What the client gets for `wire`.
#[track_caller]
fn check_response(write: Write, wire: &str, method: Method, cx: ResponseCx<'_>, expect: &str) {
    let mut out = Vec::new();
    with_response(wire, method, |head| write(head, &cx, &mut out));
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, expect);
    with_response(&text, method, |again| assert_eq!(again.head_len, text.len()));
}

#[test]
fn a_response_passes_with_its_own_fields_and_our_framing() {
    let wire = "HTTP/1.1 200 Fine\r\nServer: s\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 5\r\n\
        Connection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nProxy-Connection: x\r\nUpgrade: h2c\r\n\r\n";
    let kept = "HTTP/1.1 200 Fine\r\nServer: s\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n";
    for (framing, keep_alive, client_version, rest) in [
        (ResponseBody::Length(5), true, Version::H11, "Content-Length: 5\r\nDate: today\r\n\r\n"),
        (
            ResponseBody::Length(5),
            true,
            Version::H10,
            "Content-Length: 5\r\nDate: today\r\nConnection: keep-alive\r\n\r\n",
        ),
        (
            ResponseBody::Chunked,
            false,
            Version::H11,
            "Date: today\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        ),
        (ResponseBody::Close, false, Version::H10, "Date: today\r\nConnection: close\r\n\r\n"),
    ] {
        let cx = ResponseCx { framing, keep_alive, client_version, ..CX };
        check_response(write_response, wire, Method::Get, cx, &format!("{kept}{rest}"));
    }
}

#[test]
fn a_length_without_a_body_is_kept_where_it_means_something() {
    let cx = ResponseCx { framing: ResponseBody::None, ..CX };
    for (status, method, expect) in [
        (200, Method::Head, "Content-Length: 9\r\n"),
        (304, Method::Get, "Content-Length: 9\r\n"),
        (204, Method::Get, ""),
        (204, Method::Head, ""),
    ] {
        let wire = format!("HTTP/1.1 {status} x\r\nContent-Length: 9\r\n\r\n");
        let expect = format!("HTTP/1.1 {status} x\r\n{expect}Date: today\r\n\r\n");
        check_response(write_response, &wire, method, cx, &expect);
    }
    let wire = "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n";
    check_response(write_response, wire, Method::Head, cx, "HTTP/1.1 200 \r\nDate: today\r\n\r\n");
}

#[test]
fn a_length_of_a_response_has_one_spelling() {
    for (value, spelt) in [("0", "0"), ("007", "7"), ("00", "0"), ("70", "70")] {
        let wire =
            format!("HTTP/1.1 200 OK\r\nDate: now\r\nconnection: Content-Length\r\nContent-Length: {value}\r\n\r\n");
        let expect = format!("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: {spelt}\r\n\r\n");
        let cx = ResponseCx { framing: ResponseBody::Length(value.parse().unwrap()), ..CX };
        check_response(write_response, &wire, Method::Get, cx, &expect);
    }
}

#[test]
fn a_date_is_added_only_where_it_is_missing_and_via_where_it_is_wanted() {
    let wire = "HTTP/1.0 200 OK\r\nDate: then\r\nVia: 1.1 inner\r\nContent-Length: 5\r\n\r\n";
    let cx = ResponseCx { via: true, ..CX };
    let expect = "HTTP/1.1 200 OK\r\nDate: then\r\nVia: 1.1 inner\r\nContent-Length: 5\r\nVia: 1.0 ringferry\r\n\r\n";
    check_response(write_response, wire, Method::Get, cx, expect);
}

#[test]
fn fields_keep_their_order_however_they_are_passed_on() {
    let wire = "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC:3\r\nContent-Length: 5\r\nD: 4\r\nLocation: /x\r\nE: 5\r\n\
        F:  6  \r\nConnection: keep-alive\r\nG: 7\r\nH: 8\r\nDate: now\r\n\r\n";
    let expect = "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\nContent-Length: 5\r\nD: 4\r\nLocation: /app/x\r\nE: 5\r\n\
        F: 6\r\nG: 7\r\nH: 8\r\nDate: now\r\n\r\n";
    check_response(write_response, wire, Method::Get, ResponseCx { strip_prefix: Some("/app"), ..CX }, expect);
}

#[test]
fn a_stripped_prefix_is_put_back() {
    let wire = "HTTP/1.1 302 Found\r\nlocation: /login\r\nRefresh: 5; url=http://a.test/x\r\n\
        Set-Cookie: a=1; Path=/\r\nContent-Length: 5\r\n\r\n";
    let changed = "HTTP/1.1 302 Found\r\nlocation: /app/login\r\nRefresh: 5; url=http://a.test/app/x\r\n\
        Set-Cookie: a=1; Path=/app/\r\nContent-Length: 5\r\nDate: today\r\n\r\n";
    check_response(write_response, wire, Method::Get, ResponseCx { strip_prefix: Some("/app"), ..CX }, changed);
    let unchanged = wire.replace("\r\n\r\n", "\r\nDate: today\r\n\r\n");
    for strip_prefix in [None, Some("/")] {
        check_response(write_response, wire, Method::Get, ResponseCx { strip_prefix, ..CX }, &unchanged);
    }
}

#[test]
fn interim_responses_pass_without_framing() {
    let wire = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: keep-alive\r\n\r\n";
    check_response(write_interim, wire, Method::Get, CX, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    check_response(write_interim, "HTTP/1.1 100\r\n\r\n", Method::Get, CX, "HTTP/1.1 100 \r\n\r\n");
}

#[test]
fn a_switch_of_protocols_passes_with_its_name() {
    let wire = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nUpgrade: websocket\r\n\
        Connection: upgrade\r\nContent-Length: 0\r\n\r\n";
    let expect = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Accept: x\r\n\r\n";
    check_response(write_switch, wire, Method::Get, CX, expect);
}

#[test]
fn trailers_pass_without_what_they_must_not_hold() {
    use ringferry_parser::h1::trailers::{self, TrailerSlots};
    let wire =
        b"X-Sum: 1\r\nHost: evil\r\nContent-Length: 5\r\nX-Forwarded-For: 6.6.6.6\r\nTransfer_Encoding: x\r\n\r\n";
    let mut slots = TrailerSlots::new();
    let Ok(Parsed::Complete(found)) = trailers::parse(wire, &mut slots) else { panic!() };
    let mut out = Vec::new();
    write_trailers(&found.fields, &mut out);
    assert_eq!(out, b"X-Sum: 1\r\n\r\n");
}

#[test]
fn a_body_is_declared_only_where_there_is_one() {
    with_request(&forwarded("GET / HTTP/1.1\r\nHost: a\r\n\r\n", |_| {}), |head| {
        assert_eq!(head.body, RequestBody::None)
    });
}
