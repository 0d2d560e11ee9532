//! Connections that switch to another protocol become tunnels.

use crate::support::{Gate, Origin, Proxy, WAIT, default_site, ok};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tungstenite::{Message, WebSocket};

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: raw\r\n";

/// Accepts WebSockets and sends every message back.
fn echo() -> Origin {
    Origin::scripted(|exchange| {
        let stream = exchange.wire.stream().try_clone()?;
        let mut socket = tungstenite::accept(stream).map_err(io::Error::other)?;
        loop {
            match socket.read() {
                Ok(message) if message.is_close() => {}
                Ok(message) => socket.send(message).map_err(io::Error::other)?,
                Err(_) => return Ok(()),
            }
        }
    })
}

fn open(proxy: &Proxy) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    stream.set_write_timeout(Some(WAIT)).unwrap();
    let (socket, response) = tungstenite::client("ws://a.test/chat", stream).unwrap();
    assert_eq!(response.status(), 101);
    socket
}

#[test]
fn messages_of_every_size_are_echoed() {
    let origin = echo();
    let proxy = Proxy::to(&origin);
    let mut socket = open(&proxy);
    for length in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, 8 << 20] {
        let message = Message::binary(vec![7_u8; length]);
        socket.send(message.clone()).unwrap();
        assert!(socket.read().unwrap() == message, "{length}");
    }
    socket.send(Message::text("bye")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("bye"));
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}

#[test]
fn many_sockets_talk_at_once() {
    let origin = echo();
    let proxy = Proxy::start_with(&default_site(&origin), &["--cores", "2"]);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let mut socket = open(&proxy);
            scope.spawn(move || {
                for round in 0..50 {
                    let message = Message::text(format!("{n} {round}"));
                    socket.send(message.clone()).unwrap();
                    assert_eq!(socket.read().unwrap(), message);
                }
            });
        }
    });
}

#[test]
fn an_upgrade_reaches_the_origin_as_one() {
    let origin = Origin::switching(|exchange| exchange.wire.rest().map(drop));
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    let switched = client.send(format!("{UPGRADE}\r\n")).response();
    assert_eq!((switched.status(), switched.field("upgrade")), (101, Some("raw")));
    assert_eq!(switched.field("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
    let seen = origin.request();
    assert_eq!(seen.field("upgrade"), Some("raw"));
    assert_eq!(seen.field("connection").map(str::to_ascii_lowercase).as_deref(), Some("upgrade"));
}

#[test]
fn bytes_that_come_along_with_the_heads_are_not_lost() {
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nhello")?;
        let early = exchange.wire.read_exactly(5)?;
        exchange.send(early)
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    client.send(format!("{UPGRADE}\r\nearly"));
    assert_eq!(client.response().status(), 101);
    assert_eq!(client.rest().unwrap(), b"helloearly");
}

#[test]
fn each_direction_ends_by_itself() {
    // The client ends first and still gets the answer.
    let origin = Origin::switching(|exchange| {
        let all = exchange.wire.rest()?;
        exchange.send([b"got ".as_slice(), &all].concat())
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    assert_eq!(client.send(format!("{UPGRADE}\r\n")).response().status(), 101);
    client.send("request").finish();
    assert_eq!(client.rest().unwrap(), b"got request");
    // The origin ends first and still gets what the client says.
    let (tell, told) = std::sync::mpsc::channel();
    let origin = Origin::switching(move |exchange| {
        exchange.send("over")?;
        exchange.wire.finish();
        let _ = tell.send(exchange.wire.rest()?);
        Ok(())
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    assert_eq!(client.send(format!("{UPGRADE}\r\n")).response().status(), 101);
    assert_eq!(client.rest().unwrap(), b"over");
    client.send("last words").finish();
    assert_eq!(told.recv_timeout(WAIT).unwrap(), b"last words");
}

#[test]
fn a_tunnel_changes_no_byte_however_they_are_cut() {
    let origin = Origin::switching(|exchange| {
        let mut stream = exchange.wire.stream().try_clone()?;
        let mut piece = [0; 777];
        loop {
            match stream.read(&mut piece)? {
                0 => return Ok(()),
                length => exchange.send(&piece[..length])?,
            };
        }
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    assert_eq!(client.send(format!("{UPGRADE}\r\n")).response().status(), 101);
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    let bytes: Vec<u8> =
        std::iter::successors(Some(1_u64), next).map(|state| (state >> 56) as u8).take(500_000).collect();
    let mut stream = client.stream().try_clone().unwrap();
    let echoed = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Byte by byte, then in pieces that are cut nowhere in particular.
            let (slow, fast) = bytes.split_at(2000);
            slow.chunks(1).chain(fast.chunks(4099)).for_each(|piece| stream.write_all(piece).unwrap());
            stream.shutdown(Shutdown::Write).unwrap();
        });
        client.rest().unwrap()
    });
    assert!(echoed == bytes, "{} of {} bytes, or others", echoed.len(), bytes.len());
}

#[test]
fn an_upgrade_with_a_body_is_an_ordinary_request() {
    let origin = Origin::answering(|request| ok([request.field("upgrade").unwrap_or("-"), &request.text()].concat()));
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    assert_eq!(client.send(format!("{UPGRADE}Content-Length: 4\r\n\r\nbody")).response().text(), "-body");
    assert_eq!(client.send(format!("{UPGRADE}Content-Length: 0\r\n\r\n")).response().text(), "raw");
}

#[test]
fn a_refused_upgrade_is_an_ordinary_response() {
    let origin = Origin::named("no");
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    assert_eq!(client.send(format!("{UPGRADE}\r\n")).response().text(), "no");
    assert_eq!(client.get("a", "/").text(), "no");
}

#[test]
fn an_idle_tunnel_outlives_the_waits_of_requests_and_ends_at_its_own() {
    let origin = Origin::switching(|exchange| exchange.wire.rest().map(drop));
    let open = |waits: &str| {
        let proxy = Proxy::start(&format!("{}[timeouts]\n{waits}", default_site(&origin)));
        let mut client = proxy.connect();
        assert_eq!(client.send(format!("{UPGRADE}\r\n")).response().status(), 101);
        (proxy, client)
    };
    let short = "head = \"100ms\"\nidle = \"100ms\"\nbody_idle = \"100ms\"\nfirst_byte = \"100ms\"\n";
    let (_patient, mut client) = open(short);
    client.expect_silence(Duration::from_millis(500));
    let (_hasty, mut client) = open("tunnel_idle = \"200ms\"\n");
    client.expect_end();
}

#[test]
fn a_slow_reader_of_a_tunnel_holds_up_nobody() {
    let gate = Arc::new(Gate::default());
    const LENGTH: usize = 16 << 20;
    let origin = Origin::switching({
        let gate = gate.clone();
        move |exchange| {
            exchange.send(vec![1_u8; LENGTH])?;
            gate.pass();
            Ok(())
        }
    });
    let proxy = Proxy::to(&origin);
    let mut slow = proxy.connect();
    assert_eq!(slow.send(format!("{UPGRADE}\r\n")).response().status(), 101);
    for _ in 0..3 {
        let mut other = proxy.connect();
        assert_eq!(other.send(format!("{UPGRADE}\r\n")).response().status(), 101);
        assert_eq!(other.read_exactly(LENGTH as u64).unwrap().len(), LENGTH);
    }
    assert_eq!(slow.read_exactly(LENGTH as u64).unwrap().len(), LENGTH);
    gate.open();
}
