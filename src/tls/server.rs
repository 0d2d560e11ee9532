//! The configuration of a TLS server, from its parts. One for each client policy of a listener; cheap to make.

use super::policy::Policy;
use super::store::CertStore;
use super::suites::CipherOrder;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;

/// TLS 1.2 and 1.3 with the certificates of `certs` for the clients of `policy`; `alpn` in order of preference.
///
/// Sessions are resumed by tickets alone, which any core can open. There is no early data: whoever records it can send
/// it again. `gives_keys` where the kernel is to make the records: see [`Engine::gives_keys`](super::Engine::gives_keys).
pub fn server_config(
    order: &CipherOrder,
    certs: Arc<CertStore>,
    policy: &Policy,
    alpn: &[&[u8]],
    gives_keys: bool,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(order.provider.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(policy.auth.verifier.clone())
        .with_cert_resolver(certs);
    config.ignore_client_order = order.ignore_client_order;
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = policy.tickets.clone();
    config.max_early_data_size = 0;
    config.enable_secret_extraction = gives_keys;
    Ok(Arc::new(config))
}
