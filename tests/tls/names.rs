//! Which site answers for which name, and which requests may come on whose connection.

use crate::support::{HOME, Origin, Proxy, TempDir, TlsClient, VERSIONS, site, tcp, tls_site};
use rustls::AlertDescription;
use std::io::{Read, Write};

#[test]
fn each_name_is_answered_by_its_site_with_its_certificate() {
    let (a, b, below) = (Origin::named("a"), Origin::named("b"), Origin::named("below"));
    let dir = TempDir::new();
    let config = tls_site("a.test", &a, &dir) + &tls_site("b.test", &b, &dir) + &tls_site("*.c.test", &below, &dir);
    let proxy = Proxy::start(&config);
    let client = TlsClient::new();
    for (name, text) in [("a.test", "a"), ("b.test", "b"), ("x.c.test", "below"), ("A.TEST", "a")] {
        assert_eq!(client.get(proxy.tls(), name, "/").text(), text, "{name}");
    }
}

#[test]
fn an_unknown_name_and_none_are_refused_by_an_alert() {
    let origin = Origin::named("x");
    let dir = TempDir::new();
    let proxy = Proxy::start(&(tls_site("a.test", &origin, &dir) + &site("plain.test", &origin)));
    for version in VERSIONS {
        let client = TlsClient::of(version);
        // A site without TLS is as unknown here as one that does not exist.
        for name in ["other.test", "sub.a.test", "plain.test"] {
            assert_eq!(client.refusal(proxy.tls(), name), AlertDescription::UnrecognisedName, "{name}");
        }
        assert_eq!(client.nameless().refusal(proxy.tls(), "a.test"), AlertDescription::UnrecognisedName);
    }
    let line = proxy.log_line(|line| line.contains("other.test"));
    assert!(line.contains("\"TLS ") && line.contains("err=unknown-server-name"), "{line}");
    // Byte for byte: fatal, and the end.
    let mut raw = tcp(proxy.tls());
    raw.write_all(&TlsClient::new().hello("other.test").bytes).unwrap();
    let mut answer = Vec::new();
    raw.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 112]);
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_default_site_answers_for_every_other_name() {
    let (a, rest) = (Origin::named("a"), Origin::named("rest"));
    let dir = TempDir::new();
    let default = site("*", &rest) + &HOME.issue(&["b.test", "x.other.test"]).put(&dir);
    let proxy = Proxy::start(&(tls_site("a.test", &a, &dir) + &default));
    let client = TlsClient::new();
    assert_eq!(client.get(proxy.tls(), "a.test", "/").text(), "a");
    assert_eq!(client.get(proxy.tls(), "b.test", "/").text(), "rest");
    assert_eq!(client.get(proxy.tls(), "x.other.test", "/").text(), "rest");
    assert_eq!(client.nameless().get(proxy.tls(), "b.test", "/").text(), "rest");
}

#[test]
fn a_request_for_a_site_of_another_certificate_is_misdirected() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let dir = TempDir::new();
    let config = tls_site("a.test", &a, &dir) + &tls_site("b.test", &b, &dir) + &site("plain.test", &b);
    let proxy = Proxy::start(&config);
    for version in VERSIONS {
        let mut client = TlsClient::of(version).connect(proxy.tls(), "a.test");
        for host in ["b.test", "plain.test", "unknown.test"] {
            assert_eq!(client.get(host, "/").status(), 421, "{host}");
        }
        // What is wrong with one request is not held against the next.
        assert_eq!(client.get("a.test", "/").text(), "a");
        assert_eq!(client.get("b.test", "/").status(), 421);
    }
    assert_eq!(b.requests().len(), 0);
}

#[test]
fn sites_with_the_same_certificate_share_connections() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let dir = TempDir::new();
    let both = HOME.issue(&["a.test", "b.test"]);
    // The same certificate, be it from another file.
    let proxy = Proxy::start(&(site("a.test", &a) + &both.put(&dir) + &site("b.test", &b) + &both.put(&dir)));
    let mut client = TlsClient::new().connect(proxy.tls(), "a.test");
    for _ in 0..3 {
        assert_eq!(client.get("a.test", "/").text(), "a");
        assert_eq!(client.get("b.test", "/").text(), "b");
    }
}

#[test]
fn a_certificate_in_a_folder_is_found_by_its_names() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let dir = TempDir::new();
    for name in ["a.test", "b.test"] {
        HOME.issue(&[name]).put(&dir);
    }
    let folder = format!("cert = {:?}\n", dir.path());
    let proxy = Proxy::start(&(site("a.test", &a) + &folder + &site("b.test", &b) + &folder));
    for (name, text) in [("a.test", "a"), ("b.test", "b")] {
        assert_eq!(TlsClient::new().get(proxy.tls(), name, "/").text(), text);
    }
}
