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
    XClientCertSubject,
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
        let Some(place) = place(name.as_bytes()) else { return Known::Other };
        let (text, known) = TABLE[place];
        if text.len() != name.len() {
            return Known::Other;
        }
        if same(name, text) {
            return known;
        }
        if PROTECTED.has(known) && equal_but_for_underscores(name, text) {
            return Known::Disguised;
        }
        Known::Other
    }

    /// Whether a trailer section may not carry it: it frames, routes or describes the hop (RFC 9110 section 6.5.1).
    pub fn is_forbidden_in_trailers(self) -> bool {
        const FORBIDDEN: KnownSet = KnownSet::of(&[Known::Disguised, Known::Trailer, Known::SetCookie, Known::Expect])
            .and(HOP_BY_HOP)
            .and(PROTECTED);
        FORBIDDEN.has(self)
    }
}

/// Kinds of fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSet(u64);

impl KnownSet {
    /// Every kind.
    pub const ALL: KnownSet = KnownSet(u64::MAX);

    /// These.
    pub const fn of(kinds: &[Known]) -> KnownSet {
        let (mut bits, mut next) = (0, 0);
        while next < kinds.len() {
            bits |= 1 << kinds[next] as u8;
            next += 1;
        }
        KnownSet(bits)
    }

    /// These and others.
    pub const fn and(self, others: KnownSet) -> KnownSet {
        KnownSet(self.0 | others.0)
    }

    /// Whether this kind is among them.
    pub const fn has(self, kind: Known) -> bool {
        self.0 >> kind as u8 & 1 == 1
    }
}

/// What describes this connection rather than the message, so that it is never passed on as it came (RFC 9110 section
/// 7.6.1).
pub const HOP_BY_HOP: KnownSet = KnownSet::of(&[
    Known::Connection,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::ProxyAuthenticate,
    Known::ProxyAuthorization,
    Known::Te,
    Known::TransferEncoding,
    Known::Upgrade,
    Known::Http2Settings,
]);

/// Fields that servers believe because a proxy sets them, and those that frame a message.
const PROTECTED: KnownSet = KnownSet::of(&[
    Known::CdnLoop,
    Known::ContentLength,
    Known::Forwarded,
    Known::Host,
    Known::TransferEncoding,
    Known::XClientCertSubject,
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedPort,
    Known::XForwardedPrefix,
    Known::XForwardedProto,
    Known::XForwardedServer,
    Known::XRealIp,
    Known::XRequestId,
]);

/// Whether `name`, which has only the characters of a token, is `text` (lower case, letters, digits and hyphens, equally
/// long) but for its case: only a letter's other case differs in this one bit. Eight bytes at a time, the last eight
/// perhaps twice.
fn same(name: &str, text: &str) -> bool {
    let (mut name, mut text) = (name.as_bytes(), text.as_bytes());
    if let (Some(a), Some(b)) = (name.last_chunk(), text.last_chunk()) {
        let mut differing = differing_bits(a, b);
        while let (Some((a, name_rest)), Some((b, text_rest))) = (name.split_first_chunk(), text.split_first_chunk()) {
            differing |= differing_bits(a, b);
            (name, text) = (name_rest, text_rest);
        }
        return differing == 0;
    }
    name.iter().zip(text).fold(0, |differing, (a, b)| differing | ((a | 0x20) ^ b)) == 0
}

fn differing_bits(name: &[u8; 8], text: &[u8; 8]) -> u64 {
    (u64::from_le_bytes(*name) | u64::from_le_bytes([0x20; 8])) ^ u64::from_le_bytes(*text)
}

fn equal_but_for_underscores(name: &str, text: &str) -> bool {
    name.bytes().zip(text.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || (a == b'_' && b == b'-'))
}

/// Every known name, in lower case.
const NAMES: &[(&str, Known)] = &[
    ("accept", Known::Accept),
    ("cdn-loop", Known::CdnLoop),
    ("connection", Known::Connection),
    ("content-length", Known::ContentLength),
    ("content-type", Known::ContentType),
    ("cookie", Known::Cookie),
    ("date", Known::Date),
    ("expect", Known::Expect),
    ("forwarded", Known::Forwarded),
    ("host", Known::Host),
    ("http2-settings", Known::Http2Settings),
    ("keep-alive", Known::KeepAlive),
    ("location", Known::Location),
    ("proxy-authenticate", Known::ProxyAuthenticate),
    ("proxy-authorization", Known::ProxyAuthorization),
    ("proxy-connection", Known::ProxyConnection),
    ("referer", Known::Referer),
    ("refresh", Known::Refresh),
    ("server", Known::Server),
    ("set-cookie", Known::SetCookie),
    ("te", Known::Te),
    ("trailer", Known::Trailer),
    ("transfer-encoding", Known::TransferEncoding),
    ("upgrade", Known::Upgrade),
    ("user-agent", Known::UserAgent),
    ("via", Known::Via),
    ("x-client-cert-subject", Known::XClientCertSubject),
    ("x-forwarded-for", Known::XForwardedFor),
    ("x-forwarded-host", Known::XForwardedHost),
    ("x-forwarded-port", Known::XForwardedPort),
    ("x-forwarded-prefix", Known::XForwardedPrefix),
    ("x-forwarded-proto", Known::XForwardedProto),
    ("x-forwarded-server", Known::XForwardedServer),
    ("x-real-ip", Known::XRealIp),
    ("x-request-id", Known::XRequestId),
];

/// Where a name stands in [`TABLE`]: by its length, its first letter and its last two, which tell all known names apart.
/// The same for a name and its disguise, since no protected name has a hyphen there.
const fn place(name: &[u8]) -> Option<usize> {
    let len = name.len();
    if len < 2 {
        return None;
    }
    let [first, before, last] = [name[0], name[len - 2], name[len - 1]];
    let letters = (first | 0x20) as usize * 13 + (before | 0x20) as usize * 9 + (last | 0x20) as usize * 6;
    Some((len * 7 + letters) % PLACES)
}

/// Room enough for the factors above to give each name a place of its own.
const PLACES: usize = 64;

/// The known names, each at its place.
const TABLE: [(&str, Known); PLACES] = {
    let mut table = [("", Known::Other); PLACES];
    let mut next = 0;
    while next < NAMES.len() {
        let Some(place) = place(NAMES[next].0.as_bytes()) else { panic!("a name is too short") };
        assert!(table[place].0.is_empty(), "two names have one place: other factors are needed");
        table[place] = NAMES[next];
        next += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for &(name, known) in NAMES {
            assert_eq!(Known::of(name), known);
            assert_eq!(Known::of(&name.to_ascii_uppercase()), known);
        }
    }

    #[test]
    fn every_protected_name_is_known_in_disguise() {
        for &(name, known) in NAMES.iter().filter(|(name, known)| PROTECTED.has(*known) && name.contains('-')) {
            assert_eq!(Known::of(&name.replace('-', "_")), Known::Disguised, "{known:?}");
            assert_eq!(Known::of(&name.replacen('-', "_", 1).to_ascii_uppercase()), Known::Disguised, "{known:?}");
        }
    }

    #[test]
    fn a_name_that_differs_in_one_character_is_another() {
        for &(name, known) in NAMES {
            for at in 0..name.len() {
                for other in "!#$%&'*+.^`|~09az".chars().filter(|&other| !name[at..].starts_with(other)) {
                    let changed = format!("{}{other}{}", &name[..at], &name[at + 1..]);
                    assert_ne!(Known::of(&changed), known, "{changed}");
                }
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
