//! Ping-pong of 64 bytes over loopback: our runtime beside tokio and tokio-uring, in one run.
//!
//! The same arrangement for all three: one thread holds both ends of every connection, each end a task of its own, so
//! that the figure is the cost of the runtime and of TCP, not of waking another processor. The runtimes do what each is
//! best at: ours receives by multishot into lent buffers and sends them back from there, tokio reads and writes a
//! buffer of the connection, tokio-uring passes an owned one to the kernel and back.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringferry_runtime::net::{Listener, Mode, Stream};
use ringferry_runtime::{Core, Settings, bind_tcp};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

static PING: [u8; 64] = [7; 64];

/// Rounds before the clock starts: fresh buffers cost their first page fault.
const WARM_UP: u64 = 50;

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Time for `rounds` ping-pongs on each of `connections` connections at once.
fn ringferry(connections: usize, rounds: u64) -> Duration {
    let core = Core::new(&Settings::default()).expect("io_uring");
    let handle = core.handle();
    let run = async move {
        let (address, sockets) = bind_tcp(any(), false, 1).expect("a port");
        let mut listener = Listener::new(&handle, &sockets[0]).expect("a listener");
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = Stream::connect(&handle, address).await.expect("connect");
            let receiver = client.receiver(Mode::Stream);
            clients.push((client, receiver));
            let server = Stream::from_owned(&handle, listener.accept().await.expect("accept"));
            handle.spawn(async move {
                let mut receiver = server.receiver(Mode::Stream);
                while let Ok(Some(lent)) = receiver.recv().await {
                    server.send_all([Some(lent.into()), None, None]).await.0.expect("send");
                }
            });
        }
        let mut took = Duration::ZERO;
        for rounds in [WARM_UP, rounds] {
            let began = Instant::now();
            let ends = clients.drain(..).map(|(client, mut receiver)| {
                handle.spawn_joinable(async move {
                    for _ in 0..rounds {
                        client.send(PING.as_slice(), true).await.0.expect("send");
                        let mut got = 0;
                        while got < PING.len() {
                            got += receiver.recv().await.expect("receive").expect("no end").len();
                        }
                    }
                    (client, receiver)
                })
            });
            for end in ends.collect::<Vec<_>>() {
                clients.push(end.await.expect("no panic"));
            }
            took = began.elapsed();
        }
        took
    };
    core.run(run).expect("no panic")
}

fn tokio_epoll(connections: usize, rounds: u64) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("tokio");
    let run = async move {
        let listener = tokio::net::TcpListener::bind(any()).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = tokio::net::TcpStream::connect(address).await.expect("connect");
            client.set_nodelay(true).expect("nodelay");
            clients.push(client);
            let (mut server, _) = listener.accept().await.expect("accept");
            server.set_nodelay(true).expect("nodelay");
            tokio::task::spawn_local(async move {
                let mut buffer = [0; 4096];
                while let Ok(got @ 1..) = server.read(&mut buffer).await {
                    server.write_all(&buffer[..got]).await.expect("send");
                }
            });
        }
        let mut took = Duration::ZERO;
        for rounds in [WARM_UP, rounds] {
            let began = Instant::now();
            let ends = clients.drain(..).map(|mut client| {
                tokio::task::spawn_local(async move {
                    let mut buffer = [0; PING.len()];
                    for _ in 0..rounds {
                        client.write_all(&PING).await.expect("send");
                        client.read_exact(&mut buffer).await.expect("receive");
                    }
                    client
                })
            });
            for end in ends.collect::<Vec<_>>() {
                clients.push(end.await.expect("no panic"));
            }
            took = began.elapsed();
        }
        took
    };
    tokio::task::LocalSet::new().block_on(&runtime, run)
}

fn tokio_uring(connections: usize, rounds: u64) -> Duration {
    tokio_uring::start(async move {
        let listener = tokio_uring::net::TcpListener::bind(any()).expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut clients = Vec::new();
        for _ in 0..connections {
            let client = tokio_uring::net::TcpStream::connect(address).await.expect("connect");
            client.set_nodelay(true).expect("nodelay");
            clients.push(client);
            let (server, _) = listener.accept().await.expect("accept");
            server.set_nodelay(true).expect("nodelay");
            tokio_uring::spawn(async move {
                let mut buffer = vec![0; 4096];
                loop {
                    let (got, back) = server.read(buffer).await;
                    buffer = back;
                    let Ok(got @ 1..) = got else { break };
                    buffer.truncate(got);
                    let (sent, back) = server.write_all(buffer).await;
                    sent.expect("send");
                    buffer = back;
                    buffer.resize(4096, 0);
                }
            });
        }
        let mut took = Duration::ZERO;
        for rounds in [WARM_UP, rounds] {
            let began = Instant::now();
            let ends = clients.drain(..).map(|client| {
                tokio_uring::spawn(async move {
                    let (mut ping, mut buffer) = (PING.to_vec(), vec![0; PING.len()]);
                    for _ in 0..rounds {
                        let (sent, back) = client.write_all(ping).await;
                        sent.expect("send");
                        ping = back;
                        let mut left = PING.len();
                        while left > 0 {
                            let (got, back) = client.read(buffer).await;
                            buffer = back;
                            left -= got.expect("receive");
                        }
                    }
                    client
                })
            });
            for end in ends.collect::<Vec<_>>() {
                clients.push(end.await.expect("no panic"));
            }
            took = began.elapsed();
        }
        took
    })
}

type Run = fn(usize, u64) -> Duration;

fn echo(c: &mut Criterion) {
    let runtimes: [(&str, Run); 3] = [("ringferry", ringferry), ("tokio", tokio_epoll), ("tokio_uring", tokio_uring)];
    for connections in [1, 64] {
        let mut group = c.benchmark_group(format!("echo_{connections}"));
        group.throughput(Throughput::Elements(1)).sample_size(20);
        for (name, run) in runtimes {
            group.bench_function(BenchmarkId::from_parameter(name), |b| {
                b.iter_custom(|pings| {
                    let rounds = pings.div_ceil(connections as u64);
                    run(connections, rounds).mul_f64(pings as f64 / (rounds * connections as u64) as f64)
                });
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = echo
}
criterion_main!(benches);
