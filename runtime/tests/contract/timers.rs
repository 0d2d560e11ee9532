//! Time: alarms and sleeps through the wait's own timeout.

use super::support::{on_core, on_core_in_any_order, pair, soon};
use ringferry_runtime::net::Mode;
use ringferry_runtime::time::{Alarm, Elapsed, Sleep};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

#[test]
fn a_sleep_lasts_at_least_as_long_as_asked() {
    on_core(|handle| async move {
        for ms in [0, 1, 7, 40] {
            let began = handle.now();
            Sleep::new(&handle, Duration::from_millis(ms)).await;
            assert!(handle.clock().since(began) >= Duration::from_millis(ms));
        }
    });
}

#[test]
fn a_receive_without_bytes_times_out_and_loses_nothing() {
    on_core_in_any_order(|handle| async move {
        let (client, server) = pair(&handle).await;
        let mut receiver = server.receiver(Mode::Stream);
        let mut alarm = Alarm::new(&handle);
        alarm.set(Duration::from_millis(5));
        assert_eq!(alarm.guard(pin!(receiver.recv())).await.unwrap_err(), Elapsed);
        client.send(b"late".as_slice(), true).await.0.unwrap();
        alarm.set(Duration::from_secs(10));
        let lent = alarm.guard(pin!(receiver.recv())).await.unwrap().unwrap().unwrap();
        assert_eq!(&lent[..], b"late");
    });
}

#[test]
fn moving_an_alarm_later_keeps_its_timer_and_earlier_replaces_it() {
    on_core(|handle| async move {
        let mut alarm = Alarm::new(&handle);
        let began = handle.now();
        alarm.set(Duration::from_millis(5));
        assert!(alarm.guard(std::future::pending::<()>()).await.is_err());
        alarm.set(Duration::from_secs(100));
        let mut nothing = std::future::pending::<()>();
        // Armed far away first, then moved close.
        let waker = std::task::Waker::noop();
        assert!(alarm.poll_elapsed(&mut std::task::Context::from_waker(waker)).is_pending());
        alarm.set(Duration::from_millis(5));
        assert!(alarm.guard(&mut nothing).await.is_err());
        let took = handle.now().since(began);
        assert!(took >= Duration::from_millis(10) && took < Duration::from_secs(50));
        drop(alarm);
        assert_eq!(handle.stats().timers, 0);
    });
}

#[test]
fn thousands_of_timers_fire_none_early_and_none_twice() {
    on_core(|handle| async move {
        let sleeps: Vec<_> = (0..5000u64)
            .map(|n| {
                let task = handle.clone();
                let wanted = Duration::from_micros(n * 7919 % 50_000);
                handle.spawn_joinable(async move {
                    let began = task.now();
                    let polls = Cell::new(0);
                    let mut sleep = pin!(Sleep::new(&task, wanted));
                    poll_fn(|cx| {
                        polls.set(polls.get() + 1);
                        sleep.as_mut().poll(cx)
                    })
                    .await;
                    assert!(task.now().since(began) >= wanted && polls.get() <= 2);
                })
            })
            .collect();
        for sleep in sleeps {
            sleep.await.expect("no panic");
        }
        assert_eq!(handle.stats().timers, 0);
    });
}

#[test]
fn an_alarm_wakes_the_task_that_asked_last() {
    on_core(|handle| async move {
        let mut alarm = Alarm::new(&handle);
        alarm.set(Duration::from_millis(10));
        assert!(alarm.poll_elapsed(&mut Context::from_waker(Waker::noop())).is_pending());
        let moved = handle.spawn_joinable(async move { poll_fn(|cx| alarm.poll_elapsed(cx)).await });
        assert_eq!(soon(&handle, moved).await, Some(Elapsed));
    });
}
