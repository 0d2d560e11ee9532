//! One pick from a pool of 3 and of 32 servers, for each way to balance.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringferry::balance::{Picker, Servers, key_hash};
use ringferry::model::{Balance, HashKey, Pool, Server, ServerAddress};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// Counts as the process keeps them: one shared atomic for each server.
struct Counts(Vec<AtomicU32>);

impl Servers for Counts {
    fn usable(&self, server: usize) -> bool {
        self.0[server].load(Relaxed) < 1_000
    }

    fn in_flight(&self, server: usize) -> u32 {
        self.0[server].load(Relaxed)
    }
}

fn pool(balance: Balance, servers: u8) -> Pool {
    let server = |n: u8| Server {
        address: ServerAddress::Ip(([10, 0, 0, n], 80).into()),
        weight: 1 + u16::from(n % 3),
        backup: false,
        max_connections: None,
        tls: None,
    };
    Pool {
        name: "pool".to_owned(),
        servers: (0..servers).map(server).collect(),
        balance,
        hold: None,
        queue: 0,
        eject_after: 0,
        eject_for: Duration::ZERO,
        eject_max: Duration::ZERO,
        send_proxy_protocol: None,
    }
}

fn balance(c: &mut Criterion) {
    let algorithms = [
        ("round_robin", Balance::RoundRobin),
        ("least_conn", Balance::LeastConn),
        ("two_choices", Balance::TwoChoices),
        ("hash", Balance::Hash(HashKey::ClientIp)),
    ];
    let mut group = c.benchmark_group("balance");
    for (name, balance) in algorithms {
        for servers in [3, 32] {
            let mut picker = Picker::new(&pool(balance.clone(), servers), 1);
            let counts = Counts((0..servers).map(|n| AtomicU32::new(u32::from(n % 5))).collect());
            group.bench_function(BenchmarkId::new(name, servers), |b| {
                b.iter(|| picker.pick(&counts, key_hash(black_box(b"192.0.2.17"))));
            });
        }
    }
}

criterion_group!(benches, balance);
criterion_main!(benches);
