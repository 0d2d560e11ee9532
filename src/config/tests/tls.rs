//! What a site says of TLS, and what does not go together there.

use super::check;

#[test]
fn the_word_of_tls_goes_with_no_certificate() {
    check(
        r#"[[site]]
host = "a"
tls = "passthru"
listen = "https://:443"
upstream = "tcp://a"
[[site]]
host = "b"
tls = true
upstream = 3000
[[site]]
host = "c"
tls = "internal"
cert = "c.pem"
client_ca = "ca.pem"
upstream = 3000
[[site]]
host = "d"
tls = "off"
cert = "d.pem"
key = "d.key"
upstream = 3000
"#,
        r#"r.toml:3:7: error: unknown tls "passthru"
    tls = "passthru"
          ^^^^^^^^^^
    one of: internal, passthrough, off; or cert and key in place of tls
r.toml:8:7: error: tls cannot be true or false
    tls = true
          ^^^^
    one of: internal, passthrough, off; or cert and key in place of tls
r.toml:13:1: error: cert beside tls = "internal", which issues a certificate by itself
    cert = "c.pem"
    ^^^^
    remove the one that is not meant
r.toml:19:1: error: cert beside tls = "off"
    cert = "d.pem"
    ^^^^
    remove the one that is not meant
r.toml:20:1: error: key beside tls = "off"
    key = "d.key"
    ^^^
    remove the one that is not meant"#,
    );
}

#[test]
fn what_needs_tls_is_told_so() {
    check(
        r#"[[site]]
host = "a"
client_ca = "ca.pem"
upstream = 3000
[[site]]
host = "b"
hsts = true
upstream = 3000
[[site]]
host = "c"
hsts = false
upstream = 3000
[[site]]
host = ["https://d", "e"]
upstream = 3000
[[site]]
host = ["http://f", "g"]
tls = "internal"
upstream = 3000
"#,
        r#"r.toml:3:1: error: client_ca in a site without TLS: clients show certificates in TLS alone
    client_ca = "ca.pem"
    ^^^^^^^^^
    write cert and key beside it, or tls = "internal"
r.toml:7:8: error: hsts in a site without TLS: browsers take it from https:// alone
    hsts = true
           ^^^^
    write cert and key beside it, or tls = "internal", or remove it
r.toml:14:9: error: "https://d": https:// in front of a host turns nothing on
    host = ["https://d", "e"]
            ^^^^^^^^^^^
    write "d"; TLS comes with cert and key beside it, or with tls = "internal"
r.toml:17:9: error: http:// in front of a host, in a site with TLS
    host = ["http://f", "g"]
            ^^^^^^^^^^
    write "f": http:// is redirected; or give it a site of its own, without TLS"#,
    );
}

#[test]
fn certificates_and_keys_are_pairs() {
    check(
        r#"[[site]]
host = "a"
cert = ["ecdsa.pem", "rsa.pem"]
key = "a.key"
upstream = 3000
[[site]]
host = "b"
key = "b.key"
listen = "https://:8443"
upstream = 3000
[[site]]
host = "c"
cert = []
key = []
upstream = 3000
[[site]]
host = "d"
cert = ["/etc/ssl/d.pem", "/etc/letsencrypt/live/d/fullchain.pem", "/etc/letsencrypt/live"]
upstream = 3000
[[site]]
host = "e"
cert = """-----BEGIN CERTIFICATE-----
abc"""
key = "~/e.key"
upstream = 3000
[[site]]
host = "f"
crt = "/etc/ssl/f.pem"
key = "/etc/ssl/f.key"
upstream = 3000
"#,
        r#"r.toml:4:7: error: cert has 2 files and key 1 file: they belong together by pairs
    key = "a.key"
          ^^^^^^^
    write a key for each cert, in the same order; one file may be both
r.toml:6:1: error: key without cert
    [[site]]
    ^^^^^^^^
    write: cert = "/etc/ssl/www.example.com.pem", with the certificate first and those above it behind
r.toml:13:8: error: cert lists no file
    cert = []
           ^^
    write: cert = "/etc/ssl/www.example.com.pem", and key
r.toml:18:9: warning: cert without key is a folder to look into, and this looks like a file
    cert = ["/etc/ssl/d.pem", "/etc/letsencrypt/live/d/fullchain.pem", "/etc/letsencrypt/live"]
            ^^^^^^^^^^^^^^^^
    write: key = "/etc/ssl/d.key", or the same path as cert if that has the key in it
r.toml:18:27: warning: cert without key is a folder to look into, and this looks like a file
    cert = ["/etc/ssl/d.pem", "/etc/letsencrypt/live/d/fullchain.pem", "/etc/letsencrypt/live"]
                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    write: key = "/etc/letsencrypt/live/d/privkey.pem", or the same path as cert if that has the key in it
r.toml:22:8: error: this is what is in the file, not its path
    cert = """-----BEGIN CERTIFICATE-----
           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    write: cert = "/etc/ssl/www.example.com.pem"
r.toml:24:7: error: "~/e.key": only a shell knows what ~ is
    key = "~/e.key"
          ^^^^^^^^^
    write: key = "/root/e.key"
r.toml:28:1: error: unknown key "crt" in [[site]]
    crt = "/etc/ssl/f.pem"
    ^^^
    did you mean "cert"?"#,
    );
}

#[test]
fn hsts_is_taken_onto_lists_only_as_they_want_it() {
    check(
        r#"[[site]]
host = "a"
tls = "internal"
hsts = 31536000
upstream = 3000
[[site]]
host = "b"
tls = "internal"
hsts = { preload = true }
upstream = 3000
[[site]]
host = "c"
tls = "internal"
hsts = { max_age = "730d", includeSubDomains = true }
upstream = 3000
"#,
        r#"r.toml:4:8: error: "31536000" has no unit: ms, s, m, h or d
    hsts = 31536000
           ^^^^^^^^
    write: hsts = "31536000s"
r.toml:9:20: error: preload without include_subdomains
    hsts = { preload = true }
                       ^^^^
    write include_subdomains = true, if every host below has TLS; no list takes it without
r.toml:9:20: error: preload with a max_age below a year
    hsts = { preload = true }
                       ^^^^
    write: max_age = "365d"; browsers take nothing shorter on their lists
r.toml:14:20: error: "730d" is longer than a year
    hsts = { max_age = "730d", includeSubDomains = true }
                       ^^^^^^
    write: max_age = "365d"
r.toml:14:28: error: unknown key "includeSubDomains" in hsts
    hsts = { max_age = "730d", includeSubDomains = true }
                               ^^^^^^^^^^^^^^^^^
    did you mean "include_subdomains"?"#,
    );
}

#[test]
fn what_is_passed_through_is_not_read() {
    check(
        r#"[[site]]
host = ["a", "192.0.2.1", "::1"]
tls = "passthrough"
cert = "a.pem"
hsts = true
route = [{ upstream = 3000 }]
[[site]]
host = "b"
tls = "passthrough"
[[site]]
host = "c"
tls = "passthrough"
upstream = { servers = ["https://d", "http://e:81"], balance = { cookie = "x" }, sni = "f" }
max_body = "1MB"
"#,
        r#"r.toml:2:14: warning: "192.0.2.1" is never asked for: TLS names hosts, not addresses
    host = ["a", "192.0.2.1", "::1"]
                 ^^^^^^^^^^^
    write the host name, or host = "*" for whoever names none
r.toml:2:27: warning: "[::1]" is never asked for: TLS names hosts, not addresses
    host = ["a", "192.0.2.1", "::1"]
                              ^^^^^
    write the host name, or host = "*" for whoever names none
r.toml:4:1: error: cert beside tls = "passthrough": what is passed through is never decrypted
    cert = "a.pem"
    ^^^^
    remove it: such a site has `upstream`, `allow` and `deny` alone; or end TLS here, by cert and key in place of tls
r.toml:5:1: error: hsts beside tls = "passthrough": what is passed through is never decrypted
    hsts = true
    ^^^^
    remove it: such a site has `upstream`, `allow` and `deny` alone; or end TLS here, by cert and key in place of tls
r.toml:6:1: error: route beside tls = "passthrough": what is passed through is never decrypted
    route = [{ upstream = 3000 }]
    ^^^^^
    remove it: such a site has `upstream`, `allow` and `deny` alone; or end TLS here, by cert and key in place of tls
r.toml:7:1: error: a site that passes TLS through needs upstream
    [[site]]
    ^^^^^^^^
    write: upstream = "tcp://192.168.1.50:443"
r.toml:13:25: error: "https://d": TLS is passed through as it came, none is added
    upstream = { servers = ["https://d", "http://e:81"], balance = { cookie = "x" }, sni = "f" }
                            ^^^^^^^^^^^
    write: "tcp://d:443"
r.toml:13:38: error: "http://e:81": TLS is passed through as it came, so the server has to speak it
    upstream = { servers = ["https://d", "http://e:81"], balance = { cookie = "x" }, sni = "f" }
                                         ^^^^^^^^^^^^^
    write: "tcp://e:81"
r.toml:13:64: error: balance by header or cookie, and what is passed on is not read
    upstream = { servers = ["https://d", "http://e:81"], balance = { cookie = "x" }, sni = "f" }
                                                                   ^^^^^^^^^^^^^^^^
    write: balance = "ip_hash"
r.toml:14:1: error: max_body beside tls = "passthrough": what is passed through is never decrypted
    max_body = "1MB"
    ^^^^^^^^
    remove it: such a site has `upstream`, `allow` and `deny` alone; or end TLS here, by cert and key in place of tls"#,
    );
}

#[test]
fn a_host_has_one_site_with_tls_or_without() {
    check(
        r#"[[site]]
host = "a"
tls = "internal"
upstream = 3000
[[site]]
host = "a"
tls = "passthrough"
upstream = 3000
[[site]]
host = "a"
redirect = "https://a"
[[site]]
host = "a"
listen = ":81"
redirect = "https://a"
"#,
        r#"r.toml:6:8: error: host "a" has a site already, at r.toml:2:8
    host = "a"
           ^^^
    make them one site with several routes, or give them a `listen` each
r.toml:10:8: error: host "a" has a site already, at r.toml:2:8
    host = "a"
           ^^^
    remove the one without TLS: the other answers http:// as well, and redirects to https://"#,
    );
}
