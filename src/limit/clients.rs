//! How many connections each client address has open, in the whole process, in memory of a fixed size.

use crate::model::hash64;
use std::array;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Connections by client address, for a fixed number of addresses at once.
///
/// An IPv6 client is its /64, since that is what one customer gets and may vary at will.
///
/// A client belongs to one bucket, which is one cache line. An entry is one word, 44 bits of the hash of the client
/// and 20 of its count, so that all changes are single compare-and-swaps, and an entry without connections is free
/// again. The price of the small word: two clients of one bucket share a count with a chance of 2⁻⁴⁴. The price of
/// not locking: two cores that meet a new client at once, while a neighbour leaves its bucket, may make two entries;
/// until one of them empties, that client may have up to twice its maximum.
#[derive(Debug)]
pub struct Clients(Box<[Bucket]>);

/// The connection of a client, to be given back by [`Clients::leave`].
#[derive(Debug)]
#[must_use = "the connection counts until its ticket is given back"]
pub struct Ticket(Option<Place>);

/// An entry, counted from one through all buckets: small, since each idle connection has one.
#[derive(Debug)]
struct Place(NonZeroU32);

/// The client has as many connections as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

#[derive(Debug)]
#[repr(align(64))]
struct Bucket([AtomicU64; SLOTS]);

impl Clients {
    /// Room for about `capacity` addresses at once, eight bytes each.
    pub fn new(capacity: usize) -> Clients {
        let buckets = capacity.div_ceil(SLOTS).next_power_of_two().min(BUCKETS_MAX);
        Clients((0..buckets).map(|_| Bucket(array::from_fn(|_| AtomicU64::new(0)))).collect())
    }

    /// Counts one more connection of `ip`, unless it has `max`.
    ///
    /// A client for which there is no room is let in without being counted. Refusing it would let anyone with many
    /// addresses shut out everyone else, and whoever has many addresses is not held by a limit for each of them: the
    /// limit for all connections is what bounds both.
    pub fn enter(&self, ip: IpAddr, max: u32) -> Result<Ticket, Full> {
        let hash = hash64(&network(ip).to_le_bytes());
        let mark = hash & !COUNT_MAX;
        let bucket = (hash & (self.0.len() as u64 - 1)) as u32;
        let slots = &self.0[bucket as usize].0;
        loop {
            // The client's own entry, wherever it is, before any free one.
            let words: [u64; SLOTS] = array::from_fn(|slot| slots[slot].load(Relaxed));
            let own = words.iter().position(|&word| word != 0 && word & !COUNT_MAX == mark);
            let Some(slot) = own.or_else(|| words.iter().position(|&word| word == 0)) else {
                return Ok(Ticket(None));
            };
            let count = words[slot] & COUNT_MAX;
            if count >= u64::from(max).min(COUNT_MAX) {
                return Err(Full);
            }
            let counted = mark | (count + 1);
            if slots[slot].compare_exchange(words[slot], counted, Relaxed, Relaxed).is_ok() {
                let place = NonZeroU32::new(bucket * SLOTS as u32 + slot as u32 + 1);
                return Ok(Ticket(place.map(Place)));
            }
        }
    }

    /// How many connections of `ip` are counted.
    pub fn count(&self, ip: IpAddr) -> u32 {
        let hash = hash64(&network(ip).to_le_bytes());
        let slots = &self.0[(hash & (self.0.len() as u64 - 1)) as usize].0;
        let own = |word: &u64| word & !COUNT_MAX == hash & !COUNT_MAX;
        slots.iter().map(|slot| slot.load(Relaxed)).find(own).map_or(0, |word| (word & COUNT_MAX) as u32)
    }

    /// The connection has ended. The ticket is one of this table's.
    pub fn leave(&self, ticket: Ticket) {
        let Some(Place(place)) = ticket.0 else { return };
        let entry = place.get() as usize - 1;
        // The entry stays the client's as long as it counts this connection.
        let slot = &self.0[entry / SLOTS].0[entry % SLOTS];
        let left = slot.fetch_update(Relaxed, Relaxed, |word| match word & COUNT_MAX {
            0 => None,
            1 => Some(0),
            _ => Some(word - 1),
        });
        debug_assert!(left.is_ok(), "left without having entered");
    }
}

/// The /64 of an IPv6 client, or an IPv4 address under a prefix that no IPv6 client can have (in `::/8`, reserved).
pub(super) fn network(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => 1 << 40 | u64::from(ip.to_bits()),
        IpAddr::V6(ip) => (ip.to_bits() >> 64) as u64,
    }
}

const SLOTS: usize = 8;
/// The bucket is taken from the bits of the hash that an entry does not hold.
const BUCKETS_MAX: usize = 1 << COUNT_BITS;
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const _: () = assert!(size_of::<Bucket>() == 64);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn occupied(clients: &Clients) -> usize {
        clients.0.iter().flat_map(|bucket| &bucket.0).filter(|slot| slot.load(Relaxed) != 0).count()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn numbered(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn a_client_is_refused_at_its_maximum_and_let_in_when_one_leaves() {
        let clients = Clients::new(64);
        let first = clients.enter(ip("192.0.2.1"), 2).unwrap();
        let second = clients.enter(ip("192.0.2.1"), 2).unwrap();
        assert_eq!(clients.enter(ip("192.0.2.1"), 2).unwrap_err(), Full);
        let other = clients.enter(ip("192.0.2.2"), 2).unwrap();
        assert_eq!(["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|client| clients.count(ip(client))), [2, 1, 0]);
        clients.leave(first);
        let third = clients.enter(ip("192.0.2.1"), 2).unwrap();
        assert_eq!(clients.enter(ip("192.0.2.1"), 2).unwrap_err(), Full);
        [second, third, other].into_iter().for_each(|ticket| clients.leave(ticket));
        assert_eq!(occupied(&clients), 0);
        assert_eq!(clients.enter(ip("192.0.2.1"), 0).unwrap_err(), Full);
    }

    #[test]
    fn clients_are_told_apart_by_ipv4_address_or_ipv6_network() {
        #[track_caller]
        fn check(one: &str, other: &str, same: bool) {
            let clients = Clients::new(64);
            let _ticket = clients.enter(ip(one), 1).unwrap();
            assert_eq!(clients.enter(ip(other), 1).is_err(), same, "{one} {other}");
        }
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true);
        check("2001:db8:0:1::1", "2001:db8:0:2::1", false);
        check("0.0.0.0", "::1", false);
        check("192.0.2.1", "0:0:c000:201::", false);
    }

    #[test]
    fn a_client_without_room_is_let_in_uncounted() {
        let clients = Clients::new(1);
        let tickets: Vec<Ticket> = (0..8).map(|n| clients.enter(numbered(n), 1).unwrap()).collect();
        for _ in 0..3 {
            let uncounted = clients.enter(numbered(8), 1).unwrap();
            clients.leave(uncounted);
        }
        assert_eq!(clients.enter(numbered(3), 1).unwrap_err(), Full, "the others are still held");
        tickets.into_iter().for_each(|ticket| clients.leave(ticket));
        assert_eq!(occupied(&clients), 0);
        let _counted = clients.enter(numbered(8), 1).unwrap();
        assert_eq!(clients.enter(numbered(8), 1).unwrap_err(), Full);
    }

    #[test]
    fn an_entry_is_found_behind_one_that_has_become_free() {
        let clients = Clients::new(1);
        let first = clients.enter(numbered(1), 1).unwrap();
        let _second = clients.enter(numbered(2), 1).unwrap();
        clients.leave(first);
        assert_eq!(clients.enter(numbered(2), 1).unwrap_err(), Full);
    }

    #[test]
    fn a_table_holds_nearly_as_many_clients_as_it_was_made_for() {
        let clients = Clients::new(4_096);
        let held: Vec<Ticket> = (0..2_048).map(|n| clients.enter(numbered(n), 1).unwrap()).collect();
        let counted = held.iter().filter(|ticket| ticket.0.is_some()).count();
        assert!(counted > 2_000, "half full, {counted} of 2,048 counted");
    }

    #[test]
    fn cores_together_count_every_connection() {
        let clients = Clients::new(8);
        let visit = |start: u32| {
            let clients = &clients;
            move || {
                let mut held = Vec::new();
                for n in 0..20_000_u32 {
                    if let Ok(ticket) = clients.enter(numbered((start + n) % 5), 3) {
                        held.push(ticket);
                    }
                    if held.len() > (n % 7) as usize {
                        held.drain(..).for_each(|ticket| clients.leave(ticket));
                    }
                }
                held.into_iter().for_each(|ticket| clients.leave(ticket));
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|start| drop(scope.spawn(visit(start)))));
        assert_eq!(occupied(&clients), 0, "everyone has left");
    }

    #[test]
    fn cores_together_never_exceed_the_maximum_of_a_client() {
        let clients = Clients::new(8);
        let inside = std::sync::atomic::AtomicU32::new(0);
        let visit = || {
            for _ in 0..20_000 {
                if let Ok(ticket) = clients.enter(ip("192.0.2.1"), 2) {
                    assert!(inside.fetch_add(1, Relaxed) < 2);
                    inside.fetch_sub(1, Relaxed);
                    clients.leave(ticket);
                }
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(visit))));
    }
}
