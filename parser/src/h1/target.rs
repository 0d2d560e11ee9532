//! Request targets (RFC 9112 section 3.2): which form one has, and its parts as received.

use super::{Bad, Method};
use crate::host::Authority;

/// The target of a request. Paths and queries are the bytes received: nothing is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'b> {
    /// `/path?query`
    Origin {
        /// Starts with a slash.
        path: &'b str,
        /// What follows the first question mark.
        query: Option<&'b str>,
    },
    /// `http://host/path?query`
    Absolute {
        /// The scheme was https.
        secure: bool,
        /// Takes the place of `Host`.
        authority: Authority<'b>,
        /// Empty, or starts with a slash.
        path: &'b str,
        /// What follows the first question mark.
        query: Option<&'b str>,
    },
    /// `host:port`, of CONNECT only.
    Authority(Authority<'b>),
    /// `*`, of OPTIONS only.
    Asterisk,
}

impl<'b> Target<'b> {
    pub(super) fn parse(method: Method, text: &'b str) -> Result<Target<'b>, Bad> {
        // The tokenizer has refused spaces and control bytes; bytes above 0x7f have to be percent-encoded. Other
        // characters that a URI must not hold (`|`, `{`, `"`) are sent by browsers.
        if !text.is_ascii() {
            return Err(Bad::Target);
        }
        if method == Method::Connect {
            let authority = Authority::parse(text.as_bytes()).map_err(|_| Bad::Target)?;
            return if authority.port.is_some() { Ok(Target::Authority(authority)) } else { Err(Bad::Target) };
        }
        if text.starts_with('/') {
            let (path, query) = split_query(text)?;
            return Ok(Target::Origin { path, query });
        }
        if text == "*" && method == Method::Options {
            return Ok(Target::Asterisk);
        }
        Target::parse_absolute(text)
    }

    fn parse_absolute(text: &'b str) -> Result<Target<'b>, Bad> {
        let (scheme, rest) = text.split_once("://").ok_or(Bad::Target)?;
        let secure = scheme.eq_ignore_ascii_case("https");
        if !secure && !scheme.eq_ignore_ascii_case("http") {
            return Err(Bad::Target);
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // User information is refused with everything else that is no host (RFC 9110 section 4.2.4).
        let authority = Authority::parse(authority.as_bytes()).map_err(|_| Bad::Target)?;
        let (path, query) = split_query(rest)?;
        Ok(Target::Absolute { secure, authority, path, query })
    }

    /// The path, as received; a slash where the form has none.
    pub fn path(&self) -> &'b str {
        match self {
            Target::Origin { path, .. } | Target::Absolute { path, .. } if !path.is_empty() => path,
            _ => "/",
        }
    }

    /// The query, as received, without the question mark.
    pub fn query(&self) -> Option<&'b str> {
        match self {
            Target::Origin { query, .. } | Target::Absolute { query, .. } => *query,
            Target::Authority(_) | Target::Asterisk => None,
        }
    }
}

/// Path and query. A fragment is never sent.
fn split_query(text: &str) -> Result<(&str, Option<&str>), Bad> {
    // Of one byte: the search for a character costs more than these few.
    let Some(at) = text.bytes().position(|byte| matches!(byte, b'?' | b'#')) else { return Ok((text, None)) };
    match text.split_at(at) {
        (path, query) if query.starts_with('?') && !query.contains('#') => Ok((path, Some(&query[1..]))),
        _ => Err(Bad::Target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: Method, text: &str, expect: Option<(&str, Option<&str>, Option<&str>)>) {
        let found = Target::parse(method, text).ok().map(|target| {
            let authority = match target {
                Target::Absolute { authority, .. } | Target::Authority(authority) => {
                    Some(str::from_utf8(authority.text).unwrap())
                }
                _ => None,
            };
            (target.path(), target.query(), authority)
        });
        assert_eq!(found, expect, "{method:?} {text}");
    }

    #[test]
    fn each_form_is_taken_apart_without_decoding() {
        check(Method::Get, "/", Some(("/", None, None)));
        check(Method::Get, "/a%2Fb/../c?x=%26?y", Some(("/a%2Fb/../c", Some("x=%26?y"), None)));
        check(Method::Get, "//a?", Some(("//a", Some(""), None)));
        check(Method::Get, "http://a.test/b?c", Some(("/b", Some("c"), Some("a.test"))));
        check(Method::Get, "HTTPS://A.test:8443", Some(("/", None, Some("A.test:8443"))));
        check(Method::Get, "http://[::1]?q", Some(("/", Some("q"), Some("[::1]"))));
        check(Method::Options, "*", Some(("/", None, None)));
        check(Method::Connect, "a.test:443", Some(("/", None, Some("a.test:443"))));
    }

    #[test]
    fn other_targets_are_refused() {
        for text in [
            "a",
            "?x",
            "*",
            "/a#b",
            "/a?b#c",
            "/?#",
            "http://a#b",
            "http://a/?b#c",
            "/é",
            "http:/a",
            "http://",
            "http:///a",
            "ftp://a/",
            "http://u:p@a/",
        ] {
            check(Method::Get, text, None);
        }
        for text in ["/a", "*", "a.test", "a.test:", "http://a.test:1/"] {
            check(Method::Connect, text, None);
        }
    }
}
