//! Mixing bits: a stable hash of short byte strings, and small random numbers. Arithmetic only.
//!
//! Neither resists an attacker who knows it. They serve where that does no harm: keys that the configuration fixes
//! (hosts, servers), the choice among equal servers, and tests.

use std::hash::{BuildHasher, Hasher};

/// A hash of `bytes` that is the same on every machine and in every version, so that two proxies in front of the same
/// servers send a key to the same one.
pub fn hash64(bytes: &[u8]) -> u64 {
    let mut state = SEED ^ (bytes.len() as u64).wrapping_mul(ODD);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), ODD);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    scramble(fold(state ^ u64::from_le_bytes(last), ODD))
}

/// The two hashes mixed into one: a key and a server, for example.
pub fn hash_pair(a: u64, b: u64) -> u64 {
    scramble(a ^ scramble(b.wrapping_add(SEED)))
}

/// [`hash64`] for the maps of `std` with `str` keys. Hash flooding is no concern for keys that were configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedState;

impl BuildHasher for FixedState {
    type Hasher = FixedHasher;

    fn build_hasher(&self) -> FixedHasher {
        FixedHasher(0)
    }
}

/// The hasher of [`FixedState`].
#[derive(Clone, Copy, Debug)]
pub struct FixedHasher(u64);

impl Hasher for FixedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.rotate_left(5) ^ hash64(bytes);
    }

    // What `str` writes after its bytes, to keep tuples of strings apart; not worth a round.
    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A small seeded generator (splitmix64): eight bytes of state, one multiplication chain per number.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// Sixty-four random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(SEED);
        scramble(self.0)
    }

    /// A number from 0 to `bound - 1`, or 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a product is uniform to within bound/2^64, without a division.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

/// The finaliser of splitmix64: each input bit flips about half of the output bits.
fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 2^64 divided by the golden ratio.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// An odd number with its bits well spread.
const ODD: u64 = 0xd6e8_feb8_6659_fd93;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn near_strings_hash_far_apart() {
        let mut seen = HashSet::new();
        for n in 0..20_000 {
            assert!(seen.insert(hash64(format!("host{n}.example.com").as_bytes())));
        }
        for length in 0..64 {
            assert!(seen.insert(hash64(&vec![0; length])), "{length} zero bytes");
        }
    }

    #[test]
    fn the_hash_never_changes() {
        // A new value here moves every session of every consistent hash in the field.
        assert_eq!(hash64(b""), 0x8fbd_4cbb_85ea_8aed);
        assert_eq!(hash64(b"10.0.0.1:80"), 0xe29a_8a10_59b6_fbe1);
        assert_eq!(hash_pair(1, 2), 0xf282_6f98_653e_9e57);
    }

    #[test]
    fn every_bucket_gets_its_share() {
        let mut rng = Rng::new(7);
        let mut buckets = [0_u32; 10];
        for _ in 0..100_000 {
            buckets[rng.below(10) as usize] += 1;
        }
        assert!(buckets.iter().all(|&n| (9_600..10_400).contains(&n)), "{buckets:?}");
        assert_eq!(rng.below(0), 0);
    }
}
