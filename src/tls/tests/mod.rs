//! Tests that need certificates: made in memory, for these tests alone.

mod authority;
mod engines;
mod handshakes;
mod keys;
mod leaves;
mod loading;
mod pairs;
mod stores;

use super::Pair;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::sync::{Arc, LazyLock};

/// An authority; its certificate in PEM.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, names: &[&str], years: (i32, i32), key: &KeyPair) -> Made {
        let mut params = CertificateParams::new(names.iter().map(|name| name.to_string()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "common.test");
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(years.0, 1, 1), rcgen::date_time_ymd(years.1, 1, 1));
        Made { chain: params.signed_by(key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
struct Made {
    chain: String,
    key: String,
}

impl Made {
    fn pair(&self, origin: &str) -> Arc<Pair> {
        Arc::new(Pair::read(origin, self.chain.as_bytes(), self.key.as_bytes(), None).unwrap())
    }
}

/// The authority that clients of these tests trust.
static HOME: LazyLock<Authority> = LazyLock::new(|| Authority::new("Home"));

/// Making an RSA key takes long, so there is one for all tests.
static RSA: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap());

/// A certificate of [`HOME`] that is good at [`NOW_S`], on a P-256 key.
fn ecdsa(names: &[&str]) -> Made {
    HOME.issue(names, GOOD, &KeyPair::generate().unwrap())
}

/// The same on an RSA key.
fn rsa(names: &[&str]) -> Made {
    HOME.issue(names, GOOD, &RSA)
}

/// The years in which a certificate is good, the first day of each.
const GOOD: (i32, i32) = (2020, 2099);
/// In 2026.
const NOW_S: u64 = 1_780_000_000;
