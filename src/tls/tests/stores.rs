//! Which pair a client gets, and what is said of the pairs of a site.

use super::{GOOD, HOME, Made, NOW_S, RSA, ecdsa, rsa};
use crate::model::{HostPattern, SiteId};
use crate::tls::{CertStore, Fault, Pair, SitePairs};
use rcgen::KeyPair;
use rustls::SignatureScheme::{self, *};
use std::sync::Arc;

const BOTH: &[SignatureScheme] = &[RSA_PSS_SHA256, ECDSA_NISTP256_SHA256];
const RSA_ONLY: &[SignatureScheme] = &[RSA_PSS_SHA256, RSA_PKCS1_SHA256];

/// Sites in words: `host host: pair pair`, pairs by their origins.
fn store(sites: &[(&str, &[Arc<Pair>])]) -> (CertStore, Vec<String>) {
    let hosts: Vec<Vec<HostPattern>> = sites.iter().map(|(hosts, _)| hosts.split(' ').map(pattern).collect()).collect();
    let sites = (0..).map(SiteId).zip(sites.iter().zip(&hosts));
    let sites = sites.map(|(site, ((_, pairs), hosts))| SitePairs { site, hosts, pairs: pairs.to_vec() });
    let (store, problems) = CertStore::build(sites, NOW_S);
    assert!(problems.iter().all(|(_, problem)| problem.fault.is_fatal() == (problem.fault == Fault::NoneForHost)));
    (store, problems.into_iter().map(|(site, problem)| format!("{} {problem}", site.0)).collect())
}

fn pattern(text: &str) -> HostPattern {
    match (text, text.strip_prefix("*.")) {
        ("*", _) => HostPattern::Any,
        (_, Some(parent)) => HostPattern::Wildcard(parent.into()),
        _ => HostPattern::Exact(text.into()),
    }
}

#[track_caller]
fn check(store: &CertStore, name: Option<&str>, schemes: &[SignatureScheme], expect: Option<&str>) {
    let found = store.resolve(name, schemes);
    let pairs = (0..9).flat_map(|site| store.pairs(SiteId(site)));
    let origin = |certified| pairs.into_iter().find(|pair| Arc::ptr_eq(pair.certified(), certified)).unwrap().origin();
    assert_eq!(found.as_ref().map(origin), expect, "{name:?}");
}

#[test]
fn the_site_of_the_most_specific_host_answers() {
    let (a, b, wild) = (ecdsa(&["a.test"]), ecdsa(&["b.test", "*.b.test"]), ecdsa(&["*.test"]));
    let (store, problems) =
        store(&[("a.test", &[a.pair("a")]), ("b.test *.b.test", &[b.pair("b")]), ("*.test", &[wild.pair("wild")])]);
    assert_eq!(problems, [""; 0]);
    for (name, expect) in [
        ("a.test", Some("a")),
        ("A.TEST.", Some("a")),
        ("b.test", Some("b")),
        ("x.b.test", Some("b")),
        ("x.test", Some("wild")),
        ("test", None),
        ("a.example", None),
        ("", None),
    ] {
        check(&store, Some(name), BOTH, expect);
    }
    check(&store, None, BOTH, None);
}

#[test]
fn the_default_site_answers_whoever_names_nothing_known() {
    let (store, problems) =
        store(&[("a.test", &[ecdsa(&["a.test"]).pair("a")]), ("*", &[ecdsa(&["x.test"]).pair("x")])]);
    assert_eq!(problems, [""; 0]);
    check(&store, Some("a.test"), BOTH, Some("a"));
    check(&store, Some("unknown.test"), BOTH, Some("x"));
    check(&store, None, BOTH, Some("x"));
}

#[test]
fn of_several_pairs_the_client_gets_the_best_that_it_takes() {
    let (rsa, both) = (rsa(&["a.test", "b.test"]).pair("rsa"), ecdsa(&["a.test", "b.test"]).pair("ecdsa"));
    let (two, _) = store(&[("a.test", &[rsa.clone(), both])]);
    check(&two, Some("a.test"), BOTH, Some("ecdsa"));
    check(&two, Some("a.test"), RSA_ONLY, Some("rsa"));
    // No signature in common: rustls has to have a pair to say so.
    check(&two, Some("a.test"), &[ED25519], Some("ecdsa"));

    // A pair for the name comes before a cheaper one that is for another.
    let (mixed, problems) = store(&[("a.test b.test", &[ecdsa(&["a.test"]).pair("ecdsa"), rsa])]);
    assert_eq!(problems, [""; 0]);
    check(&mixed, Some("a.test"), BOTH, Some("ecdsa"));
    check(&mixed, Some("b.test"), BOTH, Some("rsa"));

    let made = |years| HOME.issue(&["a.test"], years, &KeyPair::generate().unwrap());
    let (old, new, ended) = (made((2020, 2030)), made((2021, 2031)), made((2019, 2020)));
    let (renewed, _) = store(&[("a.test", &[ended.pair("ended"), old.pair("old"), new.pair("new")])]);
    check(&renewed, Some("a.test"), BOTH, Some("new"));
    let (late, _) = store(&[("a.test", &[ended.pair("ended"), HOME.issue(&["a.test"], GOOD, &RSA).pair("rsa")])]);
    check(&late, Some("a.test"), BOTH, Some("rsa"));
}

#[test]
fn doubtful_pairs_are_told_and_used() {
    #[track_caller]
    fn told(hosts: &str, made: &[&Made], expect: &[&str]) {
        let pairs: Vec<_> = made.iter().map(|made| made.pair("x.pem")).collect();
        let (store, problems) = store(&[("other.test", &[]), (hosts, &pairs)]);
        assert_eq!(problems[1..], *expect);
        assert!(store.resolve(Some("a.test"), BOTH).is_some());
    }
    let made = |years| HOME.issue(&["a.test"], years, &RSA);
    told("a.test", &[&made(GOOD)], &[]);
    told("a.test", &[&made((2020, 2021))], &["1 x.pem: expired on 2021-01-01"]);
    told("a.test", &[&made((2090, 2091))], &["1 x.pem: not valid before 2090-01-01"]);
    told("a.test", &[&ecdsa(&[])], &["1 x.pem: the certificate names no host"]);
    told("a.test", &[&ecdsa(&[]), &made(GOOD)], &["1 x.pem: the certificate names no host"]);
    told("a.test", &[&ecdsa(&["b.test"])], &["1 x.pem: not for a.test: the certificate is for b.test"]);
    told(
        "a.test *.a.test b.test",
        &[&ecdsa(&["a.test"]), &ecdsa(&["b.test"])],
        &["1 x.pem: not for *.a.test: the certificate is for a.test"],
    );
}

#[test]
fn a_site_without_any_pair_has_no_certificate() {
    let (store, problems) = store(&[("a.test *.b.test", &[])]);
    let told = ["a.test", "*.b.test"].map(|host| format!("0 {host}: there is no certificate for this host"));
    assert_eq!(problems, told);
    check(&store, Some("a.test"), BOTH, None);
}
