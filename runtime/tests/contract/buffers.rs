//! Received buffers: exhaustion, fairness, and what happens to those that nobody waits for.

use super::support::{on_core, pair};
use ringferry_runtime::net::Mode;
use ringferry_runtime::{Group, join};

#[test]
fn a_flood_that_nobody_reads_leaves_buffers_for_others() {
    on_core(|handle| async move {
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

#[test]
fn a_receive_that_finds_no_buffer_goes_on_when_one_comes_back() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        client.send(vec![1; 64 * 4096], true).await.0.unwrap();
        let mut receiver = server.receiver(Mode::Once(Group::Head));
        let mut held = Vec::new();
        while held.len() < 8 {
            held.push(receiver.recv().await.unwrap().unwrap());
        }
        assert_eq!(handle.stats().head_buffers_lent, 8);
        let release = {
            let handle = handle.clone();
            async move {
                // The receive is parked now; giving one buffer back lets it go on.
                while handle.stats().turns < 1 {}
                held.pop();
                held
            }
        };
        let (more, held) = join(receiver.recv(), release).await;
        assert!(!more.unwrap().unwrap().is_empty());
        drop(held);
    });
}

#[test]
fn a_dropped_receive_gives_its_buffer_back() {
    on_core(|handle| async move {
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
