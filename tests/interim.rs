//! Responses before the response, and responses before the end of the request.

use crate::support::{Framing, Gate, Origin, Proxy, answer, default_site, ok};
use std::sync::Arc;
use std::time::Duration;

const EXPECTING: &str = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";

#[test]
fn the_origin_decides_whether_to_continue() {
    let origin = Origin::scripted(|exchange| {
        while let Some(head) = exchange.head()? {
            assert_eq!(head.field("expect"), Some("100-continue"));
            exchange.send("HTTP/1.1 100 Continue\r\n\r\n")?;
            let mut body = Vec::new();
            exchange.wire.copy_body(head.request_framing(), &mut body)?;
            exchange.send(ok(body))?;
        }
        Ok(())
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    for _ in 0..2 {
        assert_eq!(client.send(EXPECTING).response().status(), 100);
        assert_eq!(client.send("body").response().text(), "body");
    }
}

#[test]
fn an_expected_body_takes_its_time_and_the_answer_whether_it_is_wanted_does_not() {
    const TIME: Duration = Duration::from_millis(300);
    let config = |origin: &Origin| format!("{}[timeouts]\nfirst_byte = \"300ms\"\n", default_site(origin));
    // Some servers say to continue and some just read; and large bodies are moved otherwise than small ones.
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    for (word, half) in [(CONTINUE, 2), ("", 2), (CONTINUE, 100_000), ("", 100_000)] {
        let origin = Origin::scripted(move |exchange| {
            let head = exchange.head()?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
            exchange.send(word)?;
            let mut body = Vec::new();
            exchange.wire.copy_body(head.request_framing(), &mut body)?;
            exchange.send(ok(body))
        });
        let proxy = Proxy::start(&config(&origin));
        let mut client = proxy.connect();
        let head = format!("Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", 2 * half);
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\n{head}"));
        if !word.is_empty() {
            assert_eq!(client.response().status(), 100);
        }
        client.send("x".repeat(half)).expect_silence(2 * TIME);
        assert_eq!(client.send("x".repeat(half)).response().body.len(), 2 * half);
    }
    let silent = Origin::scripted(|exchange| exchange.wire.rest().map(drop));
    assert_eq!(Proxy::start(&config(&silent)).exchange(EXPECTING).status(), 504);
}

#[test]
fn a_refused_expectation_is_passed_on_without_a_body() {
    let origin = Origin::scripted(|exchange| {
        exchange.head()?;
        exchange.send(answer("417 Expectation Failed", &[], "no"))?;
        exchange.wire.rest().map(drop)
    });
    let proxy = Proxy::to(&origin);
    let response = proxy.exchange(EXPECTING);
    assert_eq!((response.status(), response.text().as_str()), (417, "no"));
}

#[test]
fn hints_come_early_and_only_to_clients_that_know_them() {
    let origin = Origin::answering(|_| {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
        [hints.as_bytes(), hints.as_bytes(), &ok("page")].concat()
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    for _ in 0..2 {
        let hint = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response();
        assert_eq!((hint.status(), hint.field("link")), (103, Some("</style.css>; rel=preload")));
        assert_eq!(client.response().status(), 103);
        assert_eq!(client.response().text(), "page");
    }
    assert_eq!(proxy.exchange("GET / HTTP/1.0\r\nHost: a\r\n\r\n").text(), "page");
}

#[test]
fn hints_are_not_held_back_until_the_response() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |exchange| {
            exchange.request()?;
            exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")?;
            gate.pass();
            exchange.send(ok("page"))
        }
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    assert_eq!(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").response().status(), 103);
    gate.open();
    assert_eq!(client.response().text(), "page");
}

#[test]
fn no_more_hints_are_passed_on_than_a_request_may_get() {
    const MAX: usize = 64;
    for (count, status) in [(MAX, 200), (MAX + 1, 502), (4 * MAX, 502)] {
        let hints = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(count);
        let origin = Origin::answering(move |_| [hints.as_bytes(), &ok("page")].concat());
        let proxy = Proxy::to(&origin);
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        for _ in 0..MAX {
            assert_eq!(client.response().status(), 103, "of {count}");
        }
        assert_eq!(client.response().status(), status, "after {count}");
    }
}

#[test]
fn a_response_may_come_while_the_request_body_is_still_coming() {
    let origin = Origin::scripted(|exchange| {
        let head = exchange.head()?.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        exchange.wire.read_exactly(2)?;
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nearly")?;
        assert_eq!(head.request_framing(), Framing::Length(6));
        exchange.wire.read_exactly(4)?;
        exchange.send("end")?;
        exchange.wire.rest().map(drop)
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab");
    let head = client.head();
    assert_eq!(head.status(), 200);
    assert_eq!(client.read_exactly(5).unwrap(), b"early");
    assert_eq!(client.send("cdef").read_exactly(3).unwrap(), b"end");
}

#[test]
fn an_origin_that_refuses_and_closes_is_heard_by_a_client_that_still_sends() {
    let origin = Origin::scripted(|exchange| {
        exchange.head()?;
        exchange.send(answer("403 Forbidden", &[("Connection", "close")], "not you"))
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n");
    let response = client.response();
    assert_eq!((response.status(), response.text().as_str()), (403, "not you"));
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_an_error() {
    let origin = Origin::answering(|_| {
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_vec()
    });
    let proxy = Proxy::to(&origin);
    assert_eq!(proxy.get("a", "/").status(), 502);
    let other = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n";
    assert_eq!(proxy.exchange(other).status(), 502);
}

#[test]
fn http2_is_not_offered_to_an_origin_by_upgrade() {
    let origin = Origin::named("plain");
    let proxy = Proxy::start(&default_site(&origin));
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
        HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(proxy.exchange(request).text(), "plain");
    let seen = origin.request();
    assert_eq!((seen.field("upgrade"), seen.field("http2-settings"), seen.field("connection")), (None, None, None));
}
