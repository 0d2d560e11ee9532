//! The properties of the fuzz targets, on their corpora and on generated inputs: no fuzzer needed.
#![forbid(unsafe_code)]

#[path = "../fuzz/properties.rs"]
mod properties;

use proptest::prelude::*;
use proptest::sample::select;
use std::path::Path;

#[track_caller]
fn replay(corpus: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(corpus);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is part of the source") {
        let path = entry.expect("a directory entry").path();
        println!("{}", path.display());
        property(&std::fs::read(&path).expect("a corpus file"));
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn corpora_replay() {
    replay("request_head", properties::request_head);
    replay("response_head", properties::response_head);
    replay("chunked", properties::chunked);
    replay("host_path", properties::host_path);
}

/// Inputs made of `fragments`, with a stray byte now and then.
fn built_from(fragments: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let fragment = select(fragments).prop_map(|text| text.as_bytes().to_vec());
    let stray = any::<u8>().prop_map(|byte| vec![byte]);
    prop::collection::vec(prop_oneof![20 => fragment, 1 => stray], 0..16).prop_map(|parts| parts.concat())
}

/// A start line, fields, a blank line: mostly valid.
fn head(starts: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    (select(starts), built_from(LINES), select(&["\r\n", "\r\nrest", "\n", ""][..]))
        .prop_map(|(start, lines, end)| [start.as_bytes(), &lines, end.as_bytes()].concat())
}

proptest! {
    // A failure worth keeping becomes a file of the corpus.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn request_heads(data in head(REQUEST_LINES)) { properties::request_head(&data) }

    #[test]
    fn response_heads(data in head(STATUS_LINES)) { properties::response_head(&data) }

    #[test]
    fn chunked_bodies(data in built_from(CHUNKS)) { properties::chunked(&data) }

    #[test]
    fn hosts_and_paths(data in built_from(NAMES)) { properties::host_path(&data) }
}

const REQUEST_LINES: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "POST /a?b HTTP/1.1\r\nHost: a\r\n",
    "GET http://a.test/ HTTP/1.1\r\nHost: b\r\n",
    "OPTIONS * HTTP/1.1\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "\r\nPOST / HTTP/1.0\r\n",
    "GET / HTTP/2.0\r\n",
];

const STATUS_LINES: &[&str] =
    &["HTTP/1.1 200 OK\r\n", "HTTP/1.0 404 \r\n", "HTTP/1.1 204\r\n", "HTTP/1.1 101 x\r\n", "HTTP/1.1 20\r\n"];

const LINES: &[&str] = &[
    "Host: a\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: +5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close, x\r\n",
    "Upgrade: x\r\n",
    "X-A:\r\n",
    "X-B: \t a b \t\r\n",
    "X-C: d\n",
    " folded\r\n",
    "X-D : e\r\n",
];

const CHUNKS: &[&str] = &[
    "1\r\nx\r\n",
    "00a\r\n0123456789\r\n",
    "2;a=\"b\"\r\nxy\r\n",
    "1 ;a\r\nx\r\n",
    "0\r\n",
    "0;z\r\n",
    "\r\n",
    "X: 1\r\n",
    "1\n",
];

const NAMES: &[&str] =
    &["/", "//", ".", "..", "a", "B.test", "%2F", "%2e", "%", "\\", ":80", "[::1]", "[2001:DB8::1]", "?", ";x"];
