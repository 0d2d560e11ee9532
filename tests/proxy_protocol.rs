//! PROXY headers of a proxy in front: who the client is then, and who may say so.

use crate::support::{HOME, Origin, Proxy, TempDir, TlsClient, Wire, site, tcp, wait_until};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n";
/// The same in version 2, with something behind the addresses that nobody knows.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\x01\xbb\xe0\0\x02hi";
const V1_IPV6: &[u8] = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// Listeners of each kind that want a header from `from`, in front of an origin and of one for the stream.
fn start(origin: &Origin, raw: &Origin, from: &str, more: &str) -> Proxy {
    let dir = TempDir::new();
    let listen = |prefix: &str| {
        format!("{{ address = \"{prefix}127.0.0.1:0\", proxy_protocol = \"required\", from = [{from:?}] }}")
    };
    let pair = HOME.issue(&["a.test"]).put(&dir);
    Proxy::start(&format!(
        "{more}[listen]\nhttp = {}\nhttps = {}\n{}tls = \"off\"\n{}{pair}[[stream]]\nlisten = {}\nupstream = {:?}\n",
        listen(""),
        listen(""),
        site("plain.test", origin),
        site("a.test", origin),
        listen("tcp/"),
        raw.address().to_string()
    ))
}

/// What the origin was told of who asks.
fn told(origin: &Origin) -> String {
    let request = origin.request();
    assert_eq!(request.field("x-real-ip"), request.field("x-forwarded-for"));
    request.field("x-forwarded-for").unwrap_or_default().to_owned()
}

fn plain(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: plain.test\r\n\r\n")
}

/// Sends a header and then what a client of TLS does.
fn secure(proxy: &Proxy, header: &[u8]) -> io::Result<Wire> {
    let mut tcp = tcp(proxy.tls());
    let hello = TlsClient::new().hello("a.test");
    // In one piece: what is behind the header is the client's.
    tcp.write_all(&[header, &hello.bytes].concat())?;
    hello.shake(tcp)
}

/// Nothing is answered, and the connection ends, orderly or not.
#[track_caller]
fn expect_refusal(mut tcp: TcpStream, bytes: &[u8]) {
    let sent = tcp.write_all(bytes);
    let mut answer = Vec::new();
    match sent.and_then(|()| tcp.read_to_end(&mut answer).map(drop)) {
        Ok(()) => assert_eq!(String::from_utf8_lossy(&answer), ""),
        Err(e) => assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&e.kind()), "{e}"),
    }
}

/// Each kind of connection that was refused for this is called in the log what it is.
#[track_caller]
fn expect_words(proxy: &Proxy, error: &str) {
    for kind in ["HTTP", "TLS", "TCP"] {
        proxy.log_line(|line| line.contains(error) && line.contains(&format!("\"{kind} ")));
    }
}

#[test]
fn the_client_is_who_the_header_names() {
    let (origin, raw) = (Origin::named("x"), Origin::echo());
    let proxy = start(&origin, &raw, "127.0.0.1", "");
    let names = [(V1, "203.0.113.7"), (V2, "203.0.113.7"), (V1_IPV6, "2001:db8::7")];
    for (n, (header, client)) in names.into_iter().enumerate() {
        // On a port of HTTP, where it stays so for all requests of the connection.
        let mut wire = Wire::connect(proxy.address());
        for target in [format!("/plain/{n}/1"), format!("/plain/{n}/2")] {
            let header = if target.ends_with('1') { header } else { b"" };
            assert_eq!(wire.send([header, plain(&target).as_bytes()].concat()).response().text(), "x");
            assert_eq!(told(&origin), client);
            let line = proxy.log_line(|line| line.contains(&target));
            assert!(line.starts_with(&format!("{client} ")), "{line}");
        }
        // On one of TLS,
        let mut wire = secure(&proxy, header).unwrap();
        assert_eq!(wire.get("a.test", &format!("/tls/{n}/")).text(), "x");
        assert_eq!(told(&origin), client);
        let line = proxy.log_line(|line| line.contains(&format!("/tls/{n}/")));
        assert!(line.starts_with(&format!("{client} ")), "{line}");
        // and on one of a stream.
        let before = proxy.log().count();
        let mut wire = Wire::connect(proxy.listener_of("tcp", 0));
        wire.send([header, b"hello"].concat()).finish();
        assert_eq!(wire.rest().unwrap(), b"hello");
        let line = proxy.log().find(before, |line| line.contains("\"TCP ")).unwrap();
        assert!(line.starts_with(&format!("{client} ")), "{line}");
    }
}

#[test]
fn a_header_that_names_nobody_leaves_the_peer() {
    let (origin, raw) = (Origin::named("x"), Origin::echo());
    let proxy = start(&origin, &raw, "127.0.0.0/8", "");
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let local_with_addresses = b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c\xcb\0\x71\x07\xc0\0\x02\x01\x12\x67\x01\xbb";
    let unknown = b"PROXY UNKNOWN\r\n";
    let unknown_with_addresses = b"PROXY UNKNOWN 203.0.113.7 192.0.2.1 4711 443\r\n";
    for header in [&local[..], local_with_addresses, unknown, unknown_with_addresses] {
        let mut wire = Wire::connect(proxy.address());
        assert_eq!(wire.send([header, plain("/").as_bytes()].concat()).response().text(), "x");
        assert_eq!(told(&origin), "127.0.0.1");
        assert_eq!(secure(&proxy, header).unwrap().send(GET).response().text(), "x");
        assert_eq!(told(&origin), "127.0.0.1");
        let mut wire = Wire::connect(proxy.listener_of("tcp", 0));
        wire.send([header, b"hello"].concat()).finish();
        assert_eq!(wire.rest().unwrap(), b"hello");
    }
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let (origin, raw) = (Origin::named("x"), Origin::echo());
    let proxy = start(&origin, &raw, "lan", "");
    for header in [V1, V2] {
        let mut wire = Wire::connect(proxy.address());
        header.iter().chain(plain("/").as_bytes()).for_each(|byte| wire.try_send([*byte]).unwrap());
        assert_eq!(wire.response().text(), "x");
        assert_eq!(told(&origin), "203.0.113.7");
        let mut tcp = tcp(proxy.tls());
        let hello = TlsClient::new().hello("a.test");
        header.iter().chain(&hello.bytes).for_each(|byte| tcp.write_all(&[*byte]).unwrap());
        assert_eq!(hello.shake(tcp).unwrap().send(GET).response().text(), "x");
        let mut wire = Wire::connect(proxy.listener_of("tcp", 0));
        header.iter().chain(b"hello").for_each(|byte| wire.try_send([*byte]).unwrap());
        wire.finish();
        assert_eq!(wire.rest().unwrap(), b"hello");
    }
}

#[test]
fn without_a_header_nothing_is_answered() {
    let (origin, raw) = (Origin::named("x"), Origin::echo());
    let proxy = start(&origin, &raw, "127.0.0.1", "");
    let hello = TlsClient::new().hello("a.test").bytes;
    for bytes in [GET.as_bytes(), &hello, b"PROXY TCP4 nonsense\r\n", b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\n"] {
        for address in [proxy.address(), proxy.tls(), proxy.listener_of("tcp", 0)] {
            expect_refusal(tcp(address), bytes);
        }
    }
    expect_words(&proxy, "err=bad-PROXY-header");
    assert_eq!((origin.requests().len(), raw.connections()), (0, 0));
}

#[test]
fn who_is_not_named_may_not_even_connect() {
    let (origin, raw) = (Origin::named("x"), Origin::echo());
    let proxy = start(&origin, &raw, "127.0.0.2", "");
    for header in [V1, V2, b""] {
        for address in [proxy.address(), proxy.tls(), proxy.listener_of("tcp", 0)] {
            expect_refusal(tcp(address), &[header, plain("/").as_bytes()].concat());
        }
    }
    expect_words(&proxy, "err=peer-not-in-from");
    assert_eq!((origin.requests().len(), raw.connections()), (0, 0));
}

#[test]
fn the_limit_of_a_client_is_that_of_the_one_who_is_named() {
    let (origin, raw) = (Origin::named("x"), Origin::echo());
    let proxy = start(&origin, &raw, "127.0.0.1", "[limits]\nconnections_per_client = 2\n");
    let other = b"PROXY TCP4 203.0.113.8 192.0.2.1 4711 443\r\n";
    let third = b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n";
    let connect = |header: &[u8]| {
        let mut wire = Wire::connect(proxy.address());
        wire.try_send([header, plain("/").as_bytes()].concat()).unwrap();
        wire
    };
    let served = |header: &[u8]| {
        let mut wire = connect(header);
        assert_eq!(wire.response().text(), "x");
        wire
    };
    let (one, two) = (served(V1), served(V2));
    // A third of the same client. What counts is not whom all of them come through.
    connect(V1).expect_gone();
    let others = (served(other), served(other));
    connect(other).expect_gone();
    // What is passed on as it is counts as long as it is open.
    let mut passed = Wire::connect(proxy.listener_of("tcp", 0));
    passed.send([&third[..], b"hello"].concat());
    assert_eq!(passed.read_exactly(5).unwrap(), b"hello");
    let last = served(third);
    connect(third).expect_gone();
    drop((one, others, last));
    wait_until("there is room again", || connect(V1).try_response("GET").is_ok());
    drop((two, passed));
}

#[test]
fn a_proxy_that_is_named_speaks_for_many() {
    let (origin, raw) = (Origin::named("x"), Origin::echo());
    let limits = "trusted_proxies = [\"203.0.113.0/24\"]\n[limits]\nconnections_per_client = 2\n";
    let proxy = start(&origin, &raw, "127.0.0.1", limits);
    let served: Vec<Wire> = (0..4)
        .map(|n| {
            let mut wire = Wire::connect(proxy.address());
            let request = format!("GET / HTTP/1.1\r\nHost: plain.test\r\nX-Forwarded-For: 192.0.2.{n}\r\n\r\n");
            assert_eq!(wire.send([V1, request.as_bytes()].concat()).response().text(), "x", "{n}");
            wire
        })
        .collect();
    drop(served);
}

#[test]
fn a_header_may_be_passed_on() {
    let (tell, told) = std::sync::mpsc::channel();
    let raw = Origin::scripted(move |exchange| {
        let _ = tell.send(exchange.wire.rest()?);
        Ok(())
    });
    let proxy = Proxy::start(&format!(
        "[[stream]]\nlisten = {{ address = \"tcp/127.0.0.1:0\", proxy_protocol = \"required\", from = [\"127.0.0.1\"] }}\n\
         upstream = {{ servers = [\"{}\"], send_proxy_protocol = \"v1\" }}\n",
        raw.address()
    ));
    let mut wire = Wire::connect(proxy.listener_of("tcp", 0));
    wire.send([V2, b"hello"].concat()).finish();
    assert_eq!(told.recv_timeout(crate::support::WAIT).unwrap(), [V1, b"hello"].concat());
}
