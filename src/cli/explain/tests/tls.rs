//! What is said of TLS.

use super::*;

/// Two sites that end TLS, one that does not see it, one without.
const TLS: &str = r#"
    trusted_proxies = "10.0.0.1"
    [[site]]
    host  = ["a.test", "*.a.test"]
    cert  = "/etc/a.pem"
    key   = "/etc/a.key"
    hsts  = true
    route = [{ path = "/", upstream = "https://app:8443" }, { path = "/x", upstream = 3000 }]
    [[site]]
    host      = "nas.test"
    tls       = "internal"
    client_ca = "/etc/clients.pem"
    listen    = [{ address = "https://:8443", proxy_protocol = "required", from = "10.0.0.0/8" }]
    upstream  = { servers = ["https://nas"], verify = false }
    [[site]]
    host     = "vpn.test"
    tls      = "passthrough"
    upstream = { servers = "tcp://192.168.1.50:443", send_proxy_protocol = "v2" }
    [[site]]
    host     = "plain.test"
    upstream = 3001
"#;

#[test]
fn https_says_who_ends_tls_and_with_what() {
    check(
        TLS,
        "https://b.a.test/x/1",
        "b.a.test/x/1 on https://[::]:443
         site a.test, route /x: answers
         site a.test, route /: matches, but a longer path wins
         site nas.test: another host
         site vpn.test: another host
         site plain.test: another host
         ends TLS with the certificate in /etc/a.pem
         tells browsers to come by TLS alone, for 180 d 0 h
         forwards to 127.0.0.1:3000",
    );
    check(
        TLS,
        "https://nas.test:8443",
        "nas.test/ on https://[::]:8443
         site nas.test, route /: answers
         site a.test: another host
         site vpn.test: another host
         site plain.test: another host
         takes connections from 10.0.0.0/8 alone, each with a PROXY header in front
         ends TLS with a certificate of our own authority (`ringferry cert ca`)
         lets in clients with a certificate of /etc/clients.pem alone
         forwards to https://nas:443 (not verified)",
    );
    check(
        TLS,
        "https://vpn.test/any",
        "vpn.test/any on https://[::]:443
         site vpn.test: answers
         site a.test: another host
         site nas.test: another host
         site plain.test: another host
         passes TLS through, unread, to 192.168.1.50:443
         tells the server who the client is: a PROXY header of version 2",
    );
}

#[test]
fn a_name_alone_says_the_site_and_what_an_unknown_one_gets() {
    check(
        TLS,
        "tls://a.test",
        "a.test on https://[::]:443
         site a.test: answers
         site nas.test: another host
         site vpn.test: another host
         site plain.test: another host
         ends TLS with the certificate in /etc/a.pem
         tells browsers to come by TLS alone, for 180 d 0 h",
    );
    check(
        TLS,
        "tls://plain.test:443",
        "plain.test on https://[::]:443
         no route: no site has this name (TLS alert unrecognized_name)
         site a.test: another host
         site nas.test: another host
         site vpn.test: another host
         site plain.test: the host matches, but on other listeners only",
    );
    check(
        TLS,
        "tls://:8443",
        "a client that sends no name on https://[::]:8443
         no route: no site has this name (TLS alert unrecognized_name)
         site a.test: another host
         site nas.test: another host
         site vpn.test: another host
         site plain.test: another host",
    );
}

#[test]
fn a_site_with_tls_redirects_to_it() {
    check(
        TLS,
        "http://a.test/x?y",
        "a.test/x on http://[::]:80
         site a.test: answers
         site nas.test: another host
         site vpn.test: another host
         site plain.test: another host
         redirects to https://a.test/x (308), and the query with it: the site has TLS
         serves those of trusted_proxies that say X-Forwarded-Proto: https as if they had come by TLS",
    );
    check(
        &TLS.replace("hsts  = true", "client_ca = \"/etc/clients.pem\""),
        "http://a.test/",
        "a.test/ on http://[::]:80
         site a.test: answers
         site nas.test: another host
         site vpn.test: another host
         site plain.test: another host
         redirects to https://a.test/ (308), and the query with it: the site has TLS",
    );
    check(
        TLS,
        "http://vpn.test/",
        "vpn.test/ on http://[::]:80
         site vpn.test: answers
         site a.test: another host
         site nas.test: another host
         site plain.test: another host
         redirects to https://vpn.test/ (308), and the query with it: the site has TLS",
    );
    check(
        TLS,
        "http://a.test:443/x",
        "http://a.test:443/x: port 443 speaks https, not http; write https://a.test:443/x",
    );
    check(TLS, "https://a.test:80", "https://a.test:80: port 80 speaks http, not https; write http://a.test:80/");
    let secure = "site = [{ host = 'a', tls = 'internal', listen = 'https://:8443', upstream = 3000 }]";
    let a = "a/ on https://[::]:8443
         site a, route /: answers
         ends TLS with a certificate of our own authority (`ringferry cert ca`)
         forwards to 127.0.0.1:3000";
    check(secure, "a", a);
    check(secure, "a:8443/", a);
    check(secure, "http://a/", "http://a/: nothing listens on port 80; these are listened on: https://[::]:8443");
}

#[test]
fn an_address_is_no_name() {
    check(
        "site = [{ host = '192.0.2.1', tls = 'internal', upstream = 3000 }]",
        "https://192.0.2.1/",
        "192.0.2.1/ on https://[::]:443
         clients send no name in TLS when the host is an address: the site is chosen without
         no route: no site has this name (TLS alert unrecognized_name)
         site 192.0.2.1: has the host",
    );
}

#[test]
fn json_tells_how_tls_is_taken() {
    let config = config(TLS);
    let told = |url| answer(&config, url).unwrap().as_json(&config, None)["answer"].clone();
    assert_eq!(
        told("https://a.test/x"),
        json!({ "site": "a.test", "route": "/x", "tls": "terminated", "does": [
            "ends TLS with the certificate in /etc/a.pem",
            "tells browsers to come by TLS alone, for 180 d 0 h",
            "forwards to 127.0.0.1:3000",
        ]})
    );
    assert_eq!(told("tls://vpn.test")["tls"], "passthrough");
    assert_eq!(told("tls://none.test"), json!({ "refused": "no site has this name (TLS alert unrecognized_name)" }));
    assert_eq!(told("http://plain.test/").get("tls"), None);
}
