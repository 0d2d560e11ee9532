//! A core with small rings, and connected sockets on it.

use ringferry_runtime::net::{Listener, Stream};
use ringferry_runtime::{Core, Handle, Settings, bind_tcp};
use std::future::Future;
use std::os::fd::AsFd;

/// Runs a test body on a core of its own; afterwards the core must have shut down cleanly.
pub(crate) fn on_core<F: Future<Output = ()> + 'static>(body: impl FnOnce(Handle) -> F) {
    let settings = Settings { submissions: 8, head_buffers: 8, body_buffers: 4, ..Settings::default() };
    let core = Core::new(&settings).expect("io_uring");
    let handle = core.handle();
    let future = body(handle.clone());
    core.run(future).expect("the test body panicked");
    assert_eq!(handle.stats().operations, 0, "operations left after shutdown");
    assert_eq!((handle.stats().head_buffers_lent, handle.stats().body_buffers_lent), (0, 0), "buffers left");
}

/// A listener on a free port of loopback, and its address.
pub(crate) fn listener(handle: &Handle) -> (Listener, std::net::SocketAddr) {
    let (address, sockets) = bind_tcp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
    (Listener::new(handle, sockets[0].as_fd()).unwrap(), address)
}

/// Two connected streams on one core.
pub(crate) async fn pair(handle: &Handle) -> (Stream, Stream) {
    let (mut listener, address) = listener(handle);
    let client = Stream::connect(handle, address).await.unwrap();
    let server = Stream::from_owned(handle, listener.accept().await.unwrap());
    (client, server)
}
