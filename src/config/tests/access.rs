//! Who may come, and how often: what lists and rates mean for a route, and what is wrong with them.

use super::check;
use crate::config::load;
use crate::model::{Access, Config, Rate};

fn config(text: &str) -> Config {
    let loaded = load(text, "r.toml");
    loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.problems))
}

fn summary(access: &Access) -> String {
    let list = |sets: &[crate::model::Cidr]| sets.iter().map(|set| format!(" {set}")).collect::<String>();
    let allow = access.allow.as_ref().map_or(String::new(), |allow| format!("allow{} ", list(allow)));
    format!("{allow}deny{}", list(&access.deny))
}

#[test]
fn a_route_has_its_own_lists_or_those_of_the_site() {
    let config = config(
        r#"[[site]]
host  = "a"
allow = "10.0.0.0/8"
route = [
  { path = "/", upstream = 1 },
  { path = "/open", upstream = 1, deny = [] },
  { path = "/strict", upstream = 1, allow = "10.0.0.1", deny = "::1" },
]
[[site]]
host     = "b"
deny     = ["192.0.2.1", "2001:db8::/32"]
upstream = 1
[[stream]]
listen   = "tcp/:1"
upstream = "b:1"
allow    = "loopback"
"#,
    );
    let routes: Vec<_> = config.routes.iter().map(|route| summary(&route.access)).collect();
    assert_eq!(routes, ["allow 10.0.0.0/8 deny", "deny", "allow 10.0.0.1 deny ::1", "deny 192.0.2.1 2001:db8::/32"]);
    assert_eq!(summary(&config.sites[0].access), "allow 10.0.0.0/8 deny");
    assert_eq!(summary(&config.streams[0].access), "allow 127.0.0.0/8 ::1 deny");
}

#[test]
fn the_rate_of_a_site_is_one_for_all_of_its_routes() {
    let text = r#"[[site]]
host  = "a"
rate  = "100/m"
route = [
  { path = "/", upstream = 1 },
  { path = "/x", redirect = "https://b" },
  { path = "/login", upstream = 1, rate = { requests = "5/m", burst = 2 } },
]
[[site]]
host     = "a"
listen   = 81
rate     = "100/m"
upstream = 1
"#;
    let config = config(text);
    let rates: Vec<&Rate> = config.routes.iter().map(|route| route.rate.as_ref().unwrap()).collect();
    let numbers = |rate: &Rate| (rate.requests, rate.per.as_secs(), rate.burst);
    assert_eq!(
        rates.iter().map(|rate| numbers(rate)).collect::<Vec<_>>()[..3],
        [(100, 60, 100), (100, 60, 100), (5, 60, 2)]
    );
    assert_eq!(rates[0].key, rates[1].key);
    assert_ne!(rates[0].key, rates[2].key);
    assert_ne!(rates[0].key, rates[3].key, "another site, though its name is the same");
    // Known again, whatever stands around it.
    let later = self::config(&format!("[[site]]\nhost = 'z'\nupstream = 1\n{text}"));
    assert_eq!(later.routes[3].rate.as_ref(), Some(rates[2]));
}

#[test]
fn lists_that_have_no_effect_are_told_so() {
    check(
        r#"[[site]]
host = "a"
upstream = 1
allow = []
[[site]]
host = "b"
upstream = 1
allow = ["192.168.1.0/24", "lan", "203.0.113.9"]
deny = ["192.168.0.0/16", "198.51.100.0/24"]
[[stream]]
listen = "tcp/:1"
upstream = "b:1"
deny = "home"
"#,
        r#"r.toml:4:9: error: allow lists nobody: nobody may come
    allow = []
            ^^
    write: allow = "lan", or remove it
r.toml:8:10: warning: allow lets none of these in: deny wins, and has them all
    allow = ["192.168.1.0/24", "lan", "203.0.113.9"]
             ^^^^^^^^^^^^^^^^
    remove one of the two
r.toml:9:27: warning: deny changes nothing here: allow has none of these
    deny = ["192.168.0.0/16", "198.51.100.0/24"]
                              ^^^^^^^^^^^^^^^^^
    remove it
r.toml:13:8: error: "home" is not an address, a set as 192.168.0.0/16, "lan" or "loopback"
    deny = "home"
           ^^^^^^"#,
    );
}

#[test]
fn a_rate_that_cannot_be_is_told_what_to_write() {
    check(
        r#"[[site]]
host = "a"
upstream = 1
rate = "10r/s"
[[site]]
host = "b"
upstream = 1
rate = { requests = "100/min", burst = 0 }
[[site]]
host = "c"
upstream = 1
rate = { burst = 5 }
[[site]]
host = "d"
tls = "passthrough"
upstream = "d:443"
rate = "10/s"
"#,
        r#"r.toml:4:8: error: "10r/s" is not a rate: a whole number and /s, /m or /h
    rate = "10r/s"
           ^^^^^^^
    write: rate = "10/s"
r.toml:8:21: error: "100/min" is not a rate: a whole number and /s, /m or /h
    rate = { requests = "100/min", burst = 0 }
                        ^^^^^^^^^
    write: requests = "100/m"
r.toml:8:40: error: burst is 0; it can be 1 to 10000
    rate = { requests = "100/min", burst = 0 }
                                           ^
r.toml:12:8: error: a rate without requests
    rate = { burst = 5 }
           ^^^^^^^^^^^^^
    write: requests = "10/s"
r.toml:17:1: error: rate beside tls = "passthrough": what is passed through is never decrypted
    rate = "10/s"
    ^^^^
    remove it: such a site has `upstream`, `allow` and `deny` alone; or end TLS here, by cert and key in place of tls"#,
    );
}
