//! Which site and route answer a request, redirects, and prefixes that are stripped and put back.

use crate::support::{Message, Origin, Proxy, Wire, answer, site, site_of_routes};
use std::net::SocketAddr;

/// What answered: the name that an origin gives, else the status.
fn answered(response: &Message) -> String {
    if response.status() == 200 { response.text() } else { response.status().to_string() }
}

#[test]
fn the_most_specific_host_wins() {
    let (exact, wild, deep) = (Origin::named("exact"), Origin::named("wild"), Origin::named("deep"));
    let config = [
        site("*.deep.example.com", &deep),
        site("*.example.com", &wild),
        site("www.example.com", &exact),
        format!("[[site]]\nhost = [\"one.test\", \"two.test\"]\nupstream = {:?}\n", exact.url()),
    ];
    let proxy = Proxy::start(&config.concat());
    let check = |host: &str, expect: &str| assert_eq!(answered(&proxy.get(host, "/")), expect, "{host}");
    check("www.example.com", "exact");
    check("blog.example.com", "wild");
    check("a.b.example.com", "wild");
    check("a.deep.example.com", "deep");
    check("deep.example.com", "wild");
    check("example.com", "421");
    check("two.test", "exact");
    check("one.test", "exact");
    // Neither the port, nor the case, nor the dot of the root makes another host.
    check("www.example.com:8443", "exact");
    check("WWW.Example.COM", "exact");
    check("www.example.com.", "exact");
    check("www.example.com.evil.test", "421");
    check("unknown.test", "421");
    check("127.0.0.1", "421");
}

#[test]
fn an_unknown_host_gets_a_short_page_and_keeps_its_connection() {
    let origin = Origin::named("known");
    let proxy = Proxy::start(&site("known.test", &origin));
    let mut client = proxy.connect();
    let refused = client.get("secret.test", "/");
    assert_eq!(refused.status(), 421);
    assert!(refused.body.len() < 2048 && !refused.text().contains("known.test"), "{}", refused.text());
    assert_eq!(client.get("known.test", "/").text(), "known");
}

#[test]
fn the_longest_prefix_of_whole_segments_wins() {
    let origins = ["root", "blog", "deep"].map(Origin::named);
    let [root, blog, deep] = &origins;
    let part = site_of_routes("part.test", &[("/only/", "", root)]);
    let routes = [("/", "", root), ("/blog/", "", blog), ("/blog/deep", "", deep)];
    let proxy = Proxy::start(&(site_of_routes("a.test", &routes) + &part));
    let check = |host: &str, target: &str, expect: &str| {
        assert_eq!(answered(&proxy.get(host, target)), expect, "{host} {target}");
    };
    check("a.test", "/", "root");
    check("a.test", "/blog", "blog");
    check("a.test", "/blog/", "blog");
    check("a.test", "/blog?x=/blog/deep", "blog");
    check("a.test", "/blog/post", "blog");
    check("a.test", "/blogger", "root");
    check("a.test", "/Blog/", "root");
    check("a.test", "/blog/deep/er", "deep");
    check("a.test", "/blog/deeper", "blog");
    check("part.test", "/only/x", "root");
    check("part.test", "/else", "404");
}

#[test]
fn the_path_is_forwarded_as_received_or_refused_where_it_means_two_routes() {
    let (root, admin) = (Origin::named("root"), Origin::named("admin"));
    let proxy = Proxy::start(&site_of_routes("a.test", &[("/", "", &root), ("/admin/", "", &admin)]));
    for target in ["/a%2Fb", "/a%2fb?q=%41&%zz", "/a//b", "/%7Euser", "/x/./y", "/admin/%61", "/%61dmin/"] {
        let response = proxy.get("a.test", target);
        assert_eq!(response.status(), 200, "{target}");
        let origin = if response.text() == "root" { &root } else { &admin };
        assert_eq!(origin.request().target(), target);
    }
    for target in ["/%2Fadmin/", "/x/../admin/", "//admin/", "/admin/../x", "/x/%2e%2e/admin/secret"] {
        assert_eq!(proxy.get("a.test", target).status(), 400, "{target}");
    }
}

#[test]
fn a_route_is_reached_by_the_encoding_of_its_path() {
    let (root, files, umlaut) = (Origin::named("root"), Origin::named("files"), Origin::named("umlaut"));
    let routes = [("/", "", &root), ("/my files", "strip_prefix = true", &files), ("/ü", "", &umlaut)];
    let proxy = Proxy::start(&site_of_routes("a.test", &routes));
    let check = |target: &str, origin: &Origin, expect: &str| {
        assert_eq!(proxy.get("a.test", target).status(), 200, "{target}");
        assert_eq!(origin.request().target(), expect, "{target}");
    };
    check("/my%20files/a%20b?c%20d", &files, "/a%20b?c%20d");
    check("/%6dy%20files", &files, "/");
    check("/%C3%BC", &umlaut, "/%C3%BC");
    check("/%c3%bc/x", &umlaut, "/%c3%bc/x");
    check("/my%20file", &root, "/my%20file");
}

#[test]
fn listeners_serve_common_sites_and_those_that_name_them() {
    let (common, own) = (Origin::named("common"), Origin::named("own"));
    let listen = "[listen]\nhttp = [\"127.0.0.1:0\", \"[::1]:0\"]\n";
    let own = site("a.test", &own) + "listen = \"127.0.0.2:0\"\n";
    let proxy = Proxy::start(&[listen, &site("a.test", &common), &own].concat());
    assert!(proxy.listener(1).is_ipv6());
    let check = |listener: usize, expect: &str| {
        let response = Wire::connect(proxy.listener(listener)).get("a.test", "/");
        assert_eq!(answered(&response), expect, "listener {listener}");
    };
    check(0, "common");
    check(1, "common");
    check(2, "own");
    let shown = proxy.status()["listeners"].as_array().unwrap().len();
    assert_eq!(shown, 3);
}

#[test]
fn a_listener_without_a_host_takes_both_families() {
    let origin = Origin::named("both");
    let proxy = Proxy::start(&format!("[listen]\nhttp = \":0\"\n{}", site("a.test", &origin)));
    let port = proxy.address().port();
    for address in [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))] {
        assert_eq!(Wire::connect(address).get("a.test", "/").text(), "both", "{address}");
    }
    // Who comes by IPv4 is known by an IPv4 address.
    assert_eq!(proxy.get("a.test", "/").status(), 200);
    assert_eq!(origin.request().field("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn an_address_literal_is_a_host_like_others() {
    let origin = Origin::named("literal");
    let proxy = Proxy::start(&format!("[[site]]\nhost = [\"127.0.0.1\", \"[::1]\"]\nupstream = {:?}\n", origin.url()));
    for host in ["127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080"] {
        assert_eq!(answered(&proxy.get(host, "/")), "literal", "{host}");
    }
    assert_eq!(proxy.get("[::2]", "/").status(), 421);
}

#[test]
fn a_redirect_keeps_path_and_query_unless_it_names_its_own() {
    let routes = [
        ("/301", r#"{ to = "https://new.test", status = 301 }"#),
        ("/302", r#"{ to = "https://new.test/fixed?a=b", status = 302 }"#),
        ("/307", r#"{ to = "https://new.test", status = 307 }"#),
        ("/308", r#"{ to = "http://new.test:8080", status = 308 }"#),
    ];
    let routes = routes.map(|(path, redirect)| format!("{{ path = {path:?}, redirect = {redirect} }}"));
    let config = format!(
        "[[site]]\nhost = \"a.test\"\nroute = [{}]\n[[site]]\nhost = \"b.test\"\nredirect = \"https://a.test\"\n",
        routes.join(", "),
    );
    let proxy = Proxy::start(&config);
    #[track_caller]
    fn check(response: &Message, status: u16, location: &str) {
        assert_eq!((response.status(), response.field("location")), (status, Some(location)));
    }
    check(&proxy.get("a.test", "/301/x?y=1"), 301, "https://new.test/301/x?y=1");
    check(&proxy.get("a.test", "/302/x?y=1"), 302, "https://new.test/fixed?a=b");
    check(&proxy.get("a.test", "/307"), 307, "https://new.test/307");
    check(&proxy.get("a.test", "/308/%2F"), 308, "http://new.test:8080/308/%2F");
    let bare = proxy.get("b.test", "/old/path?q");
    assert!((301..=308).contains(&bare.status()));
    assert_eq!(bare.field("location"), Some("https://a.test/old/path?q"));
    // The answer to a request with a body leaves the connection in order.
    let mut client = proxy.connect();
    client.send("POST /307 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
    check(&client.response(), 307, "https://new.test/307");
}

#[test]
fn a_stripped_prefix_is_put_back_into_the_response() {
    let origin = Origin::answering(|request| {
        let fields: &[(&str, &str)] = match request.target() {
            "/absolute" => &[("Location", "http://a.test/login?next=/x")],
            "/path" => &[("Location", "/login"), ("Refresh", "5; url=/login")],
            "/relative" => &[("Location", "login")],
            "/elsewhere" => &[("Location", "https://other.test/login")],
            "/cookies" => &[
                ("Set-Cookie", "a=1; Path=/; HttpOnly"),
                ("Set-Cookie", "b=2; path=/sub; Secure"),
                ("Set-Cookie", "c=3; Max-Age=5"),
            ],
            _ => &[],
        };
        answer("302 Found", fields, "")
    });
    let proxy = Proxy::start(&site_of_routes("a.test", &[("/app/", "strip_prefix = true", &origin)]));
    let get = |target: &str| proxy.get("a.test", target);
    let location = |target: &str| get(target).field("location").map(str::to_owned);
    assert_eq!(location("/app/absolute").as_deref(), Some("http://a.test/app/login?next=/x"));
    assert_eq!(location("/app/path").as_deref(), Some("/app/login"));
    assert_eq!(location("/app/relative").as_deref(), Some("login"));
    assert_eq!(location("/app/elsewhere").as_deref(), Some("https://other.test/login"));
    assert_eq!(get("/app/path").field("refresh"), Some("5; url=/app/login"));
    let cookies = get("/app/cookies");
    let expect = ["a=1; Path=/app/; HttpOnly", "b=2; path=/app/sub; Secure", "c=3; Max-Age=5"];
    assert_eq!(cookies.all("set-cookie"), expect);
    // The origin sees the rest of the target, and what it has lost.
    for (target, expect) in [("/app", "/"), ("/app/", "/"), ("/app/x?y", "/x?y"), ("/app?y", "/?y")] {
        get(target);
        assert_eq!(origin.request().target(), expect, "{target}");
        assert_eq!(origin.request().field("x-forwarded-prefix"), Some("/app"));
    }
}
