//! What our own authority issues: to whom, for how long, and whether clients take it.

use super::NOW_S;
use super::handshakes::{Client, open, shake};
use crate::model::{HostPattern, SiteId};
use crate::tls::{
    Authority, CLOCK_FLOOR_S, CertStore, Fault, KeyKind, Leaves, Pair, SitePairs, cipher_order, server_config,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, Error};
use std::sync::Arc;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, SubjectKeyIdentifier};

const DAY_S: u64 = 24 * 60 * 60;

fn hosts(text: &str) -> Vec<HostPattern> {
    let pattern = |text: &str| match (text, text.strip_prefix("*.")) {
        ("*", _) => HostPattern::Any,
        (_, Some(parent)) => HostPattern::Wildcard(parent.into()),
        _ => HostPattern::Exact(text.into()),
    };
    text.split_whitespace().map(pattern).collect()
}

fn machine() -> Vec<String> {
    ["pi", "pi.local", "localhost", "192.0.2.7"].map(str::to_owned).into()
}

fn issue(authority: &Authority, names: &str, now_s: u64) -> Result<Arc<Pair>, Fault> {
    Leaves::default().pair(&Leaves::default(), authority, &hosts(names), &machine(), now_s)
}

/// A handshake of a client that trusts `trusted` with the server of one site.
fn enter(pair: &Arc<Pair>, trusted: &Authority, host: &str) -> Result<CertificateDer<'static>, Error> {
    let site = SitePairs { site: SiteId(0), hosts: &[HostPattern::Any], pairs: vec![pair.clone()] };
    let server =
        server_config(&cipher_order(true), Arc::new(CertStore::build([site], NOW_S).0), &open(), &[], false).unwrap();
    let mut certificate = None;
    for version in [&TLS12, &TLS13] {
        let mut client = Client::new(&[version]);
        client.trusts = trusted.certificate_pem().to_owned();
        certificate = Some(shake(&server, &client.config(), host)?.certificate);
    }
    Ok(certificate.unwrap())
}

/// An authority of today by the clock that handshakes look at, far enough from the ends of what it issues.
fn authority() -> Authority {
    Authority::new("pi", today_s()).unwrap()
}

/// The handshakes verify by the clock of this machine.
fn today_s() -> u64 {
    rustls::pki_types::UnixTime::now().as_secs()
}

#[test]
fn clients_that_trust_the_authority_take_what_it_issues() {
    let authority = authority();
    #[track_caller]
    fn check(authority: &Authority, names: &str, taken: &[&str], refused: &[&str]) {
        let pair = issue(authority, names, today_s()).unwrap();
        assert_eq!(pair.kind(), KeyKind::Ecdsa);
        for host in taken {
            assert!(enter(&pair, authority, host).is_ok(), "{names}: {host}");
            assert!(pair.names().cover(host), "{names}: {host}");
        }
        for host in refused {
            let refused = enter(&pair, authority, host);
            let why = CertificateError::NotValidForName;
            assert!(
                matches!(&refused, Err(Error::InvalidCertificate(found)) if *found == why
                    || matches!(found, CertificateError::NotValidForNameContext { .. })),
                "{names}: {host}: {refused:?}"
            );
        }
    }
    check(&authority, "a.test b.test", &["a.test", "b.test"], &["c.test", "192.0.2.7"]);
    check(&authority, "*.a.test", &["x.a.test"], &["a.test", "x.y.a.test"]);
    check(&authority, "192.0.2.1 [2001:db8::1]", &["192.0.2.1", "2001:db8::1"], &["192.0.2.2"]);
    check(&authority, "*", &["pi", "pi.local", "localhost", "192.0.2.7"], &["a.test"]);
    check(&authority, "a.test *", &["a.test", "pi.local"], &["b.test"]);
}

#[test]
fn clients_of_another_authority_refuse_it() {
    let authority = authority();
    let pair = issue(&authority, "a.test", today_s()).unwrap();
    let refused = enter(&pair, &self::authority(), "a.test");
    assert_eq!(refused, Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)));
}

#[test]
fn the_certificates_before_and_after_a_renewal_verify_the_same() {
    let old = Authority::read(authority().to_pem().as_bytes()).unwrap();
    let end_s = *old.validity_s().end();
    let new = Authority::read(old.renewed(end_s).unwrap().unwrap().to_pem().as_bytes()).unwrap();
    let (of_old, of_new) = (issue(&old, "a.test", today_s()).unwrap(), issue(&new, "a.test", today_s()).unwrap());
    // Whoever has the old one installed is served by the new one. What a client makes of the end of the one that it
    // has installed is its own affair; this one does not look.
    for (pair, trusted) in [(&of_new, &old), (&of_old, &new)] {
        assert!(enter(pair, trusted, "a.test").is_ok());
    }
}

#[test]
fn a_certificate_is_that_of_a_server_and_names_its_issuer() {
    let authority = authority();
    let pair = issue(&authority, "a.test", NOW_S).unwrap();
    let [leaf] = &pair.certified().cert[..] else { panic!("the chain is the certificate alone") };
    let leaf = Certificate::from_der(leaf).unwrap();
    let leaf = leaf.tbs_certificate();
    let issuer = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap();
    let issuer = Certificate::from_der(&issuer).unwrap();
    let issuer = issuer.tbs_certificate();
    assert_eq!(leaf.issuer().to_der(), issuer.subject().to_der());
    let (_, named) = leaf.get_extension::<AuthorityKeyIdentifier>().unwrap().unwrap();
    let (_, own) = issuer.get_extension::<SubjectKeyIdentifier>().unwrap().unwrap();
    assert_eq!(named.key_identifier, Some(own.0));
    assert!(!leaf.get_extension::<BasicConstraints>().unwrap().unwrap().1.ca);
    let (_, purposes) = leaf.get_extension::<ExtendedKeyUsage>().unwrap().unwrap();
    assert_eq!(purposes.0.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1.3.6.1.5.5.7.3.1"]);
    assert_eq!(pair.names().to_string(), "a.test");
}

#[test]
fn a_certificate_stays_until_two_thirds_of_its_time_have_passed() {
    let authority = Authority::new("pi", NOW_S).unwrap();
    let take = |last: &Leaves, authority: &Authority, names: &str, machine: &[String], now_s| {
        let mut next = Leaves::default();
        let pair = next.pair(last, authority, &hosts(names), machine, now_s).unwrap();
        (next, *pair.fingerprint(), pair.validity_s().clone())
    };
    let (first, print, validity_s) = take(&Leaves::default(), &authority, "a.test *", &machine(), NOW_S);
    assert_eq!(validity_s, NOW_S - 3600..=NOW_S + 30 * DAY_S);
    assert_eq!(first.due_s(), Some(NOW_S + 20 * DAY_S));

    let kept = |authority: &Authority, names: &str, machine: &[String], now_s| {
        take(&first, authority, names, machine, now_s).1 == print
    };
    assert!(kept(&authority, "a.test *", &machine(), NOW_S + 20 * DAY_S - 1));
    assert!(!kept(&authority, "a.test *", &machine(), NOW_S + 20 * DAY_S));
    // A clock that has been set back.
    assert!(kept(&authority, "a.test *", &machine(), NOW_S - 3600));
    assert!(!kept(&authority, "a.test *", &machine(), NOW_S - 3601));
    // Other names: of the site, or of the machine.
    assert!(!kept(&authority, "a.test b.test *", &machine(), NOW_S));
    assert!(!kept(&authority, "a.test *", &machine()[1..], NOW_S));
    // The same authority with another certificate; another authority.
    let renewed = authority.renewed(NOW_S + 3650 * DAY_S).unwrap().unwrap();
    assert!(kept(&renewed, "a.test *", &machine(), NOW_S));
    assert!(!kept(&Authority::new("pi", NOW_S).unwrap(), "a.test *", &machine(), NOW_S));
}

#[test]
fn what_nobody_wants_any_more_is_forgotten() {
    let authority = Authority::new("pi", NOW_S).unwrap();
    let (mut both, mut one) = (Leaves::default(), Leaves::default());
    both.pair(&Leaves::default(), &authority, &hosts("a.test"), &[], NOW_S - DAY_S).unwrap();
    let b = both.pair(&Leaves::default(), &authority, &hosts("b.test"), &[], NOW_S).unwrap();
    assert_eq!(both.due_s(), Some(NOW_S + 19 * DAY_S));
    let again = one.pair(&both, &authority, &hosts("b.test"), &[], NOW_S).unwrap();
    // Two sites with the same hosts, on listeners of their own, share it.
    let shared = one.pair(&both, &authority, &hosts("b.test"), &[], NOW_S).unwrap();
    assert!(Arc::ptr_eq(&b, &again) && Arc::ptr_eq(&b, &shared));
    assert_eq!(one.due_s(), Some(NOW_S + 20 * DAY_S));
    assert_eq!(Leaves::default().due_s(), None);
}

#[test]
fn a_board_that_does_not_know_the_time_has_certificates_that_are_good_until_it_does() {
    let authority = Authority::new("pi", 5).unwrap();
    let (mut before, mut after) = (Leaves::default(), Leaves::default());
    let early = before.pair(&Leaves::default(), &authority, &hosts("a.test"), &[], 5).unwrap();
    assert!(enter(&early, &authority, "a.test").is_ok());
    assert_eq!(before.due_s(), Some(CLOCK_FLOOR_S));
    let same = Leaves::default().pair(&before, &authority, &hosts("a.test"), &[], CLOCK_FLOOR_S - 1).unwrap();
    assert!(Arc::ptr_eq(&early, &same));
    let right = after.pair(&before, &authority, &hosts("a.test"), &[], NOW_S).unwrap();
    assert_eq!(right.validity_s().end(), &(NOW_S + 30 * DAY_S));
}

#[test]
fn a_site_without_a_name_gets_none() {
    let authority = Authority::new("pi", NOW_S).unwrap();
    let issue = |names: &str| Leaves::default().pair(&Leaves::default(), &authority, &hosts(names), &[], NOW_S);
    assert_eq!(issue("*").map(drop), Err(Fault::NotMade("there is no name to make it for".into())));
    assert_eq!(issue("zoë.test").map(drop), Err(Fault::NotMade("\"zoë.test\" is not ASCII".into())));
}
