//! The access log: one line for each exchange, in the format that was asked for, safe to read by machines.

use crate::support::{Origin, Proxy, default_site, refusing_port, wait_until};
use serde_json::Value;

fn start(origin: &Origin, format: &str) -> Proxy {
    Proxy::start(&format!("{}[log]\nformat = {format:?}\n", default_site(origin)))
}

/// The value of `key=` in a line of the combined format.
#[track_caller]
fn value<'l>(line: &'l str, key: &str) -> &'l str {
    let found = line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key}= in {line}"))
}

#[test]
fn a_combined_line_tells_the_exchange() {
    let origin = Origin::named("twelve bytes");
    let proxy = Proxy::to(&origin);
    let request = "GET /page?x=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: probe/1\r\nReferer: http://b.test/\r\n\r\n";
    proxy.exchange(request);
    let line = proxy.log_line(|line| line.contains("/page"));
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");
    assert!(line.contains("\"GET /page?x=1 HTTP/1.1\" 200 "), "{line}");
    assert!(line.contains(" \"http://b.test/\" \"probe/1\""), "{line}");
    let expect = [("host", "a.test"), ("up", &origin.address().to_string()), ("retries", "0"), ("err", "-")];
    for (key, expect) in expect {
        assert_eq!(value(&line, key), expect, "{line}");
    }
    for key in ["rt", "uct", "urt"] {
        assert!(value(&line, key).parse::<f64>().is_ok_and(|seconds| (0.0..10.0).contains(&seconds)), "{line}");
    }
    assert!(value(&line, "route").contains('*'), "{line}");
}

#[test]
fn a_json_line_is_json_with_every_key() {
    let origin = Origin::named("body");
    let proxy = start(&origin, "json");
    proxy.exchange("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\nUser-Agent: \"q\\u\tt\"\r\n\r\n12345");
    let line = proxy.log_line(|line| line.starts_with('{'));
    let record: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let expect = [("client", "127.0.0.1"), ("host", "a.test"), ("method", "POST"), ("target", "/x")];
    for (key, expect) in expect {
        assert_eq!(record[key], expect, "{line}");
    }
    assert_eq!((record["status"].as_u64(), record["bytes_in"].as_u64()), (Some(200), Some(5)), "{line}");
    assert!(record["bytes_out"].as_u64() >= Some(4), "{line}");
    assert_eq!((&record["retries"], &record["error"]), (&Value::from(0), &Value::Null), "{line}");
    for key in ["time", "total_us", "first_byte_us", "upstream", "site", "path"] {
        assert!(!record[key].is_null(), "{key}: {line}");
    }
}

#[test]
fn every_exchange_has_one_line_whatever_became_of_it() {
    let (_held, port) = refusing_port();
    let proxy = Proxy::start(&format!("[[site]]\nhost = \"a.test\"\nupstream = {port}\n"));
    let mut client = proxy.connect();
    client.get("a.test", "/refused");
    client.get("unknown.test", "/unknown");
    // What cannot be read has no target to be told by.
    client.send("GET / HTTP/1.1\r\n\r\n").response();
    proxy.exchange("nonsense\r\n\r\n");
    for status in [" 502 ", " 421 ", " 400 "] {
        let line = proxy.log_line(|line| line.contains(status));
        assert_ne!(value(&line, "err"), "-", "{line}");
    }
    wait_until("all lines have come", || proxy.log().all().iter().filter(|line| line.contains(" 400 ")).count() == 2);
    let lines = proxy.log().all();
    let unknown = lines.iter().find(|line| line.contains("/unknown")).unwrap();
    // The bytes of our own page, and its cause as one word.
    let page = "421 Misdirected Request\nThis server has no site of that name.\n";
    assert!(unknown.contains(&format!("\" 421 {} ", page.len())), "{unknown}");
    assert_eq!(value(unknown, "err"), "unknown-host", "{unknown}");
    for target in ["/refused", "/unknown"] {
        assert_eq!(lines.iter().filter(|line| line.contains(target)).count(), 1, "{lines:#?}");
    }
}

#[test]
fn an_exchange_that_broke_off_names_its_cause() {
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")
    });
    let proxy = Proxy::to(&origin);
    let _ = proxy.connect().send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET");
    let line = proxy.log_line(|line| line.contains("/cut"));
    assert_ne!(value(&line, "err"), "-", "{line}");
}

#[test]
fn a_retried_request_tells_so() {
    let (_held, port) = refusing_port();
    let origin = Origin::named("x");
    let servers = format!("{{ servers = [{port}, {{ url = {:?}, backup = true }}], eject_after = 0 }}", origin.url());
    let proxy = Proxy::start(&format!("[[site]]\nhost = \"*\"\nupstream = {servers}\n"));
    assert_eq!(proxy.get("a", "/again").status(), 200);
    let line = proxy.log_line(|line| line.contains("/again"));
    assert_eq!((value(&line, "retries"), value(&line, "up")), ("1", origin.address().to_string().as_str()));
}

#[test]
fn the_client_is_the_one_behind_trusted_proxies() {
    let origin = Origin::named("x");
    let request = |target| format!("GET {target} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9\r\n\r\n");
    let trusting = Proxy::start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{}", default_site(&origin)));
    trusting.exchange(request("/trusted"));
    let line = trusting.log_line(|line| line.contains("/trusted"));
    assert!(line.starts_with("203.0.113.9 "), "{line}");
    let wary = Proxy::to(&origin);
    wary.exchange(request("/wary"));
    let line = wary.log_line(|line| line.contains("/wary"));
    assert!(line.starts_with("127.0.0.1 "), "{line}");
}

#[test]
fn a_tunnel_has_its_line_when_it_ends() {
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\nhello")
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    client.send("GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n");
    assert_eq!(client.response().status(), 101);
    assert_eq!(client.rest().unwrap(), b"hello");
    drop(client);
    let line = proxy.log_line(|line| line.contains("/tunnel"));
    assert!(line.contains(" 101 ") && value(&line, "tunnel") == "1", "{line}");
}

#[test]
fn a_line_stays_a_line_whatever_a_client_sends() {
    let origin = Origin::named("x");
    let hostile = "GET /\"quote\"\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: \u{1b}[31m\" \u{e9}\t\\x\r\nReferer: \"\r\n\r\n";
    let requests = ["GET /q HTTP/1.1\r\nHost: a\r\nUser-Agent: \"a\\b\"\t\u{e9}\r\n\r\n", hostile];
    for format in ["combined", "json"] {
        let proxy = start(&origin, format);
        for request in requests {
            let _ = proxy.connect().send(request).try_response("GET");
        }
        proxy.get("a", "/last");
        proxy.log_line(|line| line.contains("/last"));
        let lines = proxy.log().all();
        let access: Vec<_> = lines.iter().filter(|line| line.starts_with(['{', '1'])).collect();
        assert_eq!(access.len(), 3, "{access:#?}");
        for line in access {
            assert!(!line.chars().any(char::is_control), "{line:?}");
            if format == "json" {
                assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
            } else {
                assert_eq!(line.matches('"').count() - line.matches("\\\"").count(), 6, "{line}");
            }
        }
    }
}

#[test]
fn silence_is_kept_where_it_is_wanted() {
    let origin = Origin::named("x");
    let quiet = Proxy::start_with(&default_site(&origin), &["--cores", "1", "--quiet"]);
    let off = start(&origin, "off");
    for mut proxy in [quiet, off] {
        assert_eq!(proxy.get("a", "/unheard").text(), "x");
        proxy.signal(nix::sys::signal::Signal::SIGTERM);
        let (_, lines) = proxy.wait_exit();
        assert!(!lines.iter().any(|line| line.contains("/unheard")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("ready")), "what concerns the program is still told");
    }
}

#[test]
fn many_lines_arrive_all() {
    let origin = Origin::named("x");
    let mut proxy = Proxy::start_with(&default_site(&origin), &["--cores", "2"]);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let mut client = proxy.connect();
            scope.spawn(move || (0..250).for_each(|m| drop(client.get("a", &format!("/many/{n}/{m}/")))));
        }
    });
    proxy.signal(nix::sys::signal::Signal::SIGTERM);
    let (_, lines) = proxy.wait_exit();
    let targets = lines.iter().filter_map(|line| line.split_once("/many/")?.1.split_once(" HTTP"));
    let targets: std::collections::HashSet<_> = targets.map(|(target, _)| target).collect();
    assert_eq!(targets.len(), 1000);
}
