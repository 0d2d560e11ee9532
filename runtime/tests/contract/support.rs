//! A core with small rings on each kernel, and connected sockets on it.

use ringferry_runtime::net::{Listener, Mode, Stream, Udp};
use ringferry_runtime::sim::{Fault, Faults, Role, World};
use ringferry_runtime::time::Alarm;
use ringferry_runtime::{Core, Group, Handle, KernelChoice, Settings, Socket, bind_tcp, bind_udp};
use std::future::{Future, poll_fn};
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// The kernels of the system that keep the contract. A simulated one does as well, see [`on_core`].
pub(crate) const KERNELS: [KernelChoice; 2] = [KernelChoice::Uring, KernelChoice::Epoll];

/// How the cores of the tests are set up: 8 submissions, 64 completions, 8, 4 and 4 buffers, those for datagrams of 2
/// KiB.
pub(crate) fn settings(kernel: KernelChoice) -> Settings {
    Settings {
        kernel,
        submissions: 8,
        head_buffers: 8,
        body_buffers: 4,
        datagram_buffer_bytes: 2048,
        datagram_buffers: 4,
        ..Settings::default()
    }
}

/// A core of the system, with tiny rings.
pub(crate) fn core(kernel: KernelChoice) -> Core {
    Core::new(&settings(kernel)).unwrap_or_else(|error| panic!("{kernel:?}: {error}"))
}

/// Histories of a simulated world that each test goes through.
const SEEDS: RangeInclusive<u64> = 1..=20;

/// Runs a test body on a core of its own: of each kernel of the system, simulated, and simulated with all that a kernel may do otherwise
/// than is expected of it, whatever the body sends and receives. Afterwards the core must have shut down cleanly.
pub(crate) fn on_core<F: Future<Output = ()> + 'static>(body: impl Fn(Handle) -> F) {
    let faults =
        unhurried().with(Fault::ShortReceive, 200).with(Fault::OneByteReceived, 50).with(Fault::ShortSend, 200);
    on_kernels(body, Some(faults));
}

/// As [`on_core`], for bodies that expect of each receive all that was sent before: orders and delays are what may differ.
pub(crate) fn on_core_in_any_order<F: Future<Output = ()> + 'static>(body: impl Fn(Handle) -> F) {
    on_kernels(body, Some(unhurried()));
}

/// As [`on_core`], for bodies that count turns, buffers or completions: a simulated kernel does at once what it can.
pub(crate) fn on_core_to_the_turn<F: Future<Output = ()> + 'static>(body: impl Fn(Handle) -> F) {
    on_kernels(body, None);
}

/// As [`on_core`], on the kernels of the system alone, for bodies that have threads or sockets beside the core that no
/// world knows of.
pub(crate) fn on_system<F: Future<Output = ()> + 'static>(body: impl Fn(Handle) -> F) {
    for kernel in KERNELS {
        on_core_of(kernel, &body);
    }
}

/// The same for one kernel.
pub(crate) fn on_core_of<F: Future<Output = ()> + 'static>(kernel: KernelChoice, body: impl FnOnce(Handle) -> F) {
    run(&format!("{kernel:?}"), core(kernel), body);
}

fn on_kernels<F: Future<Output = ()> + 'static>(body: impl Fn(Handle) -> F, faults: Option<Faults>) {
    on_system(&body);
    simulate(0, Faults::none(), &body);
    for seed in faults.iter().flat_map(|_| SEEDS) {
        simulate(seed, faults.clone().unwrap_or_else(Faults::none), &body);
    }
}

fn simulate<F: Future<Output = ()> + 'static>(seed: u64, faults: Faults, body: impl FnOnce(Handle) -> F) {
    let world = World::new(seed, faults);
    run(&format!("seed {seed}"), Core::simulated(&world, Role::Tested, &settings(KernelChoice::Auto)), body);
    assert_eq!(world.open_descriptors(), [""; 0], "left open, seed {seed}");
}

/// What a kernel may always do.
fn unhurried() -> Faults {
    [
        Fault::Shuffled,
        Fault::CancelLoses,
        Fault::SubmissionsLate,
        Fault::CompletionsLate,
        Fault::EndsEarly,
        Fault::NoBuffer,
    ]
    .into_iter()
    .fold(Faults::none(), |faults, fault| faults.with(fault, 100))
}

fn run<F: Future<Output = ()> + 'static>(kernel: &str, core: Core, body: impl FnOnce(Handle) -> F) {
    let handle = core.handle();
    let future = body(handle.clone());
    core.run(future).unwrap_or_else(|| panic!("the test body panicked on {kernel}"));
    assert_eq!(handle.stats().operations, 0, "operations left after shutdown, on {kernel}");
    let stats = handle.stats();
    let lent = (stats.head_buffers_lent, stats.body_buffers_lent, stats.datagram_buffers_lent);
    assert_eq!(lent, (0, 0, 0), "buffers left, on {kernel}");
}

/// A listener on a free port of loopback, and its address.
pub(crate) fn listener(handle: &Handle) -> (Listener, SocketAddr) {
    let (address, sockets) = listen(handle, 1);
    (Listener::new(handle, &sockets[0]).unwrap(), address)
}

/// Listening sockets on a free port of loopback, and its address.
pub(crate) fn listen(handle: &Handle, count: usize) -> (SocketAddr, Vec<Socket>) {
    let address = "127.0.0.1:0".parse().unwrap();
    match handle.world() {
        Some(world) => world.listen(address, count),
        None => bind_tcp(address, false, count).unwrap(),
    }
}

/// A listening unix socket by a name that nobody else uses.
pub(crate) fn listener_unix(handle: &Handle, path: &Path) -> Listener {
    let socket = match handle.world() {
        Some(world) => world.listen_unix(path),
        None => {
            let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
            listener.set_nonblocking(true).unwrap();
            OwnedFd::from(listener).into()
        }
    };
    Listener::new(handle, &socket).unwrap()
}

/// Two connected streams on one core.
pub(crate) async fn pair(handle: &Handle) -> (Stream, Stream) {
    let (mut listener, address) = listener(handle);
    let client = Stream::connect(handle, address).await.unwrap();
    let server = Stream::from_owned(handle, listener.accept().await.unwrap());
    (client, server)
}

/// A UDP socket on a free port of an address, and where it is.
pub(crate) fn udp(handle: &Handle, ip: &str) -> (Udp, SocketAddr) {
    let (address, sockets) = listen_udp(handle, SocketAddr::new(ip.parse().unwrap(), 0), 1);
    (Udp::new(handle, &sockets[0]).unwrap(), address)
}

/// Sockets of UDP on an address, and which that is.
pub(crate) fn listen_udp(handle: &Handle, address: SocketAddr, count: usize) -> (SocketAddr, Vec<Socket>) {
    match handle.world() {
        Some(world) => world.listen_udp(address, count),
        None => bind_udp(address, address.ip() == Ipv6Addr::UNSPECIFIED, count).unwrap(),
    }
}

/// Lets the core go round once: all that was submitted is handed over, and what is complete has been told.
pub(crate) async fn turn(handle: &Handle) {
    turns(handle, 1).await;
}

/// See [`turn`].
pub(crate) async fn turns(handle: &Handle, count: u64) {
    let until = handle.stats().turns + count;
    poll_fn(|cx| {
        if handle.stats().turns >= until {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Lets turns pass until `what` holds. Time is no measure of progress, but the end of patience.
pub(crate) async fn until(handle: &Handle, what: impl Fn() -> bool) {
    let began = handle.clock();
    while !what() {
        assert!(handle.clock().since(began) < Duration::from_secs(20), "did not happen");
        turn(handle).await;
    }
}

/// `future`, which has to be ready in time. The alarm is set later than that: on its way it ends the core's sleep now
/// and then, and must not be what saves a future that nobody woke.
pub(crate) async fn soon<F: Future>(handle: &Handle, future: F) -> F::Output {
    let began = handle.clock();
    let mut alarm = Alarm::new(handle);
    alarm.set(Duration::from_secs(20));
    let output = alarm.guard(pin!(future)).await.expect("hangs");
    assert!(handle.clock().since(began) < Duration::from_secs(12), "was not woken");
    output
}

/// Whether the other end has gone, by a FIN or a reset.
pub(crate) async fn ends(handle: &Handle, stream: &Stream) -> bool {
    let mut receiver = stream.receiver(Mode::Once(Group::Head));
    matches!(soon(handle, receiver.recv()).await, Ok(None) | Err(_))
}

/// A client that no core knows of, connected to a listener's backlog.
pub(crate) fn outsider(handle: &Handle, address: SocketAddr) -> Socket {
    if let Some(world) = handle.world() {
        return world.outsider(address).unwrap();
    }
    let socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    OwnedFd::from(socket).into()
}
