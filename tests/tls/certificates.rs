//! Certificates that are wrong, and certificates that change while connections last.

use crate::support::{
    Gate, HOME, Identity, Origin, Pattern, PatternCheck, Proxy, TempDir, TlsClient, VERSIONS, run_to_end, site,
    tls_site, wait_until,
};
use rustls::AlertDescription;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A pair of files that are written again and again.
struct Files {
    dir: TempDir,
}

impl Files {
    fn new(identity: &Identity) -> Files {
        let files = Files { dir: TempDir::new() };
        files.write(identity);
        files
    }

    fn write(&self, identity: &Identity) {
        self.dir.put("site.pem", &identity.chain);
        self.dir.put("site.key", &identity.key);
    }

    /// A site that has them.
    fn site(&self, host: &str, origin: &Origin) -> String {
        let path = |name| self.dir.path().join(name);
        format!("{}cert = {:?}\nkey = {:?}\n", site(host, origin), path("site.pem"), path("site.key"))
    }
}

/// Whether a new connection is shown the certificate of `identity`.
fn shows(proxy: &Proxy, identity: &Identity) -> bool {
    // Without a session from before: that would go on with the certificate it began with.
    TlsClient::new().connect(proxy.tls(), "a.test").tls().shows(identity)
}

#[test]
fn a_bad_pair_costs_only_its_own_site() {
    let (good, bad) = (Origin::named("good"), Origin::named("bad"));
    let dir = TempDir::new();
    let (one, other) = (HOME.issue(&["bad.test"]), HOME.issue(&["bad.test"]));
    let mismatched = Identity { chain: one.chain.clone(), key: other.key }.put(&dir);
    let garbled = Identity { chain: "no certificate".to_owned(), key: one.key }.put(&dir);
    let missing = "cert = \"/nowhere/bad.pem\"\nkey = \"/nowhere/bad.key\"\n".to_owned();
    for pair in [mismatched, garbled, missing] {
        let proxy = Proxy::start(&(site("bad.test", &bad) + &pair + &tls_site("good.test", &good, &dir)));
        let path = pair.split('"').nth(1).unwrap().trim_end_matches(".pem");
        proxy.log_line(|line| line.starts_with("error: ") && line.contains(path));
        let client = TlsClient::new();
        assert_eq!(client.refusal(proxy.tls(), "bad.test"), AlertDescription::UnrecognisedName);
        assert_eq!(client.get(proxy.tls(), "good.test", "/").text(), "good");
        assert_eq!(client.connect(proxy.tls(), "good.test").get("bad.test", "/").status(), 421);
    }
    assert_eq!(bad.requests().len(), 0);
}

#[test]
fn what_cannot_be_read_leaves_the_last_good_certificate() {
    let origin = Origin::named("still");
    let good = HOME.issue(&["a.test"]);
    let files = Files::new(&good);
    let proxy = Proxy::start(&files.site("a.test", &origin));
    let other = HOME.issue(&["a.test"]);
    let broken = [
        Identity { chain: "no certificate".to_owned(), key: other.key.clone() },
        Identity { chain: other.chain.clone(), key: good.key.clone() },
        Identity { chain: String::new(), key: String::new() },
    ];
    for identity in broken {
        files.write(&identity);
        let before = proxy.log().count();
        proxy.reload(&files.site("a.test", &origin)).unwrap();
        let told = proxy.log().find(before, |line| line.contains("site.pem") || line.contains("site.key"));
        assert!(told.is_some(), "it is told that the file is wrong");
        assert!(shows(&proxy, &good));
        assert_eq!(TlsClient::new().get(proxy.tls(), "a.test", "/").text(), "still");
    }
    files.write(&other);
    proxy.reload(&files.site("a.test", &origin)).unwrap();
    wait_until("the next good one is shown", || shows(&proxy, &other));
}

#[test]
fn our_own_authority_vouches_where_no_certificate_is_written() {
    let (origin, dir) = (Origin::named("inside"), TempDir::new());
    let internal = |host: &str| site(host, &origin) + "tls = \"internal\"\n";
    let config = format!("state = {:?}\n{}{}", dir.path(), internal("a.test"), internal("*.b.test"));
    let proxy = Proxy::start(&config);
    let told = run_to_end(&config, &["cert", "ca", "-c", "ringferry.toml"]);
    let pem = String::from_utf8(told.stdout).unwrap();
    let client = TlsClient::trusting(&pem);
    for name in ["a.test", "x.b.test"] {
        assert_eq!(client.get(proxy.tls(), name, "/").text(), "inside");
    }
    assert_eq!(client.refusal(proxy.tls(), "c.test"), AlertDescription::UnrecognisedName);
    // Who has installed it once need not do so again: a site that comes later, and another start.
    proxy.reload(&(config.clone() + &internal("c.test"))).unwrap();
    wait_until("the new site is there", || client.try_connect(proxy.tls(), "c.test").is_ok());
    drop(proxy);
    let proxy = Proxy::start(&config);
    assert_eq!(client.get(proxy.tls(), "a.test", "/").text(), "inside");
}

#[test]
fn a_new_certificate_is_for_new_connections_and_harms_no_open_one() {
    const LENGTH: u64 = 16 << 20;
    let gate = Arc::new(Gate::default());
    let origin = Origin::scripted({
        let gate = gate.clone();
        move |exchange| {
            while let Some(request) = exchange.request()? {
                if request.target() != "/long" {
                    exchange.send(crate::support::ok("short"))?;
                    continue;
                }
                exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))?;
                let mut body = Pattern::new(LENGTH);
                let mut stream = exchange.wire.stream().try_clone()?;
                std::io::copy(&mut (&mut body).take(LENGTH / 2), &mut stream)?;
                gate.pass();
                std::io::copy(&mut body, &mut stream)?;
            }
            Ok(())
        }
    });
    let (old, new) = (HOME.issue(&["a.test"]), HOME.issue(&["a.test"]));
    let files = Files::new(&old);
    let proxy = Proxy::start(&files.site("a.test", &origin));
    let mut kept = TlsClient::new().connect(proxy.tls(), "a.test");
    assert_eq!(kept.get("a.test", "/").text(), "short");
    let mut busy = TlsClient::new().connect(proxy.tls(), "a.test");
    let head = busy.send("GET /long HTTP/1.1\r\nHost: a.test\r\n\r\n").head();
    files.write(&new);
    proxy.reload(&files.site("a.test", &origin)).unwrap();
    wait_until("the new one is shown", || shows(&proxy, &new));
    assert_eq!(kept.get("a.test", "/").text(), "short");
    gate.open();
    let mut check = PatternCheck::new(LENGTH);
    busy.copy_body(head.response_framing("GET"), &mut check).unwrap();
    check.expect_whole();
    assert_eq!(busy.get("a.test", "/").text(), "short");
    assert!(kept.tls().shows(&old) && busy.tls().shows(&old));
}

#[test]
fn no_request_fails_while_certificates_are_swapped() {
    let origin = Origin::named("served");
    let pairs = [HOME.issue(&["a.test"]), HOME.issue(&["a.test"])];
    let files = Files::new(&pairs[0]);
    let config = files.site("a.test", &origin);
    let proxy = Proxy::start_with(&config, &["--cores", "2"]);
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let count = |text: String| {
        assert_eq!(text, "served");
        served.fetch_add(1, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        let _done = Done(&done);
        for version in VERSIONS {
            scope.spawn(|| {
                let mut kept = TlsClient::of(version).connect(proxy.tls(), "a.test");
                while !done.load(Ordering::Relaxed) {
                    count(kept.get("a.test", "/").text());
                }
            });
            scope.spawn(|| {
                let client = TlsClient::of(version);
                while !done.load(Ordering::Relaxed) {
                    count(client.get(proxy.tls(), "a.test", "/").text());
                }
            });
        }
        for n in 1..=10 {
            let next = &pairs[n % 2];
            files.write(next);
            proxy.reload(&config).unwrap();
            wait_until("the new one is shown", || shows(&proxy, next));
            let before = served.load(Ordering::Relaxed);
            wait_until("requests go on", || served.load(Ordering::Relaxed) > before + 8);
        }
    });
    let status = proxy.status();
    assert_eq!((&status["totals"]["responses_4xx"], &status["totals"]["responses_5xx"]), (&0.into(), &0.into()));
}

/// Ends what runs beside a test, also when the test fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
