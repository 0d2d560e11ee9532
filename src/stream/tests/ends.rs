//! Flows that end because a reload or the end of the core wants it.

use super::Setup;
use crate::model::{Balance, Config, HashKey};
use crate::proto::error::Cause;
use ringferry_runtime::net::Udp;
use std::io::ErrorKind;

#[test]
fn after_a_reload_flows_go_on_whose_server_is_still_there() {
    let balance = Balance::Hash(HashKey::ClientIp);
    Setup { ip: "0.0.0.0", balance, ..Setup::default() }.run(|bench, run| async move {
        let servers = [bench.server("A "), bench.server("B "), bench.server("C ")];
        let [a, b, c] = servers.each_ref().map(|server| server.address);
        run.publish(&[a, b]);
        let mut client = bench.client();
        let first = client.ask("").await;
        let (kept, other) = if first == "A " { (a, b) } else { (b, a) };
        run.publish(&[c, kept]);
        for _ in 0..3 {
            assert_eq!(client.ask("").await, first);
        }
        let peers = servers.iter().find(|server| server.address == kept).unwrap().peers.borrow().clone();
        assert!(peers.iter().all(|peer| *peer == peers[0]), "another flow: {peers:?}");
        // The hash of one client: it has one server, whichever flow it is.
        run.publish(&[other]);
        bench.until("the flow to end", || bench.ends.borrow().len() == 1).await;
        assert_eq!(bench.ends.borrow()[0].error.map(|error| error.cause), Some(Cause::CutOff));
        let expect = if other == a { "A " } else { "B " };
        assert_eq!(client.ask("").await, expect);
    });
}

#[test]
fn a_listener_that_is_gone_ends_its_flows_and_takes_nothing_more() {
    Setup::default().run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let mut client = bench.client();
        client.ask("").await;
        bench.publish_config(Config::default(), Vec::new());
        run.stopped().await;
        assert_eq!(bench.flows(), 0);
        client.send("anybody?");
        let told = bench.soon(client.receiver.recv()).await.unwrap_err();
        assert_eq!(told.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn while_the_core_drains_flows_end_once_they_are_quiet_and_none_begins() {
    Setup::default().run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let mut client = bench.client();
        client.ask("").await;
        bench.is_draining.set(true);
        bench.handle.wake_all();
        let stranger = bench.client();
        stranger.send("too late");
        bench.until("it to be dropped", || bench.dropped() == 1).await;
        assert_eq!(client.ask("still here").await, "A still here");
        run.stopped().await;
        assert_eq!((bench.flows(), bench.ends.borrow()[0].error), (0, None));
    });
}

#[test]
fn what_comes_to_a_socket_that_another_process_has_is_left_to_it() {
    Setup::default().run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let mut client = bench.client();
        assert_eq!(client.ask("hello").await, "A hello");
        bench.is_draining.set(true);
        bench.has_left.set(true);
        bench.handle.wake_all();
        run.stopped().await;
        assert_eq!((bench.flows(), bench.ends.borrow()[0].error), (0, None));
        // The socket is as good as ever.
        let mut successor = Udp::new(&bench.handle, &bench.bound.sockets[0]).unwrap().receiver();
        client.send("anybody?");
        assert_eq!(bench.soon(successor.recv()).await.unwrap().segments().bytes(), b"anybody?");
    });
}
