//! A lookup in the routing table: the same work in a table of ten sites and of ten thousand.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ringferry::model::{Access, Action, Config, HostPattern, Listener, ListenerId, PoolId, Route, Site};
use ringferry::route::Table;
use std::hint::black_box;

/// Sites `siteN.example.com` with `*.siteN.example.com` and four routes each, on one listener.
fn config(sites: u32) -> Config {
    let listener = Listener::http(([0, 0, 0, 0], 80).into(), false);
    let mut config = Config { listeners: vec![listener], ..Config::default() };
    for n in 0..sites {
        let host = format!("site{n}.example.com");
        let first = config.routes.len() as u32;
        for path in ["/", "/blog", "/blog/archive", "/api/v2"] {
            config.routes.push(Route {
                path: path.to_owned(),
                action: Action::Proxy(PoolId(0)),
                strip_prefix: false,
                max_body: None,
                request_id: false,
                access: Access::default(),
                rate: None,
            });
        }
        config.sites.push(Site {
            name: host.clone(),
            hosts: vec![HostPattern::Exact(host.clone()), HostPattern::Wildcard(host)],
            listeners: vec![ListenerId(0)],
            routes: first..config.routes.len() as u32,
            tls: None,
            hsts: None,
            access: Access::default(),
        });
    }
    config
}

fn routing(c: &mut Criterion) {
    for sites in [10, 10_000] {
        let table = Table::build(&config(sites));
        let last = sites - 1;
        let mut group = c.benchmark_group("routing");
        let mut find = |what: &str, host: &str, path: &str| {
            group.bench_function(BenchmarkId::new(what, sites), |b| {
                b.iter(|| table.find(ListenerId(0), black_box(host.as_bytes()), black_box(path.as_bytes())));
            });
        };
        find("exact host, root", &format!("site{last}.example.com"), "/");
        find("exact host, deep path", &format!("site{last}.example.com"), "/blog/archive/2024/05/a-post");
        find("wildcard host", &format!("a.b.site{last}.example.com"), "/api/v2/users");
        find("unknown host", "www.example.org", "/");
    }
}

criterion_group!(benches, routing);
criterion_main!(benches);
