//! TLS that the kernel does where it can (`kernel_tls`). Clients see no difference, whether it can or not; on a machine whose
//! kernel can, all of this goes through it.

use crate::support::{
    Framing, Origin, Pattern, PatternCheck, Proxy, TempDir, TlsClient, VERSIONS, Wire, default_site, ok, tls_site,
};
use ringferry_runtime::net::records_available;
use std::io::{self, Write};

const LENGTH: u64 = 8 << 20;
const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn config(origin: &Origin, dir: &TempDir) -> String {
    format!("kernel_tls = true\n{}", tls_site("a.test", origin, dir))
}

fn start(origin: &Origin) -> Proxy {
    Proxy::start(&config(origin, &TempDir::new()))
}

fn ready_line(proxy: &Proxy) -> String {
    proxy.log_line(|line| line.starts_with("ready"))
}

fn warns(proxy: &Proxy) -> bool {
    proxy.log().all().iter().any(|line| line.contains("kernel_tls"))
}

fn send_pattern(wire: &Wire) -> io::Result<()> {
    io::copy(&mut Pattern::new(LENGTH), &mut wire.stream().try_clone()?).map(drop)
}

#[test]
fn whether_the_kernel_does_it_is_told_at_the_start() {
    let origin = Origin::named("x");
    let proxy = start(&origin);
    match records_available() {
        Ok(()) => assert!(ready_line(&proxy).ends_with(", kernel TLS") && !warns(&proxy)),
        Err(error) => {
            assert!(!ready_line(&proxy).contains("kernel TLS"));
            let line = proxy.log_line(|line| line.starts_with("warning: kernel_tls: "));
            let is_absent = error.kind() == io::ErrorKind::NotFound;
            assert!(line.contains(if is_absent { "modprobe tls" } else { "remove kernel_tls" }), "{line}");
        }
    }
    for version in VERSIONS {
        assert_eq!(TlsClient::of(version).get(proxy.tls(), "a.test", "/").text(), "x");
    }
}

#[test]
fn nobody_hears_of_it_who_has_not_asked_for_it_or_ends_no_tls() {
    let origin = Origin::named("x");
    let quiet = [tls_site("a.test", &origin, &TempDir::new()), format!("kernel_tls = true\n{}", default_site(&origin))];
    for config in quiet {
        let proxy = Proxy::start(&config);
        assert!(!ready_line(&proxy).contains("kernel TLS"));
        assert!(!warns(&proxy));
    }
}

#[test]
fn bodies_are_whole_both_ways() {
    let origin = Origin::scripted(|exchange| {
        while let Some(head) = exchange.head()? {
            let mut check = PatternCheck::new(LENGTH);
            if head.method() == "POST" {
                exchange.wire.copy_body(head.request_framing(), &mut check)?;
                exchange.send(ok(check.received().to_string()))?;
            } else {
                exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))?;
                send_pattern(&exchange.wire)?;
            }
        }
        Ok(())
    });
    let proxy = start(&origin);
    for version in VERSIONS {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        for _ in 0..2 {
            assert_eq!(client.send(GET).head().status(), 200);
            let mut check = PatternCheck::new(LENGTH);
            client.copy_body(Framing::Length(LENGTH), &mut check).unwrap();
            check.expect_whole();
            client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {LENGTH}\r\n\r\n"));
            send_pattern(&client).unwrap();
            assert_eq!(client.response().text(), LENGTH.to_string());
        }
    }
}

#[test]
fn ends_are_told_and_heard() {
    let origin = Origin::named("x");
    let proxy = start(&origin);
    for version in VERSIONS {
        let client = TlsClient::of(version);
        let mut last = client.connect(proxy.tls(), "a.test");
        assert_eq!(last.send("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n").response().text(), "x");
        last.expect_end();
        // The client ends first, and is still answered.
        let mut ending = client.connect(proxy.tls(), "a.test");
        ending.send(GET).finish();
        assert_eq!(ending.response().text(), "x");
        ending.expect_end();
    }
}

#[test]
fn a_tunnel_ends_in_halves() {
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")?;
        let mut check = PatternCheck::new(LENGTH);
        check.write_all(&exchange.wire.rest()?)?;
        exchange.send(check.received().to_string())
    });
    let proxy = start(&origin);
    for version in VERSIONS {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n");
        assert_eq!(client.head().status(), 101);
        send_pattern(&client).unwrap();
        client.finish();
        assert_eq!(client.rest().unwrap(), LENGTH.to_string().as_bytes());
    }
}

#[test]
fn it_is_switched_while_connections_go_on() {
    let (origin, dir) = (Origin::named("x"), TempDir::new());
    let (with, without) = (config(&origin, &dir), tls_site("a.test", &origin, &dir));
    let proxy = Proxy::start(&without);
    let mut clients = Vec::new();
    for config in [&with, &without, &with] {
        clients.push(TlsClient::new().connect(proxy.tls(), "a.test"));
        proxy.reload(config).unwrap();
        for client in &mut clients {
            assert_eq!(client.send(GET).response().text(), "x");
        }
    }
}
