//! Alerts that refuse a connection before anything is negotiated (RFC 8446 section 6).

/// Why the connection ends, in words that a TLS client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Alert {
    /// A message that has no place here.
    UnexpectedMessage = 10,
    /// A record longer than records are.
    RecordOverflow = 22,
    /// A value that is well formed and not allowed.
    IllegalParameter = 47,
    /// A length that cannot be right.
    DecodeError = 50,
    /// A version of the protocol that we do not know.
    ProtocolVersion = 70,
    /// No site has the name that the client asked for.
    UnrecognizedName = 112,
}

impl Alert {
    /// The fatal alert as a record in the clear, in the version that every later one still names on its records.
    pub const fn record(self) -> [u8; 7] {
        const ALERT: u8 = 21;
        const FATAL: u8 = 2;
        [ALERT, 3, 3, 0, 2, FATAL, self as u8]
    }
}
