//! Paths as a route is chosen by them. What is forwarded is the path as received.
//!
//! Servers disagree about `%2F`, `//`, `..` and `\`, and agree about `%C3%BC`. So there are two readings of a path, one
//! without and one with all that somebody may decode; a request whose readings choose different routes is refused by
//! the proxy.

/// A path that no reading makes sense of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicious {
    /// It does not start with a slash.
    Relative,
    /// A percent sign without two hexadecimal digits.
    BadPercent,
    /// A NUL, encoded or not.
    Nul,
}

/// A path in its two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    /// As received.
    pub raw: &'a str,
    /// What every server reads: see [`decode`].
    pub decoded: &'a [u8],
    /// What the most lenient server reads: see [`normalize`].
    pub normal: &'a [u8],
}

/// Memory for a [`Path`]; none is allocated for paths that read as they are written.
#[derive(Debug, Default)]
pub struct Scratch {
    decoded: Vec<u8>,
    normal: Vec<u8>,
}

impl<'a> Path<'a> {
    /// Reads a path, without a query.
    pub fn read(raw: &'a str, scratch: &'a mut Scratch) -> Result<Path<'a>, Suspicious> {
        if raw.starts_with('/') && is_plain(raw.as_bytes()) {
            return Ok(Path { raw, decoded: raw.as_bytes(), normal: raw.as_bytes() });
        }
        let normal = normalize(raw, &mut scratch.normal)?;
        let decoded = decode(raw, &mut scratch.decoded)?;
        Ok(Path { raw, decoded, normal })
    }

    /// Whether both readings are the same.
    pub fn is_unambiguous(&self) -> bool {
        std::ptr::eq(self.decoded, self.normal) || self.decoded == self.normal
    }
}

/// Decodes percent-encoding once, but leaves encoded separators (`%2F`, `%5C`) as they are, so that the segments stay
/// the same. Dot segments stay, encoded or not: no route's path has one. Borrows from `raw` where that changes nothing.
pub fn decode<'a>(raw: &'a str, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Suspicious> {
    if !raw.contains('%') {
        return Ok(raw.as_bytes());
    }
    write_decoded(raw.as_bytes(), |written| written, scratch)?;
    Ok(scratch)
}

/// Decodes percent-encoding once, reads `\` as `/`, merges slashes and resolves dot segments. Borrows from `raw` where
/// that changes nothing, else writes to `scratch`.
pub fn normalize<'a>(raw: &'a str, scratch: &'a mut Vec<u8>) -> Result<&'a [u8], Suspicious> {
    if !raw.starts_with('/') {
        return Err(Suspicious::Relative);
    }
    if is_plain(raw.as_bytes()) {
        return Ok(raw.as_bytes());
    }
    write_decoded(raw.as_bytes(), |_| b"/", scratch)?;
    resolve(scratch);
    Ok(scratch)
}

/// What follows `prefix`, which is not encoded, in a path that may be. An encoded separator is not the one in `prefix`.
pub fn strip_prefix<'a>(raw: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    prefix.bytes().try_fold(raw, |raw, expected| {
        let (byte, rest) = first(raw).ok()??;
        (byte == expected && (byte == raw[0] || !is_separator(byte))).then_some(rest)
    })
}

/// Whether nothing can change or be refused. A dot after a slash may, so `/.well-known` goes the longer way.
fn is_plain(raw: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in raw {
        if matches!(byte, b'%' | b'\\' | 0) || (after_slash && matches!(byte, b'/' | b'.')) {
            return false;
        }
        after_slash = byte == b'/';
    }
    true
}

/// Writes what is decoded; a separator as `separator` makes it of its spelling.
fn write_decoded<'a>(
    mut raw: &'a [u8],
    separator: impl Fn(&'a [u8]) -> &'a [u8],
    out: &mut Vec<u8>,
) -> Result<(), Suspicious> {
    out.clear();
    while let Some((byte, rest)) = first(raw)? {
        match byte {
            0 => return Err(Suspicious::Nul),
            _ if is_separator(byte) => out.extend_from_slice(separator(&raw[..raw.len() - rest.len()])),
            _ => out.push(byte),
        }
        raw = rest;
    }
    Ok(())
}

/// The first byte, decoded, and what follows it.
fn first(raw: &[u8]) -> Result<Option<(u8, &[u8])>, Suspicious> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Suspicious::BadPercent);
    match raw {
        [] => Ok(None),
        [b'%', high, low, rest @ ..] => Ok(Some(((digit(*high)? << 4 | digit(*low)?) as u8, rest))),
        [b'%', ..] => Err(Suspicious::BadPercent),
        [byte, rest @ ..] => Ok(Some((*byte, rest))),
    }
}

/// Windows servers separate by `\` too.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// Merges slashes and resolves dot segments in place: what is kept never overtakes what is read.
fn resolve(path: &mut Vec<u8>) {
    let (mut kept, mut read) = (0, 0);
    while read < path.len() {
        // A segment and the slash before it.
        let start = read + 1;
        let end = path[start..].iter().position(|&byte| byte == b'/').map_or(path.len(), |len| start + len);
        let ends_in_slash = match &path[start..end] {
            b"" | b"." => true,
            b".." => {
                kept = path[..kept].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                true
            }
            _ => {
                path.copy_within(read..end, kept);
                kept += end - read;
                false
            }
        };
        if ends_in_slash && end == path.len() {
            path[kept] = b'/';
            kept += 1;
        }
        read = end;
    }
    path.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expect: Result<&str, Suspicious>) {
        let mut scratch = Vec::new();
        let found = normalize(raw, &mut scratch).map(|path| str::from_utf8(path).unwrap());
        assert_eq!(found, expect, "{raw}");
    }

    #[test]
    fn every_spelling_of_a_path_becomes_one() {
        check("/", Ok("/"));
        check("/a/b", Ok("/a/b"));
        check("/a/b/", Ok("/a/b/"));
        check("/a%2Fb", Ok("/a/b"));
        check("/%61dmin", Ok("/admin"));
        check("//a///b//", Ok("/a/b/"));
        check("/a\\b", Ok("/a/b"));
        check("/a%5c..%5Cb", Ok("/b"));
        check("/.well-known/x", Ok("/.well-known/x"));
        check("/a/./b", Ok("/a/b"));
        check("/a/.", Ok("/a/"));
        check("/a/..", Ok("/"));
        check("/a/b/../c", Ok("/a/c"));
        check("/a/../../..", Ok("/"));
        check("/../x", Ok("/x"));
        check("/%2e%2e/x", Ok("/x"));
        check("/..a/...", Ok("/..a/..."));
        check("/a%252Fb", Ok("/a%2Fb"));
        check("/a;x=1/b", Ok("/a;x=1/b"));
    }

    #[test]
    fn decoding_keeps_the_segments() {
        #[track_caller]
        fn check(raw: &str, expect: &str) {
            let mut scratch = Vec::new();
            let found = decode(raw, &mut scratch).unwrap();
            assert_eq!(str::from_utf8(found), Ok(expect), "{raw}");
            assert_eq!(found.as_ptr() == raw.as_ptr(), !raw.contains('%'), "{raw}: borrows when nothing is encoded");
            let segments = |path: &[u8]| path.split(|&byte| is_separator(byte)).count();
            assert_eq!(segments(found), segments(raw.as_bytes()), "{raw}");
        }
        check("/", "/");
        check("/a//b/../\\c", "/a//b/../\\c");
        check("/my%20files/%C3%BC", "/my files/ü");
        check("/%61dmin", "/admin");
        check("/a%2Fb%2fc%5Cd%5ce", "/a%2Fb%2fc%5Cd%5ce");
        check("/a%252Fb", "/a%2Fb");
        check("/%3F%23", "/?#");
        check("/%2e%2E/x", "/../x");
        check("/%2e%2E%5Cx", "/..%5Cx");
    }

    #[test]
    fn a_prefix_is_found_however_it_is_encoded() {
        for (path, prefix, expect) in [
            ("/app", "/app", Some("")),
            ("/app/x", "/app", Some("/x")),
            ("/apple", "/app", Some("le")),
            ("/%61pp/%61", "/app", Some("/%61")),
            ("/my%20files/a%20b", "/my files", Some("/a%20b")),
            ("/%C3%bc", "/ü", Some("")),
            ("/app%2Fx", "/app", Some("%2Fx")),
            ("/app%", "/app", Some("%")),
            ("%2Fapp/x", "/app", None),
            ("/a%2Fb/x", "/a/b", None),
            ("/a%2", "/a b", None),
            ("/ap", "/app", None),
            ("/%C3%BC", "/%C3%BC", None),
        ] {
            let found = strip_prefix(path.as_bytes(), prefix);
            assert_eq!(found, expect.map(str::as_bytes), "{path} without {prefix}");
        }
    }

    #[test]
    fn a_path_that_reads_as_it_is_written_allocates_nothing() {
        let mut scratch = Scratch::default();
        let path = Path::read("/a/b.c", &mut scratch).unwrap();
        assert_eq!((path.decoded, path.normal), (path.raw.as_bytes(), path.raw.as_bytes()));
        assert_eq!((scratch.decoded.capacity(), scratch.normal.capacity()), (0, 0));
        let path = Path::read("/a%20b%2F..", &mut scratch).unwrap();
        assert_eq!((path.decoded, path.normal), (&b"/a b%2F.."[..], &b"/"[..]));
        assert_eq!(Path::read("/%", &mut scratch), Err(Suspicious::BadPercent));
    }

    #[test]
    fn paths_without_a_reading_are_suspicious() {
        check("", Err(Suspicious::Relative));
        check("a", Err(Suspicious::Relative));
        check("/%", Err(Suspicious::BadPercent));
        check("/%2", Err(Suspicious::BadPercent));
        check("/%zz", Err(Suspicious::BadPercent));
        check("/%+1", Err(Suspicious::BadPercent));
        check("/a%00b", Err(Suspicious::Nul));
        check("/a\0b", Err(Suspicious::Nul));
    }

    #[test]
    fn normalizing_a_decoded_path_changes_nothing() {
        for raw in ["/a/b", "/a//b/../c/.", "/%2e%2e/a%2F", "/\\", "/.a/./"] {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let once = normalize(raw, &mut first).unwrap();
            assert_eq!(normalize(str::from_utf8(once).unwrap(), &mut second), Ok(once), "{raw}");
        }
    }
}
