//! A certificate chain with its private key, read from PEM. Reads no files and judges nothing that depends on the day
//! or on the site: whether the pair is good for one is said by the `store`.

use super::facts::Facts;
use super::names::Names;
use super::problem::Fault;
use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// A certificate chain and the private key of its first certificate.
#[derive(Debug)]
pub struct Pair {
    origin: String,
    certified: Arc<CertifiedKey>,
    names: Names,
    validity_s: RangeInclusive<u64>,
    kind: KeyKind,
    fingerprint: [u8; 32],
}

/// Kinds of keys, those that sign at the least cost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// On P-256, P-384 or P-521.
    Ecdsa,
    /// Few clients take it.
    Ed25519,
    /// What the oldest clients take.
    Rsa,
    /// One that the library took and we do not know.
    Other,
}

impl Pair {
    /// Reads a chain, the site's own certificate first, and a key in PKCS#8, SEC1 or PKCS#1. `origin` is what messages
    /// call the pair, the path of the chain; `ocsp` is the response of the issuer to staple, in DER.
    pub fn read(origin: &str, chain_pem: &[u8], key_pem: &[u8], ocsp: Option<Vec<u8>>) -> Result<Pair, Fault> {
        Ok(Pair::new(origin, read_chain(chain_pem)?, read_key(key_pem)?)?.stapled(ocsp))
    }

    pub(super) fn new(origin: &str, chain: Chain, key: Key) -> Result<Pair, Fault> {
        let leaf = chain.first().ok_or(Fault::NoCertificate)?;
        let facts = Facts::read(leaf).map_err(|why| Fault::BadCertificate(why.to_string()))?;
        if key.public_key().is_none_or(|public| *public != *facts.public_key) {
            return Err(Fault::Mismatch);
        }
        let fingerprint = fingerprint(leaf);
        let kind = KeyKind::of(&*key);
        let certified = Arc::new(CertifiedKey::new(chain, key));
        Ok(Pair {
            origin: origin.to_owned(),
            certified,
            names: facts.names,
            validity_s: facts.not_before_s..=facts.not_after_s,
            kind,
            fingerprint,
        })
    }

    /// The same pair with the response of the issuer, in DER, to staple to it.
    pub(super) fn stapled(mut self, ocsp: Option<Vec<u8>>) -> Pair {
        // Nobody else has it yet, so nothing is copied.
        Arc::make_mut(&mut self.certified).ocsp = ocsp;
        self
    }

    /// Where it was read from.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The hosts that it is for.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The first and the last second since 1970 at which it is good.
    pub fn validity_s(&self) -> &RangeInclusive<u64> {
        &self.validity_s
    }

    /// The kind of its key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SHA-256 of the site's own certificate: tells whether two pairs are the same.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// As rustls takes it.
    pub fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    /// Whether a client that offers `schemes` can verify its signature.
    pub(super) fn signs(&self, schemes: &[SignatureScheme]) -> bool {
        self.certified.key.choose_scheme(schemes).is_some()
    }
}

impl KeyKind {
    fn of(key: &dyn SigningKey) -> KeyKind {
        match key.algorithm() {
            SignatureAlgorithm::ECDSA => KeyKind::Ecdsa,
            SignatureAlgorithm::ED25519 => KeyKind::Ed25519,
            SignatureAlgorithm::RSA => KeyKind::Rsa,
            _ => KeyKind::Other,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyKind::Ecdsa => "ECDSA",
            KeyKind::Ed25519 => "Ed25519",
            KeyKind::Rsa => "RSA",
            KeyKind::Other => "unknown",
        })
    }
}

pub(super) type Chain = Vec<CertificateDer<'static>>;
pub(super) type Key = Arc<dyn SigningKey>;

/// All certificates of a PEM text, in order.
pub(super) fn read_chain(pem: &[u8]) -> Result<Chain, Fault> {
    let chain: Result<Chain, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
    chain
        .map_err(|_| Fault::Damaged)
        .and_then(|chain| if chain.is_empty() { Err(Fault::NoCertificate) } else { Ok(chain) })
}

/// The first private key of a PEM text, to sign with.
pub(super) fn read_key(pem: &[u8]) -> Result<Key, Fault> {
    any_supported_type(&read_key_der(pem)?).map_err(|_| Fault::BadKey)
}

/// The first private key of a PEM text.
pub(super) fn read_key_der(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        // Both of PKCS#8 and of the older form carry this word, and base64 cannot by chance: it is set off from it by a
        // space or a comma.
        _ if [" ENCRYPTED", ",ENCRYPTED"].iter().any(|mark| contains(pem, mark)) => Fault::KeyEncrypted,
        pem::Error::NoItemsFound => Fault::NoKey,
        // The error itself may quote a line of the file.
        _ => Fault::Damaged,
    })
}

pub(super) fn fingerprint(der: &[u8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, der).as_ref());
    bytes
}

fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|window| window == word.as_bytes())
}
