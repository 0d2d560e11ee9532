//! Text → model, as in `meaning`: TLS, PROXY headers, what is passed through, streams.

use super::meaning::check;

#[test]
fn sites_with_tls_are_on_both_of_the_default_addresses() {
    check(
        r#"
            [[site]]
            host = "a"
            cert = "/etc/ssl/a.pem"
            key = "/etc/ssl/a.key"
            upstream = 3000
            [[site]]
            host = "b"
            upstream = 3001
        "#,
        r#"listen [::]:80 dual
        listen https [::]:443 dual
        site a [Exact("a")] on [ListenerId(1), ListenerId(0)]
        tls [Files { cert: "/etc/ssl/a.pem", key: "/etc/ssl/a.key" }] None
        /: pool a/ TwoChoices 127.0.0.1:3000 x1
        site b [Exact("b")] on [ListenerId(0)]
        /: pool b/ TwoChoices 127.0.0.1:3001 x1"#,
    );
}

#[test]
fn what_listen_does_not_say_is_the_default_where_a_site_needs_it() {
    #[track_caller]
    fn listeners(text: &str, expect: &str) {
        let config = crate::config::load(text, "r.toml").config.expect(text);
        let listeners = config.listeners.iter().map(|at| format!("{}://{}", at.protocol.scheme(), at.address));
        assert_eq!(listeners.collect::<Vec<_>>().join(" "), expect, "{text}");
    }
    let plain = "[[site]]\nhost = 'a'\nupstream = 1\n";
    let tls = "[[site]]\nhost = 'b'\nupstream = 1\ntls = 'internal'\n";
    let own = "[[site]]\nhost = 'c'\nupstream = 1\ntls = 'internal'\nlisten = ':8443'\n";
    let stream = "[[stream]]\nlisten = 'tcp/:1'\nupstream = 'd:1'\n";
    listeners(plain, "http://[::]:80");
    listeners(tls, "http://[::]:80 https://[::]:443");
    listeners(own, "https://[::]:8443");
    listeners(stream, "tcp://[::]:1");
    listeners(&format!("{stream}{plain}"), "http://[::]:80 tcp://[::]:1");
    listeners(&format!("[listen]\nhttp = 81\n{plain}{tls}"), "http://[::]:81 https://[::]:443");
    listeners(&format!("[listen]\nhttp = 81\n{plain}{own}"), "http://[::]:81 https://[::]:8443");
    // An address that only redirects is not opened beside one that was written.
    listeners(&format!("[listen]\nhttps = 444\n{tls}"), "https://[::]:444");
    listeners(&format!("[listen]\nhttps = 444\n{tls}{plain}"), "http://[::]:80 https://[::]:444");
    listeners(&format!("[listen]\nhttps = [':0', ':0']\n{tls}"), "https://[::]:0 https://[::]:0");
}

#[test]
fn a_site_with_tls_may_name_its_own_addresses() {
    check(
        r#"
            [listen]
            https = [":443", { address = ":8443", proxy_protocol = "required", from = ["10.0.0.0/8", "192.0.2.1"] }]
            [[site]]
            host = "a"
            listen = ["https://:8444", "http://:8081", ":8082", ":443"]
            tls = "internal"
            client_ca = "/etc/ssl/clients.pem"
            upstream = 3000
            [[site]]
            host = "b"
            cert = ["ecdsa.pem", "both.pem"]
            key = ["ecdsa.key", "both.pem"]
            upstream = 3000
            [[site]]
            host = "c"
            cert = "/etc/ssl/folder"
            upstream = 3000
        "#,
        r#"listen https [::]:443 dual
        listen https [::]:8443 dual proxy from 10.0.0.0/8 192.0.2.1/32
        listen https [::]:8444 dual
        listen [::]:8081 dual
        listen https [::]:8082 dual
        site a [Exact("a")] on [ListenerId(2), ListenerId(3), ListenerId(4), ListenerId(0)]
        tls [Internal] Some("/etc/ssl/clients.pem")
        /: pool a/ TwoChoices 127.0.0.1:3000 x1
        site b [Exact("b")] on [ListenerId(0), ListenerId(1)]
        tls [Files { cert: "ecdsa.pem", key: "ecdsa.key" }, Files { cert: "both.pem", key: "both.pem" }] None
        /: pool b/ TwoChoices 127.0.0.1:3000 x1
        site c [Exact("c")] on [ListenerId(0), ListenerId(1)]
        tls [Folder("/etc/ssl/folder")] None
        /: pool c/ TwoChoices 127.0.0.1:3000 x1"#,
    );
}

#[test]
fn hsts_is_sent_when_asked_for() {
    #[track_caller]
    fn hsts(written: &str, expect: &str) {
        check(
            &format!(
                "[[site]]\nhost = 'a'\nlisten = ':444'\ntls = 'internal'\nhsts = {written}\nredirect = 'https://b'"
            ),
            &format!(
                "listen https [::]:444 dual\nsite a [Exact(\"a\")] on [ListenerId(0)]\ntls [Internal] None\n{expect}\
                 /: 308 https://b keep true"
            ),
        );
    }
    hsts("false", "");
    hsts("true", "hsts 15552000\n");
    hsts("'365d'", "hsts 31536000\n");
    // Browsers forget it.
    hsts("'0s'", "hsts 0\n");
    hsts("{ include_subdomains = true }", "hsts 15552000 subdomains\n");
    hsts("{ max_age = '365d', include_subdomains = true, preload = true }", "hsts 31536000 subdomains preload\n");
}

#[test]
fn what_is_passed_through_has_one_route() {
    check(
        r#"
            [[site]]
            host = ["vpn.example.com", "*"]
            tls = "passthrough"
            upstream = { servers = ["tcp://192.168.1.50", "vpn:8443", "unix:/run/vpn"], send_proxy_protocol = "v2", balance = "ip_hash" }
        "#,
        r#"listen [::]:80 dual
        listen https [::]:443 dual
        site vpn.example.com [Exact("vpn.example.com"), Any] on [ListenerId(1), ListenerId(0)]
        passthrough
        /: pool vpn.example.com/ Hash(ClientIp) proxy V2 192.168.1.50:443 x1, vpn:8443 x1, unix:/run/vpn x1"#,
    );
}

#[test]
fn servers_are_reached_by_tls_as_they_or_their_pool_say() {
    #[track_caller]
    fn pool(upstream: &str, expect: &str) {
        let loaded = crate::config::load(&format!("[[site]]\nhost = 'a'\nupstream = {upstream}"), "r.toml");
        let config = loaded.config.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
        let shown = config.pools[0].servers.iter().map(|server| {
            server
                .tls
                .as_ref()
                .map_or("plain".to_owned(), |tls| format!("{} {} {:?}", server.address, tls.name, tls.trust))
        });
        assert_eq!(shown.collect::<Vec<_>>().join(", "), expect, "{upstream}");
    }
    pool("'https://App'", "app:443 app System");
    pool("['https://[::1]:8443', 3000]", "[::1]:8443 ::1 System, plain");
    pool("{ servers = ['https://10.0.0.5'], verify = false }", "10.0.0.5:443 10.0.0.5 Anyone");
    pool("{ servers = ['https://a', 'b'], ca = 'ca.pem', sni = 'Lan' }", "a:443 lan Authorities(\"ca.pem\"), plain");
    pool("{ servers = ['https://a'], verify = true }", "a:443 a System");
    pool("[{ url = 'https://a', sni = 'b' }]", "a:443 b System");
    let servers = "[{ url = 'https://a', verify = false }, { url = 'https://b', verify = true }, { url = 'https://c', sni = 'd' }]";
    pool(
        &format!("{{ servers = {servers}, ca = 'ca.pem', sni = 'lan' }}"),
        "a:443 lan Anyone, b:443 lan Authorities(\"ca.pem\"), c:443 d Authorities(\"ca.pem\")",
    );
    let servers = "[{ url = 'https://a', ca = 'ca.pem' }, { url = 'https://b', verify = true }, 'https://c']";
    pool(
        &format!("{{ servers = {servers}, verify = false }}"),
        "a:443 a Authorities(\"ca.pem\"), b:443 b System, c:443 c Anyone",
    );
}

#[test]
fn a_stream_is_listeners_and_a_pool() {
    check(
        r#"
            [[stream]]
            listen = "tcp/:2222"
            upstream = "tcp://192.168.1.53:22"
            [[stream]]
            listen = ["udp/:53", { address = "tcp/127.0.0.1:53", proxy_protocol = "required", from = "::1" }]
            upstream = ["dns:53", 5353]
            idle = "10m"
            udp_idle = "5s"
            max_connections = 1000
            [[stream]]
            listen = "tcp/:53"
            upstream = { servers = "unix:/run/app", send_proxy_protocol = "v1", max_connections = 5 }
            [[stream]]
            listen = ["tcp/:0", "udp/:0"]
            upstream = 1
            [[stream]]
            listen = ["tcp/:0", "udp/:0"]
            upstream = 1
        "#,
        r#"listen tcp [::]:2222 dual
        listen udp [::]:53 dual
        listen tcp 127.0.0.1:53 proxy from ::1/128
        listen tcp [::]:53 dual
        listen tcp [::]:0 dual
        listen udp [::]:0 dual
        listen tcp [::]:0 dual
        listen udp [::]:0 dual
        stream tcp/:2222 on [ListenerId(0)] idle 3600 60 max None
        pool tcp/:2222 TwoChoices 192.168.1.53:22 x1
        stream udp/:53 on [ListenerId(1), ListenerId(2)] idle 600 5 max Some(1000)
        pool udp/:53 TwoChoices dns:53 x1, 127.0.0.1:5353 x1
        stream tcp/:53 on [ListenerId(3)] idle 3600 60 max None
        pool tcp/:53 TwoChoices proxy V1 unix:/run/app x1 max 5
        stream tcp/:0 on [ListenerId(4), ListenerId(5)] idle 3600 60 max None
        pool tcp/:0 TwoChoices 127.0.0.1:1 x1
        stream tcp/:0#2 on [ListenerId(6), ListenerId(7)] idle 3600 60 max None
        pool tcp/:0#2 TwoChoices 127.0.0.1:1 x1"#,
    );
}
