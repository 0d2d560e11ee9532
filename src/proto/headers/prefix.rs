//! A path prefix that is removed from requests and put back into responses, so that an application need not know
//! where it is mounted.

use ringferry_parser::path;

/// The path without the prefix; `None` where it is not under it. `/` as a prefix removes nothing.
pub(super) fn strip<'a>(path: &'a str, prefix: &str) -> Option<&'a [u8]> {
    match path::strip_prefix(path.as_bytes(), prefix)? {
        [] => Some(b"/"),
        rest if rest.starts_with(b"/") => Some(rest),
        _ => None,
    }
}

/// Writes a prefix as URLs have it. The semicolon would end the path of a cookie.
pub(super) fn write(prefix: &str, out: &mut Vec<u8>) {
    for byte in prefix.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,=:@".contains(&byte) {
            out.push(byte);
        } else {
            let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// Writes the value of `Location`, the prefix put back where it points into the application: a path, or an absolute
/// URL of `host`.
pub(super) fn write_location(value: &[u8], prefix: &str, host: &str, out: &mut Vec<u8>) {
    let after_scheme = [&b"http://"[..], b"https://", b"//"].into_iter().find_map(|scheme| {
        let start = value.get(..scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(scheme.len())
    });
    let path_at = match after_scheme {
        None => 0,
        Some(start) => {
            let len = value[start..].iter().position(|byte| b"/?#".contains(byte)).unwrap_or(value.len() - start);
            if !value[start..start + len].eq_ignore_ascii_case(host.as_bytes()) {
                return out.extend_from_slice(value);
            }
            start + len
        }
    };
    let (origin, path) = value.split_at(path_at);
    out.extend_from_slice(origin);
    write_path(path, prefix, out);
}

/// Writes the value of `Refresh`: `5; url=/login`.
pub(super) fn write_refresh(value: &[u8], prefix: &str, host: &str, out: &mut Vec<u8>) {
    let Some(at) = value.windows(4).position(|word| word.eq_ignore_ascii_case(b"url=")) else {
        return out.extend_from_slice(value);
    };
    let quote = usize::from(matches!(value.get(at + 4), Some(b'"' | b'\'')));
    let (before, url) = value.split_at(at + 4 + quote);
    out.extend_from_slice(before);
    write_location(url, prefix, host, out);
}

/// Writes the value of `Set-Cookie`, the prefix put back into its path.
pub(super) fn write_cookie(value: &[u8], prefix: &str, out: &mut Vec<u8>) {
    const NAME: &[u8] = b"path=";
    // Browsers refuse a cookie of this name for any path but the root.
    if value.get(..7).is_some_and(|start| start.eq_ignore_ascii_case(b"__Host-")) {
        return out.extend_from_slice(value);
    }
    for (index, part) in value.split(|&byte| byte == b';').enumerate() {
        if index > 0 {
            out.push(b';');
        }
        let at = part.len() - part.trim_ascii_start().len();
        let is_path = part[at..].get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        if index > 0 && is_path {
            let (name, path) = part.split_at(at + NAME.len());
            out.extend_from_slice(name);
            write_path(path, prefix, out);
        } else {
            out.extend_from_slice(part);
        }
    }
}

/// Writes a path, the prefix before it unless it is there already: some applications heed `X-Forwarded-Prefix`.
fn write_path(path: &[u8], prefix: &str, out: &mut Vec<u8>) {
    let rest = path::strip_prefix(path, prefix);
    let has_prefix = rest.is_some_and(|rest| matches!(rest, [] | [b'/' | b'?' | b'#', ..]));
    if path.starts_with(b"/") && !has_prefix {
        write(prefix, out);
    }
    out.extend_from_slice(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_removed_by_whole_segments() {
        for (path, prefix, expect) in [
            ("/app", "/app", Some("/")),
            ("/app/", "/app", Some("/")),
            ("/app/x", "/app", Some("/x")),
            ("/app//x", "/app", Some("//x")),
            ("/apple", "/app", None),
            ("/x", "/app", None),
            ("/x", "/", None),
            ("/my%20files/a%20b", "/my files", Some("/a%20b")),
            ("/%61pp%2Fx", "/app", None),
        ] {
            assert_eq!(strip(path, prefix), expect.map(str::as_bytes), "{path} without {prefix}");
        }
    }

    #[track_caller]
    fn check(write: impl Fn(&[u8], &mut Vec<u8>), value: &str, expect: &str) {
        let mut out = Vec::new();
        write(value.as_bytes(), &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn a_location_within_the_application_gets_the_prefix() {
        let location = |value: &[u8], out: &mut Vec<u8>| write_location(value, "/app", "a.test:8080", out);
        check(location, "/login?x=/y", "/app/login?x=/y");
        check(location, "/", "/app/");
        check(location, "http://a.test:8080/x", "http://a.test:8080/app/x");
        check(location, "HTTPS://A.TEST:8080/x", "HTTPS://A.TEST:8080/app/x");
        check(location, "//a.test:8080/x", "//a.test:8080/app/x");
    }

    #[test]
    fn a_prefix_is_encoded_where_it_is_put_back() {
        let location = |value: &[u8], out: &mut Vec<u8>| write_location(value, "/my ü;", "a.test", out);
        check(location, "/x", "/my%20%C3%BC%3B/x");
        check(location, "/my%20%c3%bc%3b/x", "/my%20%c3%bc%3b/x");
        check(location, "/my%20%C3%BC;?y", "/my%20%C3%BC;?y");
    }

    #[test]
    fn a_location_elsewhere_is_left_alone() {
        let location = |value: &[u8], out: &mut Vec<u8>| write_location(value, "/app", "a.test", out);
        for value in ["", "x", "../x", "?x", "#x", "//other/x", "http://other/x", "http://a.test.evil/x", "mailto:a"] {
            check(location, value, value);
        }
        for value in ["/app", "/app/x", "/app?x", "http://a.test/app/x", "http://a.test", "http://a.test?x"] {
            check(location, value, value);
        }
        check(location, "/apple", "/app/apple");
    }

    #[test]
    fn refresh_and_cookie_paths_get_the_prefix() {
        let refresh = |value: &[u8], out: &mut Vec<u8>| write_refresh(value, "/app", "a.test", out);
        check(refresh, "5; url=/login", "5; url=/app/login");
        check(refresh, "0;URL=\"http://a.test/x\"", "0;URL=\"http://a.test/app/x\"");
        check(refresh, "5", "5");
        let cookie = |value: &[u8], out: &mut Vec<u8>| write_cookie(value, "/app", out);
        check(cookie, "a=1; Path=/; HttpOnly", "a=1; Path=/app/; HttpOnly");
        check(cookie, "a=path=/;path=/sub", "a=path=/;path=/app/sub");
        check(cookie, "path=/x; Secure", "path=/x; Secure");
        check(cookie, "a=1; Max-Age=5", "a=1; Max-Age=5");
        check(cookie, "a=1; Path=/app; Path", "a=1; Path=/app; Path");
        check(cookie, "__Host-a=1; Path=/; Secure", "__Host-a=1; Path=/; Secure");
    }
}
