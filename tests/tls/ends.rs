//! How connections with TLS end: told, in halves, or visibly cut. And tunnels, which live from that.

use crate::support::{Exchange, Origin, Proxy, Stream, TempDir, TlsClient, VERSIONS, WAIT, tls_site};
use std::io::{self, ErrorKind};
use tungstenite::Message;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";

fn start(origin: &Origin) -> Proxy {
    Proxy::start(&tls_site("a.test", origin, &TempDir::new()))
}

/// Switches to a protocol of bare bytes, then runs `then`.
fn switching(then: impl Fn(&mut Exchange) -> io::Result<()> + Send + Sync + 'static) -> Origin {
    Origin::scripted(move |exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")?;
        then(exchange)
    })
}

#[test]
fn a_body_that_only_the_end_ends_is_told_whole() {
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 200 OK\r\n\r\nall of it")
    });
    let proxy = start(&origin);
    for version in VERSIONS {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        // An HTTP/1.0 client is told by nothing but the end.
        let answer = client.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n").response();
        assert_eq!(answer.text(), "all of it");
        client.expect_end();
    }
}

#[test]
fn a_body_whose_server_dies_is_visibly_cut() {
    for framing in ["", "Content-Length: 1000\r\n", "Transfer-Encoding: chunked\r\n"] {
        let dying = Origin::scripted(move |exchange| {
            exchange.request()?;
            let begun = if framing.starts_with('T') { "3e8\r\npart of it" } else { "part of it" };
            exchange.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n{begun}"))?;
            exchange.reset()
        });
        let proxy = start(&dying);
        for version in VERSIONS {
            let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
            let cut = client.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n").try_response("GET");
            // No close_notify: it may even be a reset, and is never the end of a body.
            let error = cut.expect_err("a response that is cut");
            let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
            assert!(kinds.contains(&error.kind()), "{framing:?} {version:?}: {error}");
        }
    }
}

#[test]
fn an_end_that_is_no_cut_is_told() {
    let origin = Origin::named("x");
    let dir = TempDir::new();
    let proxy = Proxy::start(&format!("{}[timeouts]\nidle = \"200ms\"\n", tls_site("a.test", &origin, &dir)));
    for version in VERSIONS {
        let client = TlsClient::of(version);
        let connect = || client.connect(proxy.tls(), "a.test");
        // The last answer of a connection.
        let mut last = connect();
        let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        assert_eq!(last.send(request).response().text(), "x");
        last.expect_end();
        // One of our own that ends it.
        let mut wrong = connect();
        assert_eq!(wrong.send("nonsense\r\n\r\n").response().status(), 400);
        wrong.expect_end();
        // Idle for too long.
        let mut idle = connect();
        assert_eq!(idle.send(GET).response().text(), "x");
        idle.expect_end();
        // The client ends first, and is still answered.
        let mut ending = connect();
        ending.send(GET).finish();
        assert_eq!(ending.response().text(), "x");
        ending.expect_end();
    }
}

#[test]
fn a_websocket_talks_through_tls() {
    let origin = Origin::scripted(|exchange| {
        let stream = exchange.wire.stream().try_clone()?;
        let mut socket = tungstenite::accept(stream).map_err(io::Error::other)?;
        while let Ok(message) = socket.read() {
            if !message.is_close() {
                socket.send(message).map_err(io::Error::other)?;
            }
        }
        Ok(())
    });
    let proxy = start(&origin);
    for version in VERSIONS {
        let wire = TlsClient::of(version).connect(proxy.tls(), "a.test");
        let stream = wire.stream().try_clone().unwrap();
        let (mut socket, response) = tungstenite::client("ws://a.test/chat", stream).unwrap();
        assert_eq!(response.status(), 101);
        for length in [0, 1, 126, 16_384, 65_536, 1 << 20] {
            let message = Message::binary(vec![7_u8; length]);
            socket.send(message.clone()).unwrap();
            assert!(socket.read().unwrap() == message, "{length}");
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    }
    let line = proxy.log_line(|line| line.contains("/chat"));
    assert!(line.contains(" 101 ") && line.contains(" tunnel=1 tls=TLSv1."), "{line}");
}

#[test]
fn a_tunnel_whose_client_ends_first_still_brings_the_answer() {
    let origin = switching(|exchange| {
        let all = exchange.wire.rest()?;
        exchange.send([b"got ".as_slice(), &all].concat())
    });
    let proxy = start(&origin);
    for version in VERSIONS {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        assert_eq!(client.send(UPGRADE).response().status(), 101);
        client.send("request").finish();
        assert_eq!(client.rest().unwrap(), b"got request", "and the end is told");
    }
}

#[test]
fn a_tunnel_whose_server_ends_first_still_takes_what_the_client_says() {
    let (tell, told) = std::sync::mpsc::channel();
    let origin = switching(move |exchange| {
        exchange.send("over")?;
        exchange.wire.finish();
        let _ = tell.send(exchange.wire.rest()?);
        Ok(())
    });
    let proxy = start(&origin);
    let mut client = TlsClient::of(VERSIONS[0]).connect(proxy.tls(), "a.test");
    assert_eq!(client.send(UPGRADE).response().status(), 101);
    assert_eq!(client.rest().unwrap(), b"over");
    client.send("last words").finish();
    assert_eq!(told.recv_timeout(WAIT).unwrap(), b"last words");
}

#[test]
fn a_tunnel_that_a_client_cuts_is_cut_for_the_server() {
    let (tell, told) = std::sync::mpsc::channel();
    let origin = switching(move |exchange| {
        let _ = tell.send(exchange.wire.rest().map_err(|error| error.kind()));
        Ok(())
    });
    let proxy = start(&origin);
    let mut client = TlsClient::new().connect(proxy.tls(), "a.test");
    assert_eq!(client.send(UPGRADE).response().status(), 101);
    client.send("half a mes");
    // The end of the socket, without the end of TLS.
    let Stream::Tls(tls) = client.stream() else { panic!("not encrypted") };
    tls.tcp().shutdown(std::net::Shutdown::Write).unwrap();
    let got = told.recv_timeout(WAIT).unwrap();
    assert!(got.as_deref().is_ok_and(|bytes| bytes == b"half a mes") || got.is_err(), "{got:?}");
    let line = proxy.log_line(|line| line.contains("tunnel=1"));
    assert!(!line.contains(" err=- "), "{line}");
}
