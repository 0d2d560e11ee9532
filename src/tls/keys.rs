//! The keys of an established connection, for who seals and opens its records in the engine's stead.

use rustls::crypto::cipher::Iv;
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets, ProtocolVersion};

/// What both directions go on with.
pub struct Keys {
    /// The form of the records.
    pub version: ProtocolVersion,
    /// For what we send: the number of the next record, and its key.
    pub tx: (u64, ConnectionTrafficSecrets),
    /// For what we receive.
    pub rx: (u64, ConnectionTrafficSecrets),
}

impl Keys {
    pub(super) fn new(version: ProtocolVersion, secrets: ExtractedSecrets) -> Keys {
        let ExtractedSecrets { tx: (next, tx), rx } = secrets;
        let tx = if version == ProtocolVersion::TLSv1_2 { apart(tx) } else { tx };
        Keys { version, tx: (next, tx), rx }
    }
}

/// With TLS 1.2 and AES-GCM whoever seals chooses the nonce and sends it along (RFC 5288 section 3), and a nonce that
/// serves twice gives the key away. rustls makes them by XOR of a random number with that of the record; the kernel
/// counts up from where it is told to begin, which would bring it back to what rustls has used. With the first bit of
/// the eight turned around it begins 2^63 records away. Who receives takes the nonce from the record.
fn apart(secrets: ConnectionTrafficSecrets) -> ConnectionTrafficSecrets {
    let far = |iv: Iv| {
        let mut nonce = <[u8; 12]>::try_from(iv.as_ref()).expect("nonces have 12 bytes");
        nonce[4] ^= 0x80;
        Iv::new(nonce)
    };
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv } => ConnectionTrafficSecrets::Aes128Gcm { key, iv: far(iv) },
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => ConnectionTrafficSecrets::Aes256Gcm { key, iv: far(iv) },
        // RFC 7905 leaves no choice: the number of the record is mixed in, as with TLS 1.3.
        other => other,
    }
}
