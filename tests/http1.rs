//! HTTP/1.1 on both sides: connections that are kept, order, framing, versions, and the forms of a target.

use crate::support::{Message, Origin, Proxy, Stream, Wire, answer, chunked, default_site, ok, wait_until};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{Shutdown, TcpStream};

#[test]
fn a_connection_is_kept_on_both_sides() {
    let origin = Origin::named("kept");
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    for _ in 0..5 {
        assert_eq!(client.get("a.test", "/").text(), "kept");
    }
    assert_eq!(proxy.get("a.test", "/").text(), "kept");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn close_is_honoured_and_announced() {
    let origin = Origin::named("last");
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    let response = client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").response();
    assert_eq!((response.text().as_str(), response.field("connection")), ("last", Some("close")));
    client.expect_end();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::answering(|request| ok(request.target()));
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    let requests: String = (0..20).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.send(requests);
    for n in 0..20 {
        assert_eq!(client.response().text(), format!("/{n}"));
    }
    // A body in between, and a request that the proxy answers itself.
    let post = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    client.send([post, "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"].concat());
    assert_eq!(client.response().text(), "/a");
    assert_eq!(client.response().status(), 405);
}

#[test]
fn a_pipeliner_that_reads_slowly_gets_every_small_answer_in_order() {
    const REQUESTS: usize = 3000;
    let origin = Origin::answering(|request| ok(format!("{:>4000}", request.target())));
    let proxy = Proxy::to(&origin);
    // The client's window is smaller than an answer, and no socket of the proxy takes all of them.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket.connect(&proxy.address().into()).unwrap();
    let requests: String = (0..REQUESTS).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut stream = TcpStream::from(socket);
    stream.write_all(requests.as_bytes()).unwrap();
    // The end of the requests is not the end of the answers.
    stream.shutdown(Shutdown::Write).unwrap();
    let mut before = 0;
    wait_until("the proxy is held up by its answers", || {
        let now = origin.requests().len();
        now > 60 && now == std::mem::replace(&mut before, now)
    });
    assert!(before < REQUESTS);
    let mut client = Wire::over(Stream::Tcp(stream));
    for n in 0..REQUESTS {
        assert_eq!(client.response().text(), format!("{:>4000}", format!("/{n}")));
    }
    client.expect_end();
}

#[test]
fn a_head_may_come_in_any_pieces() {
    let origin = Origin::answering(|request| ok(request.target()));
    let proxy = Proxy::to(&origin);
    let request = "GET /pieces HTTP/1.1\r\nHost: a\r\nCookie: b\r\n\r\n";
    let mut client = proxy.connect();
    for byte in request.as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.response().text(), "/pieces");
    for cut in [1, 4, 20, 22, request.len() - 3, request.len() - 1] {
        client.send(&request[..cut]).send(&request[cut..]);
        assert_eq!(client.response().text(), "/pieces", "cut at {cut}");
    }
}

#[test]
fn responses_without_a_body_have_none() {
    let origin = Origin::answering(|request| match (request.method(), request.target()) {
        ("HEAD", "/chunked") => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        ("HEAD", _) => b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n".to_vec(),
        (_, "/204") => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        (_, "/304") => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1000\r\n\r\n".to_vec(),
        _ => ok("body"),
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    let head = client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").response_to("HEAD");
    assert_eq!((head.status(), head.field("content-length"), head.field("etag")), (200, Some("1000"), Some("\"x\"")));
    client.send("HEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n").response_to("HEAD");
    let empty = client.get("a", "/204");
    assert_eq!((empty.status(), empty.field("content-length"), empty.field("transfer-encoding")), (204, None, None));
    let unchanged = client.get("a", "/304");
    assert_eq!((unchanged.status(), unchanged.field("etag")), (304, Some("\"x\"")));
    // Nothing was left over: the next answer is the next answer.
    assert_eq!(client.get("a", "/").text(), "body");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn chunked_bodies_and_trailers_pass_both_ways() {
    let origin = Origin::answering(|request| {
        let mut trailers = vec![("X-Sum", "up")];
        trailers.extend(request.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        chunked("200 OK", &["one ", "two ", &request.text()], &trailers)
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n");
    client.send("Transfer-Encoding: chunked\r\nTrailer: X-Down\r\n\r\n");
    client.send("5;ext=1\r\nthree\r\n0001\r\n!\r\n000\r\nX-Down: down\r\n\r\n");
    let response = client.response();
    assert_eq!(response.text(), "one two three!");
    let trailer = |name: &str| response.trailers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!((trailer("X-Sum"), trailer("X-Down")), (Some("up"), Some("down")));
    assert_eq!(origin.request().text(), "three!");
}

#[test]
fn an_old_client_gets_what_it_can_read() {
    let origin = Origin::answering(|_| chunked("200 OK", &["old ", "news"], &[]));
    let proxy = Proxy::to(&origin);
    // No chunks: the end of the connection ends the body.
    let mut client = proxy.connect();
    let response = client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").response();
    assert_eq!((response.text().as_str(), response.field("transfer-encoding")), ("old news", None));
    client.expect_end();
    // Without a Host the default site answers, and towards the origin it is HTTP/1.1 with a Host.
    assert_eq!(proxy.exchange("GET / HTTP/1.0\r\n\r\n").text(), "old news");
    assert!(origin.request().start.ends_with("HTTP/1.1"));
    assert!(origin.request().field("host").is_some());
}

#[test]
fn an_old_client_keeps_its_connection_only_when_it_asks() {
    let origin = Origin::named("counted");
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    for _ in 0..2 {
        let response = client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").response();
        assert_eq!(response.field("connection").map(str::to_ascii_lowercase).as_deref(), Some("keep-alive"));
    }
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n").response();
    client.expect_end();
}

#[test]
fn a_body_that_ends_with_the_connection_is_framed_for_the_client() {
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
    });
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    for _ in 0..2 {
        let response = client.get("a", "/");
        assert_eq!((response.text().as_str(), response.field("transfer-encoding")), ("until the end", Some("chunked")));
    }
}

#[test]
fn the_forms_of_a_target_are_understood() {
    let origin = Origin::answering(|request| answer("200 OK", &[("Allow", "GET")], request.target()));
    let proxy = Proxy::start(&format!("[[site]]\nhost = \"a.test\"\nupstream = {:?}\n", origin.url()));
    // The authority of an absolute target replaces the Host, towards the origin too.
    let response = proxy.exchange("GET http://a.test/x?y HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert_eq!(response.text(), "/x?y");
    assert_eq!(origin.request().field("host"), Some("a.test"));
    assert_eq!(proxy.exchange("GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n").text(), "/");
    assert_eq!(proxy.exchange("GET http://other.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n").status(), 421);
    let options = proxy.exchange("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert!(matches!(options.status(), 200 | 204), "{options:?}");
    let connect = proxy.exchange("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
    assert_eq!(connect.status(), 405);
    assert!(connect.field("allow").is_some(), "{connect:?}");
    assert_eq!(proxy.exchange("GET * HTTP/1.1\r\nHost: a.test\r\n\r\n").status(), 400);
}

#[test]
fn a_request_that_comes_round_again_is_stopped() {
    // The second proxy forwards to the first one, and the first one to the second.
    let front = Proxy::start("[[site]]\nhost = \"*\"\nredirect = \"https://not.yet\"\n");
    let back = Proxy::start(&format!("[[site]]\nhost = \"*\"\nupstream = \"http://{}\"\n", front.address()));
    front.reload(&format!("[[site]]\nhost = \"*\"\nupstream = \"http://{}\"\n", back.address())).unwrap();
    assert_eq!(front.get("a.test", "/").status(), 508);
    // Itself, at once.
    front.reload(&format!("[[site]]\nhost = \"*\"\nupstream = \"http://{}\"\n", front.address())).unwrap();
    assert_eq!(front.get("a.test", "/").status(), 508);
}

#[test]
fn real_clients_are_content() {
    let origin = Origin::answering(|request: &Message| ok(format!("{} {}", request.method(), request.text())));
    let proxy = Proxy::start(&default_site(&origin));
    let url = format!("http://{}/", proxy.address());
    let agent = ureq::Agent::new_with_defaults();
    for _ in 0..3 {
        let text = agent.get(&url).call().unwrap().body_mut().read_to_string().unwrap();
        assert_eq!(text, "GET ");
        let text = agent.post(&url).send("upload").unwrap().body_mut().read_to_string().unwrap();
        assert_eq!(text, "POST upload");
    }
    assert_eq!(origin.connections(), 1);
}
