//! From a configuration to the certificates of its sites, on a real disk.

use super::{Folder, GOOD, NOW_S, config, files, made, site};
use crate::app::{Certificates, upstream_findings};
use crate::config::Severity;
use crate::model::CertificateSource::{self, Internal};
use crate::model::{Balance, Config, ListenerId, Pool, Server, ServerAddress, SiteId, SiteTls, Trust, UpstreamTls};
use crate::tls::{CLOCK_FLOOR_S, CertStore};
use rustls::SignatureScheme::ECDSA_NISTP256_SHA256;
use std::path::Path;
use std::time::Duration;

/// Findings in words: `error a.test, b.test: what`; paths from the folder on.
fn told(folder: &Folder, findings: &[crate::app::Finding]) -> Vec<String> {
    let word = |severity| if severity == Severity::Error { "error" } else { "warning" };
    let root = format!("{}/", folder.0.display());
    findings.iter().map(|finding| format!("{} {finding}", word(finding.severity)).replace(&root, "")).collect()
}

/// What a site shows: the names of the files, or `internal`.
fn shown(folder: &Folder, certificates: &Certificates, site: u32) -> Vec<String> {
    let pairs = certificates.site(SiteId(site)).unwrap().pairs();
    let root = format!("{}/", folder.0.display());
    pairs.iter().map(|pair| pair.origin().replace(&root, "")).collect()
}

/// Two files of a pair for `host`.
fn pair(folder: &Folder, name: &str, host: &str, years: (i32, i32)) -> CertificateSource {
    let (chain, key) = made(host, years);
    files(&folder.write(&format!("{name}.pem"), &chain), &folder.write(&format!("{name}.key"), &key))
}

/// Whether a client of the first listener that asks for `host` gets a certificate.
fn answers(certificates: &Certificates, config: &Config, host: &str) -> bool {
    let (store, _) = CertStore::build(certificates.of_listener(config, ListenerId(0)), NOW_S);
    store.resolve(Some(host), &[ECDSA_NISTP256_SHA256]).is_some()
}

#[test]
fn every_source_gives_what_it_has() {
    let folder = Folder::new();
    let a = pair(&folder, "a", "a.test", GOOD);
    let of_folder = CertificateSource::Folder(folder.0.clone());
    let mut passed = site("d.test", &[], None);
    passed.tls = Some(SiteTls::Passthrough);
    let config = config(
        &folder.path("state"),
        vec![
            site("a.test", &[a, Internal], None),
            site("b.test", &[Internal], None),
            site("*", &[of_folder, Internal], None),
            passed,
        ],
    );
    let certificates = Certificates::default().load(&config, NOW_S);
    assert_eq!(told(&folder, certificates.findings()), [""; 0]);
    assert_eq!(shown(&folder, &certificates, 0), ["a.pem", "internal"]);
    assert_eq!(shown(&folder, &certificates, 1), ["internal"]);
    assert_eq!(shown(&folder, &certificates, 2), ["a.pem", "internal"]);
    assert!(certificates.site(SiteId(3)).is_none());
    assert!(answers(&certificates, &config, "a.test") && answers(&certificates, &config, "x.test"));
    assert_eq!(certificates.of_listener(&config, ListenerId(1)).count(), 0);
    let names = certificates.site(SiteId(2)).unwrap().pairs()[1].names();
    assert!(names.cover("localhost") && names.cover("127.0.0.1"));
    assert_eq!(certificates.due_s(), Some(NOW_S + 20 * 24 * 60 * 60));
}

#[test]
fn what_is_wrong_is_an_error_where_nothing_is_left() {
    let folder = Folder::new();
    let (good, old) = (pair(&folder, "good", "a.test", GOOD), pair(&folder, "old", "a.test", (2020, 2021)));
    let other = pair(&folder, "other", "other.test", GOOD);
    let lost = files(&folder.path("lost.pem"), &folder.path("good.key"));
    #[track_caller]
    fn check(folder: &Folder, hosts: &[(&str, &[&CertificateSource])], expect: &[&str]) {
        let sites = hosts.iter().map(|(host, sources)| {
            site(host, &sources.iter().map(|source| (*source).clone()).collect::<Vec<_>>(), None)
        });
        let certificates = Certificates::look(&config(&folder.path("state"), sites.collect()), NOW_S);
        assert_eq!(told(folder, certificates.findings()), expect);
    }
    let unread = "lost.pem: cannot be read: No such file or directory (os error 2)";
    check(&folder, &[("a.test", &[&good])], &[]);
    check(&folder, &[("a.test", &[&old])], &["warning a.test: old.pem: expired on 2021-01-01"]);
    let not_for = "warning a.test: other.pem: not for a.test: the certificate is for other.test";
    check(&folder, &[("a.test", &[&other])], &[not_for]);
    check(&folder, &[("a.test", &[&good, &lost])], &[&format!("warning a.test: {unread}")]);
    let none = |host| format!("error {host}: there is no certificate for this host");
    check(&folder, &[("a.test", &[&lost])], &[&format!("error a.test: {unread}"), &none("a.test")]);
    // One file for two sites is told once, and as bad as it is for the worse one.
    let both = format!("error a.test, b.test: {unread}");
    check(&folder, &[("a.test", &[&lost, &good]), ("b.test", &[&lost])], &[&both, &none("b.test")]);
}

#[test]
fn looking_makes_no_authority_and_says_if_there_can_be_none() {
    let folder = Folder::new();
    let config = config(&folder.path("state"), vec![site("a.test", &[Internal], None)]);
    let look = || Certificates::look(&config, NOW_S);
    assert_eq!(told(&folder, look().findings()), [""; 0]);
    assert_eq!(shown(&folder, &look(), 0), ["internal"]);
    assert_eq!(folder.names(), [""; 0]);

    let running = Certificates::default().load(&config, NOW_S);
    let print = |certificates: &Certificates| certificates.authority().unwrap().fingerprint();
    assert_eq!(print(&look()), print(&running));

    folder.write("state/authority.key", "");
    let broken = "a.test: state/authority.key: cannot be used as our authority: no certificate in it";
    let none = "error a.test: there is no certificate for this host".to_owned();
    assert_eq!(told(&folder, look().findings()), [format!("error {broken}"), none]);
    // The running program goes on with the one that it has.
    let reloaded = running.load(&config, NOW_S);
    assert_eq!(told(&folder, reloaded.findings()), [format!("warning {broken}")]);
    assert!(answers(&reloaded, &config, "a.test"));
}

#[test]
fn a_reload_keeps_what_is_good() {
    let folder = Folder::new();
    let source = pair(&folder, "a", "a.test", GOOD);
    let config =
        config(&folder.path("state"), vec![site("a.test", &[source], None), site("b.test", &[Internal], None)]);
    let prints = |certificates: &Certificates| {
        [0, 1].map(|site| *certificates.site(SiteId(site)).unwrap().pairs()[0].fingerprint())
    };
    let before = Certificates::default().load(&config, NOW_S);
    folder.write("a.pem", "cut");
    let after = before.load(&config, NOW_S + 1);
    assert_eq!(prints(&after), prints(&before));
    assert_eq!(told(&folder, after.findings()), ["warning a.test: a.pem: no certificate in it"]);
    let later = after.load(&config, NOW_S + 25 * 24 * 60 * 60);
    assert_ne!(prints(&later)[1], prints(&before)[1]);
}

#[test]
fn a_site_that_does_not_know_its_clients_lets_nobody_in() {
    let folder = Folder::new();
    let source = pair(&folder, "a", "a.test", GOOD);
    let ca = folder.write("ca.pem", &made("Clients", GOOD).0);
    let open = site("*", std::slice::from_ref(&source), None);
    let config = config(&folder.path("state"), vec![site("a.test", &[source], Some(&ca)), open]);
    let id = |certificates: &Certificates, site| Some(certificates.site(SiteId(site))?.clients()?.id());
    let first = Certificates::default().load(&config, NOW_S);
    assert!(id(&first, 0).is_some() && id(&first, 0) != id(&first, 1));

    folder.write("ca.pem", "");
    let finding = "a.test: ca.pem: no certificate in it";
    let told_of = |certificates: &Certificates| -> Vec<_> {
        let told = told(&folder, certificates.findings());
        told.into_iter().filter(|told| told.contains("ca.pem")).collect()
    };
    // A reload keeps the clients that it knows.
    let again = first.load(&config, NOW_S);
    assert_eq!(told_of(&again), [format!("warning {finding}")]);
    assert_eq!(id(&again, 0), id(&first, 0));
    // A start does not know any: the site is closed, and the default site does not answer in its place.
    let start = Certificates::default().load(&config, NOW_S);
    assert_eq!(told_of(&start), [format!("error {finding}")]);
    assert_eq!(id(&start, 0), None);
    assert!(!start.site(SiteId(0)).unwrap().serves());
    assert!(answers(&again, &config, "a.test"));
    assert!(!answers(&start, &config, "a.test") && answers(&start, &config, "x.test"));
}

#[test]
fn a_clock_that_is_not_set_is_told_and_waited_for() {
    let folder = Folder::new();
    let config = config(&folder.path("state"), vec![site("a.test", &[Internal], None)]);
    let early = Certificates::default().load(&config, 5);
    assert_eq!(told(&folder, early.findings()), ["warning a.test: internal: not valid before 2024-01-01"]);
    assert_eq!(early.due_s(), Some(CLOCK_FLOOR_S));
    let set = early.load(&config, NOW_S);
    assert_eq!(told(&folder, set.findings()), [""; 0]);
    assert_eq!(set.authority().unwrap().fingerprint(), early.authority().unwrap().fingerprint());
}

#[test]
fn authorities_of_servers_are_looked_at() {
    let folder = Folder::new();
    let good = folder.write("good.pem", &made("Servers", GOOD).0);
    let bad = folder.write("bad.pem", "nothing");
    let pool = |name: &str, trusts: Vec<Option<Trust>>| Pool {
        name: name.to_owned(),
        servers: trusts.into_iter().map(server).collect(),
        balance: Balance::default(),
        hold: None,
        queue: 0,
        eject_after: 0,
        eject_for: Duration::ZERO,
        eject_max: Duration::ZERO,
        send_proxy_protocol: None,
    };
    let of = |path: &Path| Some(Trust::Authorities(path.to_owned()));
    let pools = vec![
        pool("a.test/", vec![of(&good), None, Some(Trust::System), Some(Trust::Anyone)]),
        pool("b.test/", vec![of(&bad), of(&bad)]),
        pool("c.test/", vec![of(&good), of(&bad)]),
    ];
    let findings = upstream_findings(&Config { pools, ..Config::default() });
    assert_eq!(told(&folder, &findings), ["error b.test/, c.test/: bad.pem: no certificate in it"]);
}

fn server(trust: Option<Trust>) -> Server {
    Server {
        address: ServerAddress::Ip(([192, 0, 2, 1], 443).into()),
        weight: 1,
        backup: false,
        max_connections: None,
        tls: trust.map(|trust| UpstreamTls { name: "server.test".into(), trust }),
    }
}
