//! Streams: what they lack, and servers that do not fit them.

use super::check;

#[test]
fn a_server_has_a_port_and_the_protocol_that_is_listened_on() {
    check(
        r#"[[stream]]
listen = "tcp/:1"
upstream = ["udp://a:1", "a", "tcp://b", "http://c:80"]
[[stream]]
listen = "udp/:1"
upstream = ["tcp://a:1", "unix:/run/a", "https://b"]
[[stream]]
listen = ["tcp/:2", "udp/:2"]
upstream = ["tcp://a:1", "udp://b:1", "https://c"]
"#,
        r#"r.toml:3:13: error: "udp://a:1": this stream listens on TCP alone
    upstream = ["udp://a:1", "a", "tcp://b", "http://c:80"]
                ^^^^^^^^^^^
    write: "tcp://a:1"
r.toml:3:26: error: "a" has no port
    upstream = ["udp://a:1", "a", "tcp://b", "http://c:80"]
                             ^^^
    write: "a:22"
r.toml:3:31: error: "tcp://b" has no port
    upstream = ["udp://a:1", "a", "tcp://b", "http://c:80"]
                                  ^^^^^^^^^
    write: "tcp://b:22"
r.toml:3:42: error: "http://c:80": a stream passes on what comes and speaks no protocol of its own
    upstream = ["udp://a:1", "a", "tcp://b", "http://c:80"]
                                             ^^^^^^^^^^^^^
    write: "tcp://c:80"; requests are forwarded to http:// by a [[site]]
r.toml:6:13: error: "tcp://a:1": this stream listens on UDP alone
    upstream = ["tcp://a:1", "unix:/run/a", "https://b"]
                ^^^^^^^^^^^
    write: "udp://a:1"
r.toml:6:26: error: "unix:/run/a": datagrams go to an address and a port
    upstream = ["tcp://a:1", "unix:/run/a", "https://b"]
                             ^^^^^^^^^^^^^
    write: "127.0.0.1:53"
r.toml:6:41: error: "https://b": a stream passes on what comes and speaks no protocol of its own
    upstream = ["tcp://a:1", "unix:/run/a", "https://b"]
                                            ^^^^^^^^^^^
    write: "udp://b:443"; requests are forwarded to https:// by a [[site]]
r.toml:9:13: error: "tcp://a:1": this stream listens on TCP and on UDP
    upstream = ["tcp://a:1", "udp://b:1", "https://c"]
                ^^^^^^^^^^^
    write the address without it for both, or make two streams of it
r.toml:9:26: error: "udp://b:1": this stream listens on TCP and on UDP
    upstream = ["tcp://a:1", "udp://b:1", "https://c"]
                             ^^^^^^^^^^^
    write the address without it for both, or make two streams of it
r.toml:9:39: error: "https://c": a stream passes on what comes and speaks no protocol of its own
    upstream = ["tcp://a:1", "udp://b:1", "https://c"]
                                          ^^^^^^^^^^^
    write: "c:443"; requests are forwarded to https:// by a [[site]]"#,
    );
}

#[test]
fn a_stream_listens_and_leads_somewhere() {
    check(
        r#"[[stream]]
listen = "tcp/:1"
[[stream]]
listn = "tcp/:2"
upstream = "https://a"
[[stream]]
listen = []
upstream = "a:1"
max_connections = 0
"#,
        r#"r.toml:1:1: error: a stream without upstream
    [[stream]]
    ^^^^^^^^^^
    write: upstream = "192.168.1.53:22"
r.toml:4:1: error: unknown key "listn" in [[stream]]
    listn = "tcp/:2"
    ^^^^^
    did you mean "listen"?
r.toml:7:10: error: listen lists no address
    listen = []
             ^^
    write: listen = "tcp/:2222"
r.toml:9:19: error: max_connections is 0; it can be 1 to 1048576
    max_connections = 0
                      ^"#,
    );
}

#[test]
fn a_stream_reads_nothing_of_what_it_passes_on() {
    check(
        r#"[[stream]]
listen = "tcp/:3"
upstream = { servers = ["a:1"], balance = { header = "x" }, verify = false }
host = "a"
"#,
        r#"r.toml:3:43: error: balance by header or cookie, and what is passed on is not read
    upstream = { servers = ["a:1"], balance = { header = "x" }, verify = false }
                                              ^^^^^^^^^^^^^^^^
    write: balance = "ip_hash"
r.toml:3:70: error: verify is for TLS to a server, and none is spoken here
    upstream = { servers = ["a:1"], balance = { header = "x" }, verify = false }
                                                                         ^^^^^
    remove it: what is passed on has its own TLS, or none
r.toml:4:1: error: unknown key "host" in [[stream]]
    host = "a"
    ^^^^
    it belongs to [[site]]"#,
    );
}

#[test]
fn what_has_no_effect_in_a_stream_is_a_warning() {
    check(
        r#"[[stream]]
listen = "tcp/:1"
upstream = { servers = ["127.0.0.1:1"], hold = "1s" }
udp_idle = "1m"
[[stream]]
listen = "udp/:1"
upstream = { servers = ["127.0.0.1:1"], hold = "1s", queue = 5 }
idle = "1m"
"#,
        r#"r.toml:4:1: warning: udp_idle changes nothing in a stream of TCP alone: its connections have idle
    udp_idle = "1m"
    ^^^^^^^^
    remove it
r.toml:7:41: warning: hold changes nothing for UDP: datagrams do not wait
    upstream = { servers = ["127.0.0.1:1"], hold = "1s", queue = 5 }
                                            ^^^^
    remove it
r.toml:7:54: warning: queue changes nothing for UDP: datagrams do not wait
    upstream = { servers = ["127.0.0.1:1"], hold = "1s", queue = 5 }
                                                         ^^^^^
    remove it
r.toml:8:1: warning: idle changes nothing in a stream of UDP alone: its flows have udp_idle
    idle = "1m"
    ^^^^
    remove it"#,
    );
}

#[test]
fn streams_need_two_brackets() {
    check(
        r#"[stream]
listen = "tcp/:1"
upstream = "127.0.0.1:1"
"#,
        r#"r.toml:1:1: error: a stream has one pair of brackets
    [stream]
    ^^^^^^^^
    write: [[stream]]"#,
    );
}

#[test]
fn our_own_folder_begins_with_a_slash() {
    check(
        r#"state = "ringferry"
[[stream]]
listen = "tcp/:1"
upstream = "127.0.0.1:1"
idle = "0s"
"#,
        r#"r.toml:1:9: error: "ringferry" does not begin with a slash: it would be another folder after each start
    state = "ringferry"
            ^^^^^^^^^^^
    write: state = "/var/lib/ringferry"
r.toml:5:8: error: idle cannot be zero: everything would end at once
    idle = "0s"
           ^^^^
    write the longest wait that is fine, as idle = "1h""#,
    );
}
