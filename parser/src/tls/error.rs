//! Why a ClientHello is refused.

use super::Alert;

/// What is wrong with a ClientHello. Nothing that follows on the connection can be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// A record that is not one of a handshake.
    RecordType,
    /// A record of a version other than SSL 3.0 to TLS 1.3.
    RecordVersion,
    /// A record of no bytes, of which there could be any number.
    RecordEmpty,
    /// A record of more than 16 KiB.
    RecordTooLong,
    /// A handshake message of another type.
    NotClientHello,
    /// More bytes than a hello may have, by itself or with all its records.
    TooLong,
    /// Its last record goes on behind it, though a client has to wait for an answer.
    BytesBehind,
    /// A length that contradicts the one around it or is out of its range, or bytes that belong to no field.
    Length,
    /// More than one `server_name`, or more than one host name in it.
    NameRepeated,
    /// The host name is not a DNS name, and no address either.
    NameInvalid,
    /// More than one list of application protocols.
    AlpnRepeated,
    /// No application protocol in the list, or one of no bytes.
    AlpnInvalid,
}

impl HelloError {
    /// A few words for the log.
    pub fn label(self) -> &'static str {
        match self {
            HelloError::RecordType => "no TLS handshake record",
            HelloError::RecordVersion => "unknown TLS record version",
            HelloError::RecordEmpty => "empty TLS record",
            HelloError::RecordTooLong => "TLS record too long",
            HelloError::NotClientHello => "no ClientHello",
            HelloError::TooLong => "ClientHello too long",
            HelloError::BytesBehind => "bytes behind the ClientHello",
            HelloError::Length => "wrong length in the ClientHello",
            HelloError::NameRepeated => "repeated server name",
            HelloError::NameInvalid => "bad server name",
            HelloError::AlpnRepeated => "repeated ALPN",
            HelloError::AlpnInvalid => "bad ALPN",
        }
    }

    /// What to tell the client.
    pub fn alert(self) -> Alert {
        match self {
            HelloError::RecordType | HelloError::NotClientHello | HelloError::BytesBehind => Alert::UnexpectedMessage,
            HelloError::RecordVersion => Alert::ProtocolVersion,
            HelloError::RecordTooLong => Alert::RecordOverflow,
            HelloError::RecordEmpty | HelloError::TooLong | HelloError::Length => Alert::DecodeError,
            HelloError::NameRepeated | HelloError::NameInvalid => Alert::IllegalParameter,
            HelloError::AlpnRepeated | HelloError::AlpnInvalid => Alert::IllegalParameter,
        }
    }
}

impl std::fmt::Display for HelloError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

impl std::error::Error for HelloError {}
