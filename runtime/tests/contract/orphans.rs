//! Operations that nobody waits for any more leave nothing behind.

use super::support::{ends, listener, on_core, outsider, pair, turns, udp, until};
use ringferry_runtime::net::{Mode, Stream, Udp};
use ringferry_runtime::{Either, Group, race};
use std::future::ready;

#[test]
fn a_connection_accepted_after_its_listener_was_dropped_is_closed() {
    on_core(|handle| async move {
        // Not yet submitted, armed, completed, read and queued.
        for (before, after) in [(0, 0), (0, 1), (1, 0), (1, 1), (2, 3)] {
            let (mut listener, address) = listener(&handle);
            // Asked once, and never again.
            drop(race(listener.accept(), ready(())).await);
            turns(&handle, before).await;
            let client = outsider(&handle, address);
            turns(&handle, after).await;
            drop(listener);
            let client = Stream::from_owned(&handle, client);
            assert!(ends(&handle, &client).await, "after {before} and {after} turns");
        }
    });
}

#[test]
fn a_dropped_connect_ends_and_closes_its_socket() {
    on_core(|handle| async move {
        for given in 0..3 {
            let (mut listener, address) = listener(&handle);
            race(turns(&handle, given), async { drop(Stream::connect(&handle, address).await) }).await;
            until(&handle, || handle.stats().operations == 0).await;
            // If the listener has got the connection all the same, it is one that has ended.
            if let Either::Left(accepted) = race(listener.accept(), turns(&handle, 2)).await {
                assert!(ends(&handle, &Stream::from_owned(&handle, accepted.unwrap())).await);
            }
        }
    });
}

#[test]
fn a_dropped_send_keeps_its_bytes_until_the_kernel_lets_go_and_then_frees_them() {
    on_core(|handle| async move {
        let (from, to) = pair(&handle).await;
        let (stuck, _unread) = pair(&handle).await;
        while stuck.send(vec![1; 1 << 20], false).await.0.is_ok() {}
        from.send(b"bytes in a lent buffer".as_slice(), true).await.0.unwrap();
        let lent = to.receiver(Mode::Once(Group::Head)).recv().await.unwrap().unwrap();
        let send = stuck.send(lent, true);
        turns(&handle, 2).await;
        drop(send);
        assert_eq!(handle.stats().head_buffers_lent, 1, "the kernel may still read it");
        until(&handle, || handle.stats().head_buffers_lent == 0).await;
    });
}

#[test]
fn a_receive_of_datagrams_dropped_at_any_moment_returns_its_buffers() {
    on_core(|handle| async move {
        for given in 0..4 {
            let (listener, address) = udp(&handle, "127.0.0.1");
            let client = Udp::connect(&handle, address).unwrap();
            let mut receiver = listener.receiver();
            receiver.arm();
            for _ in 0..3 {
                client.send(b"lost".as_slice()).unwrap();
            }
            turns(&handle, given).await;
            drop(receiver);
            until(&handle, || (handle.stats().operations, handle.stats().datagram_buffers_lent) == (0, 0)).await;
        }
    });
}

#[test]
fn a_receive_dropped_at_any_moment_returns_its_buffer() {
    on_core(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head), Mode::Once(Group::Body)] {
            for given in 0..4 {
                let (client, server) = pair(&handle).await;
                let mut receiver = server.receiver(mode);
                receiver.arm();
                client.send(b"lost".as_slice(), true).await.0.unwrap();
                turns(&handle, given).await;
                drop(receiver);
                until(&handle, || {
                    let stats = handle.stats();
                    (stats.operations, stats.head_buffers_lent, stats.body_buffers_lent) == (0, 0, 0)
                })
                .await;
            }
        }
    });
}
