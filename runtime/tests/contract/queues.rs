//! Queues of the ring that are too short: nothing is lost, it only takes more turns.

use super::support::{on_core, pair, soon};
use ringferry_runtime::net::Mode;
use std::cell::Cell;
use std::rc::Rc;

#[test]
fn many_more_operations_than_the_queues_hold_all_complete() {
    on_core(|handle| async move {
        let (client, _server) = pair(&handle).await;
        // All of them complete at once: 8 entries to submit by, 64 to complete by.
        let polls: Vec<_> = (0..1000)
            .map(|_| {
                let client = client.clone();
                handle.spawn_joinable(async move { client.writable().await.unwrap() })
            })
            .collect();
        for poll in polls {
            soon(&handle, poll).await.unwrap();
        }
    });
}

#[test]
fn many_connections_talk_at_once_through_tiny_queues() {
    const CONNECTIONS: usize = 100;
    on_core(|handle| async move {
        let bytes = Rc::new(Cell::new(0));
        let mut tasks = Vec::new();
        for _ in 0..CONNECTIONS {
            let (client, server) = pair(&handle).await;
            tasks.push(handle.spawn_joinable(async move {
                let mut receiver = server.receiver(Mode::Stream);
                while let Some(lent) = receiver.recv().await.unwrap() {
                    server.send_all([Some(lent.into()), None, None]).await.0.unwrap();
                }
            }));
            let bytes = bytes.clone();
            tasks.push(handle.spawn_joinable(async move {
                let mut receiver = client.receiver(Mode::Stream);
                for n in 0..20 {
                    client.send(vec![n; 100], true).await.0.unwrap();
                    let mut got = 0;
                    while got < 100 {
                        let lent = receiver.recv().await.unwrap().unwrap();
                        assert!(lent.iter().all(|byte| *byte == n));
                        got += lent.len();
                    }
                    bytes.set(bytes.get() + got);
                }
            }));
        }
        for task in tasks {
            soon(&handle, task).await.expect("no panic");
        }
        assert_eq!(bytes.get(), CONNECTIONS * 20 * 100);
    });
}
