//! Our own authority: made, written down, read back, renewed.

use super::{Authority as Other, NOW_S, ecdsa};
use crate::tls::{Authority, CLOCK_FLOOR_S, Fault};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, NameConstraints, SubjectKeyIdentifier};

const DAY_S: u64 = 24 * 60 * 60;

fn certificate(authority: &Authority) -> Certificate {
    let der = CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap();
    Certificate::from_der(&der).unwrap()
}

/// Its own number.
fn serial(authority: &Authority) -> Vec<u8> {
    certificate(authority).tbs_certificate().serial_number().as_bytes().to_vec()
}

fn key_id(authority: &Authority) -> SubjectKeyIdentifier {
    certificate(authority).tbs_certificate().get_extension().unwrap().unwrap().1
}

#[test]
fn its_certificate_may_issue_and_nothing_below_it_may() {
    let authority = Authority::new("pi", NOW_S).unwrap();
    let certificate = certificate(&authority);
    let certificate = certificate.tbs_certificate();
    let (critical, constraints) = certificate.get_extension::<BasicConstraints>().unwrap().unwrap();
    assert!(critical);
    assert_eq!((constraints.ca, constraints.path_len_constraint), (true, Some(0)));
    let (critical, usage) = certificate.get_extension::<KeyUsage>().unwrap().unwrap();
    assert!(critical && usage.key_cert_sign() && !usage.digital_signature());
    assert!(certificate.get_extension::<NameConstraints>().unwrap().is_none());
    assert_eq!(certificate.subject().to_string(), format!("CN={}", authority.name()));
    let years = (authority.validity_s().end() - NOW_S) / (365 * DAY_S);
    assert_eq!((authority.validity_s().start(), years), (&(NOW_S - 3600), 10));
}

#[test]
fn its_name_tells_whose_it_is_and_which() {
    #[track_caller]
    fn check(machine: &str, expect: &str) {
        let name = Authority::new(machine, NOW_S).unwrap().name().to_owned();
        let (name, id) = name.rsplit_once(' ').unwrap();
        assert_eq!(name, expect);
        assert!(id.len() == 6 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    check("raspberrypi", "Ringferry local authority raspberrypi");
    check("Zoë's board", "Ringferry local authority Zoë's board");
    check("", "Ringferry local authority");
    check("a\nb", "Ringferry local authority ab");
    check(&"x".repeat(64), &format!("Ringferry local authority {}", "x".repeat(31)));
    let name = |machine| Authority::new(machine, NOW_S).unwrap().name().to_owned();
    assert_ne!(name("pi"), name("pi"));
    assert_eq!(name(&"x".repeat(64)).len(), 64);
}

#[test]
fn what_was_written_is_read_back() {
    let authority = Authority::new("pi", NOW_S).unwrap();
    let pem = authority.to_pem();
    for text in [pem.clone(), pem.replace('\n', "\r\n"), format!("# keep this\n{pem}")] {
        let read = Authority::read(text.as_bytes()).unwrap();
        assert_eq!(read.name(), authority.name());
        assert_eq!(read.validity_s(), authority.validity_s());
        assert_eq!(read.fingerprint(), authority.fingerprint());
        assert_eq!(serial(&read), serial(&authority));
    }
    assert_eq!(Authority::read(pem.as_bytes()).unwrap().to_pem(), pem);
    assert!(!authority.certificate_pem().contains("PRIVATE"));
    assert!(!format!("{authority:?}").contains("PRIVATE"));
}

#[test]
fn what_is_no_authority_of_ours_is_refused_by_name() {
    #[track_caller]
    fn check(pem: &str, expect: Fault) {
        assert_eq!(Authority::read(pem.as_bytes()).map(|authority| authority.name().to_owned()), Err(expect));
    }
    let authority = Authority::new("pi", NOW_S).unwrap();
    let (pem, certificate) = (authority.to_pem(), authority.certificate_pem());
    let key = &pem[certificate.len()..];
    check("", Fault::NoCertificate);
    check(certificate, Fault::NoKey);
    check(key, Fault::NoCertificate);
    check(&pem[..certificate.len() / 2], Fault::Damaged);
    check(&pem[..pem.len() - 40], Fault::Damaged);
    check(&format!("{}{key}", Authority::new("pi", NOW_S).unwrap().certificate_pem()), Fault::Mismatch);
    // A pair of a site, and an authority that somebody else made.
    let site = ecdsa(&["a.test"]);
    check(&format!("{}{}", site.chain, site.key), Fault::NotOurAuthority);
    let Other { pem, issuer } = Other::new("Home");
    check(&format!("{pem}{}", issuer.key().serialize_pem()), Fault::NotOurAuthority);
}

#[test]
fn it_is_renewed_well_before_its_end_with_its_key_and_its_name() {
    let authority = Authority::new("pi", NOW_S).unwrap();
    assert_eq!(authority.is_of(Authority::new("pi", NOW_S).unwrap().certificate_pem().as_bytes()), Ok(false));
    let end_s = *authority.validity_s().end();
    let renewed = |now_s| authority.renewed(now_s).unwrap();
    assert!(renewed(NOW_S).is_none());
    assert!(renewed(end_s - 3 * 365 * DAY_S).is_none());
    for now_s in [end_s - 365 * DAY_S, end_s + 365 * DAY_S] {
        let renewed = renewed(now_s).unwrap();
        assert_eq!(renewed.name(), authority.name());
        assert_eq!(key_id(&renewed), key_id(&authority));
        assert_ne!(serial(&renewed), serial(&authority));
        assert_eq!(*renewed.validity_s().start(), now_s - 3600);
        assert!(renewed.renewed(now_s).unwrap().is_none());
        assert!(Authority::read(renewed.to_pem().as_bytes()).is_ok());
        assert_eq!(renewed.is_of(authority.certificate_pem().as_bytes()), Ok(true));
    }
}

#[test]
fn a_clock_that_was_wrong_is_put_right_and_one_that_is_not_believed_changes_nothing() {
    // A board in 1970 makes one that is good today.
    let early = Authority::new("pi", 5).unwrap();
    assert!(early.validity_s().contains(&CLOCK_FLOOR_S) && early.validity_s().contains(&NOW_S));
    assert!(early.renewed(5).unwrap().is_none());
    assert!(early.renewed(NOW_S).unwrap().is_none());
    // One in a far future makes one that is of no use now.
    let late = Authority::new("pi", NOW_S + 3000 * DAY_S).unwrap();
    assert!(late.renewed(5).unwrap().is_none());
    assert!(late.renewed(NOW_S).unwrap().unwrap().validity_s().contains(&NOW_S));
    assert!(matches!(Authority::new("pi", u64::MAX), Err(Fault::NotMade(_))));
}
