//! The ceiling on memory: who has to wait, who does not, and what `check` and `status` say of it.

use crate::support::{Gate, Origin, Proxy, Wire, default_site, ok, run_to_end, wait_until};
use std::sync::Arc;
use std::thread;

const MIB: u64 = 1 << 20;
/// An idle connection.
const IDLE: u64 = 6 * 1024;

/// The least that works with one core: eight exchanges at once, and a few more.
fn small(config: &str) -> String {
    format!("resources.memory = '14MiB'\n{config}")
}

fn memory(proxy: &Proxy, key: &str) -> u64 {
    proxy.status()["memory"][key].as_u64().expect("a number")
}

#[track_caller]
fn returns_to(proxy: &Proxy, idle: u64) {
    wait_until("all memory is given back", || memory(proxy, "used_bytes") <= idle);
}

/// Connections that wait for their first request, all of them admitted.
#[track_caller]
fn admitted(proxy: &Proxy, count: usize) -> Vec<Wire> {
    let clients = (0..count).map(|_| proxy.connect()).collect();
    wait_until("all are admitted", || proxy.status()["totals"]["connections"] == count);
    clients
}

fn ask(client: &mut Wire, target: &str) {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
}

#[test]
fn more_clients_than_fit_are_served_one_after_another_and_none_fails() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let proxy = Proxy::start(&small(&default_site(&origin)));
    let before = memory(&proxy, "used_bytes");
    let mut here = admitted(&proxy, 40);
    here.iter_mut().for_each(|client| ask(client, "/"));
    // For these there is not even room to come in.
    let mut behind: Vec<_> = (0..20).map(|_| proxy.connect()).collect();
    behind.iter_mut().for_each(|client| ask(client, "/"));
    wait_until("some have to wait", || memory(&proxy, "waiting") > 20);
    assert!(memory(&proxy, "used_bytes") <= memory(&proxy, "ceiling_bytes"));
    assert!(origin.requests().len() < 20, "those who wait are not forwarded");
    gate.open();
    for client in here.iter_mut().chain(&mut behind) {
        assert_eq!(client.response().status(), 200);
    }
    drop((here, behind));
    // The connections to servers that are kept.
    let kept = proxy.status()["totals"]["upstream_idle"].as_u64().unwrap();
    returns_to(&proxy, before + kept * IDLE);
}

#[test]
fn whoever_waits_too_long_for_memory_is_told_when_to_come_again() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let proxy = Proxy::start(&small(&format!("timeouts.head = '300ms'\n{}", default_site(&origin))));
    let mut clients = admitted(&proxy, 30);
    clients.iter_mut().for_each(|client| ask(client, "/"));
    let last = clients.last_mut().unwrap().response();
    assert_eq!((last.status(), last.field("retry-after")), (503, Some("5")));
    proxy.log_line(|line| line.contains("503") || line.contains("memory is short"));
    gate.open();
    let statuses: Vec<u16> = clients.iter_mut().rev().skip(1).map(|client| client.response().status()).collect();
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 8, "{statuses:?}");
    assert_eq!(proxy.get("a", "/").status(), 200, "and all is well again");
}

#[test]
fn readers_that_have_stopped_hold_up_others_only_until_they_are_given_up() {
    let body = vec![b'x'; 8 << 20];
    let origin = Origin::answering(move |request| match request.target() {
        "/large" => ok(&body),
        _ => ok("small"),
    });
    let proxy = Proxy::start(&small(&format!("timeouts.body_idle = '300ms'\n{}", default_site(&origin))));
    let mut stopped = admitted(&proxy, 30);
    stopped.iter_mut().for_each(|client| ask(client, "/large"));
    wait_until("they have taken all", || memory(&proxy, "waiting") > 0);
    assert!(memory(&proxy, "used_bytes") <= memory(&proxy, "ceiling_bytes"));
    assert_eq!(proxy.get("a", "/").text(), "small", "served once some of them have been given up");
    assert!(memory(&proxy, "used_bytes") <= memory(&proxy, "ceiling_bytes"));
}

/// Those of one client wait for each other, and leave a part to others.
#[test]
fn a_client_with_many_requests_that_wait_holds_up_nobody_else() {
    let gate = Arc::new(Gate::default());
    let origin = {
        let gate = gate.clone();
        Origin::answering(move |request| {
            if request.target() == "/slow" {
                gate.pass();
            }
            ok("served")
        })
    };
    let proxy = Proxy::start(&small(&default_site(&origin)));
    let before = memory(&proxy, "used_bytes");
    let mut many = admitted(&proxy, 60);
    many.iter_mut().for_each(|client| ask(client, "/slow"));
    wait_until("it has all that it may have", || memory(&proxy, "waiting") >= 40);
    let mut other = Wire::connect_from([127, 0, 0, 66], proxy.address());
    for _ in 0..10 {
        assert_eq!(other.get("a", "/quick").text(), "served");
    }
    assert!(memory(&proxy, "waiting") >= 40, "and those still wait");
    gate.open();
    many.iter_mut().for_each(|client| assert_eq!(client.response().status(), 200));
    drop((many, other));
    let kept = proxy.status()["totals"]["upstream_idle"].as_u64().unwrap();
    returns_to(&proxy, before + kept * IDLE);
}

/// A tunnel at rest is an idle connection with a server's.
#[test]
fn many_more_tunnels_stand_than_could_all_move_bytes_at_once() {
    let origin = Origin::echo();
    let config = format!("[[stream]]\nlisten = \"tcp/127.0.0.1:0\"\nupstream = \"{}\"\n", origin.address());
    let proxy = Proxy::start(&small(&config));
    let before = memory(&proxy, "used_bytes");
    let address = proxy.listener_of("tcp", 0);
    let say = |client: &mut Wire, word: &str| {
        let echo = client.send(word).read_exactly(word.len() as u64).unwrap();
        assert_eq!(echo, word.as_bytes());
    };
    let mut clients: Vec<_> = (0..100).map(|_| Wire::connect(address)).collect();
    wait_until("all stand", || proxy.status()["totals"]["tunnels"] == 100);
    for _ in 0..3 {
        clients.iter_mut().for_each(|client| say(client, "a word"));
    }
    // Much at once through one of them, while the others stand.
    let long = vec![b'x'; 4 << 20];
    let mut reading = Wire::over(clients[0].stream().try_clone().unwrap());
    thread::scope(|scope| {
        let read = scope.spawn(|| reading.read_exactly(long.len() as u64).unwrap());
        clients[0].send(&long);
        assert!(read.join().unwrap() == long);
    });
    clients.iter_mut().for_each(|client| say(client, "and another"));
    wait_until("they are at rest", || memory(&proxy, "used_bytes") <= before + 100 * 2 * IDLE);
    assert_eq!(proxy.status()["totals"]["tunnels"], 100);
    drop((clients, reading));
    returns_to(&proxy, before);
}

/// The answer fits the kernel: the exchange has ended long before its client takes it.
#[test]
fn what_a_client_has_not_taken_counts_until_it_has() {
    let origin = Origin::answering(|_| ok(vec![b'x'; 300_000]));
    let proxy = Proxy::start(&default_site(&origin));
    let before = memory(&proxy, "used_bytes");
    let mut client = proxy.connect();
    ask(&mut client, "/");
    wait_until("the exchange has ended", || proxy.status()["totals"]["requests"] == 1);
    assert!(memory(&proxy, "used_bytes") > before + 100 * 1024);
    assert_eq!(client.response().body.len(), 300_000);
    returns_to(&proxy, before + 2 * IDLE);
    assert_eq!(client.get("a", "/").body.len(), 300_000);
}

/// Whoever asks again at once has taken what came before, though nobody has had time to see that.
#[test]
fn long_answers_one_after_another_take_no_more_than_one() {
    let gate = Arc::new(Gate::default());
    let origin = {
        let (gate, answer) = (gate.clone(), ok(vec![b'x'; 400_000]));
        Origin::answering(move |request| {
            if request.target() == "/last" {
                gate.pass();
            }
            answer.clone()
        })
    };
    let proxy = Proxy::start(&default_site(&origin));
    let before = memory(&proxy, "used_bytes");
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.get("a", "/").body.len(), 400_000);
    }
    ask(&mut client, "/last");
    // The server may send ahead by now: that alone is more than a MiB.
    wait_until("nothing is left of the first ones", || memory(&proxy, "used_bytes") < before + 3 * MIB);
    gate.open();
    assert_eq!(client.response().body.len(), 400_000);
}

#[test]
fn bodies_are_whole_whether_there_is_room_for_them_or_not() {
    let body: Vec<u8> = (0..3 * MIB as u32).map(|n| (n / 7) as u8).collect();
    let answer = ok(&body);
    let origin = Origin::answering(move |_| answer.clone());
    let proxy = Proxy::start(&small(&default_site(&origin)));
    let before = memory(&proxy, "used_bytes");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(|| proxy.get("a", "/large").body)).collect();
        for client in clients {
            assert!(client.join().unwrap() == body);
        }
    });
    returns_to(&proxy, before + 16 * IDLE);
}

#[test]
fn where_idle_connections_have_all_of_it_the_oldest_one_goes() {
    let origin = Origin::named("here");
    let proxy = Proxy::start(&small(&default_site(&origin)));
    let mut first = proxy.connect();
    assert_eq!(first.get("a", "/").text(), "here");
    let room = (memory(&proxy, "ceiling_bytes") - memory(&proxy, "used_bytes")) * 5 / 8 / IDLE;
    let mut served = Vec::new();
    for _ in 0..room + 20 {
        let mut client = proxy.connect();
        assert_eq!(client.get("a", "/").text(), "here");
        served.push(client);
    }
    let status = proxy.status();
    assert!(status["totals"]["connections"].as_u64().unwrap() <= room + 1);
    assert!(status["totals"]["idle_ended"].as_u64().unwrap() >= 15, "{status:#}");
    assert!(memory(&proxy, "used_bytes") <= memory(&proxy, "ceiling_bytes"));
    first.expect_gone();
}

#[test]
fn check_tells_what_the_ceiling_is_good_for_and_refuses_one_that_is_too_low() {
    let site = "[[site]]\nhost = \"a\"\nupstream = 3000\n";
    let check = |memory: &str| {
        let config = format!("cores = 1\nresources.memory = '{memory}'\n{site}");
        let output = run_to_end(&config, &["check", "-c", "ringferry.toml"]);
        (output.status.code(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    };
    let (code, told) = check("64MiB");
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("memory: 64 MiB = ") && told.contains(" MiB of it for buffers of 1 core"), "{told}");
    let (code, told) = check("2MiB");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("error: resources.memory: 2048 KiB are too little for 1 core"), "{told}");
}

#[test]
fn a_reload_leaves_the_ceiling_as_it_is_and_says_so() {
    let origin = Origin::named("x");
    let proxy = Proxy::start(&small(&default_site(&origin)));
    proxy.reload(&format!("resources.memory = '64MiB'\n{}", default_site(&origin))).unwrap();
    proxy.log_line(|line| line.contains("resources.memory: the ceiling stays as it was at the start"));
    assert_eq!(memory(&proxy, "ceiling_bytes"), 14 * MIB);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
