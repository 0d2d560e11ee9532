//! Addresses to listen on: what is spoken there, PROXY headers, and who has an address already.

use super::check;

#[test]
fn what_is_spoken_fits_the_place() {
    check(
        r#"[listen]
http = ["https://:80", "tcp/:81"]
https = "http://:443"
[[site]]
host = "a"
listen = ["https://:8444", "udp/:53"]
upstream = 3000
[[site]]
host = "b"
tls = "internal"
listen = "http://:8445"
upstream = 3000
[[stream]]
listen = ["http://:22", ":23", "tcp/:25"]
upstream = "c:1"
[[stream]]
listen = 24
upstream = "c:1"
"#,
        r#"r.toml:2:9: error: "https://:80" under http
    http = ["https://:80", "tcp/:81"]
            ^^^^^^^^^^^^^
    write: https = ":80"
r.toml:2:24: error: "tcp/:81" is for a stream: sites speak HTTP
    http = ["https://:80", "tcp/:81"]
                           ^^^^^^^^^
    write: [[stream]]
           listen = "tcp/:81"
r.toml:3:9: error: "http://:443" under https
    https = "http://:443"
            ^^^^^^^^^^^^^
    write: http = ":443"
r.toml:6:11: error: "https://:8444" in a site without TLS
    listen = ["https://:8444", "udp/:53"]
              ^^^^^^^^^^^^^^^
    write cert and key into the site, or tls = "internal", or tls = "passthrough"
r.toml:6:28: error: "udp/:53" is for a stream: sites speak HTTP
    listen = ["https://:8444", "udp/:53"]
                               ^^^^^^^^^
    write: [[stream]]
           listen = "udp/:53"
r.toml:11:10: error: a site with TLS, and no address for TLS in listen
    listen = "http://:8445"
             ^^^^^^^^^^^^^^
    write: listen = "https://:8443", or tls = "off" for a site without
r.toml:14:11: error: "http://:22" is for a site: a stream passes on TCP or UDP
    listen = ["http://:22", ":23", "tcp/:25"]
              ^^^^^^^^^^^^
    write: "tcp/:22"
r.toml:14:25: error: ":23" does not say whether TCP or UDP is passed on
    listen = ["http://:22", ":23", "tcp/:25"]
                            ^^^^^
    write: "tcp/:23"
r.toml:17:10: error: "24" does not say whether TCP or UDP is passed on
    listen = 24
             ^^
    write: listen = "tcp/:24""#,
    );
}

#[test]
fn proxy_headers_are_required_from_somebody_or_not_looked_for() {
    check(
        r#"[listen]
http = { address = ":80", proxy_protocol = "required" }
https = [
  { address = ":443", from = "lan" },
  { address = ":444", proxy_protocol = true, from = [] },
  { address = ":445", proxy_protocol = "optional", from = "lan" },
  { proxy_protocol = "required", form = "10.0.0.1" },
]
[[site]]
host = "a"
tls = "internal"
upstream = 3000
[[stream]]
listen = { address = "tcp/:1", proxy_protocol = "required", from = "0.0.0.0/0" }
upstream = "b:1"
[[stream]]
listen = { address = "udp/:1", proxy_protocol = "required", from = "lan" }
upstream = "b:1"
"#,
        r#"r.toml:2:8: error: proxy_protocol without from: whose headers are believed?
    http = { address = ":80", proxy_protocol = "required" }
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    write the addresses of the proxies in front, as from = ["10.0.0.1"]; "lan" are all private ones
r.toml:4:30: error: from is for PROXY headers, and none are taken here
      { address = ":443", from = "lan" },
                                 ^^^^^
    write proxy_protocol = "required" beside it, or remove it
r.toml:5:40: error: proxy_protocol cannot be true or false
      { address = ":444", proxy_protocol = true, from = [] },
                                           ^^^^
    write: proxy_protocol = "required"
r.toml:5:53: error: from lists nobody: nobody may connect
      { address = ":444", proxy_protocol = true, from = [] },
                                                        ^^
    write: from = ["10.0.0.1"]
r.toml:6:40: error: "optional": a PROXY header is required, or none is looked for; it is never guessed
      { address = ":445", proxy_protocol = "optional", from = "lan" },
                                           ^^^^^^^^^^
    write: proxy_protocol = "required"
r.toml:7:3: error: an address to listen on is not there
      { proxy_protocol = "required", form = "10.0.0.1" },
      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    write: address = ":443"
r.toml:7:34: error: unknown key "form" in an address
      { proxy_protocol = "required", form = "10.0.0.1" },
                                     ^^^^
    did you mean "from"?
r.toml:14:68: warning: whoever connects can pass for any client
    listen = { address = "tcp/:1", proxy_protocol = "required", from = "0.0.0.0/0" }
                                                                       ^^^^^^^^^^^
    name the addresses of the proxies in front; "lan" are all private ones
r.toml:17:22: error: proxy_protocol on "udp/:1": datagrams have no beginning that a header could stand at
    listen = { address = "udp/:1", proxy_protocol = "required", from = "lan" }
                         ^^^^^^^^
    remove proxy_protocol and from"#,
    );
}

#[test]
fn an_address_speaks_one_protocol_and_has_one_stream() {
    check(
        r#"[listen]
http = [":80", { address = ":80", proxy_protocol = "required", from = "lan" }]
https = ":443"
[[site]]
host = "a"
listen = ["http://:443", "https://:80", "https://:8443", "https://:8443"]
tls = "internal"
upstream = 3000
[[site]]
host = "b"
listen = { address = ":8443", proxy_protocol = "required", from = "lan" }
tls = "internal"
upstream = 3000
[[site]]
host = "c"
tls = "internal"
upstream = 3000
[[stream]]
listen = ["tcp/:443", "udp/:443", "tcp/:22", "tcp/:22"]
upstream = "c:1"
[[stream]]
listen = ["tcp/:22", "udp/:22", "tcp/:0", "tcp/:0"]
upstream = "c:1"
"#,
        r#"r.toml:2:16: error: ":80" has another proxy_protocol already, or another from (r.toml:2:9)
    http = [":80", { address = ":80", proxy_protocol = "required", from = "lan" }]
                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    write the same in both places: one address has one rule
r.toml:6:11: error: ":443" is for https already (r.toml:3:9)
    listen = ["http://:443", "https://:80", "https://:8443", "https://:8443"]
              ^^^^^^^^^^^^^
    one address speaks one protocol: give one of them another port
r.toml:6:26: error: ":80" is for http already (r.toml:2:9)
    listen = ["http://:443", "https://:80", "https://:8443", "https://:8443"]
                             ^^^^^^^^^^^^^
    one address speaks one protocol: give one of them another port
r.toml:6:58: error: this address is listed twice
    listen = ["http://:443", "https://:80", "https://:8443", "https://:8443"]
                                                             ^^^^^^^^^^^^^^^
    remove one of them
r.toml:11:10: error: ":8443" has another proxy_protocol already, or another from (r.toml:6:41)
    listen = { address = ":8443", proxy_protocol = "required", from = "lan" }
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    write the same in both places: one address has one rule
r.toml:19:11: error: ":443" is for https already (r.toml:3:9)
    listen = ["tcp/:443", "udp/:443", "tcp/:22", "tcp/:22"]
              ^^^^^^^^^^
    one address speaks one protocol: give one of them another port
r.toml:19:46: error: this address is listed twice
    listen = ["tcp/:443", "udp/:443", "tcp/:22", "tcp/:22"]
                                                 ^^^^^^^^^
    remove one of them
r.toml:22:11: error: ":22" has a stream already (r.toml:19:35)
    listen = ["tcp/:22", "udp/:22", "tcp/:0", "tcp/:0"]
              ^^^^^^^^^
    make them one stream with several servers, or give them an address each"#,
    );
}

#[test]
fn a_default_address_that_somebody_else_has_is_told_of_where_it_was_written() {
    check(
        r#"[listen]
http = ":443"
[[site]]
host = "a"
tls = "internal"
upstream = 3000
"#,
        r#"r.toml:2:8: error: ":443" is for https already (the default)
    http = ":443"
           ^^^^^^
    one address speaks one protocol: give one of them another port"#,
    );
}

#[test]
fn addresses_cover_each_other_within_a_transport() {
    check(
        r#"[listen]
https = ":443"
[[site]]
host = "a"
tls = "internal"
upstream = 3000
[[stream]]
listen = ["udp/127.0.0.1:443", "udp/:444", "tcp/0.0.0.0:443"]
upstream = "c:1"
[[stream]]
listen = ["udp/[::]:444", "tcp/127.0.0.1:444"]
upstream = "c:1"
"#,
        r#"r.toml:8:44: warning: 0.0.0.0:443 takes its connections away from ":443" (r.toml:2:9)
    listen = ["udp/127.0.0.1:443", "udp/:444", "tcp/0.0.0.0:443"]
                                               ^^^^^^^^^^^^^^^^^
    fine if that is meant; else remove one of them
r.toml:11:11: error: [::]:444 and ":444" (r.toml:8:32) are the same address
    listen = ["udp/[::]:444", "tcp/127.0.0.1:444"]
              ^^^^^^^^^^^^^^
    keep ":444": it takes IPv4 and IPv6"#,
    );
}

#[test]
fn an_address_where_no_site_answers_is_a_warning() {
    check(
        r#"[listen]
http = ":80"
https = [":443", ":444"]
[[site]]
host = "a"
tls = "internal"
listen = "https://:444"
upstream = 3000
"#,
        r#"r.toml:2:8: warning: no site answers here: each has a listen of its own
    http = ":80"
           ^^^^^
    remove the address
r.toml:3:10: warning: no site answers here: each with TLS has a listen of its own
    https = [":443", ":444"]
             ^^^^^^
    remove the address"#,
    );
}

#[test]
fn an_address_for_tls_without_a_site_that_has_it_is_a_warning() {
    check(
        r#"[listen]
https = ":443"
[[site]]
host = "a"
upstream = 3000
"#,
        r#"r.toml:2:9: warning: no site answers here: none has TLS
    https = ":443"
            ^^^^^^
    remove the address"#,
    );
}

#[test]
fn an_address_for_sites_without_any_is_a_warning() {
    check(
        r#"[listen]
http = ":80"
[[stream]]
listen = "tcp/:1"
upstream = "127.0.0.1:2"
"#,
        r#"r.toml:2:8: warning: no site answers here: there are streams alone
    http = ":80"
           ^^^^^
    remove the address"#,
    );
}
