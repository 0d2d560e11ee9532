//! Unknown keys and wrong values.

use super::check;

#[test]
fn a_good_text_has_no_problems() {
    check(
        r#"[[site]]
host = "a"
upstream = 3000
"#,
        "",
    );
}

#[test]
fn an_empty_text_is_told_how_to_begin() {
    check(
        "",
        r#"r.toml:1:1: error: no site is configured
    write: [[site]]
           host = "www.example.com"
           upstream = 3000"#,
    );
}

#[test]
fn a_misspelt_key_is_told_what_was_meant_and_is_not_missing_too() {
    check(
        r#"[[site]]
hsot = "a"
upstrem = 3000
"#,
        r#"r.toml:2:1: error: unknown key "hsot" in [[site]]
    hsot = "a"
    ^^^^
    did you mean "host"?
r.toml:3:1: error: unknown key "upstrem" in [[site]]
    upstrem = 3000
    ^^^^^^^
    did you mean "upstream"?"#,
    );
}

#[test]
fn words_of_other_proxies_are_translated() {
    check(
        r#"[[site]]
server_name = "a"
proxy_pass = "http://b"
[[sites]]
host = "b"
"#,
        r#"r.toml:2:1: error: unknown key "server_name" in [[site]]
    server_name = "a"
    ^^^^^^^^^^^
    write: host = "www.example.com"
r.toml:3:1: error: unknown key "proxy_pass" in [[site]]
    proxy_pass = "http://b"
    ^^^^^^^^^^
    write: upstream = "http://127.0.0.1:3000"
r.toml:4:3: error: unknown key "sites" in the top table
    [[sites]]
      ^^^^^
    sites are written: [[site]]"#,
    );
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    check(
        r#"[[site]]
host = "a"
upstream = 3000
via = true
max_connections = 5
something_else = 1
"#,
        r#"r.toml:4:1: error: unknown key "via" in [[site]]
    via = true
    ^^^
    it belongs to the top table, before the first [table]
r.toml:5:1: error: unknown key "max_connections" in [[site]]
    max_connections = 5
    ^^^^^^^^^^^^^^^
    it belongs to upstream
r.toml:6:1: error: unknown key "something_else" in [[site]]
    something_else = 1
    ^^^^^^^^^^^^^^
    known here: host, listen, tls, cert, key, client_ca, hsts, route, upstream, redirect, strip_prefix, max_body, request_id, allow, deny, rate"#,
    );
}

#[test]
fn what_a_later_version_has_is_named_as_such() {
    check(
        r#"[[site]]
host = "a"
route = [{ upstream = { servers = [3000], health_check = "/up" }, cache = true }]
"#,
        r#"r.toml:3:43: error: "health_check" is not in this version of Ringferry yet
    route = [{ upstream = { servers = [3000], health_check = "/up" }, cache = true }]
                                              ^^^^^^^^^^^^
    remove it: servers that fail requests are taken out by `eject_after`
r.toml:3:67: error: "cache" is not in this version of Ringferry yet
    route = [{ upstream = { servers = [3000], health_check = "/up" }, cache = true }]
                                                                      ^^^^^
    remove it: every response is passed on as it arrives"#,
    );
}

#[test]
fn listen_at_the_top_is_told_about_its_table() {
    check(
        r#"listen = [":80"]
[[site]]
host = "a"
upstream = 3000
"#,
        r#"r.toml:1:10: error: listen is a list, not a table
    listen = [":80"]
             ^^^^^^^
    write: [listen]
           http = ":80""#,
    );
}

#[test]
fn wrong_types_are_told_what_to_write() {
    check(
        r#"via = "yes"
cores = [0, 1]
limits = 3
trusted_proxies = ["lan", true]
[log]
format = 5
[[site]]
host = "a"
upstream = { servers = 3000, queue = "5", balance = "leastconn" }
"#,
        r#"r.toml:1:7: error: via is text, not true or false
    via = "yes"
          ^^^^^
    write: via = true
r.toml:2:9: error: cores cannot be a list
    cores = [0, 1]
            ^^^^^^
    write: cores = "0-2"
r.toml:3:10: error: [limits] is a number, not a table
    limits = 3
             ^
    known in it: head_bytes, header_count, connections, connections_per_client, requests, requests_per_client, idle_per_server
r.toml:4:27: error: trusted_proxies cannot be true or false
    trusted_proxies = ["lan", true]
                              ^^^^
    write: "192.168.0.0/16"
r.toml:6:10: error: format cannot be a number
    format = 5
             ^
    one of: combined, json, off
r.toml:9:38: error: queue is text, not a whole number
    upstream = { servers = 3000, queue = "5", balance = "leastconn" }
                                         ^^^
    write: queue = 5
r.toml:9:53: error: unknown balance "leastconn"
    upstream = { servers = 3000, queue = "5", balance = "leastconn" }
                                                        ^^^^^^^^^^^
    did you mean "least_conn"?"#,
    );
}

#[test]
fn numbers_have_ranges() {
    check(
        r#"[resources]
memory = "64KiB"
[limits]
head_bytes = "16MiB"
header_count = 300
connections = 99999999999999999999
[timeouts]
head = "0s"
[[site]]
host = "a"
redirect = { to = "https://b", status = 303 }
"#,
        r#"r.toml:2:10: error: memory can be 1MiB to 1024GiB
    memory = "64KiB"
             ^^^^^^^
    write: memory = "64MiB"
r.toml:4:14: error: head_bytes can be 1KiB to 1MiB
    head_bytes = "16MiB"
                 ^^^^^^^
    write: head_bytes = "64KiB"
r.toml:5:16: error: header_count is 300; it can be 1 to 256
    header_count = 300
                   ^^^
r.toml:6:15: error: connections is 99999999999999999999; it can be 1 to 1048576
    connections = 99999999999999999999
                  ^^^^^^^^^^^^^^^^^^^^
r.toml:8:8: error: head cannot be zero: everything would end at once
    head = "0s"
           ^^^^
    write the longest wait that is fine, as head = "1h"
r.toml:11:41: error: status 303 is not one of 301, 302, 307, 308
    redirect = { to = "https://b", status = 303 }
                                            ^^^
    write 308 (moved for good) or 307 (for now); 301 and 302 turn a POST into a GET"#,
    );
}
