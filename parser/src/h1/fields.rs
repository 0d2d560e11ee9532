//! The fields of a head: where they are kept while it is looked at, and how one is found.

use super::{Bad, HeadError, Known};
use httparse::Header;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The most fields that any head may have, whatever the configured limit.
pub const FIELDS_MAX: usize = 256;

/// One field line, whitespace around the value removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'b> {
    /// As received.
    pub name: &'b str,
    /// As received; no control bytes but HTAB, bytes above 0x7f are possible.
    pub value: &'b [u8],
    /// What the name means to the proxy.
    pub known: Known,
    /// Which one it is of its head, from 0.
    pub index: usize,
}

/// Room for the fields of one head: about 8 KiB on the stack, of which only what a head uses is ever touched. Do not
/// hold one across an `await`: it would become part of every connection's future.
pub struct FieldSlots<'b> {
    pub(super) headers: [MaybeUninit<Header<'b>>; FIELDS_MAX],
    pub(super) known: [Known; FIELDS_MAX],
}

impl FieldSlots<'_> {
    /// Empty slots.
    #[inline]
    pub fn new() -> Self {
        FieldSlots { headers: [MaybeUninit::uninit(); FIELDS_MAX], known: [Known::Other; FIELDS_MAX] }
    }
}

impl Default for FieldSlots<'_> {
    fn default() -> Self {
        FieldSlots::new()
    }
}

/// The fields of a head, in the order received.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'s, 'b> {
    headers: &'s [Header<'b>],
    known: &'s [Known],
    /// The bytes that they were read from.
    section: &'b [u8],
}

impl<'s, 'b> Fields<'s, 'b> {
    /// Every field.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Field<'b>> + ExactSizeIterator + use<'s, 'b> {
        let pairs = self.headers.iter().zip(self.known).enumerate();
        pairs.map(|(index, (header, &known))| Field { name: header.name, value: header.value, known, index })
    }

    /// The values of every field of this kind.
    pub fn all(&self, known: Known) -> impl DoubleEndedIterator<Item = &'b [u8]> + use<'s, 'b> {
        self.iter().filter(move |field| field.known == known).map(|field| field.value)
    }

    /// The value of the first field of this kind.
    pub fn first(&self, known: Known) -> Option<&'b [u8]> {
        self.all(known).next()
    }

    /// The value of the first field of this name, whatever its case: for names that only the configuration knows.
    pub fn named(&self, name: &str) -> Option<&'b [u8]> {
        self.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// Where what stands before the fields is: the request line or the status line, its end included.
    #[inline]
    pub fn first_line(&self) -> Range<usize> {
        0..self.headers.first().map_or(self.section.len() - 2, |first| offset(self.section, first.name.as_bytes()))
    }

    /// Where the line of one of these fields is, its end included, if it is written as we would write it: `Name: value`
    /// and CR LF, with no other whitespace around the value. A copy of it is all that passing it on takes.
    #[inline(always)]
    pub fn line(&self, field: &Field<'b>) -> Option<Range<usize>> {
        let start = offset(self.section, field.name.as_bytes());
        let value = offset(self.section, field.value);
        // The next line starts right behind the end of this one (`classify`).
        let end = match self.headers.get(field.index + 1) {
            Some(next) => offset(self.section, next.name.as_bytes()),
            None => self.section.len() - 2,
        };
        let is_clean = value == start + field.name.len() + 2
            && self.section.get(value - 1) == Some(&b' ')
            && value + field.value.len() + 2 == end;
        is_clean.then_some(start..end)
    }

    /// [Lines](Fields::line) that follow each other, from the [first](Fields::first_line) on; empty for a range that is
    /// none of theirs.
    #[inline]
    pub fn lines(&self, range: Range<usize>) -> &'b [u8] {
        self.section.get(range).unwrap_or_default()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }
}

/// Classifies the fields of `section` (which ends with the blank line) in one pass and shows each to `see`.
///
/// The tokenizer takes a bare LF for a line end; here every line, the blank one included, must start right after CR LF.
pub(super) fn classify<'s, 'b>(
    section: &'b [u8],
    headers: &'s [Header<'b>],
    known: &'s mut [Known],
    mut see: impl FnMut(Field<'b>) -> Result<(), HeadError>,
) -> Result<Fields<'s, 'b>, HeadError> {
    let blank = section.len().saturating_sub(2);
    if !section.ends_with(b"\r\n") || !starts_a_line(section, blank) {
        return Err(Bad::LineEnd.into());
    }
    for (index, (header, known)) in headers.iter().zip(known.iter_mut()).enumerate() {
        if !starts_a_line(section, offset(section, header.name.as_bytes())) {
            return Err(Bad::LineEnd.into());
        }
        *known = Known::of(header.name);
        see(Field { name: header.name, value: header.value, known: *known, index })?;
    }
    Ok(Fields { headers, known: &known[..headers.len()], section })
}

/// Where `part` begins in `whole`, of which it is a slice.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr())
}

fn starts_a_line(section: &[u8], at: usize) -> bool {
    at == 0 || section[..at].ends_with(b"\r\n")
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> HeadError {
        match error {
            httparse::Error::HeaderName => Bad::FieldName.into(),
            httparse::Error::HeaderValue => Bad::FieldValue.into(),
            httparse::Error::NewLine => Bad::LineEnd.into(),
            httparse::Error::Status => Bad::StatusLine.into(),
            httparse::Error::Token => Bad::Method.into(),
            httparse::Error::TooManyHeaders => HeadError::TooManyFields,
            httparse::Error::Version => Bad::Version.into(),
        }
    }
}
