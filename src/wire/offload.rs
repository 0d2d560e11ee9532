//! A TLS connection whose records the kernel makes and opens. What is sent and received is then as without TLS, and may be
//! spliced; what remains is to hand the keys over, and what is said between the bytes: that a side sends no more.

use crate::tls::{Agreed, Engine, Keys};
use ringferry_runtime::net::{ControlRecord, RecordCipher, RecordKey, RecordVersion, Stream};
use rustls::{AlertDescription, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};
use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::rc::Rc;

/// What is left of an established connection.
pub(super) struct Offloaded {
    stream: Stream,
    /// What the handshake came to.
    pub(super) agreed: Rc<Agreed>,
    peer_closed: Cell<bool>,
    is_closed: Cell<bool>,
}

/// Whether the kernel stands ready to go on with the connection. It need not, and the engine goes on then.
pub(super) fn can_be_offloaded(engine: &Engine, stream: &Stream) -> bool {
    engine.gives_keys() && stream.attach_records().is_ok()
}

impl Offloaded {
    /// Hands the keys to the kernel. There is no way back, so [`can_be_offloaded`] is asked first, and the kernel has been
    /// tried with such keys before any were given out.
    pub(super) fn new(engine: Engine, agreed: Rc<Agreed>, stream: Stream) -> io::Result<Offloaded> {
        let keys = engine.into_keys().map_err(io::Error::other)?;
        let (send, receive) = (record_key(&keys, &keys.tx)?, record_key(&keys, &keys.rx)?);
        stream.set_record_keys(&send, &receive)?;
        Ok(Offloaded { stream, agreed, peer_closed: Cell::new(false), is_closed: Cell::new(false) })
    }

    /// Whether the peer has said that it sends no more.
    pub(super) fn peer_closed(&self) -> bool {
        self.peer_closed.get()
    }

    /// Understands what the peer says between its bytes: an end, or an error.
    pub(super) fn listen(&self) -> io::Result<()> {
        understand(&self.stream.control_record()?)?;
        self.peer_closed.set(true);
        Ok(())
    }

    /// Says that we send no more, once. If there is no room for it now, the end remains untold.
    pub(super) fn close(&self) {
        if !self.is_closed.replace(true) {
            let _ = self.stream.send_control(ContentType::Alert.into(), &CLOSE_NOTIFY);
        }
    }
}

const WARNING: u8 = 1;
const CLOSE_NOTIFY: [u8; 2] = [WARNING, 0];

/// Fine if the peer sends no more, else what is wrong.
///
/// New keys are such a record as well. The kernel takes them from 6.14 on, and only if we make them: rustls would, but few
/// clients ever ask, those that send hundreds of gigabytes. Such a connection ends.
fn understand(record: &ControlRecord) -> io::Result<()> {
    let error = match (ContentType::from(record.kind), &record.bytes[..]) {
        (ContentType::Alert, &[_, description]) => match AlertDescription::from(description) {
            AlertDescription::CloseNotify => return Ok(()),
            alert => Error::AlertReceived(alert),
        },
        (got_type, _) => Error::InappropriateMessage {
            expect_types: vec![ContentType::ApplicationData, ContentType::Alert],
            got_type,
        },
    };
    Err(io::Error::new(ErrorKind::InvalidData, error))
}

/// A key as the runtime wants it.
fn record_key<'k>(keys: &Keys, (sequence, secrets): &'k (u64, ConnectionTrafficSecrets)) -> io::Result<RecordKey<'k>> {
    use ConnectionTrafficSecrets::{Aes128Gcm, Aes256Gcm, Chacha20Poly1305};
    let (cipher, key, iv) = match secrets {
        Aes128Gcm { key, iv } => (RecordCipher::Aes128Gcm, key, iv),
        Aes256Gcm { key, iv } => (RecordCipher::Aes256Gcm, key, iv),
        Chacha20Poly1305 { key, iv } => (RecordCipher::ChaCha20Poly1305, key, iv),
        _ => return Err(ErrorKind::Unsupported.into()),
    };
    let version = match keys.version {
        ProtocolVersion::TLSv1_3 => RecordVersion::Tls13,
        _ => RecordVersion::Tls12,
    };
    let nonce = iv.as_ref().try_into().map_err(io::Error::other)?;
    Ok(RecordKey { version, cipher, key: key.as_ref(), nonce, sequence: *sequence })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_is_said_between_bytes_only_the_close_is_no_error() {
        #[track_caller]
        fn check(kind: u8, bytes: &[u8], expect: Result<(), Error>) {
            let told = understand(&ControlRecord { kind, bytes: bytes.to_vec() });
            let told = told.map_err(|error| error.get_ref().unwrap().downcast_ref::<Error>().unwrap().clone());
            assert_eq!(told, expect);
        }
        let inappropriate = |got_type| {
            let expect_types = vec![ContentType::ApplicationData, ContentType::Alert];
            Err(Error::InappropriateMessage { expect_types, got_type })
        };
        check(21, &CLOSE_NOTIFY, Ok(()));
        // The level means nothing since TLS 1.3 (RFC 8446 section 6).
        check(21, &[2, 0], Ok(()));
        check(21, &[2, 40], Err(Error::AlertReceived(AlertDescription::HandshakeFailure)));
        check(21, &[1, 90], Err(Error::AlertReceived(AlertDescription::UserCanceled)));
        check(21, &[1], inappropriate(ContentType::Alert));
        check(21, &[], inappropriate(ContentType::Alert));
        check(21, &[1, 0, 1, 0], inappropriate(ContentType::Alert));
        // A key update, and a client that wants to negotiate anew.
        check(22, &[24, 0, 0, 1, 1], inappropriate(ContentType::Handshake));
        check(22, &[1, 0, 0, 0], inappropriate(ContentType::Handshake));
        check(20, &[1], inappropriate(ContentType::ChangeCipherSpec));
        check(99, b"?", inappropriate(ContentType::Unknown(99)));
    }
}
