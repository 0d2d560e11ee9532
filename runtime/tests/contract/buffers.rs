//! Received buffers: exhaustion, fairness, and what happens to those that nobody waits for.

use super::support::{on_core, on_core_in_any_order, on_core_to_the_turn, pair, soon, turn, turns, until};
use ringferry_runtime::net::Mode;
use ringferry_runtime::{Either, Group, Handle, Lent, join, race};
use std::net::Shutdown;

#[test]
fn a_flood_that_nobody_reads_leaves_buffers_for_others() {
    on_core_in_any_order(|handle| async move {
        let (flood, flooded) = pair(&handle).await;
        let mut unread = flooded.receiver(Mode::Stream);
        unread.arm();
        while flood.send(vec![1; 64 * 1024], false).await.0.is_ok() {}
        let (client, server) = pair(&handle).await;
        let mut receiver = server.receiver(Mode::Stream);
        client.send(b"ping".as_slice(), true).await.0.unwrap();
        assert_eq!(&receiver.recv().await.unwrap().unwrap()[..], b"ping");
        // And nothing of the flood is lost once somebody reads it.
        assert_eq!(unread.recv().await.unwrap().unwrap()[0], 1);
    });
}

/// Everybody has something that he cannot use before somebody else has received something.
#[test]
fn what_many_have_not_read_leaves_buffers_for_who_has_nothing() {
    on_core(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head)] {
            let mut waiting = Vec::new();
            for _ in 0..12 {
                let (client, server) = pair(&handle).await;
                let mut receiver = server.receiver(mode);
                receiver.arm();
                client.send(b"first".as_slice(), true).await.0.unwrap();
                turns(&handle, 2).await;
                client.send(b"second".as_slice(), true).await.0.unwrap();
                waiting.push((client, receiver));
            }
            turns(&handle, 8).await;
            let (client, server) = pair(&handle).await;
            client.send(b"ping".as_slice(), true).await.0.unwrap();
            let mut receiver = server.receiver(Mode::Once(Group::Head));
            let mut got = Vec::new();
            while got.len() < 4 {
                got.extend_from_slice(&soon(&handle, receiver.recv()).await.unwrap().unwrap());
            }
            assert_eq!(got, b"ping");
            for (_, mut receiver) in waiting {
                assert_eq!(receiver.recv().await.unwrap().unwrap()[0], b'f');
            }
        }
    });
}

#[test]
fn a_receive_that_finds_no_buffer_goes_on_when_one_comes_back() {
    on_core_in_any_order(|handle| async move {
        let (client, server) = pair(&handle).await;
        let _send = client.send(vec![1; 8 * 65536], true);
        let mut receiver = server.receiver(Mode::Once(Group::Body));
        let mut held = Vec::new();
        // Few bytes would be copied out while buffers are short.
        while handle.stats().body_buffers_lent < 4 {
            held.push(receiver.recv().await.unwrap().unwrap());
        }
        let release = async {
            // The receive is parked by then; giving one buffer back lets it go on.
            turns(&handle, 4).await;
            held.pop();
            held
        };
        let (more, held) = soon(&handle, join(receiver.recv(), release)).await;
        assert!(!more.unwrap().unwrap().is_empty());
        drop(held);
    });
}

#[test]
fn a_dropped_receive_gives_its_buffer_back() {
    on_core_in_any_order(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head)] {
            for _ in 0..50 {
                let (client, server) = pair(&handle).await;
                let mut receiver = server.receiver(mode);
                receiver.arm();
                client.send(b"lost".as_slice(), true).await.0.unwrap();
                drop(receiver);
            }
        }
        // More connections than buffers have come and gone; the next one still finds one.
        let (client, server) = pair(&handle).await;
        client.send(b"ping".as_slice(), true).await.0.unwrap();
        assert_eq!(&server.receiver(Mode::Stream).recv().await.unwrap().unwrap()[..], b"ping");
    });
}

/// Takes all large buffers out of the ring. (Small ones cannot be had: what fills them is copied out when they are short.)
async fn hoard(handle: &Handle) -> Vec<Lent> {
    let (client, server) = pair(handle).await;
    handle.spawn(async move { drop(client.send(vec![1; 8 * 65536], true).await) });
    let mut receiver = server.receiver(Mode::Once(Group::Body));
    let mut held = Vec::new();
    while handle.stats().body_buffers_lent < 4 {
        held.push(receiver.recv().await.unwrap().unwrap());
    }
    held
}

#[test]
fn a_buffer_that_comes_back_reaches_the_one_who_can_use_it() {
    on_core_in_any_order(|handle| async move {
        let mut held = hoard(&handle).await;
        // Three receives starve, in this order: one that will be dropped, one that only learns of an end (which
        // takes no buffer), and one with bytes.
        let (gone, gone_server) = pair(&handle).await;
        let (ended, ended_server) = pair(&handle).await;
        let (talks, talks_server) = pair(&handle).await;
        gone.send(b"gone".as_slice(), true).await.0.unwrap();
        ended.shutdown(Shutdown::Write).unwrap();
        talks.send(b"ping".as_slice(), true).await.0.unwrap();
        let core = handle.clone();
        handle.spawn(async move {
            let mut receiver = gone_server.receiver(Mode::Once(Group::Body));
            drop(race(receiver.recv(), turns(&core, 8)).await);
        });
        turns(&handle, 2).await;
        let second = handle.spawn_joinable(async move {
            ended_server.receiver(Mode::Once(Group::Body)).recv().await.unwrap().is_none()
        });
        turns(&handle, 2).await;
        let third = handle.spawn_joinable(async move {
            talks_server.receiver(Mode::Once(Group::Body)).recv().await.unwrap().unwrap()[..] == b"ping"[..]
        });
        turns(&handle, 12).await;
        held.pop();
        assert_eq!(soon(&handle, third).await, Some(true));
        assert_eq!(soon(&handle, second).await, Some(true));
    });
}

#[test]
fn a_starved_receive_does_not_pass_for_a_quiet_one() {
    on_core_to_the_turn(|handle| async move {
        let held = hoard(&handle).await;
        let (client, server) = pair(&handle).await;
        let mut receiver = server.receiver(Mode::Once(Group::Body));
        client.send(b"unasked".as_slice(), true).await.0.unwrap();
        assert!(matches!(race(receiver.recv(), turns(&handle, 4)).await, Either::Right(())));
        assert!(receiver.is_ready());
        drop(held);
        assert_eq!(&soon(&handle, receiver.recv()).await.unwrap().unwrap()[..], b"unasked");
        receiver.arm();
        assert!(!receiver.is_ready());
    });
}

#[test]
fn a_starved_receive_goes_on_in_the_task_that_asked_last() {
    on_core_in_any_order(|handle| async move {
        let held = hoard(&handle).await;
        let (client, server) = pair(&handle).await;
        client.send(b"ping".as_slice(), true).await.0.unwrap();
        let mut receiver = server.receiver(Mode::Once(Group::Body));
        // It starves in this task, and moves into another.
        assert!(matches!(race(receiver.recv(), turns(&handle, 4)).await, Either::Right(())));
        let moved = handle.spawn_joinable(async move { receiver.recv().await.unwrap().unwrap()[..] == b"ping"[..] });
        turns(&handle, 4).await;
        drop(held);
        assert_eq!(soon(&handle, moved).await, Some(true));
    });
}

#[test]
fn many_connections_share_few_buffers_of_either_group() {
    on_core(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head), Mode::Once(Group::Body)] {
            let mut tasks = Vec::new();
            for n in 0..40u8 {
                let (client, server) = pair(&handle).await;
                handle.spawn(async move {
                    client.send(vec![n; 200_000], true).await.0.unwrap();
                    client.shutdown(Shutdown::Write).unwrap();
                });
                let core = handle.clone();
                tasks.push(handle.spawn_joinable(async move {
                    let mut receiver = server.receiver(mode);
                    let mut count = 0;
                    while let Some(lent) = receiver.recv().await.unwrap() {
                        // Held for a turn, as by a sink that is not at once done with it.
                        turn(&core).await;
                        assert!(lent.iter().all(|byte| *byte == n));
                        count += lent.len();
                    }
                    count
                }));
            }
            for task in tasks {
                assert_eq!(soon(&handle, task).await, Some(200_000));
            }
        }
    });
}

#[test]
fn a_reader_that_takes_nothing_does_not_keep_the_rings_buffers() {
    on_core_in_any_order(|handle| async move {
        let mut stuck = Vec::new();
        for _ in 0..4 {
            let (source, middle_in) = pair(&handle).await;
            let (middle_out, reader) = pair(&handle).await;
            handle.spawn(async move { while source.send(vec![1; 1 << 20], true).await.0.is_ok() {} });
            handle.spawn(async move {
                let mut receiver = middle_in.receiver(Mode::Once(Group::Body));
                while let Ok(Some(lent)) = receiver.recv().await {
                    if middle_out.send_all([Some(lent.into()), None, None]).await.0.is_err() {
                        break;
                    }
                }
            });
            stuck.push(reader);
        }
        turns(&handle, 200).await;
        let lent = || handle.stats().body_buffers_lent;
        until(&handle, || lent() <= 2).await;
        // A good client goes on beside them.
        let (client, server) = pair(&handle).await;
        client.send(b"ping".as_slice(), true).await.0.unwrap();
        let mut receiver = server.receiver(Mode::Once(Group::Body));
        assert_eq!(&soon(&handle, receiver.recv()).await.unwrap().unwrap()[..], b"ping");
    });
}
