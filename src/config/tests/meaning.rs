//! Text → model, as a summary of one line a thing.

use crate::config::{load, schema};
use crate::model::{Action, Config, Listener, Pool, Protocol, Server, SiteTls};
use std::fmt::Write as _;

#[track_caller]
pub(super) fn check(text: &str, expect: &str) {
    let loaded = load(text, "r.toml");
    let config = loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
    assert_eq!(summary(&config), expect.lines().map(|line| format!("{}\n", line.trim())).collect::<String>());
}

fn summary(config: &Config) -> String {
    let mut out = String::new();
    for listener in &config.listeners {
        let _ = writeln!(out, "listen {}", listener_summary(listener));
    }
    for site in &config.sites {
        let _ = writeln!(out, "site {} {:?} on {:?}", site.name, site.hosts, site.listeners);
        let _ = match &site.tls {
            None => Ok(()),
            Some(SiteTls::Passthrough) => writeln!(out, "passthrough"),
            Some(SiteTls::Terminate(tls)) => writeln!(out, "tls {:?} {:?}", tls.certificates, tls.client_ca),
        };
        if let Some(hsts) = &site.hsts {
            let flags = [(hsts.include_subdomains, " subdomains"), (hsts.preload, " preload")];
            let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
            let _ = writeln!(out, "hsts {}{flags}", hsts.max_age.as_secs());
        }
        for id in site.route_ids() {
            let route = &config.routes[id.index()];
            let flags = [(route.strip_prefix, " strip"), (route.request_id, " id"), (route.max_body.is_some(), " max")];
            let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
            let _ = match &route.action {
                Action::Redirect(to) => {
                    writeln!(out, "{}{flags}: {} {} keep {}", route.path, to.status, to.to, to.keep_path)
                }
                Action::Proxy(pool) => {
                    writeln!(out, "{}{flags}: {}", route.path, pool_summary(&config.pools[pool.index()]))
                }
            };
        }
    }
    for stream in &config.streams {
        let (idle, udp_idle) = (stream.idle.as_secs(), stream.udp_idle.as_secs());
        let _ = writeln!(
            out,
            "stream {} on {:?} idle {idle} {udp_idle} max {:?}",
            stream.name, stream.listeners, stream.max_connections
        );
        let _ = writeln!(out, "{}", pool_summary(&config.pools[stream.pool.index()]));
    }
    out
}

fn listener_summary(listener: &Listener) -> String {
    let protocol = match listener.protocol {
        Protocol::Http => String::new(),
        other => format!("{} ", other.scheme()),
    };
    let dual = if listener.dual_stack { " dual" } else { "" };
    let proxy = listener.proxy_protocol.as_ref().map_or(String::new(), |from| {
        let from = from.iter().map(|set| format!(" {}/{}", set.address, set.prefix_len));
        format!(" proxy from{}", from.collect::<String>())
    });
    format!("{protocol}{}{dual}{proxy}", listener.address)
}

fn pool_summary(pool: &Pool) -> String {
    let servers: Vec<String> = pool.servers.iter().map(server_summary).collect();
    let proxy = pool.send_proxy_protocol.map_or(String::new(), |version| format!(" proxy {version:?}"));
    format!("pool {} {:?}{proxy} {}", pool.name, pool.balance, servers.join(", "))
}

fn server_summary(server: &Server) -> String {
    let backup = if server.backup { " backup" } else { "" };
    let max = server.max_connections.map_or(String::new(), |max| format!(" max {max}"));
    let tls = server.tls.as_ref().map_or(String::new(), |tls| format!(" tls {} {:?}", tls.name, tls.trust));
    format!("{} x{}{backup}{max}{tls}", server.address, server.weight)
}

#[test]
fn a_site_with_routes_and_one_with_servers() {
    check(
        r#"
            [[site]]
            host  = ["www.example.com"]
            route = [
              { path = "/blog/", strip_prefix = true, upstream = "http://127.0.0.1:2368" },
              { path = "/",      upstream = "http://127.0.0.1:3001" },
            ]

            [[site]]
            host     = ["api.example.com"]
            upstream = { servers = ["http://127.0.0.1:4001", "http://127.0.0.1:4002"], balance = "least_conn" }
        "#,
        r#"listen [::]:80 dual
        site www.example.com [Exact("www.example.com")] on [ListenerId(0)]
        /blog strip: pool www.example.com/blog TwoChoices 127.0.0.1:2368 x1
        /: pool www.example.com/ TwoChoices 127.0.0.1:3001 x1
        site api.example.com [Exact("api.example.com")] on [ListenerId(0)]
        /: pool api.example.com/ LeastConn 127.0.0.1:4001 x1, 127.0.0.1:4002 x1"#,
    );
}

#[test]
fn a_route_may_be_a_table_of_its_own() {
    check(
        r#"
            [[site]]
            host = "a"
            [[site.route]]
            path = "/x"
            upstream = 3000
            [[site.route]]
            upstream.servers = [{ url = "app:81", weight = 3, max_connections = 5 }, { url = "unix:/run/a", backup = true }]
            upstream.max_connections = 9
            upstream.balance.header = "X-User"
        "#,
        r#"listen [::]:80 dual
        site a [Exact("a")] on [ListenerId(0)]
        /x: pool a/x TwoChoices 127.0.0.1:3000 x1
        /: pool a/ Hash(Header("x-user")) app:81 x3 max 5, unix:/run/a x1 backup max 9"#,
    );
}

#[test]
fn a_site_with_its_own_listen_is_on_no_other() {
    check(
        r#"
            [listen]
            http = [8080, "127.0.0.1:8081"]
            [[site]]
            host = ["*", "*.example.com"]
            listen = ["http://:8082", "127.0.0.1:8081"]
            upstream = 3000
            [[site]]
            host = "a"
            redirect = "https://example.com"
        "#,
        r#"listen [::]:8080 dual
        listen 127.0.0.1:8081
        listen [::]:8082 dual
        site * [Any, Wildcard("example.com")] on [ListenerId(2), ListenerId(1)]
        /: pool */ TwoChoices 127.0.0.1:3000 x1
        site a [Exact("a")] on [ListenerId(0), ListenerId(1)]
        /: 308 https://example.com keep true"#,
    );
}

#[test]
fn the_default_address_is_opened_only_for_a_site_that_needs_it() {
    check(
        "[[site]]\nhost = 'a'\nlisten = 8080\nredirect = { to = 'https://b/x', status = 302 }",
        r#"listen [::]:8080 dual
        site a [Exact("a")] on [ListenerId(0)]
        /: 302 https://b/x keep false"#,
    );
}

#[test]
fn port_0_is_another_port_each_time() {
    check(
        "[listen]\nhttp = [':0', ':0']\n[[site]]\nhost = 'a'\nupstream = 1",
        r#"listen [::]:0 dual
        listen [::]:0 dual
        site a [Exact("a")] on [ListenerId(0), ListenerId(1)]
        /: pool a/ TwoChoices 127.0.0.1:1 x1"#,
    );
}

#[test]
fn pools_of_one_host_on_several_listeners_have_names_of_their_own() {
    check(
        "[[site]]\nhost = 'a'\nupstream = 1\nlisten = 81\n[[site]]\nhost = 'A.'\nupstream = 1\nlisten = 82",
        r#"listen [::]:81 dual
        listen [::]:82 dual
        site a [Exact("a")] on [ListenerId(0)]
        /: pool a/ TwoChoices 127.0.0.1:1 x1
        site a [Exact("a")] on [ListenerId(1)]
        /: pool a/#2 TwoChoices 127.0.0.1:1 x1"#,
    );
}

#[test]
fn a_server_alone_is_ejected_only_where_that_was_asked_for() {
    #[track_caller]
    fn check(upstream: &str, expect: u32) {
        let loaded = load(&format!("[[site]]\nhost = 'a'\nupstream = {upstream}"), "r.toml");
        assert_eq!(loaded.problems, []);
        assert_eq!(loaded.config.map(|config| config.pools[0].eject_after), Some(expect), "{upstream}");
    }
    check("3000", 0);
    check("[3000]", 0);
    check("{ servers = 3000, max_connections = 5 }", 0);
    check("[3000, 3001]", 3);
    check("[3000, { url = 3001, backup = true }]", 3);
    check("{ servers = [3000, 3001] }", 3);
    check("{ servers = [3000, 3001], eject_after = 'never' }", 0);
    // Asked for, by its own key or by one that has no other sense.
    check("{ servers = 3000, eject_after = 5 }", 5);
    check("{ servers = 3000, eject_for = '5s' }", 3);
    check("{ servers = 3000, eject_max = '5s' }", 3);
    check("{ servers = 3000, hold = '5s' }", 3);
    check("{ servers = 3000, hold = '5s', eject_after = 0 }", 0);
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_are_no_matter() {
    check(
        "\u{feff}[[site]]\r\nhost = 'a'\r\nupstream = 1\r\n",
        r#"listen [::]:80 dual
        site a [Exact("a")] on [ListenerId(0)]
        /: pool a/ TwoChoices 127.0.0.1:1 x1"#,
    );
}

/// Every key of every table, with a value that is not its default.
const KEYS: &[(&schema::Schema, &[(&str, &str)])] = &[
    (
        &schema::TOP,
        &[
            ("cores", "cores = 2"),
            ("kernel", "kernel = 'epoll'"),
            ("admin", "admin = '/run/x'"),
            ("trusted_proxies", "trusted_proxies = 'lan'"),
            ("via", "via = true"),
            ("drain_timeout", "drain_timeout = '1s'"),
            ("state", "state = '/var/x'"),
            ("kernel_tls", "kernel_tls = true"),
            ("listen", "listen.http = 81"),
            ("resources", "resources.memory = '64MiB'"),
            ("limits", "limits.connections = 5"),
            ("timeouts", "timeouts.head = '1s'"),
            ("log", "log.format = 'json'"),
            ("privileges", "privileges.seccomp = false"),
            ("site", "site = [{ host = 'b', upstream = 1 }]"),
            ("stream", "stream = [{ listen = 'tcp/:1', upstream = 'b:1' }]"),
        ],
    ),
    (&schema::LISTEN, &[("http", "listen.http = 81"), ("https", "listen.https = 443")]),
    (
        &schema::LISTENER,
        &[
            ("address", "listen.http = { address = 81 }"),
            ("proxy_protocol", "listen.http = { address = ':80', proxy_protocol = 'required', from = 'lan' }"),
            ("from", "listen.http = { address = ':80', proxy_protocol = 'required', from = '::1' }"),
        ],
    ),
    (&schema::RESOURCES, &[("memory", "resources.memory = '64MiB'")]),
    (
        &schema::LIMITS,
        &[
            ("head_bytes", "limits.head_bytes = '8KiB'"),
            ("header_count", "limits.header_count = 50"),
            ("connections", "limits.connections = 5"),
            ("connections_per_client", "limits.connections_per_client = 5"),
            ("requests", "limits.requests = 5"),
            ("requests_per_client", "limits.requests_per_client = 5"),
            ("idle_per_server", "limits.idle_per_server = 0"),
        ],
    ),
    (
        &schema::TIMEOUTS,
        &[
            ("head", "timeouts.head = '1s'"),
            ("idle", "timeouts.idle = '1s'"),
            ("body_idle", "timeouts.body_idle = '1s'"),
            ("tunnel_idle", "timeouts.tunnel_idle = '1s'"),
            ("connect", "timeouts.connect = '1s'"),
            ("first_byte", "timeouts.first_byte = '1s'"),
            ("upstream_idle", "timeouts.upstream_idle = '1s'"),
        ],
    ),
    (&schema::LOG, &[("format", "log.format = 'off'")]),
    (
        &schema::PRIVILEGES,
        &[
            ("user", "privileges.user = 'x'"),
            ("no_new_privs", "privileges.no_new_privs = false"),
            ("landlock", "privileges.landlock = false"),
            ("restrict_rings", "privileges.restrict_rings = false"),
            ("seccomp", "privileges.seccomp = false"),
        ],
    ),
    (
        &schema::SITE,
        &[
            ("host", "site = [{ host = 'b', upstream = 3000 }]"),
            ("listen", "site = [{ host = 'a', upstream = 3000, listen = 81 }]"),
            ("tls", "site = [{ host = 'a', upstream = 3000, tls = 'internal' }]"),
            ("cert", "site = [{ host = 'a', upstream = 3000, cert = '/x' }]"),
            ("key", "site = [{ host = 'a', upstream = 3000, cert = '/x', key = '/y' }]"),
            ("client_ca", "site = [{ host = 'a', upstream = 3000, cert = '/x', client_ca = '/y' }]"),
            ("hsts", "site = [{ host = 'a', upstream = 3000, cert = '/x', hsts = true }]"),
            ("route", "site = [{ host = 'a', route = [{ path = '/x', upstream = 3000 }] }]"),
            ("upstream", "site = [{ host = 'a', upstream = 3001 }]"),
            ("redirect", "site = [{ host = 'a', redirect = 'https://b' }]"),
            ("strip_prefix", "site = [{ host = 'a', upstream = 3000, strip_prefix = true }]"),
            ("max_body", "site = [{ host = 'a', upstream = 3000, max_body = '1MB' }]"),
            ("request_id", "site = [{ host = 'a', upstream = 3000, request_id = true }]"),
            ("allow", "site = [{ host = 'a', upstream = 3000, allow = 'lan' }]"),
            ("deny", "site = [{ host = 'a', upstream = 3000, deny = '192.0.2.1' }]"),
            ("rate", "site = [{ host = 'a', upstream = 3000, rate = '10/s' }]"),
        ],
    ),
    (
        &schema::HSTS,
        &[
            ("max_age", "site = [{ host = 'a', upstream = 3000, cert = '/x', hsts.max_age = '1d' }]"),
            (
                "include_subdomains",
                "site = [{ host = 'a', upstream = 3000, cert = '/x', hsts.include_subdomains = true }]",
            ),
            (
                "preload",
                "site = [{ host = 'a', upstream = 3000, cert = '/x', \
                 hsts = { max_age = '365d', include_subdomains = true, preload = true } }]",
            ),
        ],
    ),
    (
        &schema::ROUTE,
        &[
            ("path", "site = [{ host = 'a', route = { path = '/x', upstream = 3000 } }]"),
            ("upstream", "site = [{ host = 'a', route = { upstream = 3001 } }]"),
            ("redirect", "site = [{ host = 'a', route = { redirect = 'https://b' } }]"),
            ("strip_prefix", "site = [{ host = 'a', route = { upstream = 3000, strip_prefix = true } }]"),
            ("max_body", "site = [{ host = 'a', route = { upstream = 3000, max_body = '1MB' } }]"),
            ("request_id", "site = [{ host = 'a', route = { upstream = 3000, request_id = true } }]"),
            ("allow", "site = [{ host = 'a', route = { upstream = 3000, allow = 'lan' } }]"),
            ("deny", "site = [{ host = 'a', route = { upstream = 3000, deny = '192.0.2.1' } }]"),
            ("rate", "site = [{ host = 'a', route = { upstream = 3000, rate = '10/s' } }]"),
        ],
    ),
    (
        &schema::RATE,
        &[
            ("requests", "site = [{ host = 'a', upstream = 3000, rate = { requests = '10/s' } }]"),
            ("burst", "site = [{ host = 'a', upstream = 3000, rate = { requests = '10/s', burst = 20 } }]"),
        ],
    ),
    (
        &schema::REDIRECT,
        &[
            ("to", "site = [{ host = 'a', redirect = { to = 'https://b' } }]"),
            ("status", "site = [{ host = 'a', redirect = { to = 'https://c', status = 307 } }]"),
        ],
    ),
    (
        &schema::UPSTREAM,
        &[
            ("servers", "site = [{ host = 'a', upstream = { servers = [3001] } }]"),
            ("balance", "site = [{ host = 'a', upstream = { servers = [3000], balance = 'ip_hash' } }]"),
            ("hold", "site = [{ host = 'a', upstream = { servers = [3000], hold = '10s' } }]"),
            ("queue", "site = [{ host = 'a', upstream = { servers = [3000], queue = 5 } }]"),
            ("max_connections", "site = [{ host = 'a', upstream = { servers = [3000], max_connections = 5 } }]"),
            ("eject_after", "site = [{ host = 'a', upstream = { servers = [3000], eject_after = 5 } }]"),
            ("eject_for", "site = [{ host = 'a', upstream = { servers = [3000], eject_for = '1s' } }]"),
            ("eject_max", "site = [{ host = 'a', upstream = { servers = [3000], eject_max = '1m' } }]"),
            ("verify", "site = [{ host = 'a', upstream = { servers = ['https://b'], verify = false } }]"),
            ("ca", "site = [{ host = 'a', upstream = { servers = ['https://b'], ca = '/x' } }]"),
            ("sni", "site = [{ host = 'a', upstream = { servers = ['https://b'], sni = 'c' } }]"),
            (
                "send_proxy_protocol",
                "site = [{ host = 'a', tls = 'passthrough', upstream = { servers = [3000], send_proxy_protocol = 'v1' } }]",
            ),
        ],
    ),
    (
        &schema::SERVER,
        &[
            ("url", "site = [{ host = 'a', upstream = [{ url = 3001 }] }]"),
            ("weight", "site = [{ host = 'a', upstream = [{ url = 3000, weight = 2 }] }]"),
            ("backup", "site = [{ host = 'a', upstream = [{ url = 3000, backup = true }] }]"),
            ("max_connections", "site = [{ host = 'a', upstream = [{ url = 3000, max_connections = 2 }] }]"),
            ("verify", "site = [{ host = 'a', upstream = [{ url = 'https://b', verify = false }] }]"),
            ("ca", "site = [{ host = 'a', upstream = [{ url = 'https://b', ca = '/x' }] }]"),
            ("sni", "site = [{ host = 'a', upstream = [{ url = 'https://b', sni = 'c' }] }]"),
        ],
    ),
    (
        &schema::BALANCE,
        &[
            ("header", "site = [{ host = 'a', upstream = { servers = [3000], balance = { header = 'x' } } }]"),
            ("cookie", "site = [{ host = 'a', upstream = { servers = [3000], balance = { cookie = 'x' } } }]"),
        ],
    ),
    (
        &schema::STREAM,
        &[
            ("listen", "stream = [{ listen = 'tcp/:1', upstream = 'b:1' }]"),
            ("upstream", "stream = [{ listen = 'tcp/:1', upstream = 'b:2' }]"),
            ("idle", "stream = [{ listen = 'tcp/:1', upstream = 'b:1', idle = '1s' }]"),
            ("udp_idle", "stream = [{ listen = 'udp/:1', upstream = 'b:1', udp_idle = '1s' }]"),
            ("max_connections", "stream = [{ listen = 'tcp/:1', upstream = 'b:1', max_connections = 5 }]"),
            ("allow", "stream = [{ listen = 'tcp/:1', upstream = 'b:1', allow = 'lan' }]"),
            ("deny", "stream = [{ listen = 'tcp/:1', upstream = 'b:1', deny = '192.0.2.1' }]"),
        ],
    ),
];

#[test]
fn every_key_has_an_effect() {
    let site = "[[site]]\nhost = 'a'\nupstream = 3000\n";
    let plain = load(site, "r.toml").config;
    assert_eq!(KEYS.len(), schema::ALL.len());
    for (schema, samples) in KEYS {
        let keys: Vec<&str> = samples.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, schema.keys, "{}", schema.name);
        for (key, sample) in *samples {
            let text = if sample.starts_with("site") { (*sample).to_owned() } else { format!("{sample}\n{site}") };
            let loaded = load(&text, "r.toml");
            assert!(loaded.config.is_some(), "{sample}: {:#?}", loaded.problems);
            assert_ne!(loaded.config, plain, "{key} in {}: {sample}", schema.name);
        }
    }
}
