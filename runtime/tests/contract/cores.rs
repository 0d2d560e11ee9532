//! Several cores: in one thread by turns, in several threads, and what passes between them.

use super::support::{KERNELS, core, ends, listener, on_core_of, soon};
use ringferry_runtime::mailbox::{self, Mailbox, Sender};
use ringferry_runtime::net::{Mode, Stream};
use ringferry_runtime::{Core, Group, Handle, KernelChoice, Socket};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Turns cores one after the other until `done`.
fn alternate(cores: &mut [&mut Core], done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "hangs");
        for core in cores.iter_mut() {
            core.turn(Some(Duration::ZERO));
        }
    }
}

async fn echo(handle: Handle, socket: Socket) {
    let stream = Stream::from_owned(&handle, socket);
    let mut receiver = stream.receiver(Mode::Stream);
    while let Some(lent) = receiver.recv().await.unwrap() {
        stream.send_all([Some(lent.into()), None, None]).await.0.unwrap();
    }
}

/// Sends and expects it back, a hundred times.
async fn ask(handle: Handle, address: SocketAddr) {
    let stream = Stream::connect(&handle, address).await.unwrap();
    let mut receiver = stream.receiver(Mode::Once(Group::Head));
    for n in 0..100u8 {
        stream.send(vec![n; 10], true).await.0.unwrap();
        let mut got = Vec::new();
        while got.len() < 10 {
            got.extend_from_slice(&receiver.recv().await.unwrap().unwrap());
        }
        assert_eq!(got, [n; 10]);
    }
}

#[test]
fn cores_that_take_turns_in_one_thread_exchange_bytes() {
    KERNELS.into_iter().for_each(take_turns);
}

fn take_turns(kernel: KernelChoice) {
    let (mut a, mut b) = (core(kernel), core(kernel));
    let (mut listener, address) = listener(&a.handle());
    let handle = a.handle();
    handle.clone().spawn(async move {
        let socket = listener.accept().await.unwrap();
        echo(handle, socket).await;
    });
    let asked = b.handle().spawn_joinable(ask(b.handle(), address));
    let (handle, ended) = (b.handle(), std::rc::Rc::new(std::cell::Cell::new(false)));
    let seen = ended.clone();
    handle.spawn(async move {
        asked.await.expect("no panic");
        seen.set(true);
    });
    alternate(&mut [&mut a, &mut b], || ended.get());
}

#[test]
fn an_accepted_connection_is_handed_over_to_another_core() {
    KERNELS.into_iter().for_each(hand_over);
}

fn hand_over(kernel: KernelChoice) {
    let (sender, mut mailbox) = mailbox::channel(4);
    let worker = std::thread::spawn(move || {
        let core = core(kernel);
        let handle = core.handle();
        core.run(async move {
            while let Some(socket) = mailbox.recv().await {
                echo(handle.clone(), socket).await;
            }
        })
        .expect("no panic");
    });
    on_core_of(kernel, |handle| async move {
        let (mut listener, address) = listener(&handle);
        let accept = handle.spawn_joinable(async move {
            for _ in 0..3 {
                sender.send(listener.accept().await.unwrap()).unwrap();
            }
        });
        for _ in 0..3 {
            soon(&handle, ask(handle.clone(), address)).await;
        }
        soon(&handle, accept).await.unwrap();
    });
    worker.join().unwrap();
}

/// Passes a number back and forth, both cores asleep in between.
async fn rally(handle: Handle, to: Sender<u32>, mut from: Mailbox<u32>, first: bool) -> u64 {
    if first {
        to.send(0).unwrap();
    }
    while let Some(n) = soon(&handle, from.recv()).await {
        if n == 1000 || to.send(n + 1).is_err() {
            break;
        }
    }
    handle.stats().messages
}

#[test]
fn cores_wake_each_other_and_through_their_rings_where_they_have_some() {
    for kernel in KERNELS {
        let ((to_a, at_a), (to_b, at_b)) = (mailbox::channel(1), mailbox::channel(1));
        let other = std::thread::spawn(move || {
            let core = core(kernel);
            let handle = core.handle();
            core.run(rally(handle, to_a, at_b, false)).expect("no panic")
        });
        let core = core(kernel);
        let handle = core.handle();
        let messages = core.run(rally(handle, to_b, at_a, true)).expect("no panic");
        // At least the first try of each: a kernel that cannot is asked once.
        assert_eq!(messages + other.join().unwrap() > 0, kernel == KernelChoice::Uring);
    }
}

#[test]
fn the_last_words_of_a_core_reach_a_sleeping_one() {
    KERNELS.into_iter().for_each(speak_and_end);
}

fn speak_and_end(kernel: KernelChoice) {
    let (ready, is_ready) = mpsc::channel();
    let (sender, mut mailbox) = mailbox::channel(4);
    let sleeper = std::thread::spawn(move || {
        on_core_of(kernel, |handle| async move {
            ready.send(()).unwrap();
            assert_eq!(soon(&handle, mailbox.recv()).await, Some("last words"));
            assert_eq!(soon(&handle, mailbox.recv()).await, None);
        });
    });
    is_ready.recv().unwrap();
    // The main future ends in the poll that sends, and its sender is dropped with the core.
    on_core_of(kernel, |handle| async move {
        let second = sender.clone();
        handle.spawn(async move {
            std::future::pending::<()>().await;
            drop(second);
        });
        sender.send("last words").unwrap();
    });
    sleeper.join().unwrap();
}

#[test]
fn a_core_that_is_dropped_between_turns_ends_like_one_that_ran() {
    KERNELS.into_iter().for_each(drop_between_turns);
}

fn drop_between_turns(kernel: KernelChoice) {
    on_core_of(kernel, |handle| async move {
        let (mut listener, address) = listener(&handle);
        let mut other = core(kernel);
        let there = other.handle();
        let task = other.handle();
        there.spawn(async move {
            let stream = Stream::connect(&task, address).await.unwrap();
            let _ = stream.receiver(Mode::Stream).recv().await;
        });
        while there.stats().operations == 0 {
            other.turn(Some(Duration::ZERO));
        }
        let server = Stream::from_owned(&handle, soon(&handle, listener.accept()).await.unwrap());
        other.turn(Some(Duration::ZERO));
        drop(other);
        assert!(ends(&handle, &server).await);
        assert_eq!((there.stats().operations, there.stats().tasks), (0, 0));
    });
}
