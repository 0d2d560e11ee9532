use super::{Picker, Servers, key_hash};
use crate::model::{Balance, HashKey, Pool, Rng, Server, ServerAddress};
use std::collections::HashSet;
use std::time::Duration;

struct World {
    usable: Vec<bool>,
    in_flight: Vec<u32>,
}

impl World {
    fn idle(servers: usize) -> World {
        World { usable: vec![true; servers], in_flight: vec![0; servers] }
    }
}

impl Servers for World {
    fn usable(&self, server: usize) -> bool {
        self.usable[server]
    }

    fn in_flight(&self, server: usize) -> u32 {
        self.in_flight[server]
    }
}

const HASH: Balance = Balance::Hash(HashKey::ClientIp);
const ALL: [Balance; 4] = [Balance::RoundRobin, Balance::LeastConn, Balance::TwoChoices, HASH];

/// A pool of servers 10.0.0.1, 10.0.0.2 and so on, with these weights.
fn pool(balance: &Balance, weights: &[u16]) -> Pool {
    let server = |(n, &weight): (usize, &u16)| Server {
        address: ServerAddress::Ip(([10, 0, (n >> 8) as u8, n as u8], 80).into()),
        weight,
        backup: false,
        max_connections: None,
        tls: None,
    };
    Pool {
        name: "pool".to_owned(),
        servers: weights.iter().enumerate().map(server).collect(),
        balance: balance.clone(),
        hold: None,
        queue: 0,
        eject_after: 0,
        eject_for: Duration::ZERO,
        eject_max: Duration::ZERO,
        send_proxy_protocol: None,
    }
}

/// How often each server is picked in `picks` picks with random keys.
fn count(picker: &mut Picker, world: &World, picks: u32) -> Vec<u32> {
    let mut rng = Rng::new(99);
    let mut counts = vec![0; world.usable.len()];
    for _ in 0..picks {
        counts[picker.pick(world, rng.next_u64()).unwrap()] += 1;
    }
    counts
}

#[test]
fn every_algorithm_shares_an_idle_pool_by_weight() {
    #[track_caller]
    fn check(weights: &[u16], down: &[usize]) {
        let mut world = World::idle(weights.len());
        down.iter().for_each(|&server| world.usable[server] = false);
        let up = |server: &usize| world.usable[*server];
        let total: u32 = (0..weights.len()).filter(up).map(|server| u32::from(weights[server])).sum();
        for balance in ALL {
            let counts = count(&mut Picker::new(&pool(&balance, weights), 5), &world, 40_000);
            for (server, &count) in counts.iter().enumerate() {
                let share = if up(&server) { 40_000 * u32::from(weights[server]) / total } else { 0 };
                assert!(count.abs_diff(share) <= share / 10, "{balance:?} {weights:?}: {counts:?}");
            }
        }
    }
    check(&[1], &[]);
    check(&[1, 1, 1], &[]);
    check(&[5, 1, 1], &[]);
    check(&[1, 2, 3, 4], &[]);
    check(&[65_535, 65_535], &[]);
    check(&[2, 7, 1, 3], &[1]);
    // Most draws meet a server that is down.
    check(&[3, 200, 1, 300, 2], &[1, 3]);
}

#[test]
fn only_usable_servers_are_picked_and_backups_last() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let weights: Vec<u16> = (0..=rng.below(7)).map(|_| 1 + rng.below(9) as u16).collect();
        let balance = &ALL[seed as usize % ALL.len()];
        let mut pool = pool(balance, &weights);
        pool.servers.iter_mut().for_each(|server| server.backup = rng.below(3) == 0);
        let mut picker = Picker::new(&pool, seed);
        let mut world = World::idle(weights.len());
        for _ in 0..100 {
            world.usable.iter_mut().for_each(|usable| *usable = rng.below(3) != 0);
            world.in_flight.iter_mut().for_each(|count| *count = rng.below(5) as u32);
            let usable = |backup| (0..weights.len()).any(|s| world.usable[s] && pool.servers[s].backup == backup);
            match picker.pick(&world, rng.next_u64()) {
                Some(server) => {
                    assert!(world.usable[server], "seed {seed}");
                    assert!(!pool.servers[server].backup || !usable(false), "seed {seed}");
                }
                None => assert!(!usable(false) && !usable(true), "seed {seed}"),
            }
        }
    }
}

#[test]
fn round_robin_spreads_a_heavy_server_over_the_round() {
    let world = World::idle(3);
    let mut picker = Picker::new(&pool(&Balance::RoundRobin, &[5, 1, 1]), 0);
    let picked: String = (0..21).map(|_| ["a", "b", "c"][picker.pick(&world, 0).unwrap()]).collect();
    assert!("aabacaa".repeat(4).contains(&picked), "{picked}");

    let weights = [1, 2, 3, 4];
    let mut picker = Picker::new(&pool(&Balance::RoundRobin, &weights), 3);
    for _ in 0..20 {
        assert_eq!(count(&mut picker, &World::idle(4), 10), [1, 2, 3, 4], "any ten picks in a row");
    }
}

#[test]
fn round_robin_does_not_make_up_for_an_absence() {
    let mut world = World::idle(2);
    let mut picker = Picker::new(&pool(&Balance::RoundRobin, &[1, 1]), 0);
    world.usable[0] = false;
    assert_eq!(count(&mut picker, &world, 100), [0, 100]);
    world.usable[0] = true;
    assert_eq!(count(&mut picker, &world, 10), [5, 5]);
}

#[test]
fn cores_start_at_different_servers() {
    for balance in [Balance::RoundRobin, Balance::LeastConn, Balance::TwoChoices] {
        let pool = pool(&balance, &[1; 4]);
        let first = |seed| Picker::new(&pool, seed).pick(&World::idle(4), 0);
        assert_eq!((0..64).map(first).collect::<HashSet<_>>().len(), 4, "{balance:?}");
    }
}

#[test]
fn least_conn_takes_the_least_loaded_by_weight() {
    #[track_caller]
    fn check(weights: &[u16], in_flight: &[u32], expect: usize) {
        let world = World { usable: vec![true; weights.len()], in_flight: in_flight.to_vec() };
        let mut picker = Picker::new(&pool(&Balance::LeastConn, weights), 1);
        for _ in 0..20 {
            assert_eq!(picker.pick(&world, 0), Some(expect));
        }
    }
    check(&[1, 1, 1], &[3, 2, 4], 1);
    check(&[1, 4, 1], &[1, 3, 1], 1);
    check(&[1, 4, 1], &[1, 5, 2], 0);
    check(&[65_535, 1], &[u32::MAX, u32::MAX], 0);
}

#[test]
fn two_choices_keeps_the_pool_even() {
    let mut world = World::idle(20);
    let mut picker = Picker::new(&pool(&Balance::TwoChoices, &[1; 20]), 1);
    for _ in 0..20_000 {
        let picked = picker.pick(&world, 0).unwrap();
        world.in_flight[picked] += 1;
    }
    // Purely random choices would be about 120 apart.
    let (least, most) = (world.in_flight.iter().min().unwrap(), world.in_flight.iter().max().unwrap());
    assert!(most - least <= 10, "{:?}", world.in_flight);
}

#[test]
fn two_choices_never_takes_the_most_loaded() {
    let world = World { usable: vec![true; 3], in_flight: vec![1, 9, 1] };
    assert_eq!(count(&mut Picker::new(&pool(&Balance::TwoChoices, &[1; 3]), 1), &world, 1_000)[1], 0);
}

/// Where 10,000 keys go.
fn placed(pool: &Pool, world: &World) -> Vec<ServerAddress> {
    let mut picker = Picker::new(pool, 0);
    let place = |key: u32| pool.servers[picker.pick(world, key_hash(&key.to_be_bytes())).unwrap()].address.clone();
    (0..10_000).map(place).collect()
}

#[test]
fn a_key_keeps_its_server_when_the_others_change() {
    #[track_caller]
    fn check(weights: &[u16], leaves: usize) {
        let whole = pool(&HASH, weights);
        let gone = &whole.servers[leaves].address;
        let mut rest = whole.clone();
        rest.servers.remove(leaves);
        rest.servers.reverse();
        let before = placed(&whole, &World::idle(weights.len()));
        let after = placed(&rest, &World::idle(weights.len() - 1));

        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        assert_eq!(moved, before.iter().filter(|address| *address == gone).count(), "others stay, whatever the order");
        let total: usize = weights.iter().map(|&weight| usize::from(weight)).sum();
        let share = 10_000 * usize::from(weights[leaves]) / total;
        assert!(moved.abs_diff(share) < share / 5, "{moved} of 10,000 moved, not about {share}");

        let mut down = World::idle(weights.len());
        down.usable[leaves] = false;
        assert_eq!(placed(&whole, &down), after, "down is the same as gone");
    }
    check(&[1, 1], 0);
    check(&[1; 10], 9);
    check(&[1; 10], 3);
    check(&[1, 2, 3, 4], 3);
    check(&[10, 2, 3], 1);
}
