//! Bytes of one datagram, or of several that travel together.

use std::num::NonZeroU16;

/// One datagram, or several of one size of which the last may be shorter: the kernel joins those that come from one peer
/// in a row (UDP_GRO) and takes them apart again when they are sent on (UDP_SEGMENT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments<'a> {
    bytes: &'a [u8],
    /// Bytes of each; `None` where there is one.
    size: Option<NonZeroU16>,
}

impl<'a> Segments<'a> {
    /// `bytes` is one datagram, or as many as have `size` bytes each.
    pub fn new(bytes: &'a [u8], size: Option<NonZeroU16>) -> Segments<'a> {
        Segments { bytes, size: size.filter(|size| usize::from(size.get()) < bytes.len()) }
    }

    /// The bytes of all of them.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of each but the last, where there are several.
    pub fn size(&self) -> Option<NonZeroU16> {
        self.size
    }

    /// How many there are: an empty one counts as well.
    pub fn count(&self) -> usize {
        self.size.map_or(1, |size| self.bytes.len().div_ceil(size.get().into()))
    }

    /// Bytes of the first `count`.
    pub fn bytes_of(&self, count: usize) -> usize {
        match self.size {
            Some(size) => self.bytes.len().min(count * usize::from(size.get())),
            None => self.bytes.len().min(count * self.bytes.len()),
        }
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (bytes, size) = (self.bytes, self.size.map_or(self.bytes.len(), |size| size.get().into()));
        (0..self.count()).map(move |n| &bytes[n * size..bytes.len().min((n + 1) * size)])
    }
}

impl<'a> From<&'a [u8]> for Segments<'a> {
    fn from(bytes: &'a [u8]) -> Segments<'a> {
        Segments::new(bytes, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, size: u16, expect: &[&str]) {
        let segments = Segments::new(bytes.as_bytes(), NonZeroU16::new(size));
        let parts: Vec<_> = segments.iter().map(|part| str::from_utf8(part).unwrap()).collect();
        assert_eq!((&parts[..], segments.count()), (expect, expect.len()));
        for count in 0..=expect.len() {
            assert_eq!(segments.bytes_of(count), expect[..count].concat().len());
        }
    }

    #[test]
    fn bytes_fall_into_datagrams_of_one_size() {
        check("", 0, &[""]);
        check("", 4, &[""]);
        check("abc", 0, &["abc"]);
        check("abc", 3, &["abc"]);
        check("abc", 4, &["abc"]);
        check("abcdef", 3, &["abc", "def"]);
        check("abcdefg", 3, &["abc", "def", "g"]);
    }
}
