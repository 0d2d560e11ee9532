//! Why a head is refused. Which status a client gets for it is decided by the proxy, not here.

/// Why a request or response head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// It breaks the grammar or a rule of the protocol.
    Bad(Bad),
    /// The method is longer than any that is in use.
    MethodTooLong,
    /// The limit in bytes was reached within the request line.
    TargetTooLong,
    /// The limit in bytes was reached within the fields.
    TooLarge,
    /// More fields than the limit.
    TooManyFields,
    /// An HTTP version other than 1.0 and 1.1.
    UnsupportedVersion,
    /// A transfer coding other than `chunked`.
    UnknownTransferCoding,
}

/// What is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Empty lines, or stray line ends, before a start line.
    LeadingLines,
    /// The method is not a token followed by one space.
    Method,
    /// The target has no form that the method allows, or holds a byte that a URI must not.
    Target,
    /// What stands where `HTTP/1.1` belongs.
    Version,
    /// The status line.
    StatusLine,
    /// A line that does not end in CR LF.
    LineEnd,
    /// A field name that is no token directly followed by a colon; a folded line too.
    FieldName,
    /// A control byte in a field value.
    FieldValue,
    /// An HTTP/1.1 request without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host` is not a host with an optional port.
    HostInvalid,
    /// More options in `Connection` than are taken.
    Connection,
    /// `Content-Length` is not a plain decimal number in range.
    ContentLength,
    /// More than one `Content-Length`.
    ContentLengthRepeated,
    /// `Transfer-Encoding` is not a list of coding names, or `chunked` is not its single, last one.
    TransferEncoding,
    /// `Transfer-Encoding` in an HTTP/1.0 message.
    TransferEncodingInHttp10,
    /// Both `Transfer-Encoding` and `Content-Length`.
    TwoFramings,
}

impl HeadError {
    /// A few words for the log.
    pub fn label(self) -> &'static str {
        match self {
            HeadError::Bad(bad) => bad.label(),
            HeadError::MethodTooLong => "method too long",
            HeadError::TargetTooLong => "target too long",
            HeadError::TooLarge => "head too large",
            HeadError::TooManyFields => "too many fields",
            HeadError::UnsupportedVersion => "unsupported HTTP version",
            HeadError::UnknownTransferCoding => "unknown transfer coding",
        }
    }
}

impl Bad {
    /// A few words for the log.
    pub fn label(self) -> &'static str {
        match self {
            Bad::LeadingLines => "empty lines before the head",
            Bad::Method => "bad method",
            Bad::Target => "bad target",
            Bad::Version => "bad HTTP version",
            Bad::StatusLine => "bad status line",
            Bad::LineEnd => "line without CR LF",
            Bad::FieldName => "bad field name",
            Bad::FieldValue => "bad field value",
            Bad::HostMissing => "no Host",
            Bad::HostRepeated => "repeated Host",
            Bad::HostInvalid => "bad Host",
            Bad::Connection => "too many Connection options",
            Bad::ContentLength => "bad Content-Length",
            Bad::ContentLengthRepeated => "repeated Content-Length",
            Bad::TransferEncoding => "bad Transfer-Encoding",
            Bad::TransferEncodingInHttp10 => "Transfer-Encoding in HTTP/1.0",
            Bad::TwoFramings => "Transfer-Encoding with Content-Length",
        }
    }
}

impl From<Bad> for HeadError {
    fn from(bad: Bad) -> HeadError {
        HeadError::Bad(bad)
    }
}

impl std::fmt::Display for HeadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

impl std::error::Error for HeadError {}
