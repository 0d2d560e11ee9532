//! A core with small rings, and connected sockets on it.

use ringferry_runtime::net::{Listener, Mode, Stream, Udp};
use ringferry_runtime::time::Alarm;
use ringferry_runtime::{Core, Group, Handle, KernelChoice, Settings, Socket, bind_tcp, bind_udp};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

/// All that keep the contract.
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

/// A core with tiny rings.
pub(crate) fn core(kernel: KernelChoice) -> Core {
    Core::new(&settings(kernel)).unwrap_or_else(|error| panic!("{kernel:?}: {error}"))
}

/// Runs a test body on a core of its own, once for each kernel; afterwards the core must have shut down cleanly.
pub(crate) fn on_core<F: Future<Output = ()> + 'static>(body: impl Fn(Handle) -> F) {
    for kernel in KERNELS {
        on_core_of(kernel, &body);
    }
}

/// The same for one kernel.
pub(crate) fn on_core_of<F: Future<Output = ()> + 'static>(kernel: KernelChoice, body: impl FnOnce(Handle) -> F) {
    let core = core(kernel);
    let handle = core.handle();
    let future = body(handle.clone());
    core.run(future).unwrap_or_else(|| panic!("the test body panicked on {kernel:?}"));
    assert_eq!(handle.stats().operations, 0, "operations left after shutdown, on {kernel:?}");
    let stats = handle.stats();
    let lent = (stats.head_buffers_lent, stats.body_buffers_lent, stats.datagram_buffers_lent);
    assert_eq!(lent, (0, 0, 0), "buffers left, on {kernel:?}");
}

/// A listener on a free port of loopback, and its address.
pub(crate) fn listener(handle: &Handle) -> (Listener, SocketAddr) {
    let (address, sockets) = bind_tcp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
    (Listener::new(handle, &sockets[0]).unwrap(), address)
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
    let (address, sockets) = bind_udp(SocketAddr::new(ip.parse().unwrap(), 0), ip == "::", 1).unwrap();
    (Udp::new(handle, &sockets[0]).unwrap(), address)
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
pub(crate) fn outsider(address: SocketAddr) -> Socket {
    let socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_nonblocking(true).unwrap();
    OwnedFd::from(socket).into()
}
