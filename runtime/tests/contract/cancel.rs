//! Cancelling races with what comes: no byte and no connection is lost by it.

use super::support::{listener, on_core, outsider, pair, soon, turn, turns};
use ringferry_runtime::net::{Mode, Stream};
use ringferry_runtime::{Either, Group, join, race};
use std::net::Shutdown;

#[test]
fn changing_the_mode_at_any_moment_loses_no_byte() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        let sent: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        let expect = sent.clone();
        let send = async {
            for part in sent.chunks(777) {
                client.send(part.to_vec(), true).await.0.unwrap();
            }
            client.shutdown(Shutdown::Write).unwrap();
        };
        let receive = async {
            let modes = [Mode::Stream, Mode::Once(Group::Head), Mode::Stream, Mode::Once(Group::Body)];
            let mut receiver = server.receiver(modes[0]);
            let mut got = Vec::new();
            for n in 1.. {
                let Some(lent) = receiver.recv().await.unwrap() else { break };
                got.extend_from_slice(&lent);
                receiver.set_mode(modes[n % modes.len()]);
                if n % 3 == 0 {
                    // Armed in the old mode, ended by the next change.
                    receiver.arm();
                    receiver.set_mode(modes[(n + 1) % modes.len()]);
                }
            }
            got
        };
        let ((), got) = soon(&handle, join(send, receive)).await;
        assert!(got == expect, "{} of {} bytes", got.len(), expect.len());
    });
}

#[test]
fn a_receive_that_is_given_up_again_and_again_loses_no_byte() {
    on_core(|handle| async move {
        for mode in [Mode::Stream, Mode::Once(Group::Head)] {
            let (client, server) = pair(&handle).await;
            let mut receiver = server.receiver(mode);
            let mut got = Vec::new();
            for n in 0..100u8 {
                client.send(vec![n], true).await.0.unwrap();
                if let Either::Left(bytes) = race(receiver.recv(), turn(&handle)).await {
                    got.extend_from_slice(&bytes.unwrap().unwrap());
                }
            }
            while got.len() < 100 {
                got.extend_from_slice(&soon(&handle, receiver.recv()).await.unwrap().unwrap());
            }
            assert_eq!(got, (0..100).collect::<Vec<u8>>());
        }
    });
}

#[test]
fn connections_that_nobody_fetches_wait_in_the_backlog_and_are_not_lost() {
    on_core(|handle| async move {
        let (mut listener, address) = listener(&handle);
        // Armed, and then left alone.
        drop(race(listener.accept(), turn(&handle)).await);
        // A few at a time until it is held back, then more than the completion queue takes at once.
        let mut clients = Vec::new();
        for _ in 0..15 {
            clients.extend((0..10).map(|_| outsider(&handle, address)));
            turns(&handle, 2).await;
        }
        assert!(handle.stats().completions < 100, "accepts without end");
        clients.extend((0..150).map(|_| outsider(&handle, address)));
        turn(&handle).await;
        for n in 0..clients.len() {
            let accepted = soon(&handle, listener.accept()).await;
            let stream = Stream::from_owned(&handle, accepted.unwrap_or_else(|error| panic!("{n}: {error}")));
            assert!(stream.peer().is_some());
        }
    });
}

#[test]
fn a_stream_that_nobody_reads_is_ended_and_goes_on_when_it_is_read_again() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        let mut receiver = server.receiver(Mode::Stream);
        receiver.arm();
        for n in 0..100u8 {
            client.send(vec![n], true).await.0.unwrap();
            turn(&handle).await;
        }
        assert!(handle.stats().head_buffers_lent <= 2, "unread bytes hold the ring's buffers");
        let mut got = Vec::new();
        while got.len() < 100 {
            got.extend_from_slice(&soon(&handle, receiver.recv()).await.unwrap().unwrap());
        }
        assert_eq!(got, (0..100).collect::<Vec<u8>>());
    });
}
