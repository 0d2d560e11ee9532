//! Trailer sections: what follows the last chunk (RFC 9112 section 7.1.2). As strict as heads, and smaller.

use super::{Fields, HeadError, Known, Parsed, fields};

/// Bytes of a trailer section, the blank line included.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Fields of a trailer section.
pub const TRAILER_FIELDS_MAX: usize = 32;

/// Room for the fields of one trailer section.
pub struct TrailerSlots<'b> {
    headers: [httparse::Header<'b>; TRAILER_FIELDS_MAX],
    known: [Known; TRAILER_FIELDS_MAX],
}

impl TrailerSlots<'_> {
    /// Empty slots.
    pub const fn new() -> Self {
        TrailerSlots {
            headers: [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX],
            known: [Known::Other; TRAILER_FIELDS_MAX],
        }
    }
}

impl Default for TrailerSlots<'_> {
    fn default() -> Self {
        TrailerSlots::new()
    }
}

/// A trailer section.
#[derive(Clone, Copy, Debug)]
pub struct Trailers<'s, 'b> {
    /// The fields, in the order received; some may be
    /// [forbidden in trailers](Known::is_forbidden_in_trailers).
    pub fields: Fields<'s, 'b>,
    /// Bytes of the section, the blank line included: the next message starts here.
    pub len: usize,
}

/// Parses the trailer section at the start of `buf`. Without trailers it is just the blank line.
pub fn parse<'s, 'b>(buf: &'b [u8], slots: &'s mut TrailerSlots<'b>) -> Result<Parsed<Trailers<'s, 'b>>, HeadError> {
    let window = &buf[..buf.len().min(TRAILER_BYTES_MAX)];
    let TrailerSlots { headers, known } = slots;
    let (len, headers) = match httparse::parse_headers(window, headers)? {
        httparse::Status::Complete(found) => found,
        httparse::Status::Partial if window.len() < TRAILER_BYTES_MAX => return Ok(Parsed::Partial),
        httparse::Status::Partial => return Err(HeadError::TooLarge),
    };
    let fields = fields::classify(&window[..len], headers, known, |_| Ok(()))?;
    Ok(Parsed::Complete(Trailers { fields, len }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::Bad;

    #[track_caller]
    fn check(wire: &str, expect: Result<(usize, usize), HeadError>) {
        let read = |buf: &[u8]| match parse(buf, &mut TrailerSlots::new()) {
            Ok(Parsed::Complete(trailers)) => Ok(Some((trailers.fields.len(), trailers.len))),
            Ok(Parsed::Partial) => Ok(None),
            Err(error) => Err(error),
        };
        let first = (0..=wire.len()).map(|end| read(&wire.as_bytes()[..end])).find(|read| *read != Ok(None));
        assert_eq!(first, Some(expect.map(Some)), "{wire:?}, byte by byte");
        assert_eq!(read(wire.as_bytes()), expect.map(Some), "{wire:?}, at once");
    }

    #[test]
    fn a_section_ends_with_the_blank_line() {
        check("\r\n", Ok((0, 2)));
        check("\r\nGET / HTTP/1.1\r\n", Ok((0, 2)));
        check("X-Sum: 1\r\nB:\r\n\r\nrest", Ok((2, 16)));
    }

    #[test]
    fn trailers_are_held_to_the_rules_of_heads() {
        check("\n", Err(Bad::LineEnd.into()));
        check("A: b\n\r\n", Err(Bad::LineEnd.into()));
        check("A: b\r\n\n", Err(Bad::LineEnd.into()));
        check("A : b\r\n\r\n", Err(Bad::FieldName.into()));
        check(" A: b\r\n\r\n", Err(Bad::FieldName.into()));
        check("A: b\r\n c\r\n\r\n", Err(Bad::FieldName.into()));
        check("A: \0\r\n\r\n", Err(Bad::FieldValue.into()));
        check(&"A: b\r\n".repeat(TRAILER_FIELDS_MAX + 1), Err(HeadError::TooManyFields));
        check(&format!("A: {}", "b".repeat(TRAILER_BYTES_MAX)), Err(HeadError::TooLarge));
    }
}
