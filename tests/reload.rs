//! A new configuration takes over without any request being harmed.

use crate::support::{Gate, Origin, Pattern, PatternCheck, Proxy, Wire, default_site, site, wait_until};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A default site on these listeners.
fn listening(addresses: &[&str], origin: &Origin) -> String {
    format!("[listen]\nhttp = {addresses:?}\n{}", default_site(origin))
}

#[test]
fn the_new_configuration_answers_on_kept_and_new_connections() {
    let (old, new) = (Origin::named("old"), Origin::named("new"));
    let proxy = Proxy::start_with(&site("a.test", &old), &["--cores", "2"]);
    let mut kept = proxy.connect();
    assert_eq!(kept.get("a.test", "/").text(), "old");
    proxy.reload(&(site("a.test", &new) + &site("b.test", &new))).unwrap();
    wait_until("the kept connection sees it", || kept.get("a.test", "/").text() == "new");
    for _ in 0..8 {
        assert_eq!(proxy.get("b.test", "/").text(), "new");
    }
    proxy.reload(&site("b.test", &old)).unwrap();
    wait_until("a site is gone", || kept.get("a.test", "/").status() == 421);
    assert_eq!(proxy.get("b.test", "/").text(), "old");
}

#[test]
fn a_file_with_errors_changes_nothing_and_is_explained() {
    let origin = Origin::named("still");
    let proxy = Proxy::to(&origin);
    let error = proxy.reload("[[site]]\nhost = \"a.test\"\nupstrem = 3000\n").unwrap_err();
    assert!(error.contains("ringferry.toml:3:1"), "{error}");
    proxy.log_line(|line| line.contains("did you mean") && line.contains("upstream"));
    assert_eq!(proxy.get("a.test", "/").text(), "still");
    // The verb says it too, and so does its exit status.
    let told = proxy.verb(&["reload"]);
    assert_eq!(told.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&told.stderr).contains("upstrem"), "{told:?}");
    assert_eq!(proxy.get("a.test", "/").text(), "still");
    // And the next good file is taken.
    let next = Origin::named("next");
    proxy.reload(&default_site(&next)).unwrap();
    wait_until("the next one answers", || proxy.get("a.test", "/").text() == "next");
}

#[test]
fn no_request_fails_while_configurations_change() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let proxy = Proxy::start_with(&default_site(&one), &["--cores", "2"]);
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let count = |text: String| {
        assert!(text == "one" || text == "two", "{text}");
        served.fetch_add(1, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut kept = proxy.connect();
                while !done.load(Ordering::Relaxed) {
                    count(kept.get("a.test", "/").text());
                }
            });
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    count(proxy.get("a.test", "/").text());
                }
            });
        }
        for n in 0..20 {
            let before = served.load(Ordering::Relaxed);
            proxy.reload(&default_site(if n % 2 == 0 { &two } else { &one })).unwrap();
            wait_until("requests go on", || served.load(Ordering::Relaxed) > before + 20);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(served.load(Ordering::Relaxed) > 400);
}

#[test]
fn listeners_come_and_go_and_the_others_stay() {
    let origin = Origin::named("here");
    let proxy = Proxy::start_with(&listening(&["127.0.0.1:0"], &origin), &["--cores", "2"]);
    let first = proxy.address();
    let mut kept = proxy.connect();
    assert_eq!(kept.get("a", "/").text(), "here");
    let queued = proxy.connect();
    proxy.reload(&listening(&["127.0.0.1:0", "127.0.0.2:0"], &origin)).unwrap();
    let status = proxy.status();
    let added = status["listeners"].as_array().unwrap().iter().find_map(|listener| {
        let address = listener["address"].as_str()?.trim_start_matches("http://").parse().ok()?;
        Some(address).filter(|address: &SocketAddr| address.ip() != first.ip())
    });
    let second = added.expect("status names the new listener");
    let mut on_second = Wire::connect(second);
    assert_eq!(on_second.get("a", "/").text(), "here");
    assert_eq!(proxy.address(), first);
    for mut client in [queued, proxy.connect(), kept] {
        assert_eq!(client.get("a", "/").text(), "here");
    }
    proxy.reload(&listening(&["127.0.0.1:0"], &origin)).unwrap();
    wait_until("the second port is closed", || TcpStream::connect(second).is_err());
    assert_eq!(proxy.get("a", "/").text(), "here");
    assert_eq!(proxy.status()["listeners"].as_array().unwrap().len(), 1);
}

#[test]
fn listeners_that_were_given_up_may_come_back_while_their_sockets_are_still_there() {
    const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";
    let origin = Origin::switching(|exchange| exchange.echo());
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    server.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let upstream = server.local_addr().unwrap();
    let both = |second: &str, datagrams: &str| {
        let stream = format!("[[stream]]\nlisten = \"udp/{datagrams}\"\nupstream = \"{upstream}\"\n");
        listening(&["127.0.0.1:0", second], &origin) + &stream
    };
    let proxy = Proxy::start_with(&both("127.0.0.2:0", "127.0.0.2:0"), &["--cores", "2"]);
    let (second, datagrams) = (proxy.listener(1), proxy.listener_of("udp", 0));
    // What came through a listener that is gone keeps the sockets of its snapshot for as long as it lasts.
    let mut tunnel = Wire::connect(second);
    assert_eq!(tunnel.send(UPGRADE).response().status(), 101);
    for _ in 0..10 {
        proxy.reload(&listening(&["127.0.0.1:0"], &origin)).unwrap();
        proxy.reload(&both(&second.to_string(), &datagrams.to_string())).unwrap();
    }
    // Until all cores have closed the last one that was given up, a connection may still come to it, and be reset.
    wait_until("the listener serves again", || {
        let mut client = Wire::connect(second);
        client.try_send(UPGRADE).is_ok() && client.try_response("GET").is_ok_and(|response| response.status() == 101)
    });
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    // One that comes to such a socket is lost, as datagrams may be.
    wait_until("datagrams pass again", || {
        client.send_to(b"word", datagrams).unwrap();
        server.recv(&mut [0; 8]).is_ok()
    });
    assert_eq!(tunnel.send("word").read_exactly(4).unwrap(), b"word");
}

#[test]
fn what_came_through_a_listener_that_is_gone_has_an_end() {
    const UPGRADE: &str = "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";
    let gate = Arc::new(Gate::default());
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |exchange| {
            if exchange.request()?.is_some_and(|request| request.target() == "/slow") {
                gate.pass();
            }
            exchange.switch()?;
            exchange.echo()
        }
    });
    let echo = Origin::echo();
    let drain = "drain_timeout = \"1s\"\n";
    let stream = format!("[[stream]]\nlisten = \"tcp/127.0.0.1:0\"\nupstream = \"{}\"\n", echo.address());
    let both = listening(&["127.0.0.1:0", "127.0.0.2:0"], &origin);
    let proxy = Proxy::start(&format!("{drain}{both}{stream}"));
    let second = proxy.listener(1);
    let mut stays = proxy.connect();
    assert_eq!(stays.send(UPGRADE).response().status(), 101);
    let mut tunnel = Wire::connect(second);
    assert_eq!(tunnel.send(UPGRADE).response().status(), 101);
    let mut slow = Wire::connect(second);
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut upload = Wire::connect(second);
    upload.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegun");
    let mut passed = Wire::connect(proxy.listener_of("tcp", 0));
    passed.send("word").read_exactly(4).unwrap();
    origin.wait_requests(3);
    proxy.reload(&format!("{drain}{}", listening(&["127.0.0.1:0"], &origin))).unwrap();
    // For a while all goes on.
    for wire in [&mut tunnel, &mut passed, &mut stays] {
        assert_eq!(wire.send("word").read_exactly(4).unwrap(), b"word");
    }
    for mut wire in [tunnel, passed, slow, upload] {
        wire.expect_gone();
    }
    let lines = [" /tunnel HTTP/1.1\" 101 4 ", " /slow HTTP/1.1\" ", " /upload HTTP/1.1\" ", "\"TCP "];
    for part in lines {
        let line = proxy.log_line(|line| line.contains(part));
        assert!(line.contains(" err=cut-off"), "{line}");
    }
    let line = proxy.log_line(|line| line.contains("\"TCP "));
    assert!(line.contains(" 200 8 ") && line.contains(" in=8 "), "{line}");
    assert_eq!(stays.send("more").read_exactly(4).unwrap(), b"more", "its listener is still there");
    gate.open();
}

#[test]
fn a_port_may_be_written_otherwise() {
    let origin = Origin::named("here");
    let proxy = Proxy::start_with(&listening(&["127.0.0.1:0"], &origin), &["--cores", "2"]);
    let port = proxy.address().port();
    proxy.reload(&listening(&[&format!("0.0.0.0:{port}")], &origin)).unwrap();
    assert_eq!(Wire::connect(([127, 0, 0, 2], port).into()).get("a", "/").text(), "here");
    assert_eq!(proxy.get("a", "/").text(), "here");
}

#[test]
fn a_dry_run_opens_no_port_and_closes_none() {
    let origin = Origin::named("here");
    let proxy = Proxy::start(&listening(&["127.0.0.1:0"], &origin));
    let second = SocketAddr::from(([127, 0, 0, 2], proxy.address().port()));
    let (one, both) = (["127.0.0.1:0"], ["127.0.0.1:0", &second.to_string()]);
    let dry = |addresses: &[&str]| {
        proxy.write_config(&listening(addresses, &origin));
        let told = proxy.verb(&["reload", "--dry-run"]);
        assert!(told.status.success(), "{told:?}");
    };
    dry(&both);
    assert!(TcpStream::connect(second).is_err());
    proxy.reload(&listening(&both, &origin)).unwrap();
    dry(&one);
    proxy.reload(&listening(&both, &origin)).unwrap();
    assert_eq!(Wire::connect(second).get("a", "/").text(), "here");
}

#[test]
fn an_exchange_in_flight_ends_as_it_began() {
    const LENGTH: u64 = 32 << 20;
    let gate = Arc::new(Gate::default());
    let old = Origin::scripted({
        let gate = gate.clone();
        move |exchange| {
            exchange.request()?;
            exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))?;
            let mut body = Pattern::new(LENGTH);
            std::io::copy(&mut std::io::Read::take(&mut body, LENGTH / 2), &mut exchange.wire.stream().try_clone()?)?;
            gate.pass();
            std::io::copy(&mut body, &mut exchange.wire.stream().try_clone()?).map(drop)
        }
    });
    let new = Origin::named("new");
    let proxy = Proxy::to(&old);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let head = client.head();
    for _ in 0..3 {
        proxy.reload(&site("other.test", &new)).unwrap();
    }
    gate.open();
    let mut check = PatternCheck::new(LENGTH);
    client.copy_body(head.response_framing("GET"), &mut check).unwrap();
    check.expect_whole();
    // What follows on the same connection is under the new one.
    assert_eq!(client.get("a.test", "/").status(), 421);
}

#[test]
fn a_tunnel_outlives_the_route_it_came_by() {
    let origin = Origin::switching(|exchange| {
        let word = exchange.wire.read_exactly(4)?;
        exchange.send(word)
    });
    let new = Origin::named("new");
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n");
    assert_eq!(client.response().status(), 101);
    proxy.reload(&site("other.test", &new)).unwrap();
    assert_eq!(client.send("word").rest().unwrap(), b"word");
}

#[test]
fn the_verb_reloads_and_a_dry_run_does_not() {
    let (old, new) = (Origin::named("old"), Origin::named("new"));
    let proxy = Proxy::to(&old);
    proxy.write_config(&default_site(&new));
    let dry = proxy.verb(&["reload", "--dry-run"]);
    assert!(dry.status.success(), "{dry:?}");
    assert_eq!(proxy.get("a", "/").text(), "old");
    let real = proxy.verb(&["reload", "--json"]);
    assert!(real.status.success(), "{real:?}");
    assert!(serde_json::from_slice::<serde_json::Value>(&real.stdout).is_ok(), "{real:?}");
    wait_until("the new one answers", || proxy.get("a", "/").text() == "new");
}

#[test]
fn a_limit_holds_across_a_reload() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let config = format!(
        "[[site]]\nhost = \"*\"\nupstream = {{ servers = [{{ url = {:?}, max_connections = 1 }}], queue = 10 }}\n",
        origin.url(),
    );
    let proxy = Proxy::start(&config);
    let mut first = proxy.connect();
    first.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1);
    proxy.reload(&format!("via = true\n{config}")).unwrap();
    let mut second = proxy.connect();
    second.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").expect_silence(std::time::Duration::from_millis(200));
    assert_eq!(origin.requests().len(), 1, "the same server has the same limit");
    gate.open();
    assert_eq!(first.response().text(), "served");
    assert_eq!(second.response().text(), "served");
}
