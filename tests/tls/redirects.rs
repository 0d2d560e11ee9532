//! From http:// to https://, and the header that makes browsers remember it.

use crate::support::{HOME, Origin, Proxy, TempDir, TlsClient, answer, site, tls_site};

const HSTS: &str = "strict-transport-security";

#[test]
fn plain_requests_are_sent_on_to_the_port_of_tls() {
    let origin = Origin::named("x");
    let dir = TempDir::new();
    let proxy = Proxy::start(&tls_site("a.test", &origin, &dir));
    let port = proxy.tls().port();
    let mut client = proxy.connect();
    for target in ["/", "/path/%2Fx?a=1&b=%20", "/?", "//twice"] {
        let answer = client.get("a.test:8080", target);
        assert_eq!(answer.status(), 308);
        // A query of no bytes is none.
        let expect = format!("https://a.test:{port}{}", target.trim_end_matches('?'));
        assert_eq!(answer.field("location"), Some(&*expect));
    }
    // Method and body go with it, which 308 promises.
    let post = "POST /form HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(proxy.exchange(post).field("location"), Some(&*format!("https://a.test:{port}/form")));
    assert_eq!(origin.requests().len(), 0);
    let location = client.get("a.test", "/end").field("location").unwrap().to_owned();
    assert_eq!(location, format!("https://a.test:{port}/end"));
    assert_eq!(TlsClient::new().get(proxy.tls(), "a.test", "/end").text(), "x");
}

#[test]
fn who_has_ended_tls_in_front_is_not_sent_away() {
    let origin = Origin::named("inside");
    let dir = TempDir::new();
    let config = tls_site("a.test", &origin, &dir);
    let request = |proto: &str| format!("GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: {proto}\r\n\r\n");
    let trusting = Proxy::start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{config}"));
    assert_eq!(trusting.exchange(request("https")).text(), "inside");
    assert_eq!(origin.request().field("x-forwarded-proto"), Some("https"));
    assert_eq!(trusting.exchange(request("http")).status(), 308);
    assert_eq!(trusting.get("a.test", "/").status(), 308);
    // Anybody may say so.
    let wary = Proxy::start(&config);
    assert_eq!(wary.exchange(request("https")).status(), 308);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn browsers_are_told_to_remember_only_where_it_is_asked_for() {
    let own = |_: &crate::support::Message| answer("200 OK", &[("Strict-Transport-Security", "max-age=1")], "x");
    let (saying, silent) = (Origin::answering(own), Origin::named("x"));
    let dir = TempDir::new();
    let config = [
        tls_site("says.test", &saying, &dir),
        tls_site("silent.test", &silent, &dir),
        tls_site("asked.test", &saying, &dir) + "hsts = true\n",
        tls_site("long.test", &silent, &dir) + "hsts = { max_age = \"365d\", include_subdomains = true }\n",
        site("plain.test", &silent),
    ];
    let proxy = Proxy::start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{}", config.concat()));
    let client = TlsClient::new();
    let told = |name: &str| client.get(proxy.tls(), name, "/").field(HSTS).map(str::to_owned);
    assert_eq!(told("says.test").as_deref(), Some("max-age=1"), "what the server says passes");
    assert_eq!(told("silent.test"), None);
    assert_eq!(told("asked.test").as_deref(), Some("max-age=15552000"), "ours takes the place of the server's");
    assert_eq!(told("long.test").as_deref(), Some("max-age=31536000; includeSubDomains"));
    for host in ["asked.test", "long.test", "plain.test"] {
        assert_eq!(proxy.get(host, "/").field(HSTS), None, "{host}: not over plain HTTP (RFC 6797, section 7.2)");
    }
    // Not even from behind somebody who has ended TLS: that is for him to say.
    let behind = "GET / HTTP/1.1\r\nHost: long.test\r\nX-Forwarded-Proto: https\r\n\r\n";
    let answer = proxy.exchange(behind);
    assert_eq!((answer.status(), answer.field(HSTS)), (200, None));
}

#[test]
fn what_we_answer_ourselves_reminds_browsers_as_well() {
    let origin = Origin::named("x");
    let dir = TempDir::new();
    let routes =
        "route = [{ path = \"/gone/\", redirect = \"https://new.test\" }, { path = \"/down/\", upstream = 1 }]\n";
    let of = |host: &str| format!("[[site]]\nhost = {host:?}\n{}", HOME.issue(&[host]).put(&dir));
    let config = [of("asked.test") + "hsts = true\n" + routes, of("silent.test") + routes, site("plain.test", &origin)];
    let proxy = Proxy::start(&config.concat());
    let told = |name: &str, request: &str, status: u16| {
        let answer = TlsClient::new().connect(proxy.tls(), name).send(request).response();
        assert_eq!(answer.status(), status, "{request}");
        answer.field(HSTS).map(str::to_owned)
    };
    for (request, status) in [
        ("GET /gone/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 308),
        ("GET /down/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 502),
        ("GET /nowhere HTTP/1.1\r\nHost: HOST\r\n\r\n", 404),
        ("CONNECT HOST:443 HTTP/1.1\r\nHost: HOST:443\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 400),
    ] {
        for (host, expect) in [("asked.test", Some("max-age=15552000")), ("silent.test", None)] {
            assert_eq!(told(host, &request.replace("HOST", host), status).as_deref(), expect, "{request}");
        }
    }
    // What is said for another site is not said for this one, and which paths it has is not for everybody to know.
    for path in ["/down/", "/nowhere"] {
        let elsewhere = format!("GET {path} HTTP/1.1\r\nHost: asked.test\r\n\r\n");
        assert_eq!(told("silent.test", &elsewhere, 421), None);
        assert_eq!(told("asked.test", &elsewhere.replace("asked", "silent"), 421), None);
    }
}
