//! Things that do not go together, and things without effect.

use super::check;

#[test]
fn the_same_host_on_a_listener_names_both_places() {
    check(
        r#"[[site]]
host = ["a", "b"]
upstream = 3000
[[site]]
host = "c"
upstream = 3000
listen = ":81"
[[site]]
host = "http://B"
upstream = 3001
[[site]]
host = ["a", "c"]
upstream = 3001
listen = ":82"
"#,
        r#"r.toml:9:8: error: host "b" has a site already, at r.toml:2:14
    host = "http://B"
           ^^^^^^^^^^
    make them one site with several routes, or give them a `listen` each"#,
    );
}

#[test]
fn the_same_path_in_a_site_names_both_places() {
    check(
        r#"[[site]]
host = "a"
route = [
  { path = "/x", upstream = 3000 },
  { path = "/x/", upstream = 3001 },
  { path = "bad", upstream = 3001 },
  { path = "bad", upstream = 3001 },
]
"#,
        r#"r.toml:5:12: error: path "/x" has a route already, at r.toml:4:12
      { path = "/x/", upstream = 3001 },
               ^^^^^
    "/x" and "/x/" are the same path; several servers go into one upstream
r.toml:6:12: error: "bad" does not begin with a slash
      { path = "bad", upstream = 3001 },
               ^^^^^
    write: path = "/bad"
r.toml:7:12: error: "bad" does not begin with a slash
      { path = "bad", upstream = 3001 },
               ^^^^^
    write: path = "/bad""#,
    );
}

#[test]
fn a_request_goes_one_way() {
    check(
        r#"[[site]]
host = "a"
upstream = 3000
redirect = "https://b"
[[site]]
host = "b"
[[site]]
host = "c"
max_body = "1MB"
route = []
"#,
        r#"r.toml:4:1: error: upstream and redirect: a request can go one way only
    redirect = "https://b"
    ^^^^^^^^
    remove one of them
r.toml:5:1: error: [[site]] needs upstream or redirect
    [[site]]
    ^^^^^^^^
    write: upstream = 3000, or redirect = "https://www.example.com"
r.toml:9:1: error: max_body beside route: which route is it for?
    max_body = "1MB"
    ^^^^^^^^
    write max_body in the routes; one with path = "/" takes what the others leave
r.toml:10:9: error: route lists no route
    route = []
            ^^
    write: route = [{ path = "/", upstream = 3000 }]"#,
    );
}

#[test]
fn a_server_is_listed_once() {
    check(
        r#"[[site]]
host = "a"
upstream = [3000, "http://127.0.0.1:3000/", "app"]
"#,
        r#"r.toml:3:19: error: the server 127.0.0.1:3000 is listed twice
    upstream = [3000, "http://127.0.0.1:3000/", "app"]
                      ^^^^^^^^^^^^^^^^^^^^^^^^
    write it once, with `weight = 2` for a double share"#,
    );
}

#[test]
fn overlapping_listeners_behave_as_the_kernel_does() {
    check(
        r#"[listen]
http = [":81", "127.0.0.1:82"]
[[site]]
host = "a"
upstream = 3000
[[site]]
host = "b"
upstream = 3000
listen = ["[::]:81", "127.0.0.1:81", "0.0.0.0:82", "[::1]:82"]
"#,
        r#"r.toml:2:16: warning: 127.0.0.1:82 takes its connections away from "0.0.0.0:82" (r.toml:9:38)
    http = [":81", "127.0.0.1:82"]
                   ^^^^^^^^^^^^^^
    fine if that is meant; else remove one of them
r.toml:9:11: error: [::]:81 and ":81" (r.toml:2:9) are the same address
    listen = ["[::]:81", "127.0.0.1:81", "0.0.0.0:82", "[::1]:82"]
              ^^^^^^^^^
    keep ":81": it takes IPv4 and IPv6
r.toml:9:22: warning: 127.0.0.1:81 takes its connections away from ":81" (r.toml:2:9)
    listen = ["[::]:81", "127.0.0.1:81", "0.0.0.0:82", "[::1]:82"]
                         ^^^^^^^^^^^^^^
    fine if that is meant; else remove one of them"#,
    );
}

#[test]
fn what_has_no_effect_is_a_warning() {
    check(
        r#"trusted_proxies = "0.0.0.0/0"
[listen]
http = ":80"
[[site]]
host = "a"
listen = ":81"
upstream = { servers = { url = 3000, backup = true }, hold = "0s" }
strip_prefix = true
[[site]]
host = "b"
listen = ":81"
upstream = { servers = 3000, hold = "1s", queue = 0 }
[[site]]
host = "c"
listen = ":81"
redirect = "https://b"
max_body = "1MB"
"#,
        r#"r.toml:1:19: warning: whoever connects can pass for any client
    trusted_proxies = "0.0.0.0/0"
                      ^^^^^^^^^^^
    name the addresses of the proxies in front; "lan" are all private ones
r.toml:3:8: warning: no site answers here: each has a listen of its own
    http = ":80"
           ^^^^^
    remove the address
r.toml:7:24: warning: every server is a backup, so none of them is
    upstream = { servers = { url = 3000, backup = true }, hold = "0s" }
                           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    remove `backup` from those that are to be used first
r.toml:7:62: warning: hold = "0s" holds nothing, as without it
    upstream = { servers = { url = 3000, backup = true }, hold = "0s" }
                                                                 ^^^^
    remove it
r.toml:8:16: warning: strip_prefix changes nothing: the path is "/"
    strip_prefix = true
                   ^^^^
    give the route a path, or remove it
r.toml:12:51: warning: hold holds nothing while queue is 0
    upstream = { servers = 3000, hold = "1s", queue = 0 }
                                                      ^
    remove one of them
r.toml:17:1: warning: max_body changes nothing in a redirect
    max_body = "1MB"
    ^^^^^^^^
    remove it"#,
    );
}

#[test]
fn ejection_times_fit_each_other() {
    check(
        r#"[[site]]
host = "a"
upstream = { servers = 3000, eject_for = "1m", eject_max = "30s" }
[[site]]
host = "b"
upstream = { servers = 3000, eject_max = "5s" }
[[site]]
host = "c"
upstream = { servers = 3000, eject_for = "1h" }
"#,
        r#"r.toml:3:60: error: eject_max is shorter than eject_for
    upstream = { servers = 3000, eject_for = "1m", eject_max = "30s" }
                                                               ^^^^^
    eject_for is the first ejection time, eject_max the longest"#,
    );
}
