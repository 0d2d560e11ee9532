//! Servers that refuse, and where their clients go.

use super::Setup;
use crate::health::Phase;
use crate::model::{Balance, HashKey};
use crate::proto::error::{Cause, Error, Side};

#[test]
fn a_server_that_is_gone_is_ejected_and_its_clients_go_to_another() {
    Setup::default().run(|bench, run| async move {
        let servers = [bench.server("A "), bench.server("B ")];
        run.publish(&servers.each_ref().map(|server| server.address));
        let mut clients: Vec<_> = (0..8).map(|_| bench.client()).collect();
        let mut names = Vec::new();
        for client in &mut clients {
            names.push(client.ask("").await);
        }
        assert!(names.contains(&"A ".to_owned()) && names.contains(&"B ".to_owned()), "{names:?}");
        servers[0].stop();
        for client in &clients {
            // It may be lost: the client is the one to repeat it.
            client.send("lost?");
        }
        let on_a = names.iter().filter(|name| *name == "A ").count();
        bench.until("flows of the server that is gone to end", || bench.ends.borrow().len() >= on_a).await;
        assert!(matches!(bench.phase(0), Phase::Ejected { .. }), "{:?}", bench.phase(0));
        for client in &mut clients {
            client.send("again");
            while client.answer().await != "B again" {}
        }
        let ends = bench.ends.borrow();
        for end in ends.iter() {
            assert!(matches!(end.error, Some(Error { side: Side::Upstream, cause: Cause::Refused, .. })));
            assert_eq!(end.server, servers[0].address.to_string());
        }
    });
}

#[test]
fn a_datagram_that_learns_of_a_refusal_goes_to_another_server_itself() {
    let balance = Balance::Hash(HashKey::ClientIp);
    Setup { balance, eject_after: 100, ..Setup::default() }.run(|bench, run| async move {
        let servers = [bench.server("A "), bench.server("B ")];
        run.publish(&servers.each_ref().map(|server| server.address));
        let mut client = bench.client();
        let first = client.ask("").await;
        let (gone, other) = if first == "A " { (0, "B ") } else { (1, "A ") };
        servers[gone].stop();
        // Both come in one turn: the second finds the refusal of the first, and is not lost.
        client.send("1");
        client.send("2");
        assert_eq!(client.answer().await, format!("{other}2"));
        assert_eq!(bench.phase(gone), Phase::Up { failures: 1 });
    });
}

#[test]
fn a_server_alone_is_tried_again_however_often_it_refuses() {
    Setup { eject_after: 3, ..Setup::default() }.run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        server.stop();
        for failures in 1..=3 {
            bench.client().send("anybody?");
            bench.until("the refusal", || bench.ends.borrow().len() == failures).await;
        }
        assert!(matches!(bench.phase(0), Phase::Ejected { .. }));
        // It is back: a bad server is better than none, and one answer proves it good.
        let again = bench.server_at("A again ", server.address);
        assert_eq!(bench.client().ask("query").await, "A again query");
        assert_eq!((bench.phase(0), again.peers.borrow().len()), (Phase::Up { failures: 0 }, 1));
    });
}
