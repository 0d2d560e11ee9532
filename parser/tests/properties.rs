//! The properties of the fuzz targets, on their corpora and on generated inputs: no fuzzer needed.
#![forbid(unsafe_code)]

#[path = "../fuzz/properties.rs"]
mod properties;

use proptest::prelude::*;
use proptest::sample::select;
use ringferry_parser::proxy_protocol::{self, Addresses, Transport};
use std::net::SocketAddr;
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
    replay("client_hello", properties::client_hello);
    replay("proxy_protocol", properties::proxy_protocol);
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

/// A ClientHello with right lengths around its extensions, in records of any size: mostly valid.
fn hello() -> impl Strategy<Value = Vec<u8>> {
    (built_from(EXTENSIONS), 1usize..400).prop_map(|(extensions, size)| {
        let extensions = [&(extensions.len() as u16).to_be_bytes(), &*extensions].concat();
        let body = [HELLO_FIELDS.as_bytes(), &extensions].concat();
        properties::records(&properties::message(&body), size)
    })
}

/// A header for any addresses, sometimes with a wrong byte, and what may follow it.
fn proxy_header() -> impl Strategy<Value = Vec<u8>> {
    let stray = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (any::<[SocketAddr; 2]>(), any::<bool>(), stray).prop_map(|([source, destination], text, stray)| {
        let (addresses, mut wire) = (Addresses { source, destination }, Vec::new());
        match text {
            true => proxy_protocol::write_v1(addresses, &mut wire),
            false => proxy_protocol::write_v2(Transport::Datagram, addresses, &mut wire),
        }
        if let Some((at, byte)) = stray {
            *at.get_mut(&mut wire) = byte;
        }
        [&wire, &b"GET /"[..]].concat()
    })
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
    fn client_hellos(data in hello()) { properties::client_hello(&data) }

    #[test]
    fn proxy_headers(data in proxy_header()) { properties::proxy_protocol(&data) }

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

/// The fields of a ClientHello in front of its extensions.
const HELLO_FIELDS: &str = "\x03\x03thirty-two bytes that are random\0\0\x02\x13\x01\x01\0";

const EXTENSIONS: &[&str] = &[
    "\0\0\0\x0b\0\x09\0\0\x06a.test",
    "\0\0\0\x06\0\x04\0\0\x01/",
    "\0\x10\0\x05\0\x03\x02h2",
    "\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1",
    "\0\x10\0\x03\0\x01\0",
    "\x0a\x0a\0\0",
    "\0\x15\0\x04\0\0\0\0",
    "\0\x2b\0\x03\x02\x03\x04",
    "\0\x33\0\x08key_pair",
    "\0\x23\0\0",
];
