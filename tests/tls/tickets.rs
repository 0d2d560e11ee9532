//! Sessions that go on: on every core, after a reload, and nowhere that they were not made for.

use crate::support::{HOME, Origin, Proxy, TempDir, TlsClient, VERSIONS, site, tls_site, wait_until};
use rustls::AlertDescription;

/// Connects, has a request answered, and tells whether the session went on.
#[track_caller]
fn resumes(client: &TlsClient, proxy: &Proxy, name: &str) -> bool {
    let mut wire = client.connect(proxy.tls(), name);
    assert_eq!(wire.get(name, "/").status(), 200);
    wire.tls().is_resumed()
}

#[test]
fn a_session_goes_on_whichever_core_answers() {
    let origin = Origin::named("x");
    let dir = TempDir::new();
    let proxy = Proxy::start_with(&tls_site("a.test", &origin, &dir), &["--cores", "2"]);
    for version in VERSIONS {
        let client = TlsClient::of(version);
        assert!(!resumes(&client, &proxy, "a.test"));
        for _ in 0..16 {
            assert!(resumes(&client, &proxy, "a.test"), "{version:?}");
        }
    }
    // The kernel spreads connections by their ports: of so many each core has had some.
    let status = proxy.status();
    let requests = status["cores"].as_array().unwrap().iter().map(|core| core["requests"].as_u64().unwrap());
    assert!(requests.clone().all(|requests| requests > 0) && requests.count() == 2, "{status:#}");
}

#[test]
fn a_session_goes_on_after_a_reload() {
    let (old, new) = (Origin::named("old"), Origin::named("new"));
    let dir = TempDir::new();
    let pair = HOME.issue(&["a.test"]).put(&dir);
    let proxy = Proxy::start(&(site("a.test", &old) + &pair));
    for version in VERSIONS {
        let client = TlsClient::of(version);
        assert!(!resumes(&client, &proxy, "a.test"));
        proxy.reload(&format!("via = true\n{}{pair}", site("a.test", &new))).unwrap();
        wait_until("the new one answers", || TlsClient::new().get(proxy.tls(), "a.test", "/").text() == "new");
        assert!(resumes(&client, &proxy, "a.test"), "{version:?}");
        proxy.reload(&(site("a.test", &old) + &pair)).unwrap();
        wait_until("the old one answers", || TlsClient::new().get(proxy.tls(), "a.test", "/").text() == "old");
        assert!(resumes(&client, &proxy, "a.test"), "{version:?}");
    }
}

#[test]
fn a_ticket_from_before_an_authority_was_written_opens_nothing() {
    let origin = Origin::named("inside");
    let dir = TempDir::new();
    let open = tls_site("a.test", &origin, &dir);
    let guarded = format!("{open}client_ca = {:?}\n", HOME.put(&dir));
    for version in VERSIONS {
        let proxy = Proxy::start(&open);
        let client = TlsClient::of(version);
        assert!(!resumes(&client, &proxy, "a.test"));
        assert!(resumes(&client, &proxy, "a.test"), "the ticket is good");
        proxy.reload(&guarded).unwrap();
        let stranger = TlsClient::of(version);
        wait_until("the policy is in force", || {
            let refused = stranger.try_connect(proxy.tls(), "a.test").and_then(|mut wire| {
                wire.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")?;
                wire.try_response("GET")
            });
            refused.is_err()
        });
        let requests = origin.requests().len();
        assert_eq!(client.refusal(proxy.tls(), "a.test"), AlertDescription::CertificateRequired);
        assert_eq!(origin.requests().len(), requests);
        // One that was made under the policy is good under it, and under no other.
        let alice = TlsClient::showing(version, &HOME.issue_to("alice"));
        assert!(!resumes(&alice, &proxy, "a.test"));
        assert!(resumes(&alice, &proxy, "a.test"));
        proxy.reload(&open).unwrap();
        wait_until("it is gone again", || {
            TlsClient::of(version).try_connect(proxy.tls(), "a.test").is_ok_and(|mut wire| {
                wire.try_send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").is_ok() && wire.try_response("GET").is_ok()
            })
        });
        assert!(!resumes(&alice, &proxy, "a.test"));
    }
}

#[test]
fn a_ticket_of_an_open_site_opens_no_guarded_one() {
    let (open, inner) = (Origin::named("open"), Origin::named("guarded"));
    let dir = TempDir::new();
    // A client keeps sessions by name. The same name is an open site on one port and a guarded one on another, so that
    // it brings the ticket along.
    let pair = HOME.issue(&["a.test"]).put(&dir);
    let config = format!(
        "[listen]\nhttp = \"127.0.0.1:0\"\n{}listen = \"https://127.0.0.1:0\"\n{pair}{}listen = \
         \"https://127.0.0.2:0\"\n{pair}client_ca = {:?}\n",
        site("a.test", &open),
        site("a.test", &inner),
        HOME.put(&dir)
    );
    let proxy = Proxy::start(&config);
    let guarded = proxy.listener_of("https", 1);
    for version in VERSIONS {
        let client = TlsClient::of(version);
        assert_eq!(client.get(proxy.tls(), "a.test", "/").text(), "open");
        assert!(resumes(&client, &proxy, "a.test"));
        // The very session that the open site would have gone on with.
        assert_eq!(client.refusal(guarded, "a.test"), AlertDescription::CertificateRequired);
    }
    assert_eq!(inner.requests().len(), 0);
}
