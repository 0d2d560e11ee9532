//! HTML pages: one layout and one stylesheet for all sites, and the values that are filled in.

use super::Response;
use http_body_util::{Either, Full};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use std::fmt::Write;

/// A whole page around `main`, which is HTML.
pub(super) fn page(headers: &HeaderMap, title: &str, main: &str) -> Response {
    let (base, port) = (base(headers), port(headers));
    let html =
        fill(include_str!("pages/layout.html"), &[("title", title), ("base", &base), ("port", &port), ("main", main)]);
    let mut response = Response::new(Either::Left(Full::new(html.into())));
    content_type(&mut response, "text/html; charset=utf-8");
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The stylesheet.
pub(super) fn style() -> Response {
    let mut response = Response::new(Either::Left(Full::new(include_str!("pages/style.css").into())));
    content_type(&mut response, "text/css; charset=utf-8");
    response
}

pub(super) fn content_type(response: &mut Response, kind: &'static str) {
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
}

/// Puts values in place of `{{name}}` in one pass, so that a value is never taken for a template.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, name, after)) = placeholder(rest) {
        let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        debug_assert!(value.is_some(), "a page asks for {name}, which nobody gives");
        filled.push_str(before);
        filled.push_str(value.unwrap_or_default());
        rest = after;
    }
    filled + rest
}

fn placeholder(template: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = template.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name, after))
}

/// A list of what the request says about the way it came: the headers that a proxy sets, and the host.
pub(super) fn arrival(headers: &HeaderMap) -> String {
    let mut html = String::from("<h2>How this request arrived</h2>\n<div class=\"card\"><dl>\n");
    for name in ARRIVAL {
        for value in headers.get_all(name) {
            let value = escape(&String::from_utf8_lossy(value.as_bytes()));
            let _ = writeln!(html, "<dt>{name}</dt><dd>{value}</dd>");
        }
    }
    html + "</dl></div>\n"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What relative links start from: the prefix that a proxy in front cut off, or the root.
fn base(headers: &HeaderMap) -> String {
    let prefix = headers.get("x-forwarded-prefix").and_then(|value| value.to_str().ok()).unwrap_or("");
    // Anything but a plain path, "//elsewhere" above all, would send the links of the page somewhere else.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let usable = prefix.starts_with('/') && !prefix.starts_with("//") && prefix.bytes().all(plain);
    if usable { format!("{}/", prefix.trim_end_matches('/')) } else { "/".into() }
}

/// The port that the client asked for, with its colon, so that links reach the other sites by the same way.
fn port(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    match host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(port) => format!(":{port}"),
        None => String::new(),
    }
}

/// In the order in which they are shown.
const ARRIVAL: [&str; 8] = [
    "Host",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Prefix",
    "Forwarded",
    "X-Real-IP",
    "X-Request-Id",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_value_is_never_taken_for_a_template() {
        assert_eq!(fill("{{a}}-{{b}}-{{a}}", &[("a", "{{b}}"), ("b", "2")]), "{{b}}-2-{{b}}");
        assert_eq!(fill("plain {{", &[]), "plain {{");
    }

    #[test]
    fn links_start_from_the_prefix_that_was_cut_off() {
        let check = |prefix, expect: &str| assert_eq!(base(&headers("x-forwarded-prefix", prefix)), expect);
        check("/blog", "/blog/");
        check("/blog/", "/blog/");
        check("/a/b-c", "/a/b-c/");
        check("/", "/");
        check("//evil.example", "/");
        check("blog", "/");
        check("/\"><script>", "/");
        assert_eq!(base(&HeaderMap::new()), "/");
    }

    #[test]
    fn links_to_the_other_sites_keep_the_port() {
        let check = |host, expect: &str| assert_eq!(port(&headers("host", host)), expect);
        check("blog.localhost:8080", ":8080");
        check("blog.localhost", "");
        check("blog.localhost:x\"", "");
    }

    #[test]
    fn what_a_client_sends_is_shown_as_text() {
        let html = arrival(&headers("x-forwarded-for", "<b>&\"1\""));
        assert!(html.contains("<dt>X-Forwarded-For</dt><dd>&lt;b&gt;&amp;&quot;1&quot;</dd>"), "{html}");
    }
}
