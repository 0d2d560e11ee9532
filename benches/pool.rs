//! Buffers of a core: a byte vector taken and given back, and a lent buffer from the kernel's pick to its return.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringferry_runtime::net::{Listener, Mode, Stream};
use ringferry_runtime::{Core, Group, Handle, Settings, bind_tcp};
use std::time::{Duration, Instant};

static BYTES: [u8; 4096] = [7; 4096];

/// Turnovers before the clock starts: a fresh buffer costs its first page fault.
const WARM_UP: u64 = 200;

fn pool(c: &mut Criterion) {
    let mut group = c.benchmark_group("pool");
    let core = Core::new(&Settings::default()).expect("io_uring");
    let handle = core.handle();
    group.bench_function("take_and_give", |b| {
        b.iter(|| {
            let mut bytes = handle.take_bytes();
            bytes.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
            handle.give_bytes(bytes);
        });
    });

    // Through a socket, since nothing else fills a buffer: beside each other, the two ways to receive.
    group.throughput(Throughput::Bytes(BYTES.len() as u64));
    for (name, mode) in [("lent_stream", Mode::Stream), ("lent_once", Mode::Once(Group::Head))] {
        group.bench_function(name, |b| {
            b.iter_custom(|turnovers| {
                let core = Core::new(&Settings::default()).expect("io_uring");
                let handle = core.handle();
                core.run(async move { turn_over(&handle, mode, turnovers).await }).expect("no panic")
            });
        });
    }
}

async fn turn_over(handle: &Handle, mode: Mode, turnovers: u64) -> Duration {
    let (address, sockets) = bind_tcp(([127, 0, 0, 1], 0).into(), false, 1).expect("a port");
    let mut listener = Listener::new(handle, &sockets[0]).expect("a listener");
    let client = Stream::connect(handle, address).await.expect("connect");
    let server = Stream::from_owned(handle, listener.accept().await.expect("accept"));
    let mut receiver = server.receiver(mode);
    let mut took = Duration::ZERO;
    for turnovers in [WARM_UP, turnovers] {
        let began = Instant::now();
        for _ in 0..turnovers {
            client.send(BYTES.as_slice(), true).await.0.expect("send");
            let mut got = 0;
            while got < BYTES.len() {
                got += receiver.recv().await.expect("receive").expect("no end").len();
            }
        }
        took = began.elapsed();
    }
    took
}

criterion_group!(benches, pool);
criterion_main!(benches);
