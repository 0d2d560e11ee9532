//! The field names that the proxy treats specially, told apart once when a head is parsed, so that nobody compares
//! names again.

/// What a field name means to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the field of that name")]
pub enum Known {
    /// Nothing: the field is passed on as it is.
    Other,
    /// A name that becomes one of a proxy's own fields, or one that frames the message, once underscores are read as
    /// hyphens, as CGI and WSGI servers do: `X_Forwarded_For`, `Content_Length`.
    Disguised,
    Accept,
    CdnLoop,
    Connection,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    Location,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Referer,
    Refresh,
    Server,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedPrefix,
    XForwardedProto,
    XForwardedServer,
    XRealIp,
    XRequestId,
}

impl Known {
    /// Classifies a field name, whatever its case.
    pub fn of(name: &str) -> Known {
        let Some(candidates) = BY_LENGTH.get(name.len()) else { return Known::Other };
        for &(text, known) in *candidates {
            // Most candidates differ here; no name starts with a hyphen.
            if name.as_bytes()[0] | 0x20 != text.as_bytes()[0] {
                continue;
            }
            if name.eq_ignore_ascii_case(text) {
                return known;
            }
            if known.is_protected() && equal_but_for_underscores(name, text) {
                return Known::Disguised;
            }
        }
        Known::Other
    }

    /// Whether it describes this connection rather than the message, so that it is never passed on as it came
    /// (RFC 9110 section 7.6.1).
    pub fn is_hop_by_hop(self) -> bool {
        use Known::*;
        matches!(
            self,
            Connection
                | KeepAlive
                | ProxyConnection
                | ProxyAuthenticate
                | ProxyAuthorization
                | Te
                | TransferEncoding
                | Upgrade
                | Http2Settings
        )
    }

    /// Whether a trailer section may not carry it: it frames, routes or describes the hop (RFC 9110 section 6.5.1).
    pub fn is_forbidden_in_trailers(self) -> bool {
        use Known::*;
        self.is_hop_by_hop() || self.is_protected() || matches!(self, Disguised | Trailer | SetCookie | Expect)
    }

    /// Fields that servers believe because a proxy sets them, and those that frame a message.
    fn is_protected(self) -> bool {
        use Known::*;
        matches!(
            self,
            CdnLoop
                | ContentLength
                | Forwarded
                | Host
                | TransferEncoding
                | XForwardedFor
                | XForwardedHost
                | XForwardedPort
                | XForwardedPrefix
                | XForwardedProto
                | XForwardedServer
                | XRealIp
                | XRequestId
        )
    }
}

fn equal_but_for_underscores(name: &str, text: &str) -> bool {
    name.bytes().zip(text.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-'))
}

/// Every known name, at the index of its length: a name has at most five candidates.
const BY_LENGTH: [&[(&str, Known)]; 20] = [
    &[],
    &[],
    &[("te", Known::Te)],
    &[("via", Known::Via)],
    &[("host", Known::Host), ("date", Known::Date)],
    &[],
    &[("accept", Known::Accept), ("cookie", Known::Cookie), ("expect", Known::Expect), ("server", Known::Server)],
    &[
        ("referer", Known::Referer),
        ("upgrade", Known::Upgrade),
        ("refresh", Known::Refresh),
        ("trailer", Known::Trailer),
    ],
    &[("location", Known::Location), ("cdn-loop", Known::CdnLoop)],
    &[("forwarded", Known::Forwarded), ("x-real-ip", Known::XRealIp)],
    &[
        ("connection", Known::Connection),
        ("user-agent", Known::UserAgent),
        ("set-cookie", Known::SetCookie),
        ("keep-alive", Known::KeepAlive),
    ],
    &[],
    &[("content-type", Known::ContentType), ("x-request-id", Known::XRequestId)],
    &[],
    &[("content-length", Known::ContentLength), ("http2-settings", Known::Http2Settings)],
    &[("x-forwarded-for", Known::XForwardedFor)],
    &[
        ("x-forwarded-host", Known::XForwardedHost),
        ("x-forwarded-port", Known::XForwardedPort),
        ("proxy-connection", Known::ProxyConnection),
    ],
    &[("transfer-encoding", Known::TransferEncoding), ("x-forwarded-proto", Known::XForwardedProto)],
    &[
        ("x-forwarded-prefix", Known::XForwardedPrefix),
        ("x-forwarded-server", Known::XForwardedServer),
        ("proxy-authenticate", Known::ProxyAuthenticate),
    ],
    &[("proxy-authorization", Known::ProxyAuthorization)],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_at_its_length_and_is_found_in_any_case() {
        for (length, candidates) in BY_LENGTH.iter().enumerate() {
            for &(name, known) in *candidates {
                assert_eq!(name.len(), length, "{name}");
                assert_eq!(Known::of(name), known);
                assert_eq!(Known::of(&name.to_ascii_uppercase()), known);
            }
        }
    }

    #[test]
    fn underscores_disguise_only_names_that_servers_believe() {
        for name in ["X_Forwarded_For", "x-forwarded_proto", "X_REAL_IP", "Content_Length", "TRANSFER_encoding"] {
            assert_eq!(Known::of(name), Known::Disguised, "{name}");
        }
        for name in ["", "x", "user_agent", "keep_alive", "x_forwarded_fox", "a-name-longer-than-any-known-one"] {
            assert_eq!(Known::of(name), Known::Other, "{name}");
        }
    }
}
