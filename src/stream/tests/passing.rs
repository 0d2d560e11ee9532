//! What passes, both ways, and what is told about it.

use super::Setup;
use crate::model::Config;
use ringferry_runtime::time::Sleep;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a client keeps its flow where it is to end soon.
const IDLE: Duration = Duration::from_millis(300);

#[test]
fn a_thousand_clients_are_each_answered_and_the_table_runs_empty() {
    raise_descriptor_limit();
    Setup { idle: IDLE, ..Setup::default() }.run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let mut clients: Vec<_> = (0..1000).map(|_| bench.client()).collect();
        // No more at once than a socket has room for.
        for (hundred, clients) in clients.chunks_mut(100).enumerate() {
            for (n, client) in clients.iter().enumerate() {
                client.send(&format!("query {hundred} {n}"));
            }
            for (n, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.answer().await, format!("A query {hundred} {n}"));
            }
        }
        bench.until("the table to run empty", || bench.flows() == 0).await;
        assert_eq!((bench.share.stats.flows_total.value(), bench.dropped()), (1000, 0));
        assert_eq!(bench.share.connections.inside(), 0);
        assert_eq!(bench.view.borrow().0.pools[0].servers[0].in_use(), 0);
        for end in bench.ends.borrow().iter() {
            assert_eq!((end.packets, end.error), ((1, 1), None), "{} {:?}", end.client, end.duration);
            assert_eq!((end.bytes.1 - end.bytes.0, end.local), (2, bench.address()));
        }
    });
}

#[test]
fn answers_come_from_the_address_that_the_client_wrote_to() {
    for ip in ["0.0.0.0", "::"] {
        Setup { ip, ..Setup::default() }.run(|bench, run| async move {
            let server = bench.server("A ");
            run.publish(&[server.address]);
            let port = bench.bound.address.port();
            let addresses =
                ["127.0.0.1", "127.0.0.2", "127.0.0.3"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port));
            // A connected client gets nothing from anywhere else.
            for address in addresses {
                assert_eq!(bench.client_of(address).ask("query").await, "A query");
            }
            bench.publish_config(Config::default(), Vec::new());
            bench.until("all to end", || bench.flows() == 0).await;
            let locals: Vec<_> = bench.ends.borrow().iter().map(|end| end.local).collect();
            assert!(addresses.iter().all(|address| locals.contains(address)), "{locals:?}");
        });
    }
}

#[test]
fn a_long_flow_goes_both_ways_and_counts_what_passed() {
    Setup { idle: IDLE, ..Setup::default() }.run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let mut client = bench.client();
        for round in 0..100 {
            for n in 0..20 {
                client.send(&format!("{round:03} {n:03}"));
            }
            let mut left = 20;
            while left > 0 {
                let datagram = bench.soon(client.receiver.recv()).await.unwrap();
                assert!(
                    datagram.segments().iter().all(|answer| answer.starts_with(format!("A {round:03} ").as_bytes()))
                );
                left -= datagram.segments().count();
            }
        }
        assert_eq!(bench.flows(), 1);
        bench.until("the flow to be idle", || bench.flows() == 0).await;
        let end = &bench.ends.borrow()[0];
        assert_eq!((end.packets, end.bytes), ((2000, 2000), (14_000, 18_000)));
        assert_eq!((end.server.as_str(), end.error), (server.address.to_string().as_str(), None));
        assert_eq!(end.client, client.socket.local().unwrap());
    });
}

#[test]
fn answers_alone_keep_a_flow() {
    let idle = Duration::from_secs(1);
    Setup { idle, ..Setup::default() }.run(move |bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let mut client = bench.client();
        assert_eq!(client.ask("subscribe").await, "A subscribe");
        Sleep::new(&bench.handle, idle / 3).await;
        let flow = server.peers.borrow()[0];
        let answered = bench.handle.now();
        server.socket.send_to(b"news".as_slice(), flow, None).unwrap();
        assert_eq!(client.answer().await, "news");
        bench.until("the flow to be idle", || bench.flows() == 0).await;
        assert!(bench.handle.now() >= answered + idle, "it was idle before its time");
        assert!(bench.ends.borrow()[0].duration >= idle / 3);
    });
}

#[test]
fn a_large_datagram_passes_whole_and_one_that_is_too_large_not_at_all() {
    Setup::default().run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let question = "x".repeat(60_000);
        assert_eq!(bench.client().ask(&question).await, format!("A {question}"));
    });
    Setup { buffer_bytes: Some(4096), ..Setup::default() }.run(|bench, run| async move {
        let server = bench.server("");
        run.publish(&[server.address]);
        let mut client = bench.client();
        client.send(&"x".repeat(4096));
        bench.until("it to be dropped", || bench.dropped() == 1).await;
        assert_eq!((bench.flows(), client.ask("small").await.as_str()), (0, "small"));
        // The same from the other side.
        let flow = server.peers.borrow()[0];
        server.socket.send_to("x".repeat(4096).as_bytes(), flow, None).unwrap();
        bench.until("it to be dropped", || bench.dropped() == 2).await;
        assert_eq!((bench.flows(), client.ask("small").await.as_str()), (1, "small"));
    });
}

/// Each client and each flow is a descriptor.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}
