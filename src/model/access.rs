//! Who may come, and how often.

use super::Cidr;
use std::net::IpAddr;
use std::time::Duration;

/// Which clients may come: everybody, unless lists say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Nobody but these, where it is written.
    pub allow: Option<Vec<Cidr>>,
    /// Not these, whatever `allow` says.
    pub deny: Vec<Cidr>,
}

impl Access {
    /// Whether `client` may come.
    pub fn lets_in(&self, client: IpAddr) -> bool {
        let is_in = |sets: &[Cidr]| sets.iter().any(|set| set.contains(client));
        !is_in(&self.deny) && self.allow.as_ref().is_none_or(|allow| is_in(allow))
    }
}

/// How many requests each client may make: a bucket of `burst` tokens, of which each request takes one, and which come
/// back one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// What is counted together, as a hash of its name: a route (`host/path`) or a site. Known by it after a reload.
    pub key: u64,
    /// At least 1
    pub requests: u32,
    /// in this time, on average.
    pub per: Duration,
    /// So many at once, at least 1.
    pub burst: u32,
}

impl Rate {
    /// Microseconds after which a token is back. Rounded down, so that a client that keeps to the rate is never refused;
    /// that is exact for what is a whole number, and at 1,000 a second never more than one in a thousand too many.
    pub fn interval_us(&self) -> u64 {
        (self.per.as_micros() as u64 / u64::from(self.requests.max(1))).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allow: Option<&[&str]>, deny: &[&str], client: &str, expect: bool) {
        let sets = |list: &[&str]| -> Vec<Cidr> {
            let set = |text: &&str| {
                let (address, length) = text.split_once('/').unwrap();
                Cidr { address: address.parse().unwrap(), prefix_len: length.parse().unwrap() }
            };
            list.iter().map(set).collect()
        };
        let access = Access { allow: allow.map(sets), deny: sets(deny) };
        assert_eq!(access.lets_in(client.parse().unwrap()), expect, "{access:?} {client}");
    }

    #[test]
    fn deny_wins_and_allow_leaves_all_others_out() {
        check(None, &[], "203.0.113.9", true);
        check(None, &["203.0.113.0/24"], "203.0.113.9", false);
        check(None, &["203.0.113.0/24"], "203.0.114.9", true);
        check(Some(&["10.0.0.0/8"]), &[], "10.1.2.3", true);
        check(Some(&["10.0.0.0/8"]), &[], "::ffff:10.1.2.3", true);
        check(Some(&["10.0.0.0/8"]), &[], "203.0.113.9", false);
        check(Some(&["10.0.0.0/8"]), &[], "fd00::1", false);
        check(Some(&["10.0.0.0/8"]), &["10.1.0.0/16"], "10.1.2.3", false);
        check(Some(&["10.0.0.0/8"]), &["10.1.0.0/16"], "10.2.2.3", true);
        check(Some(&[]), &[], "10.1.2.3", false);
    }
}
