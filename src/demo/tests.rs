//! The sites themselves, on plain sockets, without the proxy.

use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

/// The sites, started once for all tests.
fn sites() -> &'static DemoSites {
    static SITES: std::sync::LazyLock<DemoSites> =
        std::sync::LazyLock::new(|| start().expect("loopback has free ports"));
    &SITES
}

fn connect(site: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(site).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Sends `request` and reads to the end: the head and the body of the answer.
fn ask(site: SocketAddr, request: impl AsRef<[u8]>) -> (String, Vec<u8>) {
    let mut stream = connect(site);
    stream.write_all(request.as_ref()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head") + 4;
    let body = answer.split_off(end);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}

fn get(site: SocketAddr, target: &str, more: &str) -> (String, Vec<u8>) {
    ask(site, format!("GET {target} HTTP/1.1\r\nHost: x.localhost:8080\r\nConnection: close\r\n{more}\r\n"))
}

#[track_caller]
fn check_page(site: SocketAddr, target: &str, more: &str, status: &str, contains: &str) {
    let (head, body) = get(site, target, more);
    let body = String::from_utf8(body).unwrap();
    assert!(head.starts_with(&format!("http/1.1 {status}")), "{target}: {head}");
    assert!(body.contains(contains), "{target}: no {contains} in {body}");
    assert!(!body.contains("{{"), "{target}: a place was not filled in: {body}");
}

#[test]
fn every_page_is_there_and_every_link_of_the_blog_leads_to_one() {
    let DemoSites { blog, files, chat } = *sites();
    check_page(blog, "/", "", "200", "Notes from the quay");
    check_page(blog, "/elsewhere", "", "404", "<h1>No such page</h1>");
    check_page(files, "/", "", "200", "Download");
    check_page(chat, "/", "", "200", "new WebSocket");
    for site in [blog, files, chat] {
        check_page(site, "/style.css", "", "200", "prefers-color-scheme: dark");
        check_page(site, "/", "", "200", "href=\"//chat.localhost:8080/\"");
    }
    let index = String::from_utf8(get(blog, "/", "").1).unwrap();
    let links: Vec<_> =
        index.split("class=\"card\" href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links.len(), 3);
    for link in links {
        check_page(blog, &format!("/{link}"), "", "200", "How this request arrived");
    }
}

#[test]
fn the_blog_shows_how_a_request_arrived_and_works_under_a_path() {
    let blog = sites().blog;
    check_page(blog, "/", "X-Forwarded-For: 192.0.2.7\r\n", "200", "<dt>X-Forwarded-For</dt><dd>192.0.2.7</dd>");
    check_page(blog, "/", "X-Real-IP: <script>\r\n", "200", "<dd>&lt;script&gt;</dd>");
    check_page(blog, "/", "", "200", "<base href=\"/\">");
    check_page(blog, "/", "X-Forwarded-Prefix: /blog\r\n", "200", "<base href=\"/blog/\">");
}

#[test]
fn a_download_has_its_length_and_the_same_bytes_each_time() {
    let files = sites().files;
    let (head, whole) = get(files, "/file?size=200001", "");
    assert!(head.contains("content-length: 200001\r\n"), "{head}");
    assert_eq!(whole.len(), 200_001);
    assert_eq!(get(files, "/file?size=200001", "").1, whole);
    assert_eq!(get(files, "/file?size=0", "").1, b"");

    let (head, part) = get(files, "/file?size=200001", "Range: bytes=65530-131080\r\n");
    assert!(
        head.starts_with("http/1.1 206") && head.contains("content-range: bytes 65530-131080/200001\r\n"),
        "{head}"
    );
    assert_eq!(part, whole[65_530..=131_080]);
    assert!(get(files, "/file?size=10", "Range: bytes=10-\r\n").0.contains("content-range: bytes */10\r\n"));
    assert_eq!(get(files, "/file?size=10", "Range: bytes=5-\r\nIf-Range: \"v1\"\r\n").1.len(), 10);
    assert!(get(files, "/file?size=2000GiB", "").0.starts_with("http/1.1 400"));

    let (head, body) = ask(files, "HEAD /1g HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.contains("content-length: 1073741824\r\n"), "{head}");
    assert_eq!(body, b"");
}

#[test]
fn an_upload_is_counted_and_hashed() {
    // Digests as `sha256sum` prints them.
    let empty = "received 0 bytes\nsha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";
    let abc = "received 3 bytes\nsha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    let check = |head: &str, body: &str, expect: &str| {
        let request = format!("{head} /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{body}");
        let (head, answer) = ask(sites().files, request);
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(String::from_utf8(answer).unwrap(), expect);
    };
    check("PUT", "Content-Length: 0\r\n\r\n", empty);
    check("PUT", "Content-Length: 3\r\n\r\nabc", abc);
    check("POST", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", abc);
}

#[test]
fn a_client_that_asks_before_it_uploads_is_told_to_go_on() {
    let mut stream = connect(sites().files);
    stream.write_all(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 100 Continue\r\n");
}

/// A chat of its own, so that tests do not hear each other.
fn new_chat() -> SocketAddr {
    let listener = listen().unwrap();
    let address = listener.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime.block_on(serve(listener, Site::Chat(Room::new()))));
    address
}

fn enter(chat: SocketAddr) -> WebSocket<TcpStream> {
    tungstenite::client(format!("ws://{chat}/ws"), connect(chat)).expect("the chat accepts a WebSocket").0
}

#[track_caller]
fn hear(member: &mut WebSocket<TcpStream>, expect: &[&str]) {
    for expect in expect {
        let Message::Text(heard) = member.read().unwrap() else { panic!("the chat sends text") };
        assert!(heard.contains(expect), "{heard} instead of {expect}");
    }
}

fn say(member: &mut WebSocket<TcpStream>, text: &str) {
    member.send(Message::text(text)).unwrap();
}

#[test]
fn everybody_in_the_room_hears_what_is_said_and_who_comes_later_reads_it() {
    let chat = new_chat();
    let mut ada = enter(chat);
    hear(&mut ada, &[r#""here":1"#]);
    let mut ben = enter(chat);
    hear(&mut ben, &[r#""here":2"#]);
    hear(&mut ada, &[r#""here":2"#]);
    say(&mut ada, r#"{"name":"Ada","text":"hello"}"#);
    hear(&mut ben, &[r#""name":"Ada","text":"hello""#]);
    hear(&mut ada, &[r#""text":"hello""#]);
    say(&mut ben, "bare text");
    hear(&mut ada, &[r#""name":"Guest","text":"bare text""#]);

    let (head, _) =
        ask(chat, "POST /say HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9\r\n\r\nfrom curl");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    hear(&mut ada, &[r#""text":"from curl""#]);

    let mut cleo = enter(chat);
    hear(&mut cleo, &["hello", "bare text", "from curl", r#""here":3"#]);
    hear(&mut ada, &[r#""here":3"#]);
    ben.close(None).unwrap();
    hear(&mut ada, &[r#""here":2"#]);
}

#[test]
fn the_history_and_each_message_have_an_end() {
    let chat = new_chat();
    let mut ada = enter(chat);
    hear(&mut ada, &["here"]);
    for number in 0..60 {
        say(&mut ada, &format!("message {number}."));
        hear(&mut ada, &[&format!("message {number}.")]);
    }
    say(&mut ada, &"é".repeat(1000));
    hear(&mut ada, &[&format!("\"{}\"", "é".repeat(500))]);
    let mut ben = enter(chat);
    hear(&mut ben, &["message 11."]);

    say(&mut ada, &"x".repeat(5000));
    hear(&mut ada, &[r#""here":2"#]);
    assert!(ada.read().is_err() || !ada.can_write(), "too long a message ends the connection");
}

#[test]
fn a_request_that_is_no_handshake_does_not_enter() {
    let handshake = "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let chat = sites().chat;
    assert!(get(chat, "/ws", "").0.starts_with("http/1.1 426"));
    assert!(get(chat, "/ws", &format!("{handshake}Sec-WebSocket-Version: 13\r\n")).0.starts_with("http/1.1 426"));
    let (head, _) = ask(chat, format!("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\n{handshake}\r\n"));
    assert!(head.starts_with("http/1.1 426"), "{head}");
}

#[test]
fn the_configuration_is_valid_toml_with_a_site_for_each_host() {
    for (ipv6, https, count) in [(true, true, 7), (false, true, 7), (true, false, 4), (false, false, 4)] {
        let https = https.then_some(Port { number: 8443, ipv6 });
        let text = config_text(Port { number: 8080, ipv6 }, https, sites());
        let table = toml::de::DeTable::parse(&text).expect("valid TOML");
        assert_eq!(table.get_ref()["site"].get_ref().as_array().unwrap().len(), count);
        assert_eq!(text.contains("\"[::1]:8080\""), ipv6);
        assert_eq!(text.contains("\"https://[::1]:8443\""), ipv6 && https.is_some());
    }
}
