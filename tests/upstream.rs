//! How a server is reached: kinds of addresses, kept connections, and requests that are tried again or wait.

use crate::support::{Exchange, Gate, Message, Origin, Proxy, default_site, ok, refusing_port, wait_until};
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A default site with this value of `upstream`.
fn config(upstream: &str) -> String {
    format!("[[site]]\nhost = \"*\"\nupstream = {upstream}\n")
}

#[test]
fn every_kind_of_address_is_reached() {
    let unix = Origin::unix(|_| ok("unix"));
    assert_eq!(Proxy::to(&unix).get("a", "/").text(), "unix");
    let origin = Origin::named("tcp");
    let port = origin.address().port();
    for upstream in [format!("{port}"), format!("\"127.0.0.1:{port}\""), format!("\"http://localhost:{port}\"")] {
        let proxy = Proxy::start(&config(&upstream));
        // A name may not be known yet in the first moments.
        wait_until(&upstream, || proxy.get("a", "/").text() == "tcp");
    }
}

#[test]
fn a_name_that_does_not_resolve_costs_only_its_own_site() {
    let origin = Origin::named("well");
    let text = format!(
        "[[site]]\nhost = \"lost.test\"\nupstream = \"http://no-such-host.invalid:80\"\n{}",
        crate::support::site("well.test", &origin)
    );
    let proxy = Proxy::start(&text);
    assert_eq!(proxy.get("lost.test", "/").status(), 503);
    assert_eq!(proxy.get("well.test", "/").text(), "well");
    proxy.log_line(|line| line.contains("no-such-host.invalid"));
}

#[test]
fn a_kept_connection_that_the_server_has_closed_is_replaced_unseen() {
    let origin = Origin::named("again");
    let proxy = Proxy::to(&origin);
    let mut client = proxy.connect();
    for _ in 0..5 {
        assert_eq!(client.get("a", "/").text(), "again");
        origin.end_connections();
        // A POST is not sent twice, so this shows that the end is noticed before a request is risked.
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
        assert_eq!(client.response().text(), "again");
        origin.end_connections();
    }
    assert_eq!((origin.connections(), origin.requests().len()), (10, 10));
}

#[test]
fn a_request_that_meets_the_end_of_a_kept_connection_is_sent_again() {
    for reset in [false, true] {
        // The second request on each connection is read and then dropped without a byte of response.
        let origin = Origin::scripted(move |exchange| {
            if exchange.request()?.is_some() {
                exchange.send(ok(exchange.number.to_string()))?;
                exchange.request()?;
            }
            if reset { exchange.reset() } else { Ok(()) }
        });
        let proxy = Proxy::to(&origin);
        let mut client = proxy.connect();
        assert_eq!(client.get("a", "/").text(), "1");
        assert_eq!(client.get("a", "/").text(), "2");
        let put = client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").response();
        assert_eq!(put.text(), "3", "PUT is idempotent");
        // That says nothing against the server.
        assert_eq!(proxy.server(&origin.address().to_string())["failures"], 0);
        // A POST may have been carried out: it is not sent again.
        let post = client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").response();
        assert_eq!(post.status(), 502);
    }
}

#[test]
fn a_server_that_begins_to_answer_is_not_asked_again() {
    let origin = Origin::scripted(|exchange| {
        exchange.request()?;
        exchange.send("HTTP/1.1 200 OK\r\nContent-Le")
    });
    let proxy = Proxy::to(&origin);
    assert_eq!(proxy.get("a", "/").status(), 502);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn another_server_takes_over_where_one_refuses() {
    let (_held, port) = refusing_port();
    let origin = Origin::answering(|request| ok(request.text()));
    let servers = format!("{{ servers = [{port}, {:?}], balance = \"round_robin\", eject_after = 0 }}", origin.url());
    let proxy = Proxy::start(&config(&servers));
    let mut client = proxy.connect();
    for _ in 0..10 {
        assert_eq!(client.get("a", "/").status(), 200);
        // Nothing was sent to the one that refused, so any method may go on to the next.
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(client.response().text(), "body");
    }
}

#[test]
fn a_server_that_dies_under_load_fails_no_get() {
    let (mut dying, staying) = (Origin::named("dying"), Origin::named("staying"));
    let servers = format!("{{ servers = [{:?}, {:?}], balance = \"round_robin\" }}", dying.url(), staying.url());
    let proxy = Proxy::start_with(&config(&servers), &["--cores", "2"]);
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = proxy.connect();
                for _ in 0..300 {
                    let response = client.get("a", "/");
                    assert_eq!(response.status(), 200, "{response:?}");
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait_until("both have work", || served.load(Ordering::Relaxed) > 200);
        assert!(!dying.requests().is_empty());
        dying.stop();
    });
    assert_eq!(proxy.get("a", "/").text(), "staying");
}

#[test]
fn a_pool_that_is_ejected_as_a_whole_is_tried_all_the_same() {
    let (held, port) = refusing_port();
    let (_down, other) = refusing_port();
    let servers = format!("{{ servers = [{port}, {other}], eject_after = 1, eject_for = \"60s\" }}");
    let proxy = Proxy::start(&config(&servers));
    for _ in 0..3 {
        assert_eq!(proxy.get("a", "/").status(), 502);
    }
    assert_eq!(proxy.server(&format!(":{port}"))["state"], "ejected");
    let _origin = Origin::on(held, |exchange| {
        exchange.request()?;
        exchange.send(ok("back"))
    });
    for _ in 0..3 {
        assert_eq!(proxy.get("a", "/").text(), "back");
    }
    assert_eq!(proxy.server(&format!(":{port}"))["state"], "up");
}

#[test]
fn a_request_that_fails_on_every_server_gets_the_last_error() {
    let closing = [(); 2].map(|()| Origin::scripted(|exchange| exchange.request().map(drop)));
    let (_held, port) = refusing_port();
    let [one, two] = closing.each_ref().map(Origin::url);
    let proxy = Proxy::start(&config(&format!("{{ servers = [{port}, {one:?}, {two:?}], eject_after = 0 }}")));
    assert_eq!(proxy.get("a", "/everywhere").status(), 502);
    let line = proxy.log_line(|line| line.contains("/everywhere"));
    assert!(line.contains(" retries=2 ") && !line.contains(" up=- "), "{line}");
    assert_eq!(closing.each_ref().map(|origin| origin.requests().len()), [1, 1]);
}

#[test]
fn an_error_of_the_application_is_not_ours_to_retry() {
    let origin = Origin::answering(|_| b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy".to_vec());
    let response = Proxy::to(&origin).get("a", "/");
    assert_eq!((response.start.as_str(), response.text().as_str()), ("HTTP/1.1 503 Busy", "busy"));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn requests_over_the_limit_of_a_server_wait_in_order() {
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let origin = Origin::answering({
        let (open, most) = (open.clone(), most.clone());
        move |_| {
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // Long enough for the others to come while this one is being answered.
            std::thread::sleep(Duration::from_millis(20));
            open.fetch_sub(1, Ordering::SeqCst);
            ok("served")
        }
    });
    let servers = format!("{{ servers = [{{ url = {:?}, max_connections = 2 }}], queue = 100 }}", origin.url());
    let proxy = Proxy::start_with(&config(&servers), &["--cores", "2"]);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| assert_eq!(proxy.get("a", "/").text(), "served"));
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_full_queue_is_an_answer_at_once() {
    let gate = Arc::new(Gate::default());
    let origin = Origin::gated(&gate);
    let servers = format!("{{ servers = [{{ url = {:?}, max_connections = 1 }}], queue = 1 }}", origin.url());
    let proxy = Proxy::start(&config(&servers));
    let request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut first = proxy.connect();
    first.send(request);
    origin.wait_requests(1);
    // Of two more, one finds the place in the queue and one does not.
    let mut more = [proxy.connect(), proxy.connect()];
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for client in &mut more {
            let tell = tell.clone();
            client.send(request);
            scope.spawn(move || tell.send(client.response().status()).unwrap());
        }
        assert_eq!(told.recv_timeout(crate::support::WAIT), Ok(503));
        gate.open();
        assert_eq!(told.recv_timeout(crate::support::WAIT), Ok(200));
    });
    assert_eq!(first.response().text(), "served");
}

#[test]
fn hold_keeps_requests_until_a_server_comes_back() {
    let (held, port) = refusing_port();
    // By then it is ejected for longer than anything is held.
    let proxy = Proxy::start(&config(&format!("{{ servers = [{port}], hold = \"60s\", eject_for = \"60s\" }}")));
    // The first to come is the one that looks for all; when it leaves, another one does.
    let mut leaver = proxy.connect();
    leaver.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect_silence(Duration::from_millis(150));
    let mut clients = [proxy.connect(), proxy.connect()];
    clients[0].send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    clients[1].send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    for client in &mut clients {
        client.expect_silence(Duration::from_millis(150));
    }
    leaver.stream().reset_on_close().unwrap();
    drop(leaver);
    wait_until("it is noticed", || proxy.status()["totals"]["connections"] == 2);
    let answer = |exchange: &mut Exchange| -> io::Result<()> {
        while let Some(Message { body, .. }) = exchange.request()? {
            exchange.send(ok([b"back ".as_slice(), &body].concat()))?;
        }
        Ok(())
    };
    let _origin = Origin::on(held, answer);
    assert_eq!(clients[0].response().text(), "back ");
    assert_eq!(clients[1].response().text(), "back hi");
}

#[test]
fn many_are_held_on_every_core() {
    let (held, port) = refusing_port();
    let upstream = config(&format!("{{ servers = [{port}], hold = \"9s\", eject_after = 0 }}"));
    let proxy = Proxy::start_with(&upstream, &["--cores", "2"]);
    let mut clients: Vec<_> = (0..40).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    wait_until("all are held", || proxy.status()["totals"]["exchanges"] == 40);
    let _origin = Origin::on(held, |exchange| {
        while exchange.request()?.is_some() {
            exchange.send(ok("back"))?;
        }
        Ok(())
    });
    for client in &mut clients {
        assert_eq!(client.response().text(), "back");
    }
    // Only one of each core has looked, ten times a second.
    let failures = proxy.server(&format!(":{port}"))["failures"].as_u64().unwrap();
    assert!(failures < 200, "{failures}");
}

#[test]
fn hold_ends() {
    let (_held, port) = refusing_port();
    let proxy = Proxy::start(&config(&format!("{{ servers = [{port}], hold = \"300ms\" }}")));
    let status = proxy.get("a", "/").status();
    assert!(matches!(status, 502 | 503), "{status}");
}

#[test]
fn a_client_that_leaves_ends_the_work_for_it() {
    let (tell, told) = std::sync::mpsc::channel();
    let origin = Origin::scripted(move |exchange| {
        let request = exchange.request()?;
        if request.is_some_and(|request| request.target() == "/begun") {
            exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort")?;
        }
        let _ = tell.send(exchange.wire.rest().map_err(|error| error.kind()));
        Ok(())
    });
    let proxy = Proxy::start(&default_site(&origin));
    let requests = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody",
        "GET /begun HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for (number, request) in requests.iter().enumerate() {
        let mut client = proxy.connect();
        client.send(request);
        origin.wait_requests(number + 1);
        client.stream().reset_on_close().unwrap();
        drop(client);
        let ended = told.recv_timeout(crate::support::WAIT).expect("the connection to the origin ends");
        assert!(matches!(ended, Ok(_) | Err(ErrorKind::ConnectionReset)), "{request}: {ended:?}");
    }
    wait_until("nothing is left of it", || proxy.status()["totals"]["exchanges"] == 0);
}

#[test]
fn a_client_that_has_said_all_is_still_answered() {
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"]
    {
        let gate = Arc::new(Gate::default());
        let origin = Origin::answering({
            let gate = gate.clone();
            move |_| {
                gate.pass();
                ok("whole")
            }
        });
        let proxy = Proxy::to(&origin);
        let mut client = proxy.connect();
        client.send(request).finish();
        origin.wait_requests(1);
        client.expect_silence(Duration::from_millis(50));
        gate.open();
        assert_eq!(client.response().text(), "whole", "{request}");
        client.expect_end();
    }
}
