//! How connections with TLS end: told, in halves, or visibly cut. And tunnels, which live from that.

use crate::support::{Gate, Origin, Proxy, TempDir, TlsClient, VERSIONS, WAIT, tls_site};
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::sync::Arc;
use tungstenite::Message;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";

fn start(origin: &Origin) -> Proxy {
    Proxy::start(&tls_site("a.test", origin, &TempDir::new()))
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
    #[track_caller]
    fn check(begun: &'static str, reset: bool) {
        let gate = Arc::new(Gate::default());
        let origin = Origin::scripted({
            let gate = gate.clone();
            move |exchange| {
                exchange.request()?;
                exchange.send(format!("HTTP/1.1 200 OK\r\n{begun}part of it"))?;
                gate.pass();
                if reset { exchange.reset() } else { Ok(()) }
            }
        });
        let proxy = start(&origin);
        let mut clients = VERSIONS.map(|version| TlsClient::of(version).connect(proxy.tls(), "a.test"));
        for client in &mut clients {
            // An HTTP/1.0 client has no chunks, by whose end it would know.
            client.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n").head();
            assert_eq!(client.read_exactly(10).unwrap(), b"part of it");
        }
        gate.open();
        for client in &mut clients {
            let error = client.rest().expect_err("an end that is not told");
            let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
            assert!(kinds.contains(&error.kind()), "{begun:?}: {error}");
        }
    }
    for reset in [true, false] {
        check("Content-Length: 1000\r\n\r\n", reset);
        check("Transfer-Encoding: chunked\r\n\r\n3e8\r\n", reset);
    }
    // Without either an orderly end is the end of the body.
    check("\r\n", true);
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
    let origin = Origin::switching(|exchange| {
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
    let origin = Origin::switching(move |exchange| {
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
fn a_tunnel_that_a_client_cuts_is_no_orderly_end() {
    let origin = Origin::switching(|exchange| exchange.wire.rest().map(drop));
    let proxy = start(&origin);
    let mut client = TlsClient::new().connect(proxy.tls(), "a.test");
    assert_eq!(client.send(UPGRADE).response().status(), 101);
    client.send("half a mes");
    // The end of the socket, without the end of TLS.
    client.tls().tcp().shutdown(Shutdown::Write).unwrap();
    let line = proxy.log_line(|line| line.contains("tunnel=1"));
    assert!(line.contains(" err=client-connection-broke"), "{line}");
}
