//! How many requests each client has made of late, in the whole process, in memory of a fixed size.

use super::clients::network;
use crate::model::{Rate, hash_pair};
use std::array;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Token buckets by client and by what is counted: a route, or the routes of a site together.
///
/// A bucket of tokens is kept as the time at which it will be full again, if nobody takes from it (GCRA, the generic
/// cell rate algorithm): one number, which needs no tending while nobody comes. An entry is one word, 16 bits of the
/// hash of client and route and 48 of that time in microseconds, so that all changes are single compare-and-swaps.
///
/// A client belongs to one row, which is one cache line. Where its row is full, the entry gives way whose bucket has
/// been full for the longest, or will be the soonest: so nobody new is ever refused, and those that take the most are
/// remembered the longest. The price of the small word: two clients of one row share a bucket with a chance of 2⁻¹⁶;
/// which ones do is different in each process. The price of not locking: two cores that meet a new client at once may
/// make two entries, of which one is forgotten.
#[derive(Debug)]
pub struct Rates {
    /// Nothing until somebody asks: most configurations have no rate.
    rows: OnceLock<Box<[Row]>>,
    capacity: usize,
    seed: u64,
}

/// A client has taken all that there is for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooFast {
    /// After so many seconds, at least 1, another request is taken.
    pub retry_after_s: u16,
}

#[derive(Debug)]
#[repr(align(64))]
struct Row([AtomicU64; SLOTS]);

impl Rates {
    /// Room for about `capacity` pairs of client and route, eight bytes each. With a `seed` that nobody knows, nobody can
    /// choose with whom he shares a bucket.
    pub fn new(capacity: usize, seed: u64) -> Rates {
        Rates { rows: OnceLock::new(), capacity, seed }
    }

    /// Takes a token of `client`, if there is one. `now_us` may be a little behind what another core says.
    pub fn take(&self, rate: &Rate, client: IpAddr, now_us: u64) -> Result<(), TooFast> {
        let rows = self.rows.get_or_init(|| {
            let rows = self.capacity.div_ceil(SLOTS).next_power_of_two().min(ROWS_MAX);
            (0..rows).map(|_| Row(array::from_fn(|_| AtomicU64::new(0)))).collect()
        });
        let hash = hash_pair(hash_pair(self.seed, rate.key), network(client));
        let mark = hash & !TIME_MASK;
        let row = &rows[(hash & (rows.len() as u64 - 1)) as usize].0;
        let interval_us = rate.interval_us();
        let window_us = interval_us * u64::from(rate.burst.max(1));
        debug_assert!(window_us < AHEAD_MAX);
        loop {
            let words: [u64; SLOTS] = array::from_fn(|slot| row[slot].load(Relaxed));
            let own = words.iter().position(|&word| word & !TIME_MASK == mark);
            let (slot, missing_us) = match own {
                Some(slot) => (slot, ahead(words[slot], now_us).max(0) as u64),
                None => (stalest(&words, now_us), 0),
            };
            if missing_us + interval_us > window_us {
                let wait_us = missing_us + interval_us - window_us;
                let retry_after_s = wait_us.div_ceil(1_000_000).clamp(1, u16::MAX.into()) as u16;
                return Err(TooFast { retry_after_s });
            }
            let full_at = now_us.wrapping_add(missing_us + interval_us) & TIME_MASK;
            if row[slot].compare_exchange(words[slot], mark | full_at, Relaxed, Relaxed).is_ok() {
                return Ok(());
            }
        }
    }
}

/// How far ahead an entry's bucket will be full, in microseconds; negative if it is. Times are compared on a circle of
/// nine years: what lies further ahead than any bucket needs has come from behind.
fn ahead(word: u64, now_us: u64) -> i64 {
    let ahead = word.wrapping_sub(now_us) & TIME_MASK;
    if ahead < AHEAD_MAX { ahead as i64 } else { ahead as i64 - (1 << TIME_BITS) }
}

/// The entry that tells the least. A free one is long past.
fn stalest(words: &[u64; SLOTS], now_us: u64) -> usize {
    (0..SLOTS).min_by_key(|&slot| ahead(words[slot], now_us)).unwrap_or(0)
}

const SLOTS: usize = 8;
const TIME_BITS: u32 = 48;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;
/// More than the slowest of all rates with the largest burst: two years.
const AHEAD_MAX: u64 = 1 << 46;
/// The row is taken from the bits of the hash that an entry does not hold.
const ROWS_MAX: usize = 1 << 20;
const _: () = assert!(size_of::<Row>() == 64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    const SECOND: u64 = 1_000_000;

    fn rate(requests: u32, per_s: u64, burst: u32) -> Rate {
        Rate { key: 7, requests, per: Duration::from_secs(per_s), burst }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn numbered(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn a_burst_is_taken_at_once_and_comes_back_one_by_one() {
        let (rates, rate, client) = (Rates::new(64, 1), rate(10, 1, 3), ip("192.0.2.1"));
        let take = |now_us| rates.take(&rate, client, 5 * SECOND + now_us);
        for _ in 0..3 {
            assert_eq!(take(0), Ok(()));
        }
        assert_eq!(take(0), Err(TooFast { retry_after_s: 1 }));
        assert_eq!(take(99_999), Err(TooFast { retry_after_s: 1 }));
        assert_eq!(take(100_000), Ok(()));
        assert_eq!(take(100_000), Err(TooFast { retry_after_s: 1 }));
        // Full again, and no fuller.
        for _ in 0..3 {
            assert_eq!(take(60 * SECOND), Ok(()));
        }
        assert_eq!(take(60 * SECOND), Err(TooFast { retry_after_s: 1 }));
        // The clock of another core is behind: what was taken stays taken.
        assert_eq!(take(60 * SECOND - 2_000), Err(TooFast { retry_after_s: 1 }));
    }

    #[test]
    fn who_is_refused_is_told_when_to_come_again() {
        let (rates, client) = (Rates::new(64, 1), ip("192.0.2.1"));
        for (requests, per_s, seconds) in [(1, 60, 60), (1, 3600, 3600), (100, 60, 1), (7, 60, 9), (10_000, 1, 1)] {
            let rate = Rate { key: per_s * u64::from(requests), ..rate(requests, per_s, 1) };
            assert_eq!(rates.take(&rate, client, SECOND), Ok(()));
            assert_eq!(rates.take(&rate, client, SECOND), Err(TooFast { retry_after_s: seconds as u16 }));
            assert_eq!(rates.take(&rate, client, (seconds + 1) * SECOND), Ok(()), "{requests} in {per_s} s");
        }
    }

    #[test]
    fn clients_and_routes_have_buckets_of_their_own() {
        let rates = Rates::new(64, 1);
        let [blog, shop] = [7, 8].map(|key| Rate { key, ..rate(1, 60, 1) });
        assert!(rates.take(&blog, ip("192.0.2.1"), 0).is_ok());
        assert!(rates.take(&blog, ip("192.0.2.1"), 0).is_err());
        assert!(rates.take(&blog, ip("::ffff:192.0.2.1"), 0).is_err());
        assert!(rates.take(&shop, ip("192.0.2.1"), 0).is_ok());
        assert!(rates.take(&blog, ip("192.0.2.2"), 0).is_ok());
        assert!(rates.take(&blog, ip("2001:db8:0:1::1"), 0).is_ok());
        assert!(rates.take(&blog, ip("2001:db8:0:1:ffff::2"), 0).is_err(), "an IPv6 client is its /64");
        assert!(rates.take(&blog, ip("2001:db8:0:2::1"), 0).is_ok());
    }

    #[test]
    fn a_full_table_refuses_nobody_new_and_remembers_who_takes_most() {
        let (rates, rate) = (Rates::new(1, 1), rate(10, 1, 10));
        let abuser = numbered(0);
        while rates.take(&rate, abuser, SECOND).is_ok() {}
        for n in 1..1_000 {
            assert_eq!(rates.take(&rate, numbered(n), SECOND), Ok(()), "{n}");
        }
        assert!(rates.take(&rate, abuser, SECOND).is_err());
        let rows = rates.rows.get().unwrap();
        assert_eq!(rows.len(), 1);
        // A bucket that is full is worth no entry: a second later all of them make room.
        while rates.take(&rate, numbered(5_000), 3 * SECOND).is_ok() {}
        for n in 6_000..6_007 {
            assert_eq!(rates.take(&rate, numbered(n), 3 * SECOND), Ok(()));
        }
        assert!(rates.take(&rate, numbered(5_000), 3 * SECOND).is_err());
    }

    #[test]
    fn an_old_entry_is_a_full_bucket_however_old_it_is() {
        let rate = rate(1, 3600, 10_000);
        for age_us in [0, 1, 1 << 40, 1 << 47, (1 << 48) - (1 << 46), 1 << 60] {
            let (rates, client) = (Rates::new(1, 1), ip("192.0.2.1"));
            assert_eq!(rates.take(&rate, client, 9 * SECOND), Ok(()));
            assert_eq!(rates.take(&rate, client, 9 * SECOND + age_us), Ok(()), "{age_us}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        #[test]
        fn no_window_has_more_than_its_tokens_and_the_burst(
            requests in 1_u32..=1_000,
            per_s in prop::sample::select(vec![1_u64, 60, 3_600]),
            burst in 1_u32..=50,
            steps in prop::collection::vec(0_u64..=400, 1..400),
        ) {
            let (rates, rate) = (Rates::new(1, 1), rate(requests, per_s, burst));
            // A step is a hundredth of the time that a token takes.
            let unit = rate.interval_us().div_ceil(100);
            let mut now_us = 0;
            let mut taken = Vec::new();
            for step in steps {
                now_us += step * unit;
                if rates.take(&rate, ip("192.0.2.1"), now_us).is_ok() {
                    taken.push(now_us);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let count = (last - first + 1) as u64;
                    prop_assert!(count <= u64::from(burst) + (to - from) / rate.interval_us());
                    // In terms of what was written, with the part in a thousand that rounding may add.
                    let written = (to - from) * u64::from(requests) * 1_001 / (per_s * SECOND * 1_000);
                    prop_assert!(count <= u64::from(burst) + written + 1);
                }
            }
        }

        #[test]
        fn who_keeps_to_the_rate_is_never_refused(
            requests in 1_u64..=10_000,
            per_s in prop::sample::select(vec![1_u64, 60, 3_600]),
            burst in 1_u32..=50,
            start in 0..u64::MAX / 2,
        ) {
            let (rates, rate) = (Rates::new(1, 1), rate(requests as u32, per_s, burst));
            for n in 0..500 {
                // Exactly at the rate, at whole microseconds.
                let now_us = start + (n * per_s * SECOND).div_ceil(requests);
                prop_assert_eq!(rates.take(&rate, ip("192.0.2.1"), now_us), Ok(()), "request {}", n);
            }
        }
    }

    #[test]
    fn cores_together_take_no_more_than_one() {
        let (rates, rate) = (Rates::new(1, 1), rate(1, 3600, 1_000));
        let taken = AtomicU32::new(0);
        let visit = || {
            for n in 0..2_000 {
                if rates.take(&rate, ip("192.0.2.1"), n).is_ok() {
                    taken.fetch_add(1, Relaxed);
                }
            }
        };
        // The entry is there: what two cores may make of a new client is not what this is about.
        assert_eq!(rates.take(&rate, ip("192.0.2.1"), 0), Ok(()));
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(visit))));
        assert_eq!(taken.into_inner(), 999);
    }
}
