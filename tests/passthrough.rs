//! TLS that is passed on by the name that the client asks for, and that nobody here can read.

use crate::support::{
    HOME, Origin, Pattern, PatternCheck, Proxy, Stream, TempDir, TlsClient, VERSIONS, WAIT, Wire, ok, refusing_port,
    tls_site,
};
use rustls::AlertDescription;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A site that passes on to these servers, with further keys of the upstream.
fn passing(host: &str, servers: &[SocketAddr], keys: &str) -> String {
    let servers: Vec<String> = servers.iter().map(|server| format!("\"tcp://{server}\"")).collect();
    let upstream = format!("{{ servers = [{}]{keys} }}", servers.join(", "));
    format!("[[site]]\nhost = {host:?}\ntls = \"passthrough\"\nupstream = {upstream}\n")
}

/// An origin that ends TLS itself and answers each request with the name that was asked for.
fn secret(host: &str) -> Origin {
    Origin::tls(&HOME.issue(&[host]), |exchange| {
        let name = exchange.wire.tls().server_name().unwrap_or_default();
        while exchange.request()?.is_some() {
            exchange.send(ok(&name))?;
        }
        Ok(())
    })
}

/// An origin that hands over all that comes until the client ends, and answers then.
fn recording(answer: &'static [u8]) -> (Origin, Receiver<Vec<u8>>) {
    let (tell, told) = channel();
    let origin = Origin::scripted(move |exchange| {
        let all = exchange.wire.rest()?;
        let _ = tell.send(all);
        exchange.send(answer)
    });
    (origin, told)
}

/// Sends bytes, ends, and returns what comes back until the end.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut client = Wire::connect(address);
    client.send(bytes).finish();
    client.rest().unwrap()
}

fn hello(name: &str) -> Vec<u8> {
    TlsClient::new().hello(name).bytes
}

#[test]
fn the_handshake_is_made_with_the_server() {
    let origin = secret("a.test");
    let proxy = Proxy::start(&passing("a.test", &[origin.address()], ""));
    for version in VERSIONS {
        let client = TlsClient::of(version);
        for resumed in [false, true] {
            let mut wire = client.connect(proxy.tls(), "a.test");
            assert_eq!(wire.get("a.test", "/").text(), "a.test");
            assert_eq!(wire.tls().is_resumed(), resumed);
        }
    }
    let line = proxy.log_line(|line| line.contains("\"TLS "));
    assert!(line.contains(" host=a.test ") && line.contains(&format!(" up={} ", origin.address())), "{line}");
    assert!(line.contains(" err=- tunnel=1"), "{line}");
}

#[test]
fn every_byte_arrives_from_the_first_on_and_as_it_was() {
    let (origin, told) = recording(b"whatever it says");
    let proxy = Proxy::start(&passing("a.test", &[origin.address()], ""));
    // What follows the hello may come in one piece with it, and need not be TLS.
    let all = [hello("a.test"), b"\0\xff and what is no TLS at all".to_vec()].concat();
    assert_eq!(exchange(proxy.tls(), &all), b"whatever it says");
    assert_eq!(told.recv_timeout(WAIT).unwrap(), all);
    // Byte by byte.
    let mut slow = Wire::connect(proxy.tls());
    all.iter().for_each(|byte| slow.try_send([*byte]).unwrap());
    slow.finish();
    assert_eq!(slow.rest().unwrap(), b"whatever it says");
    assert_eq!(told.recv_timeout(WAIT).unwrap(), all);
    // In records of few bytes, which stay as they are.
    let (header, message) = (&all[..3], &hello("a.test")[5..]);
    let cut: Vec<u8> = message.chunks(9).flat_map(|piece| [header, &[0, piece.len() as u8], piece].concat()).collect();
    assert_eq!(exchange(proxy.tls(), &cut), b"whatever it says");
    assert_eq!(told.recv_timeout(WAIT).unwrap(), cut);
}

#[test]
fn the_name_tells_where_to() {
    let (exact, below, rest) = (secret("a.test"), secret("x.b.test"), secret("other.example"));
    let ended = Origin::named("ended here");
    let dir = TempDir::new();
    let config = passing("a.test", &[exact.address()], "")
        + &passing("*.b.test", &[below.address()], "")
        + &tls_site("c.test", &ended, &dir);
    let proxy = Proxy::start(&config);
    let client = TlsClient::new();
    for name in ["a.test", "x.b.test"] {
        assert_eq!(client.get(proxy.tls(), name, "/").text(), name);
    }
    assert_eq!(client.get(proxy.tls(), "c.test", "/").text(), "ended here");
    for name in ["other.example", "b.test"] {
        assert_eq!(client.refusal(proxy.tls(), name), AlertDescription::UnrecognisedName);
    }
    // A name that is passed on is none for a connection that ends here.
    assert_eq!(client.connect(proxy.tls(), "c.test").get("a.test", "/").status(), 421);
    let proxy = Proxy::start(&(config + &passing("*", &[rest.address()], "")));
    assert_eq!(client.get(proxy.tls(), "other.example", "/").text(), "other.example");
    assert_eq!(client.get(proxy.tls(), "a.test", "/").text(), "a.test");
    let nameless = client.nameless();
    assert_eq!(nameless.get(proxy.tls(), "other.example", "/").text(), "", "without a name as well");
}

#[test]
fn plain_http_is_sent_on_to_the_port_of_tls() {
    let origin = secret("a.test");
    let proxy = Proxy::start(&passing("a.test", &[origin.address()], ""));
    let location = format!("https://a.test:{}/x?y", proxy.tls().port());
    let answer = proxy.get("a.test", "/x?y");
    assert_eq!((answer.status(), answer.field("location")), (308, Some(&*location)));
}

#[test]
fn the_server_is_told_whom_it_talks_to() {
    let hello = hello("a.test");
    for version in ["v1", "v2"] {
        let (origin, told) = recording(b"x");
        let keys = format!(", send_proxy_protocol = {version:?}");
        let proxy = Proxy::start(&passing("a.test", &[origin.address()], &keys));
        let mut client = Wire::connect(proxy.tls());
        let Stream::Tcp(socket) = client.stream() else { panic!("not TCP") };
        let (client_port, port) = (socket.local_addr().unwrap().port(), proxy.tls().port());
        client.send(&hello).finish();
        assert_eq!(client.rest().unwrap(), b"x");
        let header = if version == "v1" {
            format!("PROXY TCP4 127.0.0.1 127.0.0.1 {client_port} {port}\r\n").into_bytes()
        } else {
            let ports = [client_port.to_be_bytes(), port.to_be_bytes()].concat();
            [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01"[..], &ports].concat()
        };
        assert_eq!(told.recv_timeout(WAIT).unwrap(), [header, hello.clone()].concat(), "{version}");
    }
}

#[test]
fn each_direction_ends_by_itself() {
    // The client first: `recording` answers after that. Here the server.
    let (tell, told) = channel();
    let origin = Origin::scripted(move |exchange| {
        exchange.send("over")?;
        exchange.wire.finish();
        let _ = tell.send(exchange.wire.rest()?);
        Ok(())
    });
    let proxy = Proxy::start(&passing("a.test", &[origin.address()], ""));
    let mut client = Wire::connect(proxy.tls());
    let hello = hello("a.test");
    client.send(&hello);
    assert_eq!(client.rest().unwrap(), b"over");
    client.send("last words").finish();
    assert_eq!(told.recv_timeout(WAIT).unwrap(), [&hello[..], b"last words"].concat());
}

#[test]
fn another_server_takes_over_where_one_refuses() {
    let origin = secret("a.test");
    let (_held, port) = refusing_port();
    let refusing = SocketAddr::from(([127, 0, 0, 1], port));
    let keys = ", balance = \"round_robin\", eject_after = 0";
    let proxy = Proxy::start(&passing("a.test", &[refusing, origin.address()], keys));
    for _ in 0..6 {
        assert_eq!(TlsClient::new().get(proxy.tls(), "a.test", "/").text(), "a.test");
    }
    let line = proxy.log_line(|line| line.contains("\"TLS ") && line.contains(" retries=1 "));
    assert!(line.contains(&format!(" up={} ", origin.address())), "{line}");
}

#[test]
fn where_all_refuse_the_connection_ends_and_the_log_says_why() {
    let (_held, port) = refusing_port();
    let proxy = Proxy::start(&passing("a.test", &[([127, 0, 0, 1], port).into()], ""));
    let mut client = Wire::connect(proxy.tls());
    let _ = client.try_send(hello("a.test"));
    // Orderly or not: nothing is said on it.
    client.expect_gone();
    let line = proxy.log_line(|line| line.contains("\"TLS "));
    assert!(line.contains(" host=a.test ") && line.contains(" err=connection-refused"), "{line}");
    assert!(line.contains(&format!(" up=127.0.0.1:{port} ")), "{line}");
}

#[test]
fn a_connection_on_which_nothing_moves_ends() {
    let (origin, _told) = recording(b"");
    let proxy = Proxy::start(&format!(
        "{}[timeouts]\ntunnel_idle = \"300ms\"\nhead = \"100ms\"\nidle = \"100ms\"\n",
        passing("a.test", &[origin.address()], "")
    ));
    let mut client = Wire::connect(proxy.tls());
    client.send(hello("a.test"));
    // Neither the time for a head nor that between requests ends it before.
    client.expect_silence(Duration::from_millis(200));
    client.expect_gone();
    let line = proxy.log_line(|line| line.contains("\"TLS "));
    assert!(line.contains("timed-out"), "{line}");
}

#[test]
fn large_bodies_pass_whole_both_ways_at_once() {
    const LENGTH: u64 = 8 << 20;
    let origin = Origin::tls(&HOME.issue(&["a.test"]), |exchange| {
        let mut stream = exchange.wire.stream().try_clone()?;
        let sending = std::thread::spawn(move || io::copy(&mut Pattern::new(LENGTH), &mut stream));
        let mut check = PatternCheck::new(LENGTH);
        io::copy(&mut exchange.wire.stream().try_clone()?.take(LENGTH), &mut check)?;
        check.expect_whole();
        sending.join().unwrap().map(drop)
    });
    let proxy = Proxy::start(&passing("a.test", &[origin.address()], ""));
    let mut client = TlsClient::new().connect(proxy.tls(), "a.test");
    let mut stream = client.stream().try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || io::copy(&mut Pattern::new(LENGTH), &mut stream).unwrap());
        let mut check = PatternCheck::new(LENGTH);
        client.copy_body(crate::support::Framing::Length(LENGTH), &mut check).unwrap();
        check.expect_whole();
    });
    client.expect_end();
}
