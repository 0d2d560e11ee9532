//! Bodies of every size both ways, at any pace, whole or visibly cut.

use crate::support::{
    Framing, Gate, Origin, Pattern, PatternCheck, Proxy, Stream, WAIT, Wire, answer, default_site, framing_field, ok,
    send_body, site_of_routes, wait_until,
};
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// `/LENGTH/FRAMING` is answered with a pattern of that length.
fn download_origin() -> Origin {
    Origin::scripted(|exchange| {
        while let Some(request) = exchange.request()? {
            let mut parts = request.target()[1..].split('/');
            let length = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
            let framing = if parts.next() == Some("chunked") { Framing::Chunked } else { Framing::Length(length) };
            exchange.send(format!("HTTP/1.1 200 OK\r\n{}\r\n", framing_field(framing, length)))?;
            send_body(&mut exchange.wire, framing, length)?;
        }
        Ok(())
    })
}

/// Compares each upload with the pattern and answers with the number of bytes.
fn upload_origin() -> Origin {
    Origin::scripted(|exchange| {
        while let Some(head) = exchange.head()? {
            let length = head.target()[1..].parse().unwrap_or(0);
            let mut check = PatternCheck::new(length);
            exchange.wire.copy_body(head.request_framing(), &mut check)?;
            exchange.send(ok(check.received().to_string()))?;
        }
        Ok(())
    })
}

#[track_caller]
fn download(client: &mut Wire, target: &str, length: u64) {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let head = client.head();
    let mut check = PatternCheck::new(length);
    client.copy_body(head.response_framing("GET"), &mut check).unwrap_or_else(|e| panic!("{target}: {e}"));
    check.expect_whole();
}

#[track_caller]
fn upload(client: &mut Wire, framing: Framing, length: u64) {
    client.send(format!("PUT /{length} HTTP/1.1\r\nHost: a\r\n{}\r\n", framing_field(framing, length)));
    send_body(client, framing, length).unwrap();
    assert_eq!(client.response().text(), length.to_string());
}

#[test]
fn downloads_arrive_whole() {
    let origin = download_origin();
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    for length in [0, 1, 4095, 4096, 4097, 65_535, 65_537, MIB, 64 * MIB] {
        download(&mut client, &format!("/{length}"), length);
    }
    for length in [0, 1, 4097, MIB, 8 * MIB] {
        download(&mut client, &format!("/{length}/chunked"), length);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn uploads_arrive_whole() {
    let origin = upload_origin();
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    for length in [0, 1, 4097, MIB, 64 * MIB] {
        upload(&mut client, Framing::Length(length), length);
    }
    for length in [0, 1, 4097, 8 * MIB] {
        upload(&mut client, Framing::Chunked, length);
    }
}

#[test]
fn many_bodies_at_once_do_not_mix() {
    let (down, up) = (download_origin(), upload_origin());
    let strip = "strip_prefix = true";
    let config = site_of_routes("*", &[("/up", strip, &up), ("/down", strip, &down)]);
    let proxy = Proxy::start_with(&config, &["--cores", "2"]);
    std::thread::scope(|scope| {
        for n in 0..16 {
            let mut client = proxy.connect();
            let length = 300_000 + n * 77_777;
            scope.spawn(move || match n % 2 {
                0 => download(&mut client, &format!("/down/{length}"), length),
                _ => {
                    client.send(format!("PUT /up/{length} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"));
                    send_body(&mut client, Framing::Length(length), length).unwrap();
                    assert_eq!(client.response().text(), length.to_string());
                }
            });
        }
    });
}

#[test]
fn a_slow_reader_gets_all_and_holds_up_nobody() {
    let origin = download_origin();
    let proxy = Proxy::to(&origin);
    let mut slow = proxy.connect();
    slow.send(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", 16 * MIB));
    let head = slow.head();
    // It does not read now; others come and go.
    let mut client = proxy.connect();
    for _ in 0..20 {
        download(&mut client, "/100000", 100_000);
    }
    let mut check = PatternCheck::new(16 * MIB);
    slow.copy_body(head.response_framing("GET"), &mut check).unwrap();
    check.expect_whole();
}

#[test]
fn a_reader_that_is_slow_is_not_taken_for_one_that_has_stopped() {
    let origin = download_origin();
    let proxy = Proxy::start(&format!("{}[timeouts]\nbody_idle = \"1s\"\n", default_site(&origin)));
    let length = 4 * MIB;
    for target in [format!("/{length}"), format!("/{length}/chunked")] {
        let mut slow = connect_narrow(proxy.address());
        slow.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = slow.head();
        let mut paced = Paced { check: PatternCheck::new(length), rests: 120 };
        slow.copy_body(head.response_framing("GET"), &mut paced).unwrap_or_else(|error| panic!("{target}: {error}"));
        paced.check.expect_whole();
    }
    let mut stopped = proxy.connect();
    stopped.send(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", 64 * MIB));
    wait_until("the one that has stopped is given up", || proxy.status()["totals"]["exchanges"] == 0);
}

/// A client with little room for what it has not read. With much of it the system of one that reads slowly says for seconds
/// that there is none: it waits until a sixteenth is free.
fn connect_narrow(to: SocketAddr) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect_timeout(&to.into(), WAIT).unwrap();
    Wire::over(Stream::Tcp(socket.into()))
}

/// Rests before each of its first pieces.
struct Paced {
    check: PatternCheck,
    rests: u32,
}

impl io::Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut piece = bytes;
        if self.rests > 0 {
            self.rests -= 1;
            std::thread::sleep(Duration::from_millis(25));
            piece = &bytes[..bytes.len().min(2048)];
        }
        self.check.write(piece)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn bodies_flow_both_ways_at_once() {
    // What comes is sent back while more is coming: with either direction held back, both would stop.
    const LENGTH: u64 = 8 * MIB;
    let origin = Origin::scripted(|exchange| {
        exchange.head()?;
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))?;
        for _ in 0..LENGTH / (64 << 10) {
            let piece = exchange.wire.read_exactly(64 << 10)?;
            exchange.send(piece)?;
        }
        exchange.wire.rest().map(drop)
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"));
    let mut sending = Wire::over(client.stream().try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || send_body(&mut sending, Framing::Length(LENGTH), LENGTH).unwrap());
        let head = client.head();
        let mut check = PatternCheck::new(LENGTH);
        client.copy_body(head.response_framing("POST"), &mut check).unwrap();
        check.expect_whole();
    });
}

#[test]
fn parts_are_passed_on_as_they_come() {
    #[track_caller]
    fn check(first: &'static str, second: &'static str) {
        let gate = Arc::new(Gate::default());
        let origin = Origin::scripted({
            let gate = gate.clone();
            move |exchange| {
                exchange.request()?;
                exchange.send(first)?;
                gate.pass();
                exchange.send(second)
            }
        });
        let proxy = Proxy::to(&origin);
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = client.head();
        // In chunks, whatever the size line looks like, the event comes before the rest has been sent.
        let chunked = head.response_framing("GET") == Framing::Chunked;
        let event = client.read_exactly(if chunked { 3 + 7 } else { 7 }).unwrap();
        assert!(event.ends_with(b"event 1"), "{event:?}");
        gate.open();
        let rest = client.read_exactly(if chunked { 2 + 3 + 7 } else { 7 }).unwrap();
        assert!(rest.ends_with(b"event 2"), "{rest:?}");
    }
    check(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n7\r\nevent 1\r\n",
        "7\r\nevent 2\r\n0\r\n\r\n",
    );
    check("HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nevent 1", "event 2");
    check("HTTP/1.1 200 OK\r\n\r\nevent 1", "event 2");
}

#[test]
fn a_cut_or_malformed_body_is_cut_for_the_client_too() {
    #[track_caller]
    fn check(what: &str, bytes: &'static [u8], reset: bool) {
        let origin = Origin::scripted(move |exchange| {
            exchange.request()?;
            exchange.send(bytes)?;
            if reset { exchange.reset() } else { Ok(()) }
        });
        let proxy = Proxy::to(&origin);
        for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"] {
            let mut client = proxy.connect();
            let error = match client.send(request).try_response("GET") {
                // A head that was still ours to choose may be an error of its own.
                Ok(response) if response.status() == 502 => continue,
                Ok(response) => panic!("{what}: completed to {response:?}"),
                Err(error) => error,
            };
            assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{what}: {error}");
        }
    }
    check("length", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", false);
    check("length, reset", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", true);
    check("within a chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", false);
    check("between chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", false);
    check("before the last line", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", false);
    check("size", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", false);
    check("chunk end", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n", false);
    check("size too big", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", false);
}

#[test]
fn a_body_without_length_that_ends_in_a_reset_is_not_whole() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |exchange| {
            exchange.request()?;
            exchange.send("HTTP/1.1 200 OK\r\n\r\npart")?;
            gate.pass();
            exchange.reset()
        }
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().response_framing("GET"), Framing::Chunked);
    assert_eq!(client.read_exactly(7).unwrap(), b"4\r\npart");
    // Only now, so that the reset does not overtake the part.
    gate.open();
    let rest = client.rest().unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "completed");
}

#[test]
fn an_upload_that_breaks_off_is_not_completed_towards_the_origin() {
    #[track_caller]
    fn check(begin: &str, end: &str) {
        let (tell, told) = std::sync::mpsc::channel();
        let origin = Origin::scripted(move |exchange| {
            let head = exchange.head()?.ok_or(ErrorKind::UnexpectedEof)?;
            let body = exchange.wire.copy_body(head.request_framing(), &mut Vec::new());
            let _ = tell.send(body.is_err());
            Ok(())
        });
        let proxy = Proxy::to(&origin);
        let mut client = proxy.connect();
        client.send(begin);
        origin.wait_requests(1);
        client.send(end);
        drop(client);
        assert!(told.recv_timeout(WAIT).unwrap(), "completed: {begin}{end}");
    }
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", "def");
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    check(chunked, "");
    check(chunked, "3\r\nde");
    check(chunked, "zz\r\n\r\n");
}

#[test]
fn a_body_over_the_maximum_of_its_route_is_refused() {
    let origin = Origin::answering(|request| answer("200 OK", &[], request.body.len().to_string()));
    let routes = [("/small", "max_body = \"1KiB\"", &origin), ("/", "", &origin)];
    let proxy = Proxy::start(&site_of_routes("*", &routes));
    let post = |target: &str, length: usize| {
        let body = "x".repeat(length);
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        proxy.exchange(head + &body)
    };
    assert_eq!(post("/small", 1024).text(), "1024");
    assert_eq!(post("/small", 1025).status(), 413);
    assert_eq!(post("/", 100_000).text(), "100000");
    assert_eq!(origin.requests().len(), 2);
    // Chunks are counted as they come.
    let mut client = proxy.connect();
    client.send("POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n");
    client.send("x".repeat(1024)).send("\r\n1\r\nx\r\n0\r\n\r\n");
    assert_eq!(client.response().status(), 413);
}

#[test]
fn an_idle_body_is_given_up() {
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")?;
        exchange.wire.rest().map(drop)
    });
    let config = format!("{}[timeouts]\nbody_idle = \"300ms\"\n", default_site(&origin));
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_response("GET").is_err());
}

#[test]
fn a_trailer_section_that_comes_in_pieces_holds_up_nobody() {
    let sum = [("X-Sum".to_owned(), "1".to_owned())];
    for [begin, end] in [["5\r\nhello\r\n0\r\nX-S", "um: 1\r\n\r\n"], ["5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r", "\n"]] {
        let gate = Arc::new(Gate::default());
        let origin = Origin::scripted({
            let gate = gate.clone();
            move |exchange| {
                exchange.request()?;
                exchange.send(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", begin].concat())?;
                gate.pass();
                exchange.send(end)
            }
        });
        let proxy = Proxy::to(&origin);
        let mut client = proxy.connect();
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").send(begin);
        // The one core waits for the rest, and serves others meanwhile.
        let serves_others = || assert_eq!(proxy.exchange("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").status(), 405);
        serves_others();
        client.send(end);
        let request = &origin.wait_requests(1)[0];
        assert_eq!((request.text().as_str(), &request.trailers[..]), ("hello", &sum[..]));
        let head = client.head();
        serves_others();
        gate.open();
        let mut body = Vec::new();
        let trailers = client.copy_body(head.response_framing("POST"), &mut body).unwrap();
        assert_eq!((&body[..], &trailers[..]), (b"hello".as_slice(), &sum[..]));
    }
}

#[test]
fn an_upload_may_take_longer_than_connecting_and_answering_may() {
    let origin = upload_origin();
    let proxy =
        Proxy::start(&format!("{}[timeouts]\nconnect = \"100ms\"\nfirst_byte = \"300ms\"\n", default_site(&origin)));
    let mut client = proxy.connect();
    for _ in 0..2 {
        client.send("PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n");
        let mut body = Vec::new();
        Pattern::new(2).read_to_end(&mut body).unwrap();
        client.send(&body[..1]);
        client.expect_silence(Duration::from_millis(500));
        assert_eq!(client.send(&body[1..]).response().text(), "2");
    }
}
