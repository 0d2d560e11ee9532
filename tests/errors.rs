//! Errors that the proxy answers itself: which status, how the page looks, and that it arrives.

use crate::support::{BlackHole, Message, Origin, Proxy, default_site, ok, refusing_port, site_of_routes};

#[track_caller]
fn check(proxy: &Proxy, request: &str, status: u16) -> Message {
    let response = proxy.exchange(request);
    assert_eq!(response.status(), status, "{request:?}");
    response
}

#[test]
fn a_bad_request_is_refused_and_the_connection_ends() {
    let origin = Origin::named("x");
    let proxy = Proxy::to(&origin);
    let bad = [
        "nonsense\r\n\r\n",
        "GET /\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    for request in bad {
        let mut client = proxy.connect();
        let response = client.send(request).response();
        assert_eq!(response.status(), 400, "{request:?}");
        assert_eq!(response.field("connection"), Some("close"), "{request:?}");
        client.expect_end();
    }
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn what_is_not_supported_is_said_so() {
    let origin = Origin::named("x");
    let proxy = Proxy::to(&origin);
    check(&proxy, "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
    check(&proxy, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501);
}

#[test]
fn a_head_over_its_maxima_is_refused() {
    let origin = Origin::answering(|request| ok(request.fields.len().to_string()));
    let config = format!("{}[limits]\nhead_bytes = \"8KiB\"\nheader_count = 20\n", default_site(&origin));
    let proxy = Proxy::start(&config);
    let field = format!("X: {}\r\n", "x".repeat(4000));
    check(&proxy, &format!("GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n"), 200);
    check(&proxy, &format!("GET / HTTP/1.1\r\nHost: a\r\n{field}{field}{field}\r\n"), 431);
    check(&proxy, &format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(19)), 200);
    check(&proxy, &format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(20)), 431);
    check(&proxy, &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(9000)), 414);
}

#[test]
fn a_head_that_does_not_come_is_given_up() {
    let origin = Origin::named("x");
    let config = format!("{}[timeouts]\nhead = \"200ms\"\nidle = \"200ms\"\n", default_site(&origin));
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    assert_eq!(client.send("GET / HTTP/1.1\r\nHost:").response().status(), 408);
    client.expect_end();
    // A connection without a request just ends: an answer could be taken for that of a request on its way.
    let mut client = proxy.connect();
    assert_eq!(client.get("a", "/").text(), "x");
    client.expect_end();
}

#[test]
fn a_head_that_trickles_in_is_given_up_in_time() {
    let origin = Origin::named("x");
    let proxy = Proxy::start(&format!("{}[timeouts]\nhead = \"300ms\"\n", default_site(&origin)));
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ");
    let began = std::time::Instant::now();
    // Each byte is progress, and yet the head as a whole has a deadline.
    while began.elapsed() < crate::support::WAIT && client.try_send("x").is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(began.elapsed() < crate::support::WAIT, "never given up");
}

#[test]
fn a_server_that_refuses_or_misbehaves_is_a_bad_gateway() {
    let (_held, port) = refusing_port();
    let proxy = Proxy::start(&format!("[[site]]\nhost = \"*\"\nupstream = {port}\n"));
    check(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 502);
    proxy.log_line(|line| line.contains(" 502 ") && line.contains("err=") && !line.contains("err=-"));
    let bad: [&[u8]; 8] = [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    ];
    for bytes in bad {
        let origin = Origin::scripted(move |exchange| {
            exchange.request()?;
            exchange.send(bytes)
        });
        let proxy = Proxy::to(&origin);
        let mut client = proxy.connect();
        let response = client.get("a", "/");
        assert_eq!(response.status(), 502, "{}", String::from_utf8_lossy(bytes));
        // The client has done nothing wrong and keeps its connection.
        assert_eq!(client.get("a", "/").status() / 100, 5);
    }
}

#[test]
fn a_response_head_may_be_long_but_not_endless() {
    let origin = Origin::answering(|request| {
        let length: usize = request.target()[1..].parse().unwrap_or(0);
        format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(length)).into_bytes()
    });
    let proxy = Proxy::to(&origin);
    assert_eq!(proxy.get("a", "/60000").field("x").map(str::len), Some(60_000));
    assert_eq!(proxy.get("a", "/70000").status(), 502);
}

#[test]
fn a_server_that_stays_silent_is_a_gateway_timeout() {
    let hole = BlackHole::new();
    let timeouts = "[timeouts]\nconnect = \"200ms\"\nfirst_byte = \"200ms\"\n";
    let proxy = Proxy::start(&format!("[[site]]\nhost = \"*\"\nupstream = {}\n{timeouts}", hole.port()));
    check(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 504);
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.wire.rest().map(drop)
    });
    let proxy = Proxy::start(&format!("{}{timeouts}", default_site(&origin)));
    check(&proxy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 504);
    check(&proxy, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 504);
}

#[test]
fn the_page_is_what_the_client_accepts() {
    let origin = Origin::named("x");
    let proxy = Proxy::start(&crate::support::site("a.test", &origin));
    let page = |accept: &str| {
        let accept = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
        proxy.exchange(format!("GET / HTTP/1.1\r\nHost: unknown\r\n{accept}\r\n"))
    };
    let html = page("text/html,application/xhtml+xml,*/*;q=0.8");
    assert!(html.field("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{html:?}");
    assert!(html.text().to_ascii_lowercase().starts_with("<!doctype html>"), "{}", html.text());
    for accept in ["", "*/*", "application/json", "text/plain"] {
        let plain = page(accept);
        assert!(plain.field("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{accept} {plain:?}");
        assert!(!plain.text().contains('<') && plain.text().contains("421"), "{}", plain.text());
    }
    let mut client = proxy.connect();
    let head = client.send("HEAD / HTTP/1.1\r\nHost: unknown\r\n\r\n").response_to("HEAD");
    assert_eq!(head.status(), 421);
    assert_eq!(client.get("a.test", "/").text(), "x");
}

#[test]
fn an_early_refusal_reaches_a_client_that_goes_on_sending() {
    let origin = Origin::named("x");
    let proxy = Proxy::start(&site_of_routes("*", &[("/", "max_body = \"1KiB\"", &origin)]));
    for (head, status) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
    ] {
        for _ in 0..10 {
            let mut client = proxy.connect();
            client.send(head);
            // Were the connection closed at once, these bytes would be met by a reset that destroys the answer.
            for _ in 0..8 {
                let _ = client.try_send([b'x'; 8192]);
            }
            assert_eq!(client.response().status(), status);
        }
    }
}

#[test]
fn a_connection_over_the_limit_of_its_client_is_not_served() {
    let origin = Origin::named("x");
    let config = format!("{}[limits]\nconnections_per_client = 2\n", default_site(&origin));
    let proxy = Proxy::start(&config);
    let mut kept = [proxy.connect(), proxy.connect()];
    for client in &mut kept {
        assert_eq!(client.get("a", "/").text(), "x");
    }
    let mut third = proxy.connect();
    let _ = third.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_ne!(third.try_response("GET").map(|response| response.status()).unwrap_or(503), 200);
    for client in &mut kept {
        assert_eq!(client.get("a", "/").text(), "x");
    }
    // The place of one that leaves is free again.
    let [gone, _kept] = kept;
    drop(gone);
    crate::support::wait_until("a place is free", || {
        let mut client = proxy.connect();
        let _ = client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client.try_response("GET").is_ok_and(|response| response.status() == 200)
    });
}
