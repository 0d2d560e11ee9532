//! Servers that are reached by TLS, and those that do not fit what they are for.

use super::check;

#[test]
fn a_server_that_cannot_be_reached_so_is_told_how() {
    check(
        r#"[[site]]
host = "a"
upstream = ["tcp://a:22", "https+unix:/run/a", "https://0.0.0.0:8443", "wss://b"]
"#,
        r#"r.toml:3:13: error: "tcp://a:22": the servers of a site are spoken to by HTTP
    upstream = ["tcp://a:22", "https+unix:/run/a", "https://0.0.0.0:8443", "wss://b"]
                ^^^^^^^^^^^^
    write http:// or https://; what is not HTTP is passed on by tls = "passthrough" or by a [[stream]]
r.toml:3:27: error: "https+unix:/run/a": TLS is not spoken to unix sockets: what they carry does not leave the machine
    upstream = ["tcp://a:22", "https+unix:/run/a", "https://0.0.0.0:8443", "wss://b"]
                              ^^^^^^^^^^^^^^^^^^^
    write: "unix:/run/a"
r.toml:3:48: error: "https://0.0.0.0:8443": a server listens there, it is reached by another address
    upstream = ["tcp://a:22", "https+unix:/run/a", "https://0.0.0.0:8443", "wss://b"]
                                                   ^^^^^^^^^^^^^^^^^^^^^^
    write: "https://127.0.0.1:8443"
r.toml:3:72: error: "wss" is not a protocol that servers are reached by
    upstream = ["tcp://a:22", "https+unix:/run/a", "https://0.0.0.0:8443", "wss://b"]
                                                                           ^^^^^^^^^
    write: "https://b""#,
    );
}

#[test]
fn who_checks_nothing_is_warned() {
    check(
        r#"[[site]]
host = "a"
upstream = { servers = ["https://a"], verify = false }
[[site]]
host = "b"
upstream = [{ url = "https://b", verify = false, ca = "ca.pem" }]
"#,
        r#"r.toml:3:48: warning: verify = false: anybody between here and the server can read and change what is sent
    upstream = { servers = ["https://a"], verify = false }
                                                   ^^^^^
    name who issued its certificate instead, as ca = "/etc/ssl/lan-ca.pem"
r.toml:6:43: warning: verify = false: anybody between here and the server can read and change what is sent
    upstream = [{ url = "https://b", verify = false, ca = "ca.pem" }]
                                              ^^^^^
    name who issued its certificate instead, as ca = "/etc/ssl/lan-ca.pem"
r.toml:6:55: error: verify = false beside ca: nothing would be checked by it
    upstream = [{ url = "https://b", verify = false, ca = "ca.pem" }]
                                                          ^^^^^^^^
    remove one of them; with ca alone the certificates of that authority are believed, and no others"#,
    );
}

#[test]
fn keys_for_tls_need_a_server_with_it() {
    check(
        r#"[[site]]
host = "a"
upstream = { servers = ["http://a", { url = "b", sni = "b.lan" }], verify = false }
[[site]]
host = "b"
upstream = { servers = [{ url = "http://c", ca = "ca.pem" }, { url = "https://d", sni = "*.lan" }], sni = "e.lan" }
[[site]]
host = "c"
upstream = { servers = ["http://e", "nonsense://f"], ca = "ca.pem" }
"#,
        r#"r.toml:3:56: error: sni is for TLS to a server, and none is spoken here
    upstream = { servers = ["http://a", { url = "b", sni = "b.lan" }], verify = false }
                                                           ^^^^^^^
    write https:// in front of the server, or remove it
r.toml:3:77: error: verify is for TLS to a server, and none is spoken here
    upstream = { servers = ["http://a", { url = "b", sni = "b.lan" }], verify = false }
                                                                                ^^^^^
    write https:// in front of the server, or remove it
r.toml:6:50: error: ca is for TLS to a server, and none is spoken here
    upstream = { servers = [{ url = "http://c", ca = "ca.pem" }, { url = "https://d", sni = "*.lan" }], sni = "e.lan" }
                                                     ^^^^^^^^
    write https:// in front of the server, or remove it
r.toml:6:89: error: "*.lan" is not a host name: '*' cannot be in it
    upstream = { servers = [{ url = "http://c", ca = "ca.pem" }, { url = "https://d", sni = "*.lan" }], sni = "e.lan" }
                                                                                            ^^^^^^^
r.toml:9:37: error: "nonsense" is not a protocol that servers are reached by
    upstream = { servers = ["http://e", "nonsense://f"], ca = "ca.pem" }
                                        ^^^^^^^^^^^^^^
    write: "http://f""#,
    );
}

#[test]
fn words_for_tls_to_servers_are_translated() {
    check(
        r#"[[site]]
host = "a"
upstream = { servers = ["https://a"], tls = true, insecure_skip_verify = true }
"#,
        r#"r.toml:3:39: error: unknown key "tls" in upstream
    upstream = { servers = ["https://a"], tls = true, insecure_skip_verify = true }
                                          ^^^
    write https:// in front of the server
r.toml:3:51: error: unknown key "insecure_skip_verify" in upstream
    upstream = { servers = ["https://a"], tls = true, insecure_skip_verify = true }
                                                      ^^^^^^^^^^^^^^^^^^^^
    write: verify = false"#,
    );
}

#[test]
fn proxy_headers_are_not_sent_where_connections_are_shared() {
    check(
        r#"[[site]]
host = "a"
upstream = { servers = [3000], send_proxy_protocol = "v2" }
[[site]]
host = "b"
tls = "passthrough"
upstream = { servers = [3000], send_proxy_protocol = 2 }
[[stream]]
listen = "udp/:53"
upstream = { servers = [53], send_proxy_protocol = "v2" }
"#,
        r#"r.toml:3:54: error: send_proxy_protocol where requests are forwarded: one connection serves many clients
    upstream = { servers = [3000], send_proxy_protocol = "v2" }
                                                         ^^^^
    remove it: X-Forwarded-For, Forwarded and X-Real-IP tell who the client is
r.toml:7:54: error: send_proxy_protocol cannot be a number
    upstream = { servers = [3000], send_proxy_protocol = 2 }
                                                         ^
    one of: v1, v2
r.toml:10:52: error: send_proxy_protocol for UDP: datagrams have no beginning that a header could stand at
    upstream = { servers = [53], send_proxy_protocol = "v2" }
                                                       ^^^^
    remove it; TCP can have a stream of its own with it"#,
    );
}
