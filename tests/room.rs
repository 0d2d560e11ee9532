//! More clients than there is room for: who gives way to whom where connections run out, or descriptors.

use crate::support::{Gate, Origin, Proxy, TempDir, TlsClient, Wire, default_site, site, tls_site, wait_until};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::sync::Arc;
use std::time::Duration;

fn start(origin: &Origin, connections: u32) -> Proxy {
    Proxy::start(&format!("{}[limits]\nconnections = {connections}\n", default_site(origin)))
}

/// A client that has been served and stays.
#[track_caller]
fn kept(proxy: &Proxy) -> Wire {
    let mut client = proxy.connect();
    assert_eq!(client.get("a", "/").status(), 200);
    client
}

fn total(proxy: &Proxy, name: &str) -> u64 {
    proxy.status()["totals"][name].as_u64().unwrap_or_else(|| panic!("no number {name}"))
}

#[test]
fn the_oldest_idle_client_gives_way_when_all_places_are_taken() {
    let origin = Origin::named("x");
    let proxy = start(&origin, 3);
    let mut clients = [0; 3].map(|_| kept(&proxy));
    assert_eq!(total(&proxy, "idle_ended"), 0, "nobody gives way to nobody");
    // Who was used last is not the oldest.
    assert_eq!(clients[0].get("a", "/").status(), 200);
    let mut fourth = kept(&proxy);
    clients[1].expect_end();
    let mut fifth = kept(&proxy);
    clients[2].expect_end();
    for client in [&mut clients[0], &mut fourth, &mut fifth] {
        assert_eq!(client.get("a", "/").status(), 200);
    }
    let status = proxy.status();
    assert_eq!((&status["totals"]["idle_ended"], &status["totals"]["accept_errors"]), (&2.into(), &0.into()));
    assert_eq!(status["totals"]["connections"], 3);
}

#[test]
fn where_all_are_busy_the_newcomer_is_turned_away() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let proxy = start(&origin, 2);
    let mut busy = [0; 2].map(|_| {
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    });
    origin.wait_requests(2);
    proxy.connect().expect_gone();
    assert_eq!((total(&proxy, "idle_ended"), total(&proxy, "accept_errors")), (0, 1));
    gate.open();
    busy.iter_mut().for_each(|client| assert_eq!(client.response().text(), "served"));
    let _third = kept(&proxy);
    assert_eq!(total(&proxy, "idle_ended"), 1);
}

#[test]
fn whoever_says_nothing_is_idle_by_tls_and_behind_a_proxy_as_well() {
    let (origin, dir) = (Origin::named("x"), TempDir::new());
    let listen = "[listen]\nhttp = [\"127.0.0.1:0\", \
                  { address = \"127.0.0.1:0\", proxy_protocol = \"required\", from = \"loopback\" }]\n\
                  https = \"127.0.0.1:0\"\n";
    let proxy = Proxy::start(&format!(
        "{}{}{listen}[limits]\nconnections = 3\n",
        site("a", &origin),
        tls_site("a.test", &origin, &dir)
    ));
    let mut silent = [proxy.address(), proxy.tls(), proxy.listener(1)].map(|address| {
        let client = Wire::connect(address);
        wait_until("it is there", || total(&proxy, "connections") > 0);
        client
    });
    wait_until("all are there", || total(&proxy, "connections") == 3);
    // They have a while to speak. After it they give way.
    let client = TlsClient::new();
    let served = || {
        let mut wire = client.try_connect(proxy.tls(), "a.test").ok()?;
        wire.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").ok()?;
        wire.try_response("GET").ok().map(|_| wire)
    };
    let (mut wires, mut ended) = (Vec::new(), [false; 3]);
    wait_until("all three have given way", || {
        wires.extend(served());
        for (client, ended) in silent.iter_mut().zip(&mut ended) {
            client.stream().set_timeout(Duration::from_millis(1)).unwrap();
            *ended |= client.rest().is_ok_and(|rest| rest.is_empty());
        }
        ended == [true; 3]
    });
    let mut last = wires.pop().expect("for somebody who was served");
    drop(wires);
    wait_until("the others have left", || total(&proxy, "connections") == 1);
    assert_eq!(last.get("a.test", "/").status(), 200);
    let _others = [0; 3].map(|_| kept(&proxy));
    assert_eq!(last.rest().unwrap(), b"", "the end is told as TLS tells it");
}

/// Sockets of this process, for tests with more of them than a shell lets a program have.
fn raise_descriptor_limit() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    }
}

#[test]
fn far_more_clients_than_descriptors_are_served_one_after_another() {
    raise_descriptor_limit();
    let origin = Origin::named("x");
    let proxy = Proxy::start_with_descriptors(&default_site(&origin), 256);
    proxy.log_line(|line| line.starts_with("limits.connections is 32768, and with 256 descriptors"));
    // None of them leaves by itself.
    let clients: Vec<Wire> = (0..1_000).map(|_| kept(&proxy)).collect();
    let totals = &proxy.status()["totals"];
    let number = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!((number("connections_total"), number("accept_errors"), number("responses_5xx")), (1_000, 0, 0));
    assert!(number("connections") < 256, "{totals}");
    assert_eq!(number("idle_ended"), 1_000 - number("connections"));
    drop(clients);
    wait_until("all have left", || total(&proxy, "connections") == 0);
}

#[test]
fn clients_that_wait_for_descriptors_are_served_as_those_become_free() {
    raise_descriptor_limit();
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let proxy = Proxy::start_with_descriptors(&default_site(&origin), 256);
    // All at once, each with a descriptor here and one to the server until the gate opens.
    let mut clients = [(); 600].map(|()| {
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    });
    origin.wait_requests(64);
    let exchanges = total(&proxy, "exchanges");
    assert!((64..128).contains(&exchanges), "the others wait: {exchanges}");
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().text(), "served");
    }
    let totals = &proxy.status()["totals"];
    let number = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!((number("requests"), number("responses_5xx")), (600, 0));
    // The kernel may have accepted all that it had descriptors for. It was not asked to over and over.
    assert!(number("accept_errors") < 100, "{totals}");
}

/// With no more descriptors than the program itself has open and this many.
fn with_spare_descriptors(config: &str, spare: usize) -> Proxy {
    let own = Proxy::start_with_descriptors(config, 64).descriptors();
    Proxy::start_with_descriptors(config, own + spare)
}

#[test]
fn where_descriptors_run_out_all_the_same_somebody_gives_way_and_nothing_spins() {
    let origin = Origin::named("x");
    let proxy = with_spare_descriptors(&default_site(&origin), 6);
    let clients: Vec<Wire> = (0..100).map(|_| kept(&proxy)).collect();
    drop(clients);
    wait_until("all have left", || total(&proxy, "connections") == 0);
    let totals = &proxy.status()["totals"];
    let number = |name: &str| totals[name].as_u64().unwrap();
    assert_eq!((number("connections_total"), number("responses_5xx"), number("panics")), (100, 0, 0));
    // Each newcomer finds none at most a few times.
    assert!((1..500).contains(&number("accept_errors")), "{totals}");
    assert!(number("idle_ended") > 50 && number("upstream_ended") > 0, "{totals}");
}

#[test]
fn descriptors_are_set_aside_for_the_servers_of_those_who_are_let_in() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let proxy = with_spare_descriptors(&default_site(&origin), 4);
    let mut clients = [(); 6].map(|()| {
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        client
    });
    // These have all that there are, or their servers what is set aside; the others follow.
    origin.wait_requests(2);
    gate.open();
    let served = clients.iter_mut().map(|client| client.response().status());
    assert_eq!(served.collect::<Vec<_>>(), [200; 6]);
}
