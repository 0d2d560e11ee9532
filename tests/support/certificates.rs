//! Certificates for these tests alone: made in memory, written where a proxy reads them.

use super::TempDir;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The authority that the clients and origins of these tests trust.
pub(crate) static HOME: LazyLock<Authority> = LazyLock::new(|| Authority::new("Home"));
/// One that nobody trusts.
pub(crate) static FOREIGN: LazyLock<Authority> = LazyLock::new(|| Authority::new("Foreign"));

/// Who signs certificates.
pub(crate) struct Authority {
    /// Its own certificate.
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
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

    /// A certificate for these hosts.
    pub(crate) fn issue(&self, hosts: &[&str]) -> Identity {
        self.sign(CertificateParams::new(hosts.iter().map(|host| host.to_string()).collect::<Vec<_>>()).unwrap())
    }

    /// A certificate for somebody of this name.
    pub(crate) fn issue_to(&self, name: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.remove(DnType::CommonName);
        params.distinguished_name.push(DnType::CommonName, name);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity { chain: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }

    /// Writes its certificate into `dir`; the path.
    pub(crate) fn put(&self, dir: &TempDir) -> String {
        dir.put(&fresh("ca"), &self.pem)
    }
}

impl Identity {
    /// Writes both into `dir`; the keys of a site that has them.
    pub(crate) fn put(&self, dir: &TempDir) -> String {
        let name = fresh("pair");
        let (cert, key) = (dir.put(&format!("{name}.pem"), &self.chain), dir.put(&format!("{name}.key"), &self.key));
        format!("cert = {cert:?}\nkey = {key:?}\n")
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap()
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

/// Those that trust this certificate alone.
pub(crate) fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    roots
}

/// A name of a file that no other has.
fn fresh(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{kind}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
