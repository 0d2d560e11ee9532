//! Bodies through TLS, every way that they can be framed.

use crate::support::{
    Framing, Gate, Origin, PatternCheck, Proxy, TempDir, TlsClient, VERSIONS, framing_field, ok, send_body, tls_site,
};
use std::sync::Arc;
use std::thread;

const LENGTH: u64 = 8 << 20;

const FRAMINGS: [Framing; 2] = [Framing::Length(LENGTH), Framing::Chunked];

fn start(origin: &Origin) -> Proxy {
    Proxy::start(&tls_site("a.test", origin, &TempDir::new()))
}

#[test]
fn downloads_are_whole() {
    let origin = Origin::scripted(|exchange| {
        while let Some(request) = exchange.request()? {
            let framing = FRAMINGS[usize::from(request.target() == "/chunked")];
            exchange.send(format!("HTTP/1.1 200 OK\r\n{}\r\n", framing_field(framing, LENGTH)))?;
            send_body(&mut exchange.wire, framing, LENGTH)?;
        }
        Ok(())
    });
    let proxy = start(&origin);
    for version in VERSIONS {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        for target in ["/length", "/chunked", "/length"] {
            let head = client.send(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")).head();
            assert_eq!(head.status(), 200);
            let mut check = PatternCheck::new(LENGTH);
            client.copy_body(head.response_framing("GET"), &mut check).unwrap();
            check.expect_whole();
        }
    }
}

#[test]
fn many_downloads_at_once_are_whole_where_memory_is_short() {
    let origin = Origin::scripted(|exchange| {
        while exchange.request()?.is_some() {
            let framing = Framing::Length(LENGTH / 4);
            exchange.send(format!("HTTP/1.1 200 OK\r\n{}\r\n", framing_field(framing, LENGTH / 4)))?;
            send_body(&mut exchange.wire, framing, LENGTH / 4)?;
        }
        Ok(())
    });
    let pairs = TempDir::new();
    let config = tls_site("a.test", &origin, &pairs);
    let proxy = Proxy::start(&format!("resources.memory = '14MiB'\n{config}"));
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                let mut client = TlsClient::new().connect(proxy.tls(), "a.test");
                let head = client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").head();
                let mut check = PatternCheck::new(LENGTH / 4);
                client.copy_body(head.response_framing("GET"), &mut check).unwrap();
                check.expect_whole();
            });
        }
    });
}

#[test]
fn uploads_are_whole() {
    let origin = Origin::scripted(|exchange| {
        while let Some(head) = exchange.head()? {
            let mut check = PatternCheck::new(LENGTH);
            exchange.wire.copy_body(head.request_framing(), &mut check)?;
            exchange.send(ok(check.received().to_string()))?;
        }
        Ok(())
    });
    let proxy = start(&origin);
    for version in VERSIONS {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        for framing in FRAMINGS {
            client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", framing_field(framing, LENGTH)));
            send_body(&mut client, framing, LENGTH).unwrap();
            assert_eq!(client.response().text(), LENGTH.to_string());
        }
    }
}

#[test]
fn a_head_alone_and_a_body_that_is_asked_for_first() {
    let origin = Origin::scripted(|exchange| {
        while let Some(head) = exchange.head()? {
            match head.method() {
                "HEAD" => exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?,
                _ => {
                    exchange.send("HTTP/1.1 100 Continue\r\n\r\n")?;
                    let mut body = Vec::new();
                    exchange.wire.copy_body(head.request_framing(), &mut body)?;
                    exchange.send(ok(body))?;
                }
            }
        }
        Ok(())
    });
    let proxy = start(&origin);
    let mut client = TlsClient::new().connect(proxy.tls(), "a.test");
    for _ in 0..2 {
        let head = client.send("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n").response_to("HEAD");
        assert_eq!((head.status(), head.field("content-length")), (200, Some("1000")));
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
        assert_eq!(client.response().status(), 100);
        assert_eq!(client.send("body").response().text(), "body");
    }
}

#[test]
fn what_a_server_sends_first_arrives_before_it_sends_the_rest() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |exchange| {
            exchange.request()?;
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nearly")?;
            gate.pass();
            exchange.send(", late")
        }
    });
    let proxy = start(&origin);
    let mut client = TlsClient::new().connect(proxy.tls(), "a.test");
    assert_eq!(client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").head().status(), 200);
    assert_eq!(client.read_exactly(5).unwrap(), b"early");
    gate.open();
    assert_eq!(client.read_exactly(6).unwrap(), b", late");
}
