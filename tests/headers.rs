//! Fields that are removed, set, appended or left alone on their way to the origin and back.

use crate::support::{Message, Origin, Proxy, answer, default_site, ok};

/// What the origin gets of a request that carries `fields`.
#[track_caller]
fn forwarded(proxy: &Proxy, origin: &Origin, fields: &[&str]) -> Message {
    let request = ["GET / HTTP/1.1", "Host: a.test:8080"].iter().chain(fields).chain(&["", ""]);
    let response = proxy.exchange(request.copied().collect::<Vec<_>>().join("\r\n"));
    assert_eq!(response.status(), 200, "{fields:?}");
    origin.request()
}

#[test]
fn what_concerns_one_connection_is_not_forwarded() {
    let origin = Origin::named("x");
    let proxy = Proxy::to(&origin);
    let seen = forwarded(
        &proxy,
        &origin,
        &[
            "Connection: close, X-Mine, Keep-Alive",
            "Keep-Alive: timeout=5",
            "X-Mine: secret",
            "Proxy-Connection: keep-alive",
            "TE: gzip",
            "Upgrade: foo",
            "X-Kept: yes",
        ],
    );
    for name in ["x-mine", "keep-alive", "proxy-connection", "te", "upgrade", "connection", "transfer-encoding"] {
        assert_eq!(seen.field(name), None, "{name}");
    }
    assert_eq!(seen.field("x-kept"), Some("yes"));
}

#[test]
fn the_connection_field_cannot_name_away_what_matters() {
    let origin = Origin::named("x");
    let proxy = Proxy::start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{}", default_site(&origin)));
    let request = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\
        Connection: Host, Content-Length, X-Forwarded-For, close\r\n\r\nabc";
    assert_eq!(proxy.exchange(request).status(), 200);
    let seen = origin.request();
    assert_eq!((seen.field("host"), seen.text().as_str()), (Some("a.test"), "abc"));
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn what_concerns_one_connection_is_not_sent_back() {
    let origin = Origin::answering(|_| {
        let fields = [
            ("Connection", "keep-alive, X-Hop"),
            ("Keep-Alive", "timeout=5"),
            ("X-Hop", "secret"),
            ("Proxy-Connection", "keep-alive"),
            ("X-Kept", "yes"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Server", "origin"),
        ];
        answer("200 OK", &fields, "x")
    });
    let response = Proxy::to(&origin).get("a.test", "/");
    for name in ["connection", "keep-alive", "x-hop", "proxy-connection"] {
        assert_eq!(response.field(name), None, "{name}");
    }
    assert_eq!((response.field("x-kept"), response.field("server")), (Some("yes"), Some("origin")));
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2"]);
}

#[test]
fn what_a_stranger_claims_is_overwritten() {
    let origin = Origin::named("x");
    let proxy = Proxy::to(&origin);
    let seen = forwarded(
        &proxy,
        &origin,
        &[
            "X-Forwarded-For: 6.6.6.6",
            "X-Forwarded-For: 7.7.7.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.test",
            "Forwarded: for=6.6.6.6",
            "X-Real-IP: 6.6.6.6",
            "X-Forwarded-Prefix: /evil",
            "X_Forwarded_For: 6.6.6.6",
            "X_Real_IP: 6.6.6.6",
        ],
    );
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("x-forwarded-host"), Some("a.test:8080"));
    assert_eq!(seen.field("x-real-ip"), Some("127.0.0.1"));
    let all = format!("{:?}", seen.fields);
    assert!(!all.contains("6.6.6.6") && !all.contains("7.7.7.7") && !all.contains("evil"), "{all}");
    let element = seen.field("forwarded").expect("Forwarded is set").to_ascii_lowercase();
    for part in ["for=127.0.0.1", "proto=http", "host=\"a.test:8080\""] {
        assert!(element.contains(part), "{element}");
    }
}

#[test]
fn what_a_trusted_proxy_says_is_kept_and_added_to() {
    let origin = Origin::named("x");
    let proxy =
        Proxy::start(&format!("trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]\n{}", default_site(&origin)));
    let seen = forwarded(
        &proxy,
        &origin,
        &["X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.2.3", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.test"],
    );
    assert_eq!(seen.all("x-forwarded-for").join(", "), "6.6.6.6, 203.0.113.9, 10.1.2.3, 127.0.0.1");
    assert_eq!(seen.field("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.field("x-forwarded-host"), Some("www.test"));
    // The client is the rightmost address that is not trusted.
    assert_eq!(seen.field("x-real-ip"), Some("203.0.113.9"));
    let plain = forwarded(&proxy, &origin, &[]);
    assert_eq!((plain.field("x-forwarded-for"), plain.field("x-forwarded-proto")), (Some("127.0.0.1"), Some("http")));
}

#[test]
fn an_id_is_given_only_where_it_is_wanted_and_missing() {
    let origin = Origin::named("x");
    let plain = Proxy::to(&origin);
    assert_eq!(forwarded(&plain, &origin, &[]).field("x-request-id"), None);
    let proxy = Proxy::start(&format!("[[site]]\nhost = \"*\"\nupstream = {:?}\nrequest_id = true\n", origin.url()));
    let id = |fields: &[&str]| forwarded(&proxy, &origin, fields).field("x-request-id").map(str::to_owned);
    let (first, second) = (id(&[]).expect("an id"), id(&[]).expect("an id"));
    assert!(first != second && first.len() >= 16, "{first} {second}");
    assert_eq!(id(&["X-Request-Id: mine"]).as_deref(), Some("mine"));
}

#[test]
fn via_is_added_both_ways_where_it_is_wanted() {
    let origin = Origin::answering(|_| answer("200 OK", &[("Via", "1.1 inner")], "x"));
    let plain = Proxy::to(&origin);
    assert_eq!(plain.get("a.test", "/").all("via").join(", "), "1.1 inner");
    assert_eq!(origin.request().field("via"), None);
    let proxy = Proxy::start(&format!("via = true\n{}", default_site(&origin)));
    let response = proxy.exchange("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.0 outer\r\n\r\n");
    assert_eq!(response.all("via").join(", "), "1.1 inner, 1.1 ringferry");
    assert_eq!(origin.request().all("via").join(", "), "1.0 outer, 1.1 ringferry");
}

#[test]
fn other_fields_pass_unchanged_in_their_order() {
    let origin =
        Origin::answering(|_| answer("200 Fine", &[("B", "2"), ("A", "1"), ("B", "\u{fc}"), ("Empty", "")], "x"));
    let proxy = Proxy::to(&origin);
    let seen = forwarded(&proxy, &origin, &["Z: 1", "Cookie: a=b; c=d", "A:\t two  words ", "Z: 2", "Empty:"]);
    let own: Vec<_> = seen.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let kept: Vec<_> = own.into_iter().filter(|(name, _)| ["Z", "Cookie", "A", "Empty"].contains(name)).collect();
    assert_eq!(kept, [("Z", "1"), ("Cookie", "a=b; c=d"), ("A", "two  words"), ("Z", "2"), ("Empty", "")]);
    let response = proxy.get("a.test", "/");
    assert_eq!(response.start, "HTTP/1.1 200 Fine");
    assert_eq!((response.all("b"), response.field("empty")), (vec!["2", "\u{c3}\u{bc}"], Some("")));
}

#[test]
fn a_response_is_dated_once() {
    let dated = Origin::answering(|_| answer("200 OK", &[("Date", "Sun, 06 Nov 1994 08:49:37 GMT")], ""));
    assert_eq!(Proxy::to(&dated).get("a", "/").field("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    let undated = Origin::answering(|_| ok(""));
    let date = Proxy::to(&undated).get("a", "/").field("date").map(str::to_owned).expect("a date");
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
}
