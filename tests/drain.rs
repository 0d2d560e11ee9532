//! The end of the program: what is in flight is finished, nothing new is begun, and the wait has an end.

use crate::support::{Gate, Origin, Proxy, default_site, ok, wait_until};
use nix::sys::signal::Signal;
use std::net::TcpStream;
use std::sync::Arc;

/// An origin whose answers wait for the gate.
fn gated() -> (Origin, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let origin = Origin::answering({
        let gate = gate.clone();
        move |_| {
            gate.pass();
            ok("finished")
        }
    });
    (origin, gate)
}

#[test]
fn sigterm_finishes_what_is_in_flight_and_exits_well() {
    let (origin, gate) = gated();
    let mut proxy = Proxy::start_with(&default_site(&origin), &["--cores", "2"]);
    let mut idle = proxy.connect();
    let mut busy = proxy.connect();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1);
    proxy.signal(Signal::SIGTERM);
    let address = proxy.address();
    wait_until("the port is closed", || TcpStream::connect(address).is_err());
    idle.expect_end();
    gate.open();
    let last = busy.response();
    assert_eq!((last.text().as_str(), last.field("connection")), ("finished", Some("close")));
    busy.expect_end();
    assert_eq!(proxy.wait_exit().0, Some(0));
}

#[test]
fn an_idle_proxy_ends_at_once() {
    let origin = Origin::named("x");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut proxy = Proxy::to(&origin);
        let mut client = proxy.connect();
        assert_eq!(client.get("a", "/").text(), "x");
        proxy.signal(signal);
        client.expect_end();
        let (code, lines) = proxy.wait_exit();
        assert_eq!(code, Some(0));
        let logged = lines.iter().any(|line| line.contains("\"GET / HTTP/1.1\" 200"));
        assert!(logged, "the last lines of the log are written: {lines:#?}");
    }
}

#[test]
fn a_second_sigterm_ends_it_at_once() {
    let (origin, _gate) = gated();
    let mut proxy = Proxy::to(&origin);
    let mut busy = proxy.connect();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1);
    proxy.signal(Signal::SIGTERM);
    let address = proxy.address();
    wait_until("the drain has begun", || TcpStream::connect(address).is_err());
    busy.expect_silence(std::time::Duration::from_millis(100));
    proxy.signal(Signal::SIGTERM);
    proxy.wait_exit();
    assert!(busy.try_response("GET").is_err());
}

#[test]
fn a_drain_has_an_end() {
    let (origin, _gate) = gated();
    let mut proxy = Proxy::start(&format!("drain_timeout = \"300ms\"\n{}", default_site(&origin)));
    let mut busy = proxy.connect();
    busy.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.wait_requests(1);
    proxy.signal(Signal::SIGTERM);
    let (_, lines) = proxy.wait_exit();
    assert!(busy.try_response("GET").is_err());
    let cut: Vec<_> = lines.iter().filter(|line| line.contains("\"GET / HTTP/1.1\" ")).collect();
    assert!(cut.len() == 1 && cut[0].contains("cut"), "{lines:#?}");
}

#[test]
fn a_response_that_is_cut_off_does_not_pass_for_a_whole_one() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |exchange| {
            exchange.request()?;
            exchange.send("HTTP/1.1 200 OK\r\n\r\npart")?;
            gate.pass();
            Ok(())
        }
    });
    let mut proxy = Proxy::start(&format!("drain_timeout = \"300ms\"\n{}", default_site(&origin)));
    // For an old client only the end of the connection ends this one.
    let mut old = proxy.connect();
    old.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    old.head();
    assert_eq!(old.read_exactly(4).unwrap(), b"part");
    proxy.signal(Signal::SIGTERM);
    proxy.wait_exit();
    assert!(old.rest().is_err());
}

#[test]
fn the_admin_socket_goes_with_the_program() {
    let origin = Origin::named("x");
    let mut proxy = Proxy::to(&origin);
    assert!(proxy.admin().exists());
    proxy.signal(Signal::SIGTERM);
    assert_eq!(proxy.wait_exit().0, Some(0));
    assert!(!proxy.admin().exists());
    assert_eq!(proxy.verb(&["status"]).status.code(), Some(4));
}
