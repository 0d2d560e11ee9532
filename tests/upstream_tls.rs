//! Servers that are reached by TLS: who is believed, and that it costs no request.

use crate::support::{
    Exchange, FOREIGN, Framing, HOME, Identity, Origin, Pattern, PatternCheck, Proxy, TempDir, answer, ok,
    refusing_port, wait_until,
};
use std::io;

/// A default site with these servers and further keys of the upstream.
fn config(servers: &[&str], keys: &str) -> String {
    format!("[[site]]\nhost = \"*\"\nupstream = {{ servers = {servers:?}{keys} }}\n")
}

/// `ca` for those that [`HOME`] has signed.
fn home(dir: &TempDir) -> String {
    format!(", ca = {:?}", HOME.put(dir))
}

fn start(origin: &Origin) -> Proxy {
    let dir = TempDir::new();
    Proxy::start(&config(&[&origin.url()], &home(&dir)))
}

/// Answers every request with what the handshake came to.
fn telling(identity: &Identity) -> Origin {
    Origin::tls(identity, tell_all)
}

fn tell_all(exchange: &mut Exchange) -> io::Result<()> {
    let tls = exchange.wire.tls();
    let kind = if tls.is_resumed() { "resumed" } else { "full" };
    let text = format!("{} {kind} {}", tls.server_name().unwrap_or_default(), tls.protocol().unwrap_or_default());
    while exchange.request()?.is_some() {
        exchange.send(ok(&text))?;
    }
    Ok(())
}

/// For the address that origins are reached at.
fn local() -> Identity {
    HOME.issue(&["127.0.0.1"])
}

#[test]
fn a_server_of_the_authority_is_believed_and_kept() {
    let origin = telling(&local());
    let proxy = start(&origin);
    let mut client = proxy.connect();
    for _ in 0..20 {
        // An address is no name that could be asked for (RFC 6066, section 3).
        assert_eq!(client.get("a", "/").text(), " full http/1.1");
        assert_eq!(proxy.get("a", "/").status(), 200);
    }
    assert_eq!(origin.connections(), 1, "one handshake for all of them");
    let line = proxy.log_line(|line| line.contains("GET / "));
    assert!(line.contains(&format!(" up={} ", origin.address())), "{line}");
}

#[test]
fn nobody_else_is_sent_a_request() {
    #[track_caller]
    fn refused(identity: &Identity, keys: &str) {
        let origin = telling(identity);
        let proxy = Proxy::start(&config(&[&origin.url()], keys));
        assert_eq!(proxy.get("a", "/").status(), 502, "{keys}");
        let line = proxy.log_line(|line| line.contains("GET / "));
        assert!(line.contains(" err=certificate-not-trusted"), "{line}");
        assert_eq!(origin.requests().len(), 0);
        assert_eq!(proxy.server(&origin.address().to_string())["last_error"], "certificate not trusted");
    }
    let dir = TempDir::new();
    let ca = home(&dir);
    // Of the authority and for another name; of another authority; and by the system's, who do not know it.
    refused(&HOME.issue(&["app.test"]), &ca);
    refused(&local(), &format!("{ca}, sni = \"app.test\""));
    refused(&FOREIGN.issue(&["127.0.0.1"]), &ca);
    refused(&local(), &format!(", ca = {:?}", FOREIGN.put(&dir)));
    refused(&local(), "");
    // An authority that cannot be read is one that vouches for nobody.
    refused(&local(), ", ca = \"/nowhere/ca.pem\"");
}

#[test]
fn who_asks_for_no_proof_gets_none() {
    let origin = telling(&FOREIGN.issue(&["app.test"]));
    let proxy = Proxy::start(&config(&[&origin.url()], ", verify = false"));
    assert_eq!(proxy.get("a", "/").text(), " full http/1.1");
}

#[test]
fn a_name_that_is_written_is_asked_for() {
    let origin = telling(&HOME.issue(&["app.test"]));
    let dir = TempDir::new();
    let proxy = Proxy::start(&config(&[&origin.url()], &format!("{}, sni = \"app.test\"", home(&dir))));
    assert_eq!(proxy.get("a", "/").text(), "app.test full http/1.1");
    // The host of the URL, where it is a name.
    let origin = telling(&HOME.issue(&["localhost"]));
    let url = format!("https://localhost:{}", origin.address().port());
    let proxy = Proxy::start(&config(&[&url], &home(&dir)));
    // It may not be known yet in the first moments.
    wait_until("localhost is known", || proxy.get("a", "/").text() == "localhost full http/1.1");
}

#[test]
fn a_new_connection_goes_on_with_the_session() {
    let origin = Origin::tls(&local(), |exchange| {
        let kind = if exchange.wire.tls().is_resumed() { "resumed" } else { "full" };
        exchange.request()?;
        exchange.send(answer("200 OK", &[("Connection", "close")], kind))
    });
    let proxy = start(&origin);
    assert_eq!(proxy.get("a", "/").text(), "full");
    for _ in 0..4 {
        assert_eq!(proxy.get("a", "/").text(), "resumed");
    }
    assert_eq!(origin.connections(), 5);
}

#[test]
fn a_kept_connection_that_the_server_has_ended_is_replaced_unseen() {
    // Told, and then the end of the socket; told alone; the end of the socket alone.
    for how in 0..3 {
        let (tell, told) = std::sync::mpsc::channel();
        let origin = Origin::tls(&local(), move |exchange| {
            exchange.request()?;
            exchange.send(ok("again"))?;
            match how {
                0 => exchange.wire.finish(),
                1 => exchange.wire.tls().say_close()?,
                _ => exchange.wire.tls().tcp().shutdown(std::net::Shutdown::Write)?,
            }
            let _ = tell.send(());
            // Whatever is sent here is lost.
            exchange.wire.rest().map(drop)
        });
        let proxy = start(&origin);
        let mut client = proxy.connect();
        for n in 1..=5 {
            // A POST is not sent twice: the end is noticed before a request is risked.
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
            assert_eq!(client.response().text(), "again", "{how}");
            told.recv_timeout(crate::support::WAIT).unwrap();
            assert_eq!(origin.connections(), n);
            // The end has been sent, and comes when the system gets to it: it may even be after the next request.
            let total = |name: &str| proxy.status()["totals"][name].as_u64();
            wait_until("the exchange is over", || total("exchanges") == Some(0));
            wait_until("the end has come", || total("upstream_idle") == Some(0));
        }
        assert_eq!(proxy.server(&origin.address().to_string())["failures"], 0);
    }
}

#[test]
fn what_is_for_tls_alone_is_no_reason_to_give_a_connection_up() {
    let (tell, told) = std::sync::mpsc::channel();
    let origin = Origin::tls(&local(), move |exchange| {
        while exchange.request()?.is_some() {
            exchange.send(ok("kept"))?;
            exchange.wire.tls().renew_keys()?;
            let _ = tell.send(());
        }
        Ok(())
    });
    let proxy = start(&origin);
    let mut client = proxy.connect();
    for _ in 0..5 {
        assert_eq!(client.get("a", "/").text(), "kept");
        told.recv_timeout(crate::support::WAIT).unwrap();
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn another_server_takes_over_from_one_that_cannot_be_used() {
    let dir = TempDir::new();
    let (good, bad) = (telling(&local()), telling(&FOREIGN.issue(&["127.0.0.1"])));
    let plain = Origin::scripted(|exchange| exchange.send("220 this is no TLS\r\n"));
    let (_held, port) = refusing_port();
    let keys = format!("{}, balance = \"round_robin\", eject_after = 0", home(&dir));
    for other in [bad.url(), format!("https://127.0.0.1:{port}"), plain.url().replace("http:", "https:")] {
        let proxy = Proxy::start(&config(&[&other, &good.url()], &keys));
        for _ in 0..4 {
            let mut client = proxy.connect();
            assert_eq!(client.get("a", "/").status(), 200, "{other}");
            // Nothing of it has been sent yet, so this may go on as well.
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
            assert_eq!(client.response().status(), 200, "{other}");
        }
    }
    assert_eq!(bad.requests().len(), 0);
}

#[test]
fn a_server_that_shakes_no_hands_is_not_waited_for() {
    // It accepts and says nothing.
    let silent = Origin::scripted(|exchange| exchange.wire.rest().map(drop));
    let url = silent.url().replace("http:", "https:");
    let proxy = Proxy::start(&format!("{}[timeouts]\nconnect = \"200ms\"\n", config(&[&url], ", verify = false")));
    assert_eq!(proxy.get("a", "/").status(), 504);
    let line = proxy.log_line(|line| line.contains("GET / "));
    assert!(line.contains(" err=connect-timed-out"), "{line}");
}

#[test]
fn bodies_pass_whole_both_ways() {
    const LENGTH: u64 = 4 << 20;
    let origin = Origin::tls(&local(), |exchange| {
        while let Some(head) = exchange.head()? {
            if head.method() == "POST" {
                let mut check = PatternCheck::new(LENGTH);
                exchange.wire.copy_body(head.request_framing(), &mut check)?;
                exchange.send(ok(check.received().to_string()))?;
            } else {
                exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"))?;
                io::copy(&mut Pattern::new(LENGTH), &mut exchange.wire.stream().try_clone()?)?;
            }
        }
        Ok(())
    });
    let proxy = start(&origin);
    let mut client = proxy.connect();
    for _ in 0..2 {
        let head = client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").head();
        assert_eq!(head.response_framing("GET"), Framing::Length(LENGTH));
        let mut check = PatternCheck::new(LENGTH);
        client.copy_body(Framing::Length(LENGTH), &mut check).unwrap();
        check.expect_whole();
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"));
        io::copy(&mut Pattern::new(LENGTH), &mut client.stream().try_clone().unwrap()).unwrap();
        assert_eq!(client.response().text(), LENGTH.to_string());
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_body_that_only_the_end_ends_is_whole_only_where_the_end_is_told() {
    for told in [true, false] {
        let origin = Origin::tls(&local(), move |exchange| {
            exchange.request()?;
            exchange.send("HTTP/1.1 200 OK\r\n\r\nall of it")?;
            match told {
                true => exchange.wire.tls().say_close(),
                // Anybody between here and the server can end a socket.
                false => exchange.wire.tls().tcp().shutdown(std::net::Shutdown::Both),
            }
        });
        let proxy = start(&origin);
        let answer = proxy.connect().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").try_response("GET");
        match told {
            true => assert_eq!(answer.unwrap().text(), "all of it"),
            false => assert!(answer.is_err(), "{answer:?}"),
        }
    }
}

#[test]
fn a_tunnel_to_a_secure_server_ends_in_halves() {
    const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";
    const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n";
    // The client first.
    let origin = Origin::tls(&local(), |exchange| {
        exchange.request()?;
        exchange.send(SWITCHED)?;
        let all = exchange.wire.rest()?;
        exchange.send([b"got ".as_slice(), &all].concat())
    });
    let proxy = start(&origin);
    let mut client = proxy.connect();
    assert_eq!(client.send(UPGRADE).response().status(), 101);
    client.send("request").finish();
    assert_eq!(client.rest().unwrap(), b"got request");
    // The server first.
    let (tell, told) = std::sync::mpsc::channel();
    let origin = Origin::tls(&local(), move |exchange| {
        exchange.request()?;
        exchange.send([SWITCHED, "over"].concat())?;
        exchange.wire.finish();
        let _ = tell.send(exchange.wire.rest()?);
        Ok(())
    });
    let proxy = start(&origin);
    let mut client = proxy.connect();
    assert_eq!(client.send(UPGRADE).response().status(), 101);
    assert_eq!(client.rest().unwrap(), b"over");
    client.send("last words").finish();
    assert_eq!(told.recv_timeout(crate::support::WAIT).unwrap(), b"last words");
}

#[test]
fn plain_and_secure_servers_may_be_of_one_pool() {
    let (plain, secure) = (Origin::named("plain"), telling(&local()));
    let dir = TempDir::new();
    let keys = ", balance = \"round_robin\"";
    let server = format!("{{ url = {:?}{} }}", secure.url(), home(&dir));
    let upstream = format!("{{ servers = [{:?}, {server}]{keys} }}", plain.url());
    let proxy = Proxy::start(&format!("[[site]]\nhost = \"*\"\nupstream = {upstream}\n"));
    let texts: Vec<_> = (0..4).map(|_| proxy.get("a", "/").text()).collect();
    assert_eq!(texts.iter().filter(|text| *text == "plain").count(), 2, "{texts:?}");
    assert_eq!(texts.iter().filter(|text| text.ends_with("http/1.1")).count(), 2, "{texts:?}");
}
