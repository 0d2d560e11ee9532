//! Cipher suites and key exchanges: those of Mozilla's "intermediate" list, in its order, or with ChaCha20 first where
//! the processor has no AES instructions.

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite::*;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use std::sync::Arc;

/// Which suites are used, and who chooses.
#[derive(Clone, Debug)]
pub struct CipherOrder {
    pub(super) provider: Arc<CryptoProvider>,
    /// The first suite of ours that the client has, instead of the first of the client's that we have.
    pub(super) ignore_client_order: bool,
}

impl CipherOrder {
    /// The first of our suites, by its name in the standard.
    pub fn first(&self) -> &'static str {
        self.provider.cipher_suites.first().and_then(|suite| suite.suite().as_str()).unwrap_or_default()
    }

    /// Whether our order counts, and not that of clients.
    pub fn is_ours(&self) -> bool {
        self.ignore_client_order
    }
}

/// The order for a processor. One without AES instructions needs four times the work for AES-128-GCM that it needs for
/// ChaCha20-Poly1305 (a Cortex-A72: 27.9 against 7.3 instructions a byte), and most clients have the instructions and
/// ask for AES first: there our order counts. With them every suite is cheap, and the client, which may be a phone
/// without them, knows best.
pub fn cipher_order(has_aes: bool) -> CipherOrder {
    let suites = if has_aes { AES_FIRST } else { CHACHA_FIRST };
    let provider =
        CryptoProvider { cipher_suites: suites.to_vec(), kx_groups: KEY_EXCHANGES.to_vec(), ..default_provider() };
    CipherOrder { provider: Arc::new(provider), ignore_client_order: !has_aes }
}

/// Whether this processor has AES instructions.
pub fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// The hybrid first: what is recorded today should not be read by tomorrow's machines.
const KEY_EXCHANGES: &[&dyn SupportedKxGroup] =
    &[kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];

const AES_FIRST: &[SupportedCipherSuite] = &[
    TLS13_AES_128_GCM_SHA256,
    TLS13_AES_256_GCM_SHA384,
    TLS13_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

const CHACHA_FIRST: &[SupportedCipherSuite] = &[
    TLS13_CHACHA20_POLY1305_SHA256,
    TLS13_AES_128_GCM_SHA256,
    TLS13_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_have_the_same_suites() {
        let sorted = |order: &CipherOrder| {
            let mut names: Vec<_> = order.provider.cipher_suites.iter().map(|suite| u16::from(suite.suite())).collect();
            names.sort_unstable();
            names
        };
        let (with, without) = (cipher_order(true), cipher_order(false));
        assert_eq!(sorted(&with), sorted(&without));
        assert_eq!((with.is_ours(), without.is_ours()), (false, true));
        assert_eq!(with.first(), "TLS13_AES_128_GCM_SHA256");
        assert_eq!(without.first(), "TLS13_CHACHA20_POLY1305_SHA256");
    }
}
