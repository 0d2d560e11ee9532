//! The end of a core, and of tasks that panic, with operations in flight.

use super::support::{KERNELS, core, ends, listener, on_core, on_core_of, pair, turn, turns, udp, until};
use ringferry_runtime::net::{Mode, Stream, Udp};
use ringferry_runtime::time::Sleep;
use ringferry_runtime::{Group, Handle, KernelChoice, mailbox};
use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Leaves one operation of every kind in flight, each in a task of its own.
async fn occupy(handle: &Handle) {
    let (mut listener, _) = listener(handle);
    handle.spawn(async move { drop(listener.accept().await) });
    for mode in [Mode::Stream, Mode::Once(Group::Head), Mode::Once(Group::Body)] {
        let (client, server) = pair(handle).await;
        handle.spawn(async move {
            let _client = client;
            drop(server.receiver(mode).recv().await);
        });
    }
    let (client, server) = pair(handle).await;
    handle.spawn(async move {
        let _server = server;
        loop {
            client.send_all([Some(vec![1; 1 << 20].into()), Some(vec![2; 1 << 20].into()), None]).await.0.unwrap();
        }
    });
    let (client, server) = pair(handle).await;
    handle.spawn(async move {
        let _client = client;
        drop(server.readable().await);
    });
    let (client, server) = pair(handle).await;
    let mut receiver = server.receiver(Mode::Stream);
    receiver.arm();
    client.send(b"never read".as_slice(), true).await.0.unwrap();
    handle.spawn(async move {
        let _all = (client, receiver);
        std::future::pending::<()>().await;
    });
    let (socket, address) = udp(handle, "127.0.0.1");
    let unread = Udp::connect(handle, address).unwrap();
    unread.send(b"never read".as_slice()).unwrap();
    let mut receiver = socket.receiver();
    receiver.arm();
    handle.spawn(async move {
        let _armed = receiver;
        drop(unread.receiver().recv().await);
    });
    let (sender, mut mailbox) = mailbox::channel::<()>(1);
    handle.spawn(async move {
        let _sender = sender;
        mailbox.recv().await;
    });
    let sleep = Sleep::new(handle, Duration::from_secs(1000));
    handle.spawn(sleep);
}

#[test]
fn a_core_ends_with_everything_in_flight() {
    for given in [0, 1, 5] {
        on_core(|handle| async move {
            occupy(&handle).await;
            turns(&handle, given).await;
        });
    }
}

#[test]
fn what_is_kept_outside_of_tasks_ends_with_the_core_too() {
    KERNELS.into_iter().for_each(keep_outside);
}

fn keep_outside(kernel: KernelChoice) {
    let core = core(kernel);
    let handle = core.handle();
    let (client, mut receiver) = core
        .run({
            let handle = handle.clone();
            async move {
                let (client, server) = pair(&handle).await;
                let mut receiver = server.receiver(Mode::Stream);
                receiver.arm();
                turn(&handle).await;
                (client, receiver)
            }
        })
        .expect("no panic");
    assert!(receiver.is_ready(), "nothing is in flight any more");
    // What is tried on it from now on is refused, and at once.
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(receiver.poll_recv(&mut cx), Poll::Ready(Err(_))));
    let Poll::Ready((Err(_), chunk)) = pin!(client.send(b"late".as_slice(), true)).poll(&mut cx) else {
        panic!("a send on a core that has ended")
    };
    assert_eq!(&chunk[..], b"late");
    drop((client, receiver));
    assert_eq!(handle.stats().operations, 0);
}

/// Spawns when it is dropped.
struct SpawnsAtTheEnd(Handle, Rc<Cell<u32>>);

impl Drop for SpawnsAtTheEnd {
    fn drop(&mut self) {
        self.1.set(self.1.get() + 1);
        let again = SpawnsAtTheEnd(self.0.clone(), self.1.clone());
        if self.1.get() < 1000 {
            self.0.spawn(async move {
                let _again = again;
                std::future::pending::<()>().await;
            });
        } else {
            std::mem::forget(again);
        }
    }
}

#[test]
fn a_task_spawned_while_the_core_ends_is_dropped() {
    for kernel in KERNELS {
        let dropped = Rc::new(Cell::new(0));
        let count = dropped.clone();
        on_core_of(kernel, |handle| async move {
            let guard = SpawnsAtTheEnd(handle.clone(), count);
            handle.spawn(async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
            turn(&handle).await;
        });
        assert!(dropped.get() > 1, "on {kernel:?}");
    }
}

#[test]
fn a_panic_in_a_task_ends_its_operations() {
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        let core = handle.clone();
        let task = handle.spawn_joinable(async move {
            let mut receiver = server.receiver(Mode::Stream);
            receiver.arm();
            let _send = server.send(vec![1; 1 << 20], true);
            turn(&core).await;
            panic!("a bug");
        });
        assert_eq!(task.await, None::<()>);
        until(&handle, || handle.stats().operations == 0).await;
        // What was sent until then may come first.
        let mut receiver = client.receiver(Mode::Once(Group::Body));
        while let Ok(Some(_)) = receiver.recv().await {}
        drop(receiver);
        assert!(ends(&handle, &client).await);
    });
}

#[test]
fn a_panic_in_a_destructor_while_the_core_ends_hurts_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a bug in a destructor");
        }
    }
    on_core(|handle| async move {
        let (client, server) = pair(&handle).await;
        let kept: Stream = client.clone();
        handle.spawn(async move {
            let _bomb = Bomb;
            drop(client.receiver(Mode::Stream).recv().await);
        });
        handle.spawn(async move {
            drop(server.receiver(Mode::Stream).recv().await);
        });
        turn(&handle).await;
        drop(kept);
    });
}
