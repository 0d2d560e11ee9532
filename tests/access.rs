//! Who may come to sites, routes and streams, told by their address, and what the others get.

use crate::support::{Origin, Proxy, TempDir, TlsClient, Wire, ok, tls_site, wait_until};
use std::net::{SocketAddr, UdpSocket};

const TRUSTED: &str = "trusted_proxies = \"loopback\"\n";

fn from(proxy: &Proxy, client: &str, host: &str, target: &str) -> u16 {
    let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {client}\r\n\r\n");
    proxy.exchange(head).status()
}

#[test]
fn a_site_is_for_those_that_its_lists_name() {
    let origin = Origin::named("x");
    let proxy = Proxy::start(&format!(
        "{TRUSTED}[[site]]\nhost = \"a\"\nupstream = {:?}\nallow = [\"lan\", \"2001:db8::/32\"]\ndeny = \"10.6.6.6\"\n",
        origin.url()
    ));
    for (client, expect) in [
        ("192.168.1.7", 200),
        ("10.6.6.5", 200),
        ("10.6.6.6", 403),
        ("203.0.113.9", 403),
        ("2001:db8::7", 200),
        ("2001:db9::7", 403),
        // The rightmost that is not trusted is the client, whatever he says of himself.
        ("192.168.1.7, 203.0.113.9", 403),
        ("203.0.113.9, 192.168.1.7, 127.0.0.1", 200),
    ] {
        assert_eq!(from(&proxy, client, "a", "/"), expect, "{client}");
    }
    assert_eq!(origin.requests().len(), 4);
    let line = proxy.log_line(|line| line.starts_with("10.6.6.6 "));
    assert!(line.contains(" 403 ") && line.contains("err=client-not-allowed"), "{line}");
    assert_eq!(proxy.status()["totals"]["denied"], 4);
}

#[test]
fn a_route_has_its_own_lists_and_who_is_left_out_learns_of_nothing() {
    let origin = Origin::named("x");
    let route =
        |path: &str, keys: &str| format!("[[site.route]]\npath = {path:?}\nupstream = {:?}\n{keys}", origin.url());
    let proxy = Proxy::start(&format!(
        "{TRUSTED}[[site]]\nhost = \"a\"\nallow = \"192.168.0.0/16\"\n{}{}{}",
        route("/home", ""),
        route("/open", "deny = []\n"),
        route("/admin", "allow = \"192.168.0.2\"\n")
    ));
    for (client, target, expect) in [
        ("192.168.0.1", "/home", 200),
        ("192.168.0.1", "/open", 200),
        ("192.168.0.1", "/admin", 403),
        ("192.168.0.2", "/admin/x", 200),
        ("192.168.0.1", "/nothing", 404),
        ("203.0.113.9", "/home", 403),
        ("203.0.113.9", "/open", 200),
        // Not 404: which paths there are is for those who may come.
        ("203.0.113.9", "/nothing", 403),
    ] {
        assert_eq!(from(&proxy, client, "a", target), expect, "{client} {target}");
    }
    assert_eq!(proxy.get("a", "/home").status(), 403, "a trusted proxy that names nobody is the client itself");
}

#[test]
fn lists_come_before_the_redirect_to_tls_and_after_its_name() {
    let (origin, dir) = (Origin::named("x"), TempDir::new());
    let site = tls_site("a.test", &origin, &dir);
    let proxy = Proxy::start(&format!("{site}deny = \"127.0.0.1\"\n"));
    assert_eq!(proxy.get("a.test", "/").status(), 403);
    let mut wire = TlsClient::new().connect(proxy.tls(), "a.test");
    assert_eq!(wire.get("a.test", "/").status(), 403);
    assert_eq!(wire.get("b.test", "/").status(), 421, "the connection stays");
}

#[test]
fn a_reload_changes_who_may_come() {
    let origin = Origin::named("x");
    let site = |keys: &str| format!("[[site]]\nhost = \"a\"\nupstream = {:?}\n{keys}", origin.url());
    let proxy = Proxy::start(&site(""));
    let mut client = proxy.connect();
    assert_eq!(client.get("a", "/").status(), 200);
    proxy.reload(&site("deny = \"loopback\"\n")).unwrap();
    assert_eq!(client.get("a", "/").status(), 403);
    proxy.reload(&site("allow = \"loopback\"\n")).unwrap();
    assert_eq!(client.get("a", "/").status(), 200);
}

#[test]
fn streams_and_passed_on_tls_end_before_a_server_is_asked() {
    let origin = Origin::echo();
    let address = origin.address().to_string();
    let proxy = Proxy::start(&format!(
        "[[stream]]\nlisten = \"tcp/127.0.0.1:0\"\nupstream = {address:?}\ndeny = \"loopback\"\n\
         [[site]]\nhost = \"*\"\ntls = \"passthrough\"\nupstream = {address:?}\nallow = \"192.168.0.0/16\"\n"
    ));
    Wire::connect(proxy.listener_of("tcp", 0)).expect_gone();
    let hello = TlsClient::new().hello("a.test").bytes;
    Wire::connect(proxy.tls()).send(hello).expect_gone();
    for kind in ["TCP", "TLS"] {
        let line = proxy.log_line(|line| line.contains(&format!("\"{kind} ")));
        assert!(line.contains("err=client-not-allowed") && line.contains("up=- "), "{line}");
    }
    assert_eq!(proxy.status()["totals"]["denied"], 2);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn the_client_of_a_stream_is_whom_a_proxy_header_names() {
    let origin = Origin::echo();
    let proxy = Proxy::start(&format!(
        "[[stream]]\nlisten = {{ address = \"tcp/127.0.0.1:0\", proxy_protocol = \"required\", from = \"loopback\" }}\n\
         upstream = {:?}\nallow = \"203.0.113.7\"\n",
        origin.address().to_string()
    ));
    let connect = |client: &str| {
        let mut wire = Wire::connect(proxy.listener_of("tcp", 0));
        wire.send(format!("PROXY TCP4 {client} 192.0.2.1 4711 443\r\nhi"));
        wire
    };
    assert_eq!(connect("203.0.113.7").read_exactly(2).unwrap(), b"hi");
    connect("203.0.113.8").expect_gone();
}

#[test]
fn datagrams_of_others_are_dropped_and_counted() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let stream = |keys: &str| {
        let server = server.local_addr().unwrap().to_string();
        format!("[[stream]]\nlisten = \"udp/127.0.0.1:0\"\nupstream = {server:?}\n{keys}")
    };
    let proxy = Proxy::start(&stream("deny = \"127.0.0.2\"\n"));
    let to: SocketAddr = proxy.listener_of("udp", 0);
    let client = |from: &str| {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(to).unwrap();
        socket
    };
    let (denied, good) = (client("127.0.0.2"), client("127.0.0.1"));
    denied.send(b"no").unwrap();
    wait_until("it is dropped", || proxy.status()["totals"]["datagrams_dropped"] == 1);
    good.send(b"yes").unwrap();
    let mut buffer = [0; 16];
    assert_eq!(server.recv(&mut buffer).unwrap(), 3, "the first to come is the good one");
    assert_eq!(proxy.status()["totals"]["flows"], 1);
    // A reload turns those away that are here.
    proxy.reload(&stream("deny = \"loopback\"\n")).unwrap();
    wait_until("the flow has ended", || proxy.status()["totals"]["flows"] == 0);
}

#[test]
fn a_page_says_no_more_than_that() {
    let origin = Origin::answering(|_| ok("x"));
    let proxy = Proxy::start(&format!("[[site]]\nhost = \"a\"\nupstream = {:?}\ndeny = \"loopback\"\n", origin.url()));
    let mut client = proxy.connect();
    for _ in 0..2 {
        let page = client.get("a", "/");
        assert_eq!((page.status(), page.field("retry-after"), page.field("connection")), (403, None, None));
        assert!(page.text().starts_with("403 Forbidden"), "{}", page.text());
    }
}
