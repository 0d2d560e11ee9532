//! The configuration of a TLS client: how servers are reached.

use super::pair::read_chain;
use super::problem::Fault;
use super::suites::CipherOrder;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// Whose certificates are believed.
#[derive(Clone, Debug)]
pub enum Trusted {
    /// Those of these authorities; of none at all if there are none.
    Roots(Arc<RootCertStore>),
    /// Anybody's.
    Anyone,
}

/// TLS 1.2 and 1.3 towards servers that `trusted` vouches for; `alpn` in order of preference. Sessions are resumed: the
/// store of their tickets is behind a lock, which only handshakes take.
pub fn client_config(order: &CipherOrder, trusted: Trusted, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, Error> {
    let builder = ClientConfig::builder_with_provider(order.provider.clone());
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12])?;
    let mut config = match trusted {
        Trusted::Roots(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
        Trusted::Anyone => {
            let anyone = Anyone(order.provider.clone());
            builder.dangerous().with_custom_certificate_verifier(Arc::new(anyone)).with_no_client_auth()
        }
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

/// The authorities of a PEM text.
pub fn roots(pem: &[u8]) -> Result<RootCertStore, Fault> {
    let mut roots = RootCertStore::empty();
    for authority in read_chain(pem)? {
        roots.add(authority).map_err(|why| Fault::BadCertificate(why.to_string()))?;
    }
    Ok(roots)
}

/// Believes whoever has the key of the certificate that it shows, whatever is in it.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
