//! How often clients may come, and how many of their requests may be in flight.

use crate::support::{Gate, Origin, Proxy, Wire, wait_until};
use std::sync::Arc;

const TRUSTED: &str = "trusted_proxies = \"loopback\"\n";

fn site(origin: &Origin, keys: &str) -> String {
    format!("{TRUSTED}[[site]]\nhost = \"a\"\nupstream = {:?}\n{keys}", origin.url())
}

fn get(client: &mut Wire, from: &str, target: &str) -> u16 {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {from}\r\n\r\n")).response().status()
}

#[test]
fn a_client_over_its_rate_is_told_when_to_come_again() {
    let origin = Origin::named("x");
    let proxy = Proxy::start_with(&site(&origin, "rate = { requests = \"1/h\", burst = 3 }\n"), &["--cores", "2"]);
    for _ in 0..3 {
        // Other connections, on other cores perhaps, are of the same client.
        assert_eq!(get(&mut proxy.connect(), "203.0.113.9", "/"), 200);
    }
    let mut client = proxy.connect();
    let refused = client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n").response();
    assert_eq!((refused.status(), refused.field("connection")), (429, None));
    let seconds: u32 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((3_590..=3_600).contains(&seconds), "{seconds}");
    assert!(refused.text().starts_with("429 Too Many Requests"), "{}", refused.text());
    assert_eq!(get(&mut client, "203.0.113.10", "/"), 200);
    assert_eq!(origin.requests().len(), 4);
    let line = proxy.log_line(|line| line.contains(" 429 "));
    assert!(line.starts_with("203.0.113.9 ") && line.contains("err=over-its-rate"), "{line}");
    assert_eq!(proxy.status()["totals"]["over_rate"], 1);
}

#[test]
fn what_has_been_taken_stays_taken_over_a_reload() {
    let origin = Origin::named("x");
    let proxy = Proxy::start(&site(&origin, "rate = { requests = \"1/h\", burst = 1 }\n"));
    let mut client = proxy.connect();
    assert_eq!([0, 1].map(|_| get(&mut client, "203.0.113.9", "/")), [200, 429]);
    let more = format!("[[site]]\nhost = \"b\"\nupstream = {:?}\n", origin.url());
    proxy.reload(&format!("{}{more}", site(&origin, "rate = { requests = \"1/h\", burst = 1 }\n"))).unwrap();
    assert_eq!(get(&mut client, "203.0.113.9", "/"), 429);
    proxy.reload(&site(&origin, "")).unwrap();
    assert_eq!(get(&mut client, "203.0.113.9", "/"), 200);
}

#[test]
fn a_route_has_its_own_rate_and_the_others_share_that_of_the_site() {
    let origin = Origin::named("x");
    let route =
        |path: &str, keys: &str| format!("[[site.route]]\npath = {path:?}\nupstream = {:?}\n{keys}", origin.url());
    let rate = |burst| format!("rate = {{ requests = \"1/h\", burst = {burst} }}\n");
    let routes = [route("/x", ""), route("/y", ""), route("/login", &rate(1))].concat();
    let proxy = Proxy::start(&format!("{TRUSTED}[[site]]\nhost = \"a\"\n{}{routes}", rate(2)));
    let mut client = proxy.connect();
    let mut get = |target| get(&mut client, "203.0.113.9", target);
    assert_eq!([get("/login"), get("/login")], [200, 429]);
    assert_eq!([get("/x"), get("/y"), get("/x"), get("/y")], [200, 200, 429, 429]);
}

#[test]
fn requests_in_flight_have_a_maximum_and_are_served_again_below_it() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let proxy = Proxy::start(&format!("{}[limits]\nrequests = 3\nrequests_per_client = 2\n", site(&origin, "")));
    let send = |from: &str| {
        let mut client = proxy.connect();
        client.send(format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {from}\r\n\r\n"));
        client
    };
    let mut waiting = [send("203.0.113.1"), send("203.0.113.1")];
    wait_until("both are in flight", || proxy.status()["totals"]["exchanges"] == 2);
    let refused = send("203.0.113.1").response();
    assert_eq!((refused.status(), refused.field("retry-after")), (429, Some("1")));
    let mut other = send("203.0.113.2");
    wait_until("it is in flight", || proxy.status()["totals"]["exchanges"] == 3);
    let mut client = send("203.0.113.3");
    let refused = client.response();
    assert_eq!((refused.status(), refused.field("retry-after")), (503, Some("1")));
    assert_eq!(proxy.status()["totals"]["over_requests"], 2);
    for label in ["too-many-requests", "too-many-requests-of-this-client"] {
        proxy.log_line(|line| line.contains(&format!("err={label}")));
    }
    gate.open();
    waiting.iter_mut().chain([&mut other]).for_each(|client| assert_eq!(client.response().text(), "served"));
    // On the same connection, which an error of ours has not ended.
    assert_eq!(get(&mut client, "203.0.113.3", "/"), 200);
}

#[test]
fn a_tunnel_is_no_request_in_flight() {
    let origin = Origin::switching(|exchange| exchange.echo());
    let proxy = Proxy::start(&format!("{}[limits]\nrequests = 1\nrequests_per_client = 1\n", site(&origin, "")));
    let tunnels = [0; 3].map(|_| {
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n");
        assert_eq!(client.head().status(), 101);
        client
    });
    for mut tunnel in tunnels {
        assert_eq!(tunnel.send("hi").read_exactly(2).unwrap(), b"hi");
    }
}
