//! Whole answers, word for word, from the text of a configuration and a URL.

mod tls;

use super::*;
use crate::config::load;

/// Checks the answer, or the complaint, for `url`. Indentation and blank lines do not count.
#[track_caller]
fn check(sites: &str, url: &str, expect: &str) {
    let config = config(sites);
    let got = answer(&config, url).map_or_else(|why| why, |answer| answer.as_text(&config, None));
    let lines = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&got), lines(expect), "{url}");
}

#[track_caller]
fn config(sites: &str) -> Config {
    load(sites, "sites.toml").config.expect("no problem is an error")
}

#[test]
fn the_longest_path_wins_and_the_others_are_told_why_not() {
    let sites = r#"[[site]]
        host  = ["a.test", "[::1]"]
        route = [
          { path = "/", upstream = 3000 },
          { path = "/blog/", strip_prefix = true, max_body = "1KB", upstream = "unix:/run/blog.sock" },
          { path = "/docs/", upstream = 3001 },
        ]"#;
    check(
        sites,
        "http://A.test./blog/1?page=2#top",
        "a.test/blog/1 on http://[::]:80
         site a.test, route /blog: answers
         site a.test, route /: matches, but a longer path wins
         site a.test, route /docs: another path
         cuts /blog off the path, says so in X-Forwarded-Prefix: /blog
         refuses request bodies of more than 1000 bytes (413)
         forwards to unix:/run/blog.sock",
    );
    check(
        sites,
        "[0:0::1]/blogger",
        "[::1]/blogger on http://[::]:80
         site a.test, route /: answers
         site a.test, route /blog: another path
         site a.test, route /docs: another path
         forwards to 127.0.0.1:3000",
    );
}

#[test]
fn the_most_specific_host_wins() {
    let sites = r#"
        site = [
          { host = "*", upstream = 3000 },
          { host = "*.test", upstream = { servers = [{ url = 3001, weight = 3 }, { url = 3002, backup = true }] } },
          { host = "a.test", upstream = { servers = [3003, "app"], balance = { cookie = "id" } } },
        ]"#;
    check(
        sites,
        "http://a.test",
        "a.test/ on http://[::]:80
         site a.test, route /: answers
         site *: matches, but a more specific host wins
         site *.test: matches, but a more specific host wins
         forwards to one of 127.0.0.1:3003, app:80, chosen by a hash of the cookie id",
    );
    check(
        sites,
        "http://b.test",
        "b.test/ on http://[::]:80
         site *.test, route /: answers
         site *: matches, but a more specific host wins
         site a.test: another host
         forwards to one of 127.0.0.1:3001 (weight 3), 127.0.0.1:3002 (backup), chosen by two_choices",
    );
}

#[test]
fn a_redirect_says_where_to() {
    let sites = r#"[[site]]
        host  = "a.test"
        route = [
          { path = "/", redirect = "https://b.test" },
          { path = "/old", redirect = { to = "https://b.test/new", status = 302 } },
        ]"#;
    check(
        sites,
        "http://a.test/x",
        "a.test/x on http://[::]:80
         site a.test, route /: answers
         site a.test, route /old: another path
         redirects to https://b.test and the path and query asked for (308)",
    );
    check(
        sites,
        "http://a.test/old/x",
        "a.test/old/x on http://[::]:80
         site a.test, route /old: answers
         site a.test, route /: matches, but a longer path wins
         redirects to https://b.test/new (302)",
    );
}

#[test]
fn what_gets_no_route_is_told_its_status() {
    let sites = r#"[[site]]
        host  = "a.test"
        route = [{ path = "/open", upstream = 3000 }, { path = "/open/admin", upstream = 3001 }]"#;
    check(
        sites,
        "http://b.test/",
        "b.test/ on http://[::]:80
         no route: no site has this host (421)
         site a.test: another host",
    );
    check(
        sites,
        "http://a.test/",
        "a.test/ on http://[::]:80
         no route: the site has no route for this path (404)
         site a.test, route /open: another path
         site a.test, route /open/admin: another path",
    );
    check(
        sites,
        "http://a.test/open/%2Fadmin",
        "a.test/open/%2Fadmin on http://[::]:80
         in normal form: /open/admin
         no route: the path as sent and its normal form choose different routes (400)
         site a.test, route /open: the path as sent chooses it
         site a.test, route /open/admin: the normal form of the path chooses it",
    );
    check(
        sites,
        "http://a.test/open//a%2Fb",
        "a.test/open//a%2Fb on http://[::]:80
         in normal form: /open/a/b
         site a.test, route /open: answers
         site a.test, route /open/admin: another path
         forwards to 127.0.0.1:3000",
    );
}

#[test]
fn the_port_of_a_url_leads_to_its_listeners() {
    let sites = r#"site = [
        { host = "a", upstream = 3000, listen = ["127.0.0.1:80", 8080] },
        { host = "b", upstream = 3000, listen = ["[::1]:80"] },
    ]"#;
    #[track_caller]
    fn leads(sites: &str, url: &str, expect: &[u32]) {
        let config = config(sites);
        let asked = Url::parse(url).unwrap();
        let found = asked.listeners(&config, asked.scheme(&config));
        assert_eq!(found.iter().map(|id| id.0).collect::<Vec<_>>(), expect, "{url}");
    }
    leads(sites, "http://a/", &[0, 2]);
    leads(sites, "http://a:8080/", &[1]);
    leads(sites, "http://a:81/", &[]);
    let other_ports = "site = [{ host = 'a', upstream = 3000, listen = [8080, 8081] }]";
    leads(other_ports, "http://a/", &[0, 1]);
    leads(other_ports, "http://a:80/", &[]);
    check(
        sites,
        "http://b/",
        "b/ on http://[::1]:80
         site b, route /: answers
         site a: another host
         forwards to 127.0.0.1:3000",
    );
    check(
        sites,
        "http://b:8080/",
        "b/ on http://[::]:8080
         no route: no site has this host (421)
         site a: another host
         site b: the host matches, but on other listeners only",
    );
    check(
        sites,
        "http://a:81/",
        "http://a:81/: nothing listens on port 81; these are listened on: http://127.0.0.1:80, http://[::]:8080, http://[::1]:80",
    );
}

#[test]
fn a_url_is_read_as_a_client_would() {
    #[track_caller]
    fn check(url: &str, host: &str, port: Option<u16>, path: &str) {
        let Url { host: got, port: at, path: of, .. } = Url::parse(url).unwrap();
        assert_eq!((&*got, at, &*of), (host, port, path), "{url}");
    }
    check("http://Blog.Example.com./a%2Fb/?q=1#top", "blog.example.com", None, "/a%2Fb/");
    check("HTTP://example.com", "example.com", None, "/");
    check("example.com/x", "example.com", None, "/x");
    check("example.com?to=https://b", "example.com", None, "/");
    check("localhost:8080#top", "localhost", Some(8080), "/");
    check("http://[::0:1]:80/../x", "[::1]", Some(80), "/../x");
}

#[test]
fn a_url_that_no_client_sends_is_told_what_to_write() {
    #[track_caller]
    fn check(url: &str, expect: &str) {
        let got = answer(&config("[[site]]\nhost = 'a'\nupstream = 3000"), url).map(|_| ());
        assert_eq!(got, Err(format!("{url}: {expect}")));
    }
    let form = "is not a host, with a port or without; write it like http://example.com:8080/path";
    check("", &format!("\"\" {form}"));
    check("http://", &format!("\"\" {form}"));
    check("http:/a/", &format!("\"http:\" {form}"));
    check("/blog", &format!("\"\" {form}"));
    check("http://a:http/", &format!("\"a:http\" {form}"));
    check("http://a b/", &format!("\"a b\" {form}"));
    check("ftp://a/x", "ftp:// is not served; one of http://, https://, tls://, tcp://, udp://");
    check("tls://a/x", "tls:// has no path; write tls://a");
    check("tcp://a", "tcp:// has no usual port; write tcp://a:PORT");
    check("udp://", "\"\" is not a host, with a port or without; write it like udp://:53");
    check(
        "http://ü/",
        "\"ü\" is not a host, with a port or without; write the xn-- form of the host, as `dig` shows it",
    );
    check(
        "http://me@a/",
        "\"me@a\" is not a host, with a port or without; remove what stands before the @, which no client sends here",
    );
    check(
        "http://::1/",
        "\"::1\" is not a host, with a port or without; an IPv6 address is written http://[::1]:8080/path",
    );
    check("http://a/ü", "a URL with 'ü' is refused with 400; clients send it as %C3%BC");
    check("http://a/x y", "a URL with ' ' is refused with 400; clients send it as %20");
    check(
        "http://a/100%",
        "the path is refused with 400: a % without two hexadecimal digits; write %25 for the sign itself",
    );
    check("http://a/%00", "the path is refused with 400: no application expects %00; remove it");
}

#[test]
fn json_holds_what_the_text_says() {
    let config = config(
        "site = [{ host = 'a', route = [{ path = '/x', upstream = 3000 }, { path = '/x/y', upstream = 3001 }] }]",
    );
    let told = |url| answer(&config, url).unwrap().as_json(&config, None);
    assert_eq!(
        told("http://a/x/z"),
        json!({
            "asked": { "listener": "http://[::]:80", "host": "a", "path": "/x/z", "normalised": "/x/z" },
            "answer": { "site": "a", "route": "/x", "does": ["forwards to 127.0.0.1:3000"] },
            "candidates": [
                { "site": "a", "route": "/x", "wins": true, "why": "answers" },
                { "site": "a", "route": "/x/y", "wins": false, "why": "another path" },
            ],
        })
    );
    assert_eq!(
        told("http://a/x/%2Fy"),
        json!({
            "asked": { "listener": "http://[::]:80", "host": "a", "path": "/x/%2Fy", "normalised": "/x/y" },
            "answer": { "refused": "the path as sent and its normal form choose different routes (400)" },
            "candidates": [
                { "site": "a", "route": "/x", "wins": false, "why": "the path as sent chooses it" },
                { "site": "a", "route": "/x/y", "wins": false, "why": "the normal form of the path chooses it" },
            ],
        })
    );
}

#[test]
fn a_stream_is_found_by_its_address() {
    let streams = r#"
        stream = [
          { listen = "tcp/:2222", upstream = "git:22", max_connections = 9 },
          { listen = ["udp/127.0.0.1:53", "tcp/127.0.0.1:53"], upstream = ["10.0.0.1:53", "10.0.0.2:53"] },
          { listen = "udp/10.0.0.9:53", upstream = "10.0.0.3:53", udp_idle = "5s" },
        ]"#;
    check(
        streams,
        "tcp://:2222",
        "tcp://[::]:2222
         stream tcp/:2222: takes what comes
         stream udp/127.0.0.1:53: another address
         stream udp/10.0.0.9:53: another address
         passes connections on to git:22
         ends connections that move nothing for 1 h 0 min
         takes at most 9 connections at once",
    );
    check(
        streams,
        "udp://10.0.0.9:53",
        "udp://10.0.0.9:53
         stream udp/10.0.0.9:53: takes what comes
         stream tcp/:2222: another address
         stream udp/127.0.0.1:53: another address
         passes datagrams on to 10.0.0.3:53
         ends flows without a datagram for 5 s",
    );
    check(
        streams,
        "udp://:53",
        "udp://:53: several streams have this port; write one of udp://127.0.0.1:53, udp://10.0.0.9:53",
    );
    check(streams, "http://a:2222/", "http://a:2222/: port 2222 speaks tcp, not http; write tcp://a:2222");
    let config = config(streams);
    assert_eq!(
        answer(&config, "udp://10.0.0.9:53").unwrap().as_json(&config, None),
        json!({
            "asked": { "listener": "udp://10.0.0.9:53" },
            "answer": {
                "stream": "udp/10.0.0.9:53",
                "does": ["passes datagrams on to 10.0.0.3:53", "ends flows without a datagram for 5 s"],
            },
            "candidates": [
                { "stream": "udp/10.0.0.9:53", "wins": true, "why": "takes what comes" },
                { "stream": "tcp/:2222", "wins": false, "why": "another address" },
                { "stream": "udp/127.0.0.1:53", "wins": false, "why": "another address" },
            ],
        })
    );
}

#[test]
fn who_may_come_and_how_often_is_told() {
    let sites = r#"
        [[site]]
        host  = "a.test"
        allow = ["10.0.0.0/8", "fd00::1"]
        deny  = "10.6.6.6"
        rate  = { requests = "100/m", burst = 20 }
        route = [{ path = "/", upstream = 3000 }, { path = "/open", deny = [], rate = "10/s", redirect = "https://b" }]
        [[site]]
        host     = "vpn.test"
        tls      = "passthrough"
        allow    = "10.0.0.0/8"
        upstream = "tcp://192.168.1.50:443"
        [[stream]]
        listen   = "tcp/:2222"
        upstream = "192.168.1.53:22"
        deny     = "10.0.0.0/8""#;
    check(
        sites,
        "http://a.test/",
        "a.test/ on http://[::]:80
         site a.test, route /: answers
         site a.test, route /open: another path
         site vpn.test: another host
         lets in 10.0.0.0/8, fd00::1 alone
         turns away 10.6.6.6
         takes 100 requests a minute of each client, 20 at once; beyond that it answers 429
         forwards to 127.0.0.1:3000",
    );
    let config = config(sites);
    #[track_caller]
    fn told(config: &Config, url: &str, from: &str, expect: &str) {
        let from = from.parse().ok();
        let answer = answer(config, url).unwrap();
        let text = answer.as_text(config, from);
        assert_eq!(text.lines().last().unwrap_or_default().trim(), expect, "{url}");
        let lets_in = answer.as_json(config, from)["answer"]["lets_in"].as_bool();
        assert_eq!(lets_in, Some(expect.starts_with("lets")), "{url}");
    }
    told(&config, "http://a.test/", "10.1.2.3", "lets 10.1.2.3 in");
    told(&config, "http://a.test/", "10.6.6.6", "turns 10.6.6.6 away (403)");
    told(&config, "http://a.test/", "203.0.113.9", "turns 203.0.113.9 away (403)");
    told(&config, "http://a.test/open", "203.0.113.9", "lets 203.0.113.9 in");
    told(&config, "http://vpn.test/", "203.0.113.9", "turns 203.0.113.9 away (403)");
    told(&config, "tls://vpn.test", "203.0.113.9", "turns 203.0.113.9 away");
    told(&config, "tcp://:2222", "10.1.2.3", "turns 10.1.2.3 away");
    told(&config, "tcp://:2222", "203.0.113.9", "lets 203.0.113.9 in");
    let refused = answer(&config, "http://unknown.test/").unwrap();
    assert_eq!(refused.as_json(&config, "10.1.2.3".parse().ok())["answer"]["lets_in"], Value::Null);
}
