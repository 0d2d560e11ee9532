//! Reading a chain and its key.

use super::{GOOD, HOME, Made, RSA, ecdsa, rsa};
use crate::tls::{Fault, KeyKind, Pair, subject};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

#[track_caller]
fn check(chain: &str, key: &str, expect: Result<KeyKind, Fault>) {
    let pair = Pair::read("site.pem", chain.as_bytes(), key.as_bytes(), None);
    assert_eq!(pair.map(|pair| pair.kind()), expect);
}

#[test]
fn keys_of_every_kind_are_read() {
    for (algorithm, expect) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::Ecdsa),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::Ecdsa),
        (&rcgen::PKCS_ECDSA_P521_SHA512, KeyKind::Ecdsa),
        (&rcgen::PKCS_ED25519, KeyKind::Ed25519),
    ] {
        let Made { chain, key } = HOME.issue(&["a.test"], GOOD, &KeyPair::generate_for(algorithm).unwrap());
        check(&chain, &key, Ok(expect));
    }
    let Made { chain, key } = rsa(&["a.test"]);
    check(&chain, &key, Ok(KeyKind::Rsa));
}

#[test]
fn keys_in_every_form_are_read() {
    let Made { chain, key } = ecdsa(&["a.test"]);
    check(&chain, &sec1(&key), Ok(KeyKind::Ecdsa));
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    check(&chain, &format!("{parameters}{}", sec1(&key)), Ok(KeyKind::Ecdsa));
    check(&format!("{key}{chain}"), &format!("{chain}{key}"), Ok(KeyKind::Ecdsa));
    let windows = |text: &str| text.replace('\n', "\r\n");
    check(&format!("comment\r\n{}", windows(&chain)), &windows(&key), Ok(KeyKind::Ecdsa));

    let Made { chain, key } = rsa(&["a.test"]);
    check(&chain, &pkcs1(&key), Ok(KeyKind::Rsa));
}

#[test]
fn what_is_no_pair_is_refused_by_name() {
    let Made { chain, key } = ecdsa(&["a.test"]);
    let other = ecdsa(&["a.test"]);
    let begin_of = |text: &str| text[..text.len() / 2].to_owned();
    check("", &key, Err(Fault::NoCertificate));
    check("\u{0}\u{1} DER or whatever", &key, Err(Fault::NoCertificate));
    check(&chain, "", Err(Fault::NoKey));
    // The two swapped.
    check(&key, &chain, Err(Fault::NoCertificate));
    check(&chain, &chain, Err(Fault::NoKey));
    check(&chain, &other.key, Err(Fault::Mismatch));
    check(&format!("{}{chain}", HOME.pem), &key, Err(Fault::Mismatch));
    check(&chain, &rsa(&["a.test"]).key, Err(Fault::Mismatch));
    check(&begin_of(&chain), &key, Err(Fault::Damaged));
    check(&chain, &begin_of(&key), Err(Fault::Damaged));
    check(&format!("{chain}{}", begin_of(&HOME.pem)), &key, Err(Fault::Damaged));
    check(&chain, &key.replacen("M", "!", 1), Err(Fault::Damaged));
    check(&chain, &section("PRIVATE KEY", b"no key"), Err(Fault::BadKey));
    check(&chain, &section("ENCRYPTED PRIVATE KEY", b"whatever"), Err(Fault::KeyEncrypted));
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    check(&chain, old, Err(Fault::KeyEncrypted));

    let bad = Pair::read("site.pem", section("CERTIFICATE", b"nothing").as_bytes(), key.as_bytes(), None);
    assert!(matches!(bad, Err(Fault::BadCertificate(_))), "{bad:?}");
}

#[test]
fn a_pair_knows_its_names_its_time_and_itself() {
    let made = HOME.issue(&["A.test", "*.b.test", "192.0.2.1", "2001:db8::1"], (1999, 2060), &RSA);
    let pair = made.pair("site.pem");
    assert_eq!(pair.names().to_string(), "a.test, *.b.test, 192.0.2.1, 2001:db8::1");
    // One is before 2050 and written in another form than the other.
    assert_eq!(*pair.validity_s(), 915_148_800..=2_840_140_800);
    assert_eq!(pair.fingerprint(), made.pair("again.pem").fingerprint());
    assert_ne!(pair.fingerprint(), ecdsa(&["a.test"]).pair("other.pem").fingerprint());
    // A common name is no name.
    assert!(ecdsa(&[]).pair("site.pem").names().is_empty());
}

#[test]
fn a_staple_goes_with_its_certificate() {
    let Made { chain, key } = ecdsa(&["a.test"]);
    let pair = Pair::read("site.pem", chain.as_bytes(), key.as_bytes(), Some(b"response".to_vec())).unwrap();
    assert_eq!(pair.certified().ocsp.as_deref(), Some(&b"response"[..]));
}

#[test]
fn a_subject_fits_into_a_header_field() {
    #[track_caller]
    fn check(parts: &[(DnType, &str)], expect: &str) {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        parts.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(subject(certificate.der()).as_deref(), Some(expect));
    }
    check(&[(DnType::OrganizationName, "Home"), (DnType::CommonName, "laptop")], "CN=laptop,O=Home");
    check(&[(DnType::CommonName, "a,b+c\"")], "CN=a\\,b\\+c\\\"");
    check(&[(DnType::CommonName, "x\r\nY: z")], "CN=x\\0d\\0aY: z");
    check(&[(DnType::CommonName, "Zoë")], "CN=Zo\\c3\\ab");
    check(&[], "");
    assert_eq!(subject(b"no certificate"), None);
}

/// An ECDSA key in the older form: what stands last but one in PKCS#8, as a key of its own.
fn sec1(pkcs8: &str) -> String {
    section("EC PRIVATE KEY", &inner(pkcs8))
}

fn pkcs1(pkcs8: &str) -> String {
    section("RSA PRIVATE KEY", &inner(pkcs8))
}

/// The octet string of a PKCS#8 key: SEQUENCE { version, algorithm, OCTET STRING, … }.
fn inner(pkcs8: &str) -> Vec<u8> {
    use x509_cert::der::asn1::{AnyRef, OctetStringRef};
    use x509_cert::der::{Decode, Reader, SliceReader};
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(pkcs8.as_bytes()).unwrap();
    let whole = AnyRef::from_der(der.secret_pkcs8_der()).unwrap();
    let mut fields = SliceReader::new(whole.value()).unwrap();
    let _version: u8 = fields.decode().unwrap();
    let _algorithm: AnyRef<'_> = fields.decode().unwrap();
    let key: &OctetStringRef = fields.decode().unwrap();
    key.as_bytes().to_vec()
}

fn section(label: &str, der: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in der.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit <= group.len() { DIGITS[value as usize].into() } else { '=' });
        }
    }
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

#[test]
fn sections_of_these_tests_are_pem() {
    let made = ecdsa(&["a.test"]);
    let der = CertificateDer::from_pem_slice(made.chain.as_bytes()).unwrap();
    assert_eq!(CertificateDer::from_pem_slice(section("CERTIFICATE", &der).as_bytes()).unwrap(), der);
}
