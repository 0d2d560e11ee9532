//! The `Connection` field, and comma-separated lists in general.

use super::Bad;

/// Options that the `Connection` fields of one head may hold. Every field of the head is compared with each of them, so
/// the product must stay small; real messages have three.
pub const CONNECTION_OPTIONS_MAX: u8 = 32;

/// What the `Connection` fields of a head ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
    /// `te`
    pub te: bool,
    /// Any other option: the name of a field that must not be passed on.
    pub nominates: bool,
    options: u8,
}

impl Connection {
    pub(super) fn add(&mut self, value: &[u8]) -> Result<(), Bad> {
        // What nearly all say is no list, and is not taken for one.
        match value {
            b"keep-alive" => self.keep_alive = true,
            b"close" => self.close = true,
            _ => return list(value).try_for_each(|option| self.add_option(option)),
        }
        self.count()
    }

    fn add_option(&mut self, option: &[u8]) -> Result<(), Bad> {
        // A length is compared first, so that most of these cost next to nothing.
        match option.len() {
            0 => {}
            2 if option.eq_ignore_ascii_case(b"te") => self.te = true,
            5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
            7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
            _ => self.nominates = true,
        }
        self.count()
    }

    fn count(&mut self) -> Result<(), Bad> {
        self.options += 1;
        if self.options > CONNECTION_OPTIONS_MAX { Err(Bad::Connection) } else { Ok(()) }
    }
}

/// The elements of a comma-separated value, trimmed; empty ones too. Knows nothing of quoted strings: it is for fields
/// whose elements are tokens.
pub fn list(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[&str], expect: Connection) {
        let mut seen = Connection::default();
        values.iter().for_each(|value| seen.add(value.as_bytes()).unwrap());
        assert_eq!(Connection { options: 0, ..seen }, expect);
    }

    #[test]
    fn options_are_read_in_any_case_and_over_several_fields() {
        let none = Connection::default();
        check(&[], none);
        check(&["", " , ,"], none);
        check(&["Close"], Connection { close: true, ..none });
        check(&["keep-alive, Upgrade"], Connection { keep_alive: true, upgrade: true, ..none });
        check(&["TE", "x-secret ,close"], Connection { te: true, nominates: true, close: true, ..none });
        check(&["closed"], Connection { nominates: true, ..none });
    }

    #[test]
    fn options_are_bounded_empty_ones_too() {
        for option in ["a", "close", ""] {
            let many = [option; CONNECTION_OPTIONS_MAX as usize + 1].join(",");
            assert_eq!(Connection::default().add(many.as_bytes()), Err(Bad::Connection));
            assert_eq!(Connection::default().add(&many.as_bytes()[option.len() + 1..]), Ok(()));
        }
    }
}
