//! TCP that is passed on as it is: whoever speaks first, in both directions, to several servers.

use crate::support::{
    Exchange, Gate, Origin, Pattern, PatternCheck, Proxy, Stream, WAIT, Wire, default_site, refusing_port, wait_until,
};
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// A stream to these servers, with further keys of the upstream and of the stream.
fn stream(servers: &[SocketAddr], upstream: &str, keys: &str) -> String {
    let servers: Vec<String> = servers.iter().map(|server| format!("\"{server}\"")).collect();
    let servers = servers.join(", ");
    format!("[[stream]]\nlisten = \"tcp/127.0.0.1:0\"\nupstream = {{ servers = [{servers}]{upstream} }}\n{keys}")
}

fn start(origin: &Origin, keys: &str) -> Proxy {
    Proxy::start(&stream(&[origin.address()], "", keys))
}

fn address(proxy: &Proxy) -> SocketAddr {
    proxy.listener_of("tcp", 0)
}

fn connect(proxy: &Proxy) -> Wire {
    Wire::connect(address(proxy))
}

/// Says its name at once, then sends back what comes.
fn greeting(name: &'static str) -> Origin {
    Origin::scripted(move |exchange| {
        exchange.send(name)?;
        exchange.echo()
    })
}

#[test]
fn what_comes_is_passed_on_and_counted() {
    let origin = Origin::echo();
    let proxy = start(&origin, "");
    let mut client = connect(&proxy);
    for word in ["GET / HTTP/1.1\r\n\r\n", "\0\u{1}", "more"] {
        assert_eq!(client.send(word).read_exactly(word.len() as u64).unwrap(), word.as_bytes());
    }
    client.finish();
    client.expect_end();
    let line = proxy.log_line(|line| line.contains("\"TCP "));
    assert!(line.starts_with("127.0.0.1 ") && line.contains(" 200 24 "), "{line}");
    for word in [" in=24 ", " err=- ", " tunnel=1", &format!(" up={} ", origin.address())] {
        assert!(format!("{line} ").contains(word), "{word}: {line}");
    }
    wait_until("nothing is left", || {
        let status = proxy.status();
        status["totals"]["connections"] == 0 && status["totals"]["tunnels"] == 0
    });
}

#[test]
fn the_server_may_speak_first() {
    let origin = greeting("220 ready");
    let proxy = start(&origin, "");
    let mut client = connect(&proxy);
    assert_eq!(client.read_exactly(9).unwrap(), b"220 ready");
    assert_eq!(client.send("HELO").read_exactly(4).unwrap(), b"HELO");
}

#[test]
fn each_direction_ends_by_itself() {
    let (tell, told) = std::sync::mpsc::channel();
    let origin = Origin::scripted(move |exchange| {
        exchange.send("over")?;
        exchange.wire.finish();
        let _ = tell.send(exchange.wire.rest()?);
        Ok(())
    });
    let proxy = start(&origin, "");
    let mut client = connect(&proxy);
    assert_eq!(client.rest().unwrap(), b"over");
    client.send("last words").finish();
    assert_eq!(told.recv_timeout(WAIT).unwrap(), b"last words");
    let origin = Origin::scripted(|exchange| {
        let all = exchange.wire.rest()?;
        exchange.send([b"got ".as_slice(), &all].concat())
    });
    let proxy = start(&origin, "");
    let mut client = connect(&proxy);
    client.send("request").finish();
    assert_eq!(client.rest().unwrap(), b"got request");
}

#[test]
fn a_connection_that_breaks_on_one_side_breaks_on_the_other() {
    let origin = Origin::scripted(|exchange| {
        exchange.wire.read_exactly(1)?;
        exchange.reset()
    });
    let proxy = start(&origin, "");
    let mut client = connect(&proxy);
    client.send("x");
    client.expect_gone();
    let line = proxy.log_line(|line| line.contains("\"TCP "));
    assert!(!line.contains(" err=- "), "{line}");
}

#[test]
fn large_amounts_pass_whole_both_ways_at_once() {
    const LENGTH: u64 = 16 << 20;
    let origin = Origin::scripted(|exchange| {
        let mut stream = exchange.wire.stream().try_clone()?;
        let sending = std::thread::spawn(move || {
            let sent = io::copy(&mut Pattern::new(LENGTH), &mut stream);
            stream.shutdown(Shutdown::Write).and(sent)
        });
        let mut check = PatternCheck::new(LENGTH);
        io::copy(&mut exchange.wire.stream().try_clone()?, &mut check)?;
        check.expect_whole();
        sending.join().unwrap().map(drop)
    });
    let proxy = start(&origin, "");
    let client = connect(&proxy);
    let (mut up, mut down) = (client.stream().try_clone().unwrap(), client.stream().try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            io::copy(&mut Pattern::new(LENGTH), &mut up).unwrap();
            up.shutdown(Shutdown::Write).unwrap();
        });
        let mut check = PatternCheck::new(LENGTH);
        io::copy(&mut down, &mut check).unwrap();
        check.expect_whole();
    });
    let line = proxy.log_line(|line| line.contains("\"TCP "));
    assert!(line.contains(&format!(" 200 {LENGTH} ")) && line.contains(&format!(" in={LENGTH} ")), "{line}");
}

#[test]
fn connections_are_shared_out_among_servers() {
    let (one, two) = (greeting("one"), greeting("two"));
    let servers = [one.address(), two.address()];
    let proxy = Proxy::start(&stream(&servers, ", balance = \"round_robin\"", ""));
    let names: Vec<_> = (0..6).map(|_| connect(&proxy).read_exactly(3).unwrap()).collect();
    for name in [b"one", b"two"] {
        assert_eq!(names.iter().filter(|served| *served == name).count(), 3, "{names:?}");
    }
    // By the client's address it is always the same one.
    let proxy = Proxy::start(&stream(&servers, ", balance = \"ip_hash\"", ""));
    let names: Vec<_> = (0..6).map(|_| connect(&proxy).read_exactly(3).unwrap()).collect();
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
}

#[test]
fn a_server_that_refuses_is_passed_over_and_then_left_out() {
    let origin = greeting("up");
    let (_held, port) = refusing_port();
    let refusing = SocketAddr::from(([127, 0, 0, 1], port));
    let upstream = ", balance = \"round_robin\", eject_after = 2, eject_for = \"60s\"";
    let proxy = Proxy::start(&stream(&[refusing, origin.address()], upstream, ""));
    for _ in 0..8 {
        assert_eq!(connect(&proxy).read_exactly(2).unwrap(), b"up");
    }
    let server = proxy.server(&refusing.to_string());
    assert_eq!((&server["state"], &server["failures"]), (&"ejected".into(), &2.into()), "{server:#}");
    let line = proxy.log_line(|line| line.contains("\"TCP ") && line.contains(" retries=1 "));
    assert!(line.contains(&format!(" up={} ", origin.address())), "{line}");
}

#[test]
fn a_server_that_answers_is_forgiven() {
    let (held, port) = refusing_port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let proxy = Proxy::start(&stream(&[address], ", eject_after = 2", ""));
    connect(&proxy).expect_gone();
    let mut origin = Origin::on(held, Exchange::echo);
    assert_eq!(connect(&proxy).send("x").read_exactly(1).unwrap(), b"x");
    origin.stop();
    connect(&proxy).expect_gone();
    let server = proxy.server(&address.to_string());
    assert_eq!((&server["state"], &server["failures"]), (&"up".into(), &2.into()), "two, and not in a row");
}

#[test]
fn where_nobody_answers_the_connection_ends_and_the_log_says_why() {
    let (_held, port) = refusing_port();
    let proxy = Proxy::start(&stream(&[([127, 0, 0, 1], port).into()], "", ""));
    connect(&proxy).expect_gone();
    let line = proxy.log_line(|line| line.contains("\"TCP "));
    assert!(line.contains(" err=connection-refused") && line.contains(&format!(" up=127.0.0.1:{port} ")), "{line}");
}

#[test]
fn no_more_connections_than_may_be() {
    let origin = greeting("hello");
    let proxy = start(&origin, "max_connections = 2\n");
    let mut inside: Vec<_> = (0..2).map(|_| connect(&proxy)).collect();
    for client in &mut inside {
        assert_eq!(client.read_exactly(5).unwrap(), b"hello");
    }
    connect(&proxy).expect_gone();
    proxy.log_line(|line| line.contains("\"TCP ") && line.contains(" err=overloaded"));
    assert_eq!(origin.connections(), 2);
    inside.pop();
    wait_until("there is room again", || connect(&proxy).read_exactly(5).is_ok());
    assert_eq!(inside[0].send("still").read_exactly(5).unwrap(), b"still");
}

#[test]
fn the_server_is_told_whom_it_talks_to() {
    for version in ["v1", "v2"] {
        let (tell, told) = std::sync::mpsc::channel();
        let origin = Origin::scripted(move |exchange| {
            let _ = tell.send(exchange.wire.rest()?);
            Ok(())
        });
        let upstream = format!(", send_proxy_protocol = {version:?}");
        let proxy = Proxy::start(&stream(&[origin.address()], &upstream, ""));
        let mut client = connect(&proxy);
        let Stream::Tcp(socket) = client.stream() else { panic!("not TCP") };
        let (from, to) = (socket.local_addr().unwrap().port(), address(&proxy).port());
        client.send("hello").finish();
        let header = if version == "v1" {
            format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\n").into_bytes()
        } else {
            let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
            [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01"[..], &ports].concat()
        };
        assert_eq!(told.recv_timeout(WAIT).unwrap(), [&header[..], b"hello"].concat(), "{version}");
    }
}

#[test]
fn the_server_is_told_before_the_client_has_spoken() {
    let origin = Origin::scripted(|exchange| {
        let mut start = Vec::new();
        while !start.ends_with(b"\r\n") {
            start.extend(exchange.wire.read_exactly(1)?);
        }
        exchange.send("welcome")
    });
    let proxy = Proxy::start(&stream(&[origin.address()], ", send_proxy_protocol = \"v1\"", ""));
    assert_eq!(connect(&proxy).read_exactly(7).unwrap(), b"welcome");
}

#[test]
fn a_connection_on_which_nothing_moves_ends() {
    let origin = Origin::echo();
    let short = "[timeouts]\nhead = \"100ms\"\nidle = \"100ms\"\ntunnel_idle = \"100ms\"\n";
    // Its own time counts, and none of the others.
    let proxy = start(&origin, &format!("idle = \"400ms\"\n{short}"));
    let mut client = connect(&proxy);
    client.expect_silence(Duration::from_millis(250));
    assert_eq!(client.send("x").read_exactly(1).unwrap(), b"x");
    client.expect_silence(Duration::from_millis(250));
    client.expect_gone();
    let line = proxy.log_line(|line| line.contains("\"TCP "));
    assert!(line.contains("timed-out"), "{line}");
}

#[test]
fn open_connections_go_on_when_their_stream_is_gone() {
    let (origin, other) = (Origin::echo(), Origin::named("x"));
    let proxy = start(&origin, "");
    let address = address(&proxy);
    let mut client = connect(&proxy);
    assert_eq!(client.send("one").read_exactly(3).unwrap(), b"one");
    proxy.reload(&default_site(&other)).unwrap();
    wait_until("the port is closed", || TcpStream::connect(address).is_err());
    assert_eq!(client.send("two").read_exactly(3).unwrap(), b"two");
    client.finish();
    client.expect_end();
}

#[test]
fn open_connections_go_on_until_a_drain_is_over() {
    let (origin, other) = (Origin::echo(), Origin::named("x"));
    for is_gone in [false, true] {
        let drain = "drain_timeout = \"500ms\"\n";
        let mut proxy = Proxy::start(&format!("{drain}{}", stream(&[origin.address()], "", "")));
        let mut client = connect(&proxy);
        assert_eq!(client.send("one").read_exactly(3).unwrap(), b"one");
        if is_gone {
            proxy.reload(&format!("{drain}{}", default_site(&other))).unwrap();
        }
        let address = address(&proxy);
        proxy.signal(nix::sys::signal::Signal::SIGTERM);
        wait_until("the port is closed", || TcpStream::connect(address).is_err());
        assert_eq!(client.send("two").read_exactly(3).unwrap(), b"two");
        client.expect_gone();
        proxy.wait_exit();
    }
}

#[test]
fn servers_change_for_new_connections_alone() {
    let (old, new) = (greeting("old"), greeting("new"));
    let proxy = start(&old, "");
    let mut kept = connect(&proxy);
    assert_eq!(kept.read_exactly(3).unwrap(), b"old");
    proxy.reload(&stream(&[new.address()], "", "")).unwrap();
    wait_until("the new one answers", || connect(&proxy).read_exactly(3).unwrap() == b"new");
    assert_eq!(kept.send("still").read_exactly(5).unwrap(), b"still");
}

#[test]
fn a_reader_that_waits_holds_up_only_itself() {
    const LENGTH: u64 = 32 << 20;
    let gate = Arc::new(Gate::default());
    let origin = Origin::scripted(|exchange| {
        let mut first = [0; 1];
        exchange.wire.stream().try_clone()?.read_exact(&mut first)?;
        match first[0] {
            b'L' => io::copy(&mut Pattern::new(LENGTH), &mut exchange.wire.stream().try_clone()?).map(drop),
            _ => exchange.send("quick"),
        }
    });
    let proxy = start(&origin, "");
    let mut slow = connect(&proxy);
    slow.send("L");
    let reading = std::thread::spawn({
        let gate = gate.clone();
        move || {
            gate.pass();
            let mut check = PatternCheck::new(LENGTH);
            slow.copy_body(crate::support::Framing::Length(LENGTH), &mut check).unwrap();
            check.expect_whole();
        }
    });
    for _ in 0..20 {
        assert_eq!(connect(&proxy).send("q").rest().unwrap(), b"quick");
    }
    gate.open();
    reading.join().unwrap();
}
