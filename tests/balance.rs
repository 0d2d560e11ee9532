//! Which server of a pool gets a request, and what becomes of one that fails.

use crate::support::{Gate, Origin, Proxy, answer, ok, refusing_port, wait_until};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A default site with these servers and further keys of its upstream.
fn config(servers: &[String], keys: &str) -> String {
    format!("[[site]]\nhost = \"*\"\nupstream = {{ servers = [{}], {keys} }}\n", servers.join(", "))
}

fn urls(origins: &[Origin]) -> Vec<String> {
    origins.iter().map(|origin| format!("{:?}", origin.url())).collect()
}

/// Who answers so many requests with these fields.
#[track_caller]
fn answers(proxy: &Proxy, count: usize, fields: &str) -> Vec<String> {
    let mut client = proxy.connect();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut answer = || {
        let response = client.send(&request).response();
        assert_eq!(response.status(), 200, "{response:?}");
        response.text()
    };
    (0..count).map(|_| answer()).collect()
}

fn counts(answers: &[String]) -> HashMap<&str, usize> {
    answers.iter().fold(HashMap::new(), |mut counts, answer| {
        *counts.entry(answer.as_str()).or_default() += 1;
        counts
    })
}

#[test]
fn round_robin_takes_turns_by_weight() {
    let origins = ["a", "b", "c"].map(Origin::named);
    let proxy = Proxy::start(&config(&urls(&origins), "balance = \"round_robin\""));
    let turns = answers(&proxy, 9, "");
    for round in turns.chunks(3) {
        assert_eq!(counts(round).len(), 3, "{turns:?}");
    }
    let weighted = [
        format!("{{ url = {:?}, weight = 3 }}", origins[0].url()),
        format!("{{ url = {:?}, weight = 1 }}", origins[1].url()),
    ];
    let proxy = Proxy::start(&config(&weighted, "balance = \"round_robin\""));
    let turns = answers(&proxy, 8, "");
    assert_eq!(counts(&turns), HashMap::from([("a", 6), ("b", 2)]), "{turns:?}");
}

#[test]
fn the_less_loaded_server_is_preferred() {
    for balance in ["least_conn", "two_choices"] {
        let gate = Arc::new(Gate::default());
        let origins = ["a", "b"].map(|name| {
            let gate = gate.clone();
            Origin::answering(move |request| {
                if request.target() == "/long" {
                    gate.pass();
                }
                ok(name)
            })
        });
        let proxy = Proxy::start(&config(&urls(&origins), &format!("balance = {balance:?}")));
        let mut busy = proxy.connect();
        busy.send("GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
        wait_until("it has come", || origins.iter().any(|origin| !origin.requests().is_empty()));
        let free = if origins[0].requests().is_empty() { "a" } else { "b" };
        assert_eq!(counts(&answers(&proxy, 20, "")), HashMap::from([(free, 20)]), "{balance}");
        gate.open();
        assert_ne!(busy.response().text(), free);
    }
}

#[test]
fn a_key_keeps_its_server() {
    let origins = ["a", "b", "c", "d"].map(Origin::named);
    for (balance, field) in [("{ header = \"X-User\" }", "X-User: "), ("{ cookie = \"sid\" }", "Cookie: x=y; sid=")] {
        let all = Proxy::start(&config(&urls(&origins), &format!("balance = {balance}")));
        let fewer = Proxy::start(&config(&urls(&origins[..3]), &format!("balance = {balance}")));
        let (mut used, mut moved) = (HashMap::<String, usize>::new(), 0);
        for user in 0..60 {
            let key = format!("{field}user-{user}\r\n");
            let servers = answers(&all, 3, &key);
            assert_eq!(counts(&servers).len(), 1, "{servers:?}");
            *used.entry(servers[0].clone()).or_default() += 1;
            // Without one server, only the keys of that one move.
            let remaining = &answers(&fewer, 1, &key)[0];
            if servers[0] != "d" {
                assert_eq!(remaining, &servers[0], "{key}");
            } else {
                moved += 1;
            }
        }
        assert_eq!(used.len(), 4, "{used:?}");
        assert!((1..40).contains(&moved), "{used:?}");
    }
    let proxy = Proxy::start(&config(&urls(&origins), "balance = \"ip_hash\""));
    let servers: Vec<_> = (0..5).flat_map(|_| answers(&proxy, 2, "")).collect();
    assert_eq!(counts(&servers).len(), 1, "{servers:?}");
}

#[test]
fn a_backup_is_used_only_in_need() {
    let mut main = Origin::named("main");
    let address = main.address();
    let backup = Origin::named("backup");
    let servers = [format!("{:?}", main.url()), format!("{{ url = {:?}, backup = true }}", backup.url())];
    let proxy = Proxy::start(&config(&servers, "eject_after = 1, eject_for = \"100ms\""));
    assert_eq!(counts(&answers(&proxy, 5, "")), HashMap::from([("main", 5)]));
    main.stop();
    assert_eq!(counts(&answers(&proxy, 5, "")), HashMap::from([("backup", 5)]));
    let _main = Origin::at(address, |exchange| {
        while exchange.request()?.is_some() {
            exchange.send(ok("main again"))?;
        }
        Ok(())
    });
    wait_until("the main server is back", || answers(&proxy, 1, "") == ["main again"]);
}

#[test]
fn a_server_that_refuses_is_ejected_and_probed() {
    let (held, port) = refusing_port();
    let healthy = Origin::named("healthy");
    let servers = [port.to_string(), format!("{:?}", healthy.url())];
    let keys = "balance = \"round_robin\", eject_after = 2, eject_for = \"200ms\", eject_max = \"400ms\"";
    let proxy = Proxy::start(&config(&servers, keys));
    answers(&proxy, 8, "");
    let state = |proxy: &Proxy| proxy.server(&format!(":{port}"))["state"].as_str().map(str::to_owned);
    assert_ne!(state(&proxy).as_deref(), Some("up"));
    // No client is harmed by the probes that fail meanwhile.
    for _ in 0..20 {
        answers(&proxy, 1, "");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let _back = Origin::on(held, |exchange| {
        while exchange.request()?.is_some() {
            exchange.send(ok("back"))?;
        }
        Ok(())
    });
    wait_until("the server is back", || answers(&proxy, 2, "").contains(&"back".to_owned()));
    wait_until("status says so", || state(&proxy).as_deref() == Some("up"));
}

#[test]
fn a_server_that_fails_again_and_again_is_ejected() {
    let broken = Arc::new(AtomicBool::new(true));
    let origin = Origin::answering({
        let broken = broken.clone();
        move |_| match broken.load(Ordering::SeqCst) {
            true => answer("500 Internal Server Error", &[], "broken"),
            false => ok("repaired"),
        }
    });
    let origins = [origin, Origin::named("healthy")];
    let keys = "balance = \"round_robin\", eject_after = 3, eject_for = \"300ms\"";
    let proxy = Proxy::start(&config(&urls(&origins), keys));
    let get = || proxy.get("a", "/");
    // Responses are passed on as they are; after three in a row the server rests.
    let statuses: Vec<_> = (0..6).map(|_| get().status()).collect();
    assert_eq!(statuses.iter().filter(|&&status| status == 500).count(), 3, "{statuses:?}");
    assert_eq!(origins[0].requests().len(), 3);
    broken.store(false, Ordering::SeqCst);
    wait_until("the probe succeeds", || get().text() == "repaired");
}

#[test]
fn without_ejection_a_failing_server_stays_in_turn() {
    let origins = [Origin::answering(|_| answer("500 Internal Server Error", &[], ""))];
    let proxy = Proxy::start(&config(&urls(&origins), "eject_after = 0"));
    for _ in 0..10 {
        assert_eq!(proxy.get("a", "/").status(), 500);
    }
}
