//! Our own authority, for sites with `tls = "internal"`: what it is, how it is written down and renewed. Where it is
//! kept is not known here; what it issues to whom, and when anew, is decided by [`Leaves`](super::Leaves).
//!
//! Its key and its name are what clients trust, and neither ever changes. A renewed certificate carries both: what was
//! issued before is verified by it, and what is issued after it by the one that people installed before.
//!
//! It has no name constraints: they would have to list hosts that the configuration gets only later, and each new one
//! would have to be installed again.

use super::facts::{AuthorityFacts, Facts};
use super::pair::{Chain, fingerprint, read_chain, read_key_der};
use super::problem::Fault;
use aws_lc_rs::rand;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use std::fmt::Display;
use std::ops::RangeInclusive;
use time::OffsetDateTime;

/// An authority that issues certificates to our own sites.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    name: String,
    validity_s: RangeInclusive<u64>,
    key_print: [u8; 32],
}

impl Authority {
    /// A new one, with a key that nobody has. `machine` is what its owner calls this machine: it stands in the name, for
    /// whoever looks through the list of a browser.
    pub fn new(machine: &str, now_s: u64) -> Result<Authority, Fault> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(not_made)?;
        let name = name(machine, &fingerprint(&key.subject_public_key_info()));
        Authority::signed(&name, KeyIdMethod::Sha256, key, now_s)
    }

    /// The authority that [`Authority::to_pem`] wrote.
    pub fn read(pem: &[u8]) -> Result<Authority, Fault> {
        let certificate = read_chain(pem)?.swap_remove(0);
        let key = KeyPair::try_from(&read_key_der(pem)?).map_err(|_| Fault::BadKey)?;
        Authority::of(certificate, section(pem).ok_or(Fault::Damaged)?, key)
    }

    /// The same authority with a new certificate, where the one that it has is near its end, or begins only after
    /// `now_s`: it was made while the clock was wrong.
    pub fn renewed(&self, now_s: u64) -> Result<Option<Authority>, Fault> {
        let (begin_s, end_s) = (*self.validity_s.start(), *self.validity_s.end());
        let is_good = begin_s <= now_s && now_s < end_s.saturating_sub(RENEWED_BEFORE_S);
        if is_good || now_s < CLOCK_FLOOR_S {
            return Ok(None);
        }
        let key = KeyPair::try_from(self.issuer.key().serialized_der()).map_err(not_made)?;
        let facts = AuthorityFacts::read(&self.certificate).ok().flatten().ok_or(Fault::NotOurAuthority)?;
        Authority::signed(&self.name, KeyIdMethod::PreSpecified(facts.key_id), key, now_s).map(Some)
    }

    /// The certificate and the key, in PEM, to be kept where nobody else can read it.
    pub fn to_pem(&self) -> String {
        format!("{}{}", self.certificate_pem, self.issuer.key().serialize_pem())
    }

    /// The certificate in PEM, for everybody: clients that have it installed trust our sites.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Whether a certificate, in PEM, is one of this authority, of today or from before it was renewed.
    pub fn is_of(&self, certificate_pem: &[u8]) -> Result<bool, Fault> {
        let certificate = read_chain(certificate_pem)?.swap_remove(0);
        let facts = Facts::read(&certificate).map_err(bad_certificate)?;
        Ok(fingerprint(&facts.public_key) == self.key_print)
    }

    /// What lists of certificates show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first and the last second since 1970 at which its certificate is good.
    pub fn validity_s(&self) -> &RangeInclusive<u64> {
        &self.validity_s
    }

    /// SHA-256 of its certificate, as browsers show it.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.certificate)
    }

    /// SHA-256 of its public key: the same for as long as it is the same authority.
    pub(super) fn key_print(&self) -> &[u8; 32] {
        &self.key_print
    }

    /// A certificate of a server for `names` with a new key, as a chain and the key in PKCS#8. The chain leaves our own
    /// certificate out (RFC 8446, section 4.4.2): who trusts it has it, and who has it not gains nothing.
    pub(super) fn issue(
        &self,
        names: Vec<SanType>,
        validity_s: RangeInclusive<u64>,
    ) -> Result<(Chain, KeyPair), Fault> {
        let mut params = params(validity_s)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = names;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(not_made)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(not_made)?;
        Ok((vec![certificate.der().clone()], key))
    }

    fn signed(name: &str, key_id: KeyIdMethod, key: KeyPair, now_s: u64) -> Result<Authority, Fault> {
        // A clock that is not believed is at the floor, so that the certificate is good once the clock is right.
        let now_s = now_s.max(CLOCK_FLOOR_S);
        let mut params = params(now_s - SKEW_S..=now_s.saturating_add(LIFETIME_S))?;
        params.distinguished_name = subject(name);
        params.key_identifier_method = key_id;
        // Nothing below it may issue anything.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(not_made)?;
        Authority::of(certificate.der().clone(), certificate.pem(), key)
    }

    fn of(certificate: CertificateDer<'static>, certificate_pem: String, key: KeyPair) -> Result<Authority, Fault> {
        let facts = Facts::read(&certificate).map_err(bad_certificate)?;
        if facts.public_key != key.subject_public_key_info() {
            return Err(Fault::Mismatch);
        }
        let facts_of_authority = AuthorityFacts::read(&certificate).map_err(bad_certificate)?;
        let AuthorityFacts { name, key_id } =
            facts_of_authority.filter(|facts| facts.name.starts_with(TITLE)).ok_or(Fault::NotOurAuthority)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(&name);
        // As it stands in the certificate, however a later version of the library would make one.
        params.key_identifier_method = KeyIdMethod::PreSpecified(key_id);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Authority {
            certificate_pem,
            name,
            validity_s: facts.not_before_s..=facts.not_after_s,
            key_print: fingerprint(&facts.public_key),
            issuer: Issuer::new(params, key),
            certificate,
        })
    }
}

/// `Ringferry local authority raspberrypi 3f9a2c`. Many boards have the same name, and clients look an issuer up by
/// name first: the last word, of the key, tells them apart.
fn name(machine: &str, key_print: &[u8; 32]) -> String {
    let machine: String = machine.chars().filter(|c| !c.is_control()).take(MACHINE_CHARS_MAX).collect();
    let id: String = key_print[..3].iter().map(|byte| format!("{byte:02x}")).collect();
    let words = [TITLE, &machine, &id];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// What all our certificates have in common.
fn params(validity_s: RangeInclusive<u64>) -> Result<CertificateParams, Fault> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.not_before = moment(*validity_s.start())?;
    params.not_after = moment(*validity_s.end())?;
    // Never one that is made from the key: a renewed authority has the same key and has to have another number, or
    // Firefox refuses both. Positive, and of no more than 20 bytes (RFC 5280, section 4.1.2.2).
    let mut number = [0; 16];
    rand::fill(&mut number).map_err(|_| not_made("no randomness"))?;
    number[0] = number[0] & 0x7f | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&number));
    Ok(params)
}

fn moment(unix_s: u64) -> Result<OffsetDateTime, Fault> {
    let moment = i64::try_from(unix_s).ok().and_then(|unix_s| OffsetDateTime::from_unix_timestamp(unix_s).ok());
    moment.ok_or_else(|| not_made("the clock is beyond the year 9999"))
}

/// The first certificate of a PEM text, as it stands there.
fn section(pem: &[u8]) -> Option<String> {
    let text = str::from_utf8(pem).ok()?;
    let from = &text[text.find(BEGIN)?..];
    let end = from.find(END)? + END.len();
    Some(format!("{}\n", &from[..end]))
}

fn bad_certificate(why: impl Display) -> Fault {
    Fault::BadCertificate(why.to_string())
}

pub(super) fn not_made(why: impl Display) -> Fault {
    Fault::NotMade(why.to_string())
}

/// How the name of every authority of ours begins.
const TITLE: &str = "Ringferry local authority";
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";
/// 2024-01-01. A clock before it is not believed: many boards have none that runs without power, and start in 1970, or
/// where they were switched off, until the network has told them the time.
pub const CLOCK_FLOOR_S: u64 = 1_704_067_200;
/// How far our clock may be ahead of a client's.
pub(super) const SKEW_S: u64 = 60 * 60;
/// Ten years: it has to be installed by hand, wherever it is to be trusted.
const LIFETIME_S: u64 = 3652 * 24 * 60 * 60;
/// Two years: time enough to install the new certificate, which is hardly done at once.
const RENEWED_BEFORE_S: u64 = 2 * 365 * 24 * 60 * 60;
/// A common name has at most 64 characters (RFC 5280, `ub-common-name`), 33 of which are ours.
const MACHINE_CHARS_MAX: usize = 31;
