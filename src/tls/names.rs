//! The hosts that a certificate is for: the names and addresses in its subjectAltName. Nobody looks at the common name
//! of its subject any more (RFC 9525, section 6.3), so neither do we.

use crate::model::HostPattern;
use ringferry_parser::host::normal_text;
use std::fmt;
use std::net::IpAddr;

/// The names in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Lower case, without a trailing dot; wildcards as `*.example.com`.
    dns: Vec<Box<str>>,
    addresses: Vec<IpAddr>,
}

impl Names {
    pub(super) fn new<'a>(dns: impl Iterator<Item = &'a str>, addresses: impl Iterator<Item = IpAddr>) -> Names {
        Names { dns: dns.map(|name| normal_text(name).into()).collect(), addresses: addresses.collect() }
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.addresses.is_empty()
    }

    /// All of them as text, wildcards as `*.example.com`; what could not be printed is escaped.
    pub fn all(&self) -> impl Iterator<Item = String> {
        let dns = self.dns.iter().map(|name| name.escape_debug().to_string());
        dns.chain(self.addresses.iter().map(IpAddr::to_string))
    }

    /// Whether a client that asks for `host` accepts a certificate with these names. `host` is lower case without a
    /// trailing dot, or an address literal as in a URL. A wildcard stands for one label.
    pub fn cover(&self, host: &str) -> bool {
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let parent = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
        self.dns.iter().any(|name| **name == *host || parent.is_some_and(|parent| self::parent(name) == Some(parent)))
    }

    /// Whether some host that `pattern` stands for is covered.
    pub fn serve(&self, pattern: &HostPattern) -> bool {
        match pattern {
            HostPattern::Exact(host) => self.cover(host),
            HostPattern::Wildcard(parent) => self.dns.iter().any(|name| is_below(name, parent)),
            HostPattern::Any => !self.is_empty(),
        }
    }

    /// Whether all hosts that `pattern` stands for are covered, as far as one certificate can do that: those one label
    /// below a wildcard. Of the default site nobody knows the hosts.
    pub fn cover_all(&self, pattern: &HostPattern) -> bool {
        match pattern {
            HostPattern::Wildcard(parent) => self.dns.iter().any(|name| self::parent(name) == Some(parent)),
            _ => self.serve(pattern),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<String> = self.all().collect();
        let more = all.len().saturating_sub(SHOWN_MAX);
        all.truncate(SHOWN_MAX);
        f.write_str(&all.join(", "))?;
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

/// `example.com` of `*.example.com`.
fn parent(name: &str) -> Option<&str> {
    name.strip_prefix("*.")
}

/// Whether `name`, a wildcard or not, has labels before `parent`.
fn is_below(name: &str, parent: &str) -> bool {
    name.strip_suffix(parent).is_some_and(|before| before.len() > 1 && before.ends_with('.'))
}

/// Names that a message lists before it only counts them: a certificate may have hundreds.
const SHOWN_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> Names {
        let (addresses, dns): (Vec<&str>, Vec<&str>) =
            list.split_whitespace().partition(|name| name.parse::<IpAddr>().is_ok());
        Names::new(dns.into_iter(), addresses.into_iter().map(|address| address.parse().unwrap()))
    }

    #[track_caller]
    fn check(list: &str, host: &str, expect: bool) {
        assert_eq!(names(list).cover(host), expect);
    }

    #[test]
    fn a_name_covers_itself_and_a_wildcard_one_label() {
        check("a.example.com", "a.example.com", true);
        check("A.Example.COM.", "a.example.com", true);
        check("a.example.com", "b.example.com", false);
        check("x.test *.example.com", "a.example.com", true);
        check("*.example.com", "example.com", false);
        check("*.example.com", "a.b.example.com", false);
        check("*.example.com", ".example.com", false);
        check("w*.example.com", "www.example.com", false);
        check("a.*.com", "a.example.com", false);
        check("", "a", false);
    }

    #[test]
    fn an_address_covers_itself_only() {
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("2001:db8::1", "[2001:db8::1]", true);
        check("*.0.2.1", "192.0.2.1", false);
    }

    #[test]
    fn a_pattern_is_served_by_a_part_and_covered_by_the_whole() {
        #[track_caller]
        fn check(list: &str, pattern: HostPattern, expect: (bool, bool)) {
            assert_eq!((names(list).serve(&pattern), names(list).cover_all(&pattern)), expect, "{list} {pattern:?}");
        }
        let wildcard = || HostPattern::Wildcard("example.com".into());
        check("*.example.com", wildcard(), (true, true));
        check("www.example.com", wildcard(), (true, false));
        check("*.b.example.com", wildcard(), (true, false));
        check("example.com", wildcard(), (false, false));
        check("wwwexample.com", wildcard(), (false, false));
        check("*.example.com", HostPattern::Exact("www.example.com".into()), (true, true));
        check("www.example.com", HostPattern::Any, (true, true));
        check("", HostPattern::Any, (false, false));
    }

    #[test]
    fn a_message_lists_a_few_names() {
        assert_eq!(names("a b 192.0.2.1").to_string(), "a, b, 192.0.2.1");
        assert_eq!(names("a b c d e f g").to_string(), "a, b, c, d, e and 2 more");
    }
}
