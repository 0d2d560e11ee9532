//! `client_ca`: who is let in, what the server is told of them, and that nobody gets past it.

use crate::support::{FOREIGN, HOME, Origin, Proxy, TempDir, TlsClient, VERSIONS, default_site, site, tls_site};
use rustls::AlertDescription;

const SUBJECT: &str = "x-client-cert-subject";
/// A request that claims to be somebody, in each way that a server may read.
const FORGED: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Client-Cert-Subject: CN=root\r\n\
                      x-client-cert-subject: CN=root\r\nX_Client_Cert_Subject: CN=root\r\n\
                      X_CLIENT-CERT_SUBJECT: CN=root\r\nX-Forwarded-Proto: https\r\n\r\n";

/// A site for those with a certificate of [`HOME`].
fn guarded(host: &str, origin: &Origin, dir: &TempDir) -> String {
    format!("{}client_ca = {:?}\n", tls_site(host, origin, dir), HOME.put(dir))
}

/// What the server has been told of who the client is, however it is spelled.
#[track_caller]
fn subjects(origin: &Origin) -> Vec<(String, String)> {
    let like = |name: &str| name.to_ascii_lowercase().replace('_', "-") == SUBJECT;
    origin.request().fields.into_iter().filter(|(name, _)| like(name)).collect()
}

#[test]
fn nobody_without_a_certificate_is_let_in() {
    let origin = Origin::named("guarded");
    let dir = TempDir::new();
    let proxy = Proxy::start(&guarded("a.test", &origin, &dir));
    for version in VERSIONS {
        let refusal = TlsClient::of(version).refusal(proxy.tls(), "a.test");
        assert_eq!(refusal, AlertDescription::CertificateRequired, "{version:?}");
        let foreign = FOREIGN.issue_to("alice");
        let refusal = TlsClient::showing(version, &foreign).refusal(proxy.tls(), "a.test");
        assert_eq!(refusal, AlertDescription::UnknownCA, "{version:?}");
    }
    let line = proxy.log_line(|line| line.contains("err=certificate-not-trusted"));
    assert!(line.contains("a.test"), "{line}");
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_proxy_in_front_that_has_ended_tls_opens_no_door() {
    let origin = Origin::named("inside");
    let dir = TempDir::new();
    let config = guarded("a.test", &origin, &dir) + &tls_site("open.test", &origin, &dir);
    let proxy = Proxy::start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{config}"));
    assert_eq!(proxy.exchange(FORGED).status(), 421);
    assert_eq!(origin.requests().len(), 0);
    assert_eq!(proxy.exchange(FORGED.replace("a.test", "open.test")).text(), "inside");
    // Who came without TLS is sent to where a certificate can be shown.
    assert_eq!(proxy.get("a.test", "/").status(), 308);
}

#[test]
fn the_server_is_told_whose_certificate_it_is() {
    let origin = Origin::named("guarded");
    let dir = TempDir::new();
    let proxy = Proxy::start(&guarded("a.test", &origin, &dir));
    for version in VERSIONS {
        let client = TlsClient::showing(version, &HOME.issue_to("alice"));
        // A session that goes on is still hers.
        for resumed in [false, true] {
            let mut wire = client.connect(proxy.tls(), "a.test");
            assert_eq!(wire.tls().is_resumed(), resumed, "{version:?}");
            for request in ["GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", FORGED] {
                assert_eq!(wire.send(request).response().text(), "guarded");
                assert_eq!(subjects(&origin), [("X-Client-Cert-Subject".to_owned(), "CN=alice".to_owned())]);
            }
        }
    }
}

#[test]
fn nobody_else_can_say_who_he_is() {
    let origin = Origin::named("open");
    let dir = TempDir::new();
    let (plain, secure) = (default_site(&origin), tls_site("a.test", &origin, &dir));
    for trust in ["", "trusted_proxies = [\"127.0.0.1\"]\n"] {
        let by_tls = Proxy::start(&format!("{trust}{secure}"));
        let mut client = TlsClient::new().connect(by_tls.tls(), "a.test");
        assert_eq!(client.send(FORGED).response().text(), "open");
        assert_eq!(subjects(&origin), []);
        let by_plain = Proxy::start(&format!("{trust}{plain}"));
        assert_eq!(by_plain.exchange(FORGED).text(), "open");
        assert_eq!(subjects(&origin), []);
        if !trust.is_empty() {
            // Who ends TLS in front of us may say that it did, and no more.
            assert_eq!(by_tls.exchange(FORGED).text(), "open");
            assert_eq!(subjects(&origin), []);
        }
    }
}

#[test]
fn an_open_name_is_no_way_into_a_guarded_site() {
    let (open, inner) = (Origin::named("open"), Origin::named("guarded"));
    let dir = TempDir::new();
    let both = HOME.issue(&["open.test", "a.test"]).put(&dir);
    let client_ca = format!("client_ca = {:?}\n", HOME.put(&dir));
    // With one certificate for both sites, so that only the policy differs; and with one for each.
    let shared = site("open.test", &open) + &both + &site("a.test", &inner) + &both + &client_ca;
    let apart = tls_site("open.test", &open, &dir) + &guarded("a.test", &inner, &dir);
    for config in [shared, apart] {
        let proxy = Proxy::start(&config);
        for version in VERSIONS {
            let mut client = TlsClient::of(version).connect(proxy.tls(), "open.test");
            assert_eq!(client.get("open.test", "/").text(), "open");
            assert_eq!(client.get("a.test", "/").status(), 421);
            assert_eq!(client.get("a.test.", "/").status(), 421);
            let absolute = "GET https://a.test/ HTTP/1.1\r\nHost: open.test\r\n\r\n";
            assert_ne!(client.send(absolute).response().text(), "guarded");
            // Not even with a certificate, which nobody has asked for on this connection.
            let alice = TlsClient::showing(version, &HOME.issue_to("alice"));
            assert_eq!(alice.connect(proxy.tls(), "open.test").get("a.test", "/").status(), 421);
            assert_eq!(alice.connect(proxy.tls(), "a.test").get("a.test", "/").text(), "guarded");
        }
        // Plain HTTP is no way, either.
        assert_eq!(proxy.get("a.test", "/").status(), 308);
    }
    assert!(inner.requests().iter().all(|request| request.field(SUBJECT).is_some()));
}

#[test]
fn sites_with_the_same_authority_share_connections() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let dir = TempDir::new();
    let both = HOME.issue(&["a.test", "b.test"]).put(&dir);
    let keys = |ca: String| format!("{both}client_ca = {ca:?}\n");
    // The same authority, be it from another file.
    let config = site("a.test", &a) + &keys(HOME.put(&dir)) + &site("b.test", &b) + &keys(HOME.put(&dir));
    let proxy = Proxy::start(&config);
    let alice = TlsClient::showing(VERSIONS[0], &HOME.issue_to("alice"));
    let mut client = alice.connect(proxy.tls(), "a.test");
    assert_eq!(client.get("a.test", "/").text(), "a");
    assert_eq!(client.get("b.test", "/").text(), "b");
    assert_eq!(b.request().field(SUBJECT), Some("CN=alice"));
}

#[test]
fn a_site_whose_authority_cannot_be_read_lets_nobody_in() {
    let (open, inner) = (Origin::named("open"), Origin::named("guarded"));
    let dir = TempDir::new();
    for client_ca in [dir.put("broken.pem", "no certificate"), "/nowhere/ca.pem".to_owned()] {
        let config = format!(
            "{}{}client_ca = {client_ca:?}\n",
            tls_site("open.test", &open, &dir),
            tls_site("a.test", &inner, &dir)
        );
        let proxy = Proxy::start(&config);
        proxy.log_line(|line| line.contains("error") && line.contains(&client_ca));
        for client in [TlsClient::new(), TlsClient::showing(VERSIONS[0], &HOME.issue_to("alice"))] {
            assert_eq!(client.refusal(proxy.tls(), "a.test"), AlertDescription::UnrecognisedName);
        }
        let mut client = TlsClient::new().connect(proxy.tls(), "open.test");
        assert_eq!(client.get("open.test", "/").text(), "open");
        assert_eq!(client.get("a.test", "/").status(), 421);
    }
    assert_eq!(inner.requests().len(), 0);
}

#[test]
fn a_connection_from_before_an_authority_was_written_is_not_let_in() {
    let origin = Origin::named("inside");
    let dir = TempDir::new();
    let open = tls_site("a.test", &origin, &dir);
    let proxy = Proxy::start(&open);
    let mut early = TlsClient::new().connect(proxy.tls(), "a.test");
    assert_eq!(early.get("a.test", "/").text(), "inside");
    proxy.reload(&format!("{open}client_ca = {:?}\n", HOME.put(&dir))).unwrap();
    crate::support::wait_until("the connection sees it", || early.get("a.test", "/").status() == 421);
}
