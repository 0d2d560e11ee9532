//! Tasks, wakers and mailboxes.

use super::support::on_core;
use ringferry_runtime::mailbox;
use std::cell::Cell;
use std::rc::Rc;

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
                    return std::task::Poll::Ready(cx.waker().clone());
                }
                woken = true;
                let waker = cx.waker().clone();
                std::thread::spawn(move || waker.wake());
                std::task::Poll::Pending
            })
            .await
        });
        let stale = task.await.unwrap();
        stale.wake_by_ref();
        std::thread::spawn(move || stale.wake()).join().unwrap();
    });
}
