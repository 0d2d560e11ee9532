//! The `Connection` field, and comma-separated lists in general.

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
}

impl Connection {
    pub(super) fn add(&mut self, value: &[u8]) {
        for option in list(value) {
            match option {
                _ if option.eq_ignore_ascii_case(b"close") => self.close = true,
                _ if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                _ if option.eq_ignore_ascii_case(b"te") => self.te = true,
                b"" => {}
                _ => self.nominates = true,
            }
        }
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
        values.iter().for_each(|value| seen.add(value.as_bytes()));
        assert_eq!(seen, expect);
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
}
