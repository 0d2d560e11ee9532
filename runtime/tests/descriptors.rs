//! Accepting when this process may have no more descriptors: alone in its process, since the limit is for all of it.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use ringferry_runtime::net::Listener;
use ringferry_runtime::time::Alarm;
use ringferry_runtime::{Core, KernelChoice, Settings, bind_tcp};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::time::Duration;

/// Sets how many descriptors there may be from now on.
fn limit(descriptors: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, descriptors, hard).unwrap();
}

#[test]
fn an_accept_that_finds_no_descriptor_fails_and_the_next_one_goes_on() {
    let (usual, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    for kernel in [KernelChoice::Uring, KernelChoice::Epoll] {
        let core = Core::new(&Settings { kernel, ..Settings::default() }).unwrap();
        let handle = core.handle();
        core.run(async move {
            let (address, sockets) = bind_tcp("127.0.0.1:0".parse().unwrap(), false, 1).unwrap();
            let mut listener = Listener::new(&handle, &sockets[0]).unwrap();
            let clients: Vec<_> = (0..6).map(|_| TcpStream::connect(address).unwrap()).collect();
            // The lowest number that is free is given out; none above this one is left then.
            let spare = clients[0].try_clone().unwrap();
            limit(spare.as_raw_fd() as u64 + 1);
            drop(spare);
            let first = listener.accept().await.unwrap();
            for _ in 0..3 {
                let error = listener.accept().await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(24), "EMFILE, on {kernel:?}");
            }
            drop(first);
            let mut accepted = vec![listener.accept().await.unwrap()];
            limit(usual);
            let mut alarm = Alarm::new(&handle);
            alarm.set(Duration::from_secs(20));
            // What failed meanwhile may be told first.
            while accepted.len() < clients.len() - 1 {
                accepted.extend(alarm.guard(pin!(listener.accept())).await.expect("a connection is lost"));
            }
        })
        .unwrap_or_else(|| panic!("on {kernel:?}"));
    }
}
