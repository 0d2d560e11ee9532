//! Operations that nobody waits for any more leave nothing behind.

use super::support::{ends, listener, on_core, outsider, pair, turn, until};
use ringferry_runtime::net::{Mode, Stream};
use ringferry_runtime::{Either, Group, race};

#[test]
fn a_connection_accepted_after_its_listener_was_dropped_is_closed() {
    on_core(|handle| async move {
        // At each stage: not yet submitted, armed, completed and not yet read, read and queued.
        for (before, after) in [(0, 0), (2, 0), (2, 1), (2, 2)] {
            let (mut listener, address) = listener(&handle);
            let mut client = None;
            let accept = listener.accept();
            let connect = async {
                for _ in 0..before {
                    turn().await;
                }
                client = Some(outsider(address));
                for _ in 0..after {
                    turn().await;
                }
            };
            // Asked first once, so that it is armed; the connection then comes when nobody asks again.
            match race(connect, async { drop(race(accept, turn()).await) }).await {
                Either::Left(()) => {}
                Either::Right(()) => client = client.or_else(|| Some(outsider(address))),
            }
            drop(listener);
            let client = Stream::from_owned(&handle, client.unwrap());
            assert!(ends(&handle, &client).await, "after {before} and {after} turns");
        }
    });
}

#[test]
fn a_dropped_connect_ends_and_closes_its_socket() {
    on_core(|handle| async move {
        for turns in 0..3 {
            let (mut listener, address) = listener(&handle);
            let give_up = async {
                for _ in 0..turns {
                    turn().await;
                }
            };
            race(give_up, async { drop(Stream::connect(&handle, address).await) }).await;
            until(&handle, || handle.stats().operations == 0).await;
            // If the listener has got the connection all the same, it is one that has ended.
            if let Either::Left(accepted) = race(listener.accept(), async {
                turn().await;
                turn().await
            })
            .await
            {
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
        turn().await;
        turn().await;
        drop(send);
        assert_eq!(handle.stats().head_buffers_lent, 1, "the kernel may still read it");
        until(&handle, || handle.stats().head_buffers_lent == 0).await;
    });
}

#[test]
fn a_receive_dropped_at_any_moment_returns_its_buffer() {
    on_core(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head), Mode::Once(Group::Body)] {
            for turns in 0..4 {
                let (client, server) = pair(&handle).await;
                let mut receiver = server.receiver(mode);
                receiver.arm();
                client.send(b"lost".as_slice(), true).await.0.unwrap();
                for _ in 0..turns {
                    turn().await;
                }
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
