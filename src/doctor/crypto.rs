//! What the processor has for TLS, and which ciphers come of it.

use super::Finding;
use crate::tls::CipherOrder;

pub(super) fn judge(aes: bool, order: &CipherOrder) -> Finding {
    let has = if aes { "AES instructions" } else { "no AES instructions" };
    let whose =
        if order.is_ours() { "whatever clients ask for first" } else { "unless a client asks for another first" };
    Finding::ok("ciphers", format!("{has}: {} first, {whose}", order.first()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::cipher_order;

    #[test]
    fn the_order_is_the_one_that_connections_get() {
        // A Raspberry Pi 5, and a 4.
        let expect = "AES instructions: TLS13_AES_128_GCM_SHA256 first, unless a client asks for another first";
        assert_eq!(judge(true, &cipher_order(true)).seen, expect);
        let expect = "no AES instructions: TLS13_CHACHA20_POLY1305_SHA256 first, whatever clients ask for first";
        assert_eq!(judge(false, &cipher_order(false)).seen, expect);
    }
}
