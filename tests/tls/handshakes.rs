//! What clients and the proxy agree on, and what becomes of those that agree on nothing.

use crate::support::{Gate, Origin, Proxy, TempDir, TlsClient, VERSIONS, WAIT, alert, tcp, tls_site, wait_until};
use rustls::AlertDescription;
use serde_json::Value;
use std::io::{Read, Write};
use std::sync::Arc;

/// A proxy for `a.test` with TLS, and these further keys.
fn start(origin: &Origin, keys: &str) -> Proxy {
    let dir = TempDir::new();
    Proxy::start(&format!("{}{keys}", tls_site("a.test", origin, &dir)))
}

/// What comes back when these bytes are all that a client says.
fn answer_to(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
    let mut tcp = tcp(proxy.tls());
    tcp.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).unwrap();
    answer
}

/// The record of a fatal alert in the clear.
fn alert_record(number: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, number]
}

#[test]
fn both_versions_serve_requests_on_kept_connections() {
    let origin = Origin::named("secret");
    let proxy = start(&origin, "");
    for (version, name) in VERSIONS.iter().zip(["TLSv1.3", "TLSv1.2"]) {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        assert_eq!(client.tls().version(), Some(version.version));
        for _ in 0..3 {
            assert_eq!(client.get("a.test", &format!("/{name}")).text(), "secret");
        }
        let seen = origin.request();
        assert_eq!((seen.field("x-forwarded-proto"), seen.field("host")), (Some("https"), Some("a.test")));
        assert!(seen.field("forwarded").is_some_and(|forwarded| forwarded.ends_with("proto=https")), "{seen:?}");
        let line = proxy.log_line(|line| line.contains(&format!("/{name} ")));
        assert!(line.contains(&format!(" tls={name}/TLS")) && line.ends_with(" sni=a.test"), "{line}");
        assert!(!line.contains("resumed"), "{line}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn requests_may_follow_without_waiting() {
    let origin = Origin::answering(|request| crate::support::ok(request.target()));
    let proxy = start(&origin, "");
    for version in VERSIONS {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        let requests: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a.test\r\n\r\n")).collect();
        client.send(requests);
        for n in 0..20 {
            assert_eq!(client.response().text(), format!("/{n}"));
        }
    }
}

#[test]
fn keys_may_be_renewed_between_requests() {
    let origin = Origin::named("x");
    let proxy = start(&origin, "");
    let mut client = TlsClient::new().connect(proxy.tls(), "a.test");
    for _ in 0..5 {
        assert_eq!(client.get("a.test", "/").text(), "x");
        client.tls().renew_keys().unwrap();
    }
}

#[test]
fn plain_requests_are_told_apart() {
    let origin = Origin::named("plain");
    let dir = TempDir::new();
    let proxy = Proxy::start(&(tls_site("a.test", &origin, &dir) + &crate::support::site("b.test", &origin)));
    assert_eq!(proxy.get("b.test", "/plain").text(), "plain");
    assert_eq!(origin.request().field("x-forwarded-proto"), Some("http"));
    let line = proxy.log_line(|line| line.contains("/plain"));
    assert!(!line.contains("tls=") && !line.contains("sni="), "{line}");
}

#[test]
fn a_json_line_tells_the_handshake() {
    let origin = Origin::named("x");
    let proxy = start(&origin, "[log]\nformat = \"json\"\n");
    let client = TlsClient::new();
    for resumed in [false, true] {
        client.get(proxy.tls(), "a.test", &format!("/{resumed}"));
        let line = proxy.log_line(|line| line.contains(&format!("/{resumed}")));
        let record: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!((&record["tls"], &record["sni"]), (&"TLSv1.3".into(), &"a.test".into()), "{line}");
        assert_eq!(record["resumed"], resumed, "{line}");
        assert!(record["cipher"].as_str().is_some_and(|cipher| cipher.starts_with("TLS13_")), "{line}");
    }
}

#[test]
fn http_1_1_is_agreed_on_where_it_is_offered() {
    let origin = Origin::named("x");
    let proxy = start(&origin, "");
    for version in VERSIONS {
        let agreed = |protocols: &[&str]| {
            let mut client = TlsClient::of(version).offering(protocols).connect(proxy.tls(), "a.test");
            assert_eq!(client.get("a.test", "/").status(), 200);
            client.tls().protocol()
        };
        assert_eq!(agreed(&["h2", "http/1.1"]).as_deref(), Some("http/1.1"));
        assert_eq!(agreed(&[]), None);
        let refusal = TlsClient::of(version).offering(&["h2"]).refusal(proxy.tls(), "a.test");
        assert_eq!(refusal, AlertDescription::NoApplicationProtocol);
    }
    proxy.log_line(|line| line.contains("err=TLS-handshake-failed"));
}

#[test]
fn a_hello_may_come_in_pieces() {
    let origin = Origin::named("whole");
    let proxy = start(&origin, "");
    // Byte by byte, each of them in a packet of its own as far as the kernel lets it.
    let hello = TlsClient::new().hello("a.test");
    let mut slow = tcp(proxy.tls());
    hello.bytes.iter().for_each(|byte| slow.write_all(&[*byte]).unwrap());
    assert_eq!(hello.shake(slow).unwrap().get("a.test", "/").text(), "whole");
    // And in records of a few bytes, which RFC 8446 allows (section 5.1).
    for size in [1, 7, 100] {
        let hello = TlsClient::new().hello("a.test");
        let (header, message) = hello.bytes.split_at(5);
        let mut cut = tcp(proxy.tls());
        for piece in message.chunks(size) {
            let record = [&header[..3], &(piece.len() as u16).to_be_bytes(), piece].concat();
            cut.write_all(&record).unwrap();
        }
        let mut client = hello.shake(cut).unwrap_or_else(|e| panic!("records of {size}: {e}"));
        assert_eq!(client.get("a.test", "/").text(), "whole");
    }
}

#[test]
fn a_hello_that_cannot_be_read_is_told_why() {
    let origin = Origin::named("x");
    let proxy = start(&origin, "");
    let hello = TlsClient::new().hello("a.test").bytes;
    let place = hello.windows(6).position(|bytes| bytes == b"a.test").unwrap();
    let with = |at: usize, byte: u8| {
        let mut changed = hello.clone();
        changed[at] = byte;
        changed
    };
    // A record of the first 16 bytes, then one of another kind.
    let cut = [&hello[..3], &[0, 16], &hello[5..21], &alert_record(0)].concat();
    let cases = [
        (with(place - 1, 200), 50, "wrong-length-in-the-ClientHello"),
        (with(place, 0xff), 47, "bad-server-name"),
        (with(5, 2), 10, "no-ClientHello"),
        (cut, 10, "no-TLS-handshake-record"),
    ];
    for (bytes, number, label) in cases {
        assert_eq!(answer_to(&proxy, &bytes), alert_record(number), "{label}");
        proxy.log_line(|line| line.contains(&format!("err={label}")));
    }
    // Nobody else is harmed.
    assert_eq!(TlsClient::new().get(proxy.tls(), "a.test", "/").text(), "x");
}

#[test]
fn a_record_that_cannot_be_decrypted_ends_the_connection_by_an_alert() {
    let record = [&[23, 3, 3, 0, 64][..], &[7; 64]].concat();
    for version in VERSIONS {
        let gate = Arc::new(Gate::default());
        let origin = Origin::gated(&gate);
        let proxy = start(&origin, "");
        let client = TlsClient::of(version);
        let mut idle = client.connect(proxy.tls(), "a.test");
        idle.tls().tcp().write_all(&record).unwrap();
        let error = idle.rest().unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::BadRecordMac), "{version:?}: {error}");
        // While a request is under way: nobody can read the answer any more, or be told that there is one.
        let mut busy = client.connect(proxy.tls(), "a.test");
        busy.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        origin.wait_requests(1);
        busy.tls().tcp().write_all(&record).unwrap();
        gate.open();
        wait_until("the connection has ended", || proxy.status()["totals"]["connections"] == 0);
        assert_eq!(client.get(proxy.tls(), "a.test", "/").text(), "served");
    }
}

#[test]
fn plain_http_on_the_port_of_tls_is_answered() {
    let origin = Origin::named("x");
    let proxy = start(&origin, "");
    let mut client = crate::support::Wire::connect(proxy.tls());
    assert_eq!(client.get("a.test", "/").status(), 400);
    client.expect_end();
    proxy.log_line(|line| line.contains("\" 400 ") && line.contains("err=plain-HTTP-to-a-TLS-port"));
    assert_eq!(answer_to(&proxy, b"\0\0\0\x10probe"), b"", "what is neither gets no answer");
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn who_does_not_go_on_is_let_go_when_the_time_for_a_head_is_over() {
    let origin = Origin::named("x");
    let proxy = start(&origin, "[timeouts]\nhead = \"200ms\"\n");
    let hello = TlsClient::new().hello("a.test").bytes;
    for said in [&b""[..], &hello[..5], &hello[..hello.len() - 1], b"GET / HT"] {
        let began = std::time::Instant::now();
        let answer = answer_to(&proxy, said);
        assert!(began.elapsed() < WAIT, "{} bytes", said.len());
        // A request that has begun is in a port of TLS all the same.
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    }
    // The handshake has begun, and the client says no more.
    let mut silent = tcp(proxy.tls());
    silent.write_all(&hello).unwrap();
    let mut answer = Vec::new();
    silent.read_to_end(&mut answer).unwrap();
    assert_eq!(answer[0], 22, "a handshake record, then the end");
    wait_until("no connection is left", || proxy.status()["totals"]["connections"] == 0);
}
