//! Tasks, wakers and mailboxes.

use super::support::{KERNELS, on_core, on_core_of, soon, turn};
use ringferry_runtime::{KernelChoice, mailbox};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

#[test]
fn a_panic_ends_its_task_and_nothing_else() {
    on_core(|handle| async move {
        let reported = Rc::new(Cell::new(false));
        let seen = reported.clone();
        handle.on_panic(move |message| seen.set(message == "a bug"));
        let result = handle.spawn_joinable(async { panic!("a bug") }).await;
        assert_eq!(result, None::<()>);
        assert!(reported.get());
        assert_eq!(handle.spawn_joinable(async { 7 }).await, Some(7));
    });
}

#[test]
fn a_panic_report_may_use_the_core() {
    on_core(|handle| async move {
        let core = handle.clone();
        handle.on_panic(move |_| {
            core.spawn(async {});
            core.on_panic(|_| ());
            assert_eq!(core.stats().panics, 1);
        });
        assert_eq!(handle.spawn_joinable(async { panic!("a bug") }).await, None::<()>);
        turn(&handle).await;
    });
}

#[test]
fn messages_from_another_thread_wake_a_sleeping_core() {
    on_core(|_| async move {
        let (sender, mut mailbox) = mailbox::channel(4);
        let thread = std::thread::spawn(move || {
            for n in 0..1000 {
                while sender.send(n).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        for n in 0..1000 {
            assert_eq!(mailbox.recv().await, Some(n));
        }
        assert_eq!(mailbox.recv().await, None);
        thread.join().unwrap();
    });
}

#[test]
fn a_full_mailbox_gives_the_message_back() {
    on_core(|_| async move {
        let (sender, mut mailbox) = mailbox::channel(2);
        assert_eq!((sender.send(1), sender.send(2), sender.send(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!(mailbox.recv().await, Some(1));
        assert_eq!(sender.send(4), Ok(()));
        drop(mailbox);
        assert_eq!(sender.send(5), Err(5));
    });
}

#[test]
fn a_waker_works_from_another_thread_and_after_its_task_is_gone() {
    on_core(|handle| async move {
        let task = handle.spawn_joinable(async {
            let mut woken = false;
            std::future::poll_fn(|cx| {
                if woken {
                    return Poll::Ready(cx.waker().clone());
                }
                woken = true;
                let waker = cx.waker().clone();
                std::thread::spawn(move || waker.wake());
                Poll::Pending
            })
            .await
        });
        let stale = task.await.unwrap();
        stale.wake_by_ref();
        std::thread::spawn(move || stale.wake()).join().unwrap();
    });
}

#[test]
fn wakes_from_other_threads_reach_every_task_however_many_there_are() {
    wake_from_outside(false);
    wake_from_outside(true);
}

/// Wakes more tasks than a core notes one by one, while it turns or is stuck.
fn wake_from_outside(stuck: bool) {
    const TASKS: usize = 3000;
    on_core(move |handle| async move {
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let go = Arc::new(AtomicBool::new(false));
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (wakers, go) = (wakers.clone(), go.clone());
                handle.spawn_joinable(std::future::poll_fn(move |cx| {
                    if go.load(Ordering::SeqCst) {
                        return Poll::Ready(());
                    }
                    wakers.lock().unwrap().push(cx.waker().clone());
                    Poll::Pending
                }))
            })
            .collect();
        while wakers.lock().unwrap().len() < TASKS {
            turn(&handle).await;
        }
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (wakers, go) = (wakers.clone(), go.clone());
                std::thread::spawn(move || {
                    go.store(true, Ordering::SeqCst);
                    while let Some(waker) = { wakers.lock().unwrap().pop() } {
                        waker.wake();
                    }
                })
            })
            .collect();
        if stuck {
            // All of them come within one turn.
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
        for task in tasks {
            assert_eq!(soon(&handle, task).await, Some(()));
        }
    });
}

#[test]
fn each_wake_from_another_thread_ends_a_sleep() {
    KERNELS.into_iter().for_each(wake_each_other);
}

/// Two cores in two threads, each asleep while the other is at it.
fn wake_each_other(kernel: KernelChoice) {
    on_core_of(kernel, |handle| async move {
        let (sender, mut mailbox) = mailbox::channel(1);
        let (back, mut returned) = mailbox::channel(1);
        let echo = std::thread::spawn(move || {
            on_core_of(kernel, |handle| async move {
                while let Some(n) = soon(&handle, mailbox.recv()).await {
                    back.send(n).unwrap();
                }
            });
        });
        for n in 0..2000 {
            sender.send(n).unwrap();
            assert_eq!(soon(&handle, returned.recv()).await, Some(n));
        }
        drop(sender);
        assert_eq!(soon(&handle, returned.recv()).await, None::<i32>);
        echo.join().unwrap();
    });
}

#[test]
fn a_mailbox_that_overflows_loses_nothing_that_it_took() {
    on_core(|handle| async move {
        let (sender, mut mailbox) = mailbox::channel(8);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let sender = sender.clone();
                std::thread::spawn(move || (0..5000).filter(|n| sender.send(*n).is_ok()).count())
            })
            .collect();
        drop(sender);
        let mut received = 0;
        while soon(&handle, mailbox.recv()).await.is_some() {
            received += 1;
        }
        let sent: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(received, sent);
    });
}
