//! Paths in one spelling, for choosing a route only. What is forwarded is the path as received.
//!
//! Servers disagree about `%2F`, `//`, `..` and `\`. This is the most decoded reading that one of them may have; a
//! request whose two readings, this and the raw one, choose different routes is refused by the proxy.

/// A path that no reading makes sense of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicious {
    /// It does not start with a slash.
    Relative,
    /// A percent sign without two hexadecimal digits.
    BadPercent,
    /// An encoded NUL.
    Nul,
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
    decode(raw.as_bytes(), scratch)?;
    resolve(scratch);
    Ok(scratch)
}

/// Whether nothing can change. A dot after a slash may, so `/.well-known` goes the longer way.
fn is_plain(raw: &[u8]) -> bool {
    let mut after_slash = false;
    for &byte in raw {
        if matches!(byte, b'%' | b'\\') || (after_slash && matches!(byte, b'/' | b'.')) {
            return false;
        }
        after_slash = byte == b'/';
    }
    true
}

fn decode(mut raw: &[u8], out: &mut Vec<u8>) -> Result<(), Suspicious> {
    out.clear();
    while let [first, rest @ ..] = raw {
        raw = rest;
        let mut byte = *first;
        if byte == b'%' {
            let [high, low, rest @ ..] = rest else { return Err(Suspicious::BadPercent) };
            let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Suspicious::BadPercent);
            byte = (digit(*high)? << 4 | digit(*low)?) as u8;
            raw = rest;
        }
        match byte {
            0 => return Err(Suspicious::Nul),
            b'\\' => out.push(b'/'),
            _ => out.push(byte),
        }
    }
    Ok(())
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
    fn paths_without_a_reading_are_suspicious() {
        check("", Err(Suspicious::Relative));
        check("a", Err(Suspicious::Relative));
        check("/%", Err(Suspicious::BadPercent));
        check("/%2", Err(Suspicious::BadPercent));
        check("/%zz", Err(Suspicious::BadPercent));
        check("/%+1", Err(Suspicious::BadPercent));
        check("/a%00b", Err(Suspicious::Nul));
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
