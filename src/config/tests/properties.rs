//! What no text may do.

use crate::config::load;
use proptest::prelude::*;

/// Texts that use every table, to be damaged.
const SEEDS: &[&str] = &[
    r#"
cores = "0-2"
trusted_proxies = ["lan", "10.0.0.0/8", "::ffff:1.2.3.4/100"]
drain_timeout = "30s"
[listen]
http = [":80", "127.0.0.1:8080", "[::1]:80", 81]
[resources]
memory = "64MiB"
[limits]
head_bytes = "64KiB"
header_count = 100
[timeouts]
idle = "1h"
[log]
format = "json"
[[site]]
host = ["a", "*.b", "*", "http://ü.c"]
route = [
  { path = "/x/", strip_prefix = true, upstream = "unix:/run/app.sock" },
  { path = "/y", redirect = { to = "https://x/é", status = 307 } },
]
[[site]]
host = "d"
listen = "http://:8081"
allow = ["lan", "203.0.113.0/24"]
deny = "192.168.7.0/24"
rate = { requests = "100/m", burst = 20 }
upstream = { servers = [3000, { url = "app:1", weight = 2, backup = true }], balance = { cookie = "sid" }, hold = "1s" }
[[site.route]]
max_body = 0x10
deny = []
rate = "10/s"
"#,
    r#"
state = "/var/lib/ringferry"
[listen]
http = ":80"
https = [":443", { address = ":8443", proxy_protocol = "required", from = ["10.0.0.0/8", "lan"] }]
[[site]]
host = "a"
listen = ["https://:8444", "http://:8081", ":8082"]
cert = ["/etc/ssl/a.pem", "b.pem"]
key = ["/etc/ssl/a.key", "b.pem"]
client_ca = "/etc/ssl/clients.pem"
hsts = { max_age = "365d", include_subdomains = true, preload = true }
upstream = { servers = ["https://10.0.0.5", { url = "https://app:8443", verify = false }], ca = "ca.pem", sni = "app" }
[[site]]
host = ["vpn", "192.0.2.1"]
tls = "passthrough"
upstream = { servers = "tcp://192.168.1.50:443", send_proxy_protocol = "v2" }
[[stream]]
listen = ["tcp/:2222", "udp/:53", { address = "tcp/127.0.0.1:1", proxy_protocol = "required", from = "::1" }]
upstream = ["192.168.1.53:22", 22]
idle = "1h"
udp_idle = "60s"
max_connections = 1000
allow = "loopback"
"#,
    "server {\n  listen 80;\n  server_name a;\n  location / { proxy_pass http://x; }\n}\n- host: a\nhost = a:80 # x\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Damaged texts give a configuration or an error, and every problem can be shown.
    #[test]
    fn damaged_text_is_refused_with_a_reason_and_never_panics(
        seed in 0..SEEDS.len(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, "[a-z0-9 \\[\\]{}=\"'.,:/\n\r\t%*é\u{0}-]{0,3}"), 1..6),
    ) {
        let mut text: Vec<char> = SEEDS[seed].chars().collect();
        for (at, removed, put) in damages {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, put.chars());
        }
        can_be_shown(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn any_text_is_refused_with_a_reason_and_never_panics(text in any::<String>()) {
        can_be_shown(&text)?;
    }
}

fn can_be_shown(text: &str) -> Result<(), TestCaseError> {
    let loaded = load(text, "r.toml");
    let lines = text.split('\n').count();
    prop_assert!(loaded.config.is_some() || !loaded.problems.is_empty());
    for problem in &loaded.problems {
        prop_assert!((1..=lines).contains(&problem.line));
        prop_assert!(problem.column >= 1 && !problem.marked.is_empty());
        let shown = problem.render("r.toml", false);
        prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    }
    Ok(())
}
