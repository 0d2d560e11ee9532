//! The helpers against each other, without a proxy: a helper that cannot fail would make every test above it empty.

use super::*;
use std::io::{Cursor, ErrorKind, Read, Write};

#[test]
fn a_client_reads_what_an_origin_frames() {
    let origin = Origin::answering(|request| match request.target() {
        "/length" => ok("by length"),
        "/chunked" => chunked("200 OK", &["by ", "chunk"], &[("Sum", "42")]),
        "/none" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        other => panic!("unexpected {other}"),
    });
    let mut client = Wire::connect(origin.address());
    assert_eq!(client.get("a", "/length").text(), "by length");
    let answer = client.get("a", "/chunked");
    assert_eq!((answer.text().as_str(), answer.trailers[0].1.as_str()), ("by chunk", "42"));
    assert_eq!(client.get("a", "/none").status(), 204);
    assert_eq!((origin.connections(), origin.requests().len()), (1, 3));
}

#[test]
fn an_origin_remembers_requests_whole() {
    let origin = Origin::named("blog");
    let mut client = Wire::connect(origin.address());
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n");
    assert_eq!(client.response().text(), "blog");
    let request = origin.request();
    assert_eq!((request.method(), request.target(), request.text().as_str()), ("POST", "/x", "abc"));
    assert_eq!(request.trailers, [("T".to_owned(), "1".to_owned())]);
}

#[test]
fn an_origin_on_a_unix_socket_answers() {
    let origin = Origin::unix(|_| ok("unix"));
    let path = origin.url().strip_prefix("unix:").unwrap().to_owned();
    assert_eq!(Wire::connect_unix(path.as_ref()).get("a", "/").text(), "unix");
}

#[test]
fn a_cut_response_is_an_error() {
    #[track_caller]
    fn check(bytes: &'static str) {
        let origin = Origin::scripted(move |exchange| {
            exchange.request()?;
            exchange.send(bytes)
        });
        let cut = Wire::connect(origin.address()).send("GET / HTTP/1.1\r\n\r\n").try_response("GET");
        assert_eq!(cut.unwrap_err().kind(), ErrorKind::UnexpectedEof, "{bytes}");
    }
    check("");
    check("HTTP/1.1 200 OK\r\nContent-Le");
    check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
}

#[test]
fn a_bare_line_feed_is_an_error() {
    let origin = Origin::scripted(|exchange| exchange.send("HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"));
    let malformed = Wire::connect(origin.address()).try_response("GET").unwrap_err();
    assert_eq!(malformed.kind(), ErrorKind::InvalidData);
}

#[test]
fn a_reset_is_told_from_an_end() {
    let origin = Origin::scripted(|exchange| {
        // Not before the client knows that it is connected.
        exchange.wire.read_exactly(1)?;
        exchange.reset()
    });
    let error = Wire::connect(origin.address()).send("x").rest().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_stopped_origin_refuses_and_can_come_back() {
    let mut origin = Origin::named("first");
    let address = origin.address();
    let mut client = Wire::connect(address);
    assert_eq!(client.get("a", "/").text(), "first");
    origin.stop();
    client.expect_end();
    assert!(std::net::TcpStream::connect(address).is_err());
    let _again = Origin::at(address, |exchange| exchange.send(ok("second")));
    assert_eq!(Wire::connect(address).response().text(), "second");
}

#[test]
fn addresses_without_anybody_refuse_or_stay_silent() {
    let (_held, port) = refusing_port();
    let refused = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let hole = BlackHole::new();
    let address = (std::net::Ipv4Addr::LOCALHOST, hole.port()).into();
    let silent = std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(100)).unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_changed_pattern_is_found() {
    const LENGTH: u64 = 200_000;
    let mut bytes = Vec::new();
    Pattern::new(LENGTH).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, LENGTH);
    let check = |bytes: &[u8]| {
        let mut check = PatternCheck::new(LENGTH);
        check.write_all(bytes).is_ok() && check.received() == LENGTH
    };
    assert!(check(&bytes));
    assert!(!check(&bytes[..bytes.len() - 1]), "short");
    assert!(!check(&[&bytes[..], b"x"].concat()), "long");
    let (moved, rest) = bytes.split_at(65_536);
    assert!(!check(&[&rest[..65_536], moved, &rest[65_536..]].concat()), "blocks in another order");
    bytes[100_000] ^= 1;
    assert!(!check(&bytes), "one bit");
}

#[test]
fn lines_are_found_and_missed() {
    let lines = Lines::of(Cursor::new("one\ntwo\n"));
    assert_eq!(lines.find(0, |line| line == "two").as_deref(), Some("two"));
    assert_eq!(lines.find(0, |line| line == "three"), None);
    assert_eq!(lines.find(2, |line| line == "two"), None);
    assert_eq!(lines.to_end(), ["one", "two"]);
}

#[test]
fn tls_tells_its_end_from_a_cut_and_a_stranger_from_a_friend() {
    let (identity, other) = (HOME.issue(&["a.test"]), HOME.issue(&["a.test"]));
    let origin = Origin::tls(&identity, |exchange| {
        let target = exchange.request()?.map(|request| request.target().to_owned());
        exchange.send("HTTP/1.1 200 OK\r\n\r\nsecret")?;
        match target.as_deref() {
            Some("/cut") => exchange.wire.tls().tcp().shutdown(std::net::Shutdown::Both),
            _ => Ok(()),
        }
    });
    let client = TlsClient::new();
    let mut wire = client.connect(origin.address(), "a.test");
    assert!(wire.tls().shows(&identity) && !wire.tls().shows(&other) && !wire.tls().is_resumed());
    assert_eq!(wire.get("a.test", "/").text(), "secret");
    wire.expect_end();
    let mut wire = client.connect(origin.address(), "a.test");
    assert!(wire.tls().is_resumed());
    let cut = wire.send("GET /cut HTTP/1.1\r\n\r\n").try_response("GET");
    assert_eq!(cut.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert!(client.try_connect(origin.address(), "b.test").is_err(), "a certificate for another name");
    let stranger = Origin::tls(&FOREIGN.issue(&["a.test"]), |_| Ok(()));
    assert!(client.try_connect(stranger.address(), "a.test").is_err(), "an authority that nobody trusts");
    let refusal = client.offering(&["h2"]).refusal(origin.address(), "a.test");
    assert_eq!(refusal, rustls::AlertDescription::NoApplicationProtocol);
}

#[test]
fn tls_reads_and_writes_at_once() {
    const LENGTH: u64 = 4 << 20;
    let origin = Origin::tls(&HOME.issue(&["a.test"]), |exchange| {
        let mut stream = exchange.wire.stream().try_clone()?;
        std::io::copy(&mut stream.try_clone()?, &mut stream).map(drop)
    });
    let wire = TlsClient::new().connect(origin.address(), "a.test");
    let (mut up, mut down) = (wire.stream().try_clone().unwrap(), wire.stream().try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || std::io::copy(&mut Pattern::new(LENGTH), &mut up).unwrap());
        let mut check = PatternCheck::new(LENGTH);
        std::io::copy(&mut (&mut down).take(LENGTH), &mut check).unwrap();
        check.expect_whole();
    });
}
