//! Every maximum, and who gives way.

use super::{Bench, Run, Setup};
use crate::model::Limits;
use crate::proto::error::Cause;
use ringferry_runtime::time::Sleep;
use std::time::Duration;

#[test]
fn a_full_table_gives_up_the_flow_that_was_idle_longest() {
    Setup { flows_max: 4, ..Setup::default() }.run(|bench, run| async move { pushes_out(&bench, &run).await });
}

#[test]
fn so_does_a_stream_with_its_connections_and_a_process_with_its() {
    Setup { max_connections: Some(4), ..Setup::default() }
        .run(|bench, run| async move { pushes_out(&bench, &run).await });
    let limits = Limits { connections: 4, ..Setup::default().limits };
    Setup { limits, ..Setup::default() }.run(|bench, run| async move { pushes_out(&bench, &run).await });
}

#[test]
fn half_of_the_descriptors_are_for_those_who_connect() {
    Setup { descriptors: 8, ..Setup::default() }.run(|bench, run| async move { pushes_out(&bench, &run).await });
}

/// Whatever the maximum of 4 is: the fifth client takes the place of the one that was idle longest.
async fn pushes_out(bench: &Bench, run: &Run) {
    let server = bench.server("A ");
    run.publish(&[server.address]);
    let mut clients: Vec<_> = (0..4).map(|_| bench.client()).collect();
    for client in &mut clients {
        client.ask("").await;
        // The order of use is told apart by turns.
        Sleep::new(&bench.handle, Duration::from_millis(2)).await;
    }
    clients[0].ask("still here").await;
    for n in 1..=10 {
        let mut client = bench.client();
        assert_eq!(client.ask("new").await, "A new");
        assert_eq!(bench.flows(), 4);
        assert_eq!(bench.ends.borrow().len(), n);
        clients.push(client);
    }
    let order: Vec<_> = bench.ends.borrow().iter().map(|end| end.client).collect();
    let addresses: Vec<_> = clients.iter().map(|client| client.socket.local().unwrap()).collect();
    assert_eq!(order[..4], [addresses[1], addresses[2], addresses[3], addresses[0]]);
    assert!(bench.ends.borrow().iter().all(|end| end.error.is_some_and(|error| error.cause == Cause::Overloaded)));
    // Who was pushed out begins anew.
    assert_eq!(clients[1].ask("back").await, "A back");
}

#[test]
fn a_client_has_no_more_flows_than_connections_and_nobody_makes_room_for_more() {
    let limits = Limits { connections: 3, connections_per_client: 3, ..Setup::default().limits };
    Setup { limits, flows_max: 3, ..Setup::default() }.run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let mut clients: Vec<_> = (0..4).map(|_| bench.client()).collect();
        for client in &mut clients[..3] {
            client.ask("").await;
        }
        clients[3].send("one too many");
        bench.until("it to be dropped", || bench.dropped() == 1).await;
        assert_eq!((bench.flows(), bench.ends.borrow().len()), (3, 0));
    });
}

#[test]
fn forged_addresses_leave_room_for_those_who_connect() {
    let limits = Limits { connections: 16, ..Setup::default().limits };
    Setup { limits, ..Setup::default() }.run(|bench, run| async move {
        let server = bench.server("A ");
        run.publish(&[server.address]);
        let mut clients: Vec<_> = (0..20).map(|_| bench.client()).collect();
        for client in &mut clients {
            client.ask("").await;
        }
        assert_eq!((bench.flows(), bench.ends.borrow().len()), (14, 6));
        assert!(bench.share.connections.try_enter(16), "a connection has a place");
        bench.share.connections.leave();
    });
}
