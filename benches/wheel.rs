//! The timers of a core among 10,000 others: moving a deadline, arming and dropping an alarm, and a turn that fires none.

use criterion::{Criterion, criterion_group, criterion_main};
use ringferry_runtime::time::Alarm;
use ringferry_runtime::{Core, Settings};
use std::task::{Context, Waker};
use std::time::Duration;

fn wheel(c: &mut Criterion) {
    let mut core = Core::new(&Settings::default()).expect("io_uring");
    let handle = core.handle();
    let mut cx = Context::from_waker(Waker::noop());
    let mut armed = |seconds| {
        let mut alarm = Alarm::new(&handle);
        alarm.set(Duration::from_secs(seconds));
        assert!(alarm.poll_elapsed(&mut cx).is_pending());
        alarm
    };
    let others: Vec<Alarm> = (0..10_000).map(|n| armed(1_000 + n)).collect();
    let mut group = c.benchmark_group("wheel");

    let mut alarm = armed(1_000);
    let mut seconds = 1_000;
    group.bench_function("move", |b| {
        b.iter(|| {
            // A timeout that begins anew with each byte that comes: later and later, so the wheel's entry stays.
            seconds += 1;
            alarm.set(Duration::from_secs(seconds));
            alarm.poll_elapsed(&mut Context::from_waker(Waker::noop()))
        });
    });
    group.bench_function("arm_and_drop", |b| b.iter(|| armed(60)));
    group.bench_function("turn", |b| b.iter(|| core.turn(Some(Duration::ZERO))));
    drop(others);
}

criterion_group!(benches, wheel);
criterion_main!(benches);
