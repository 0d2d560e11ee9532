//! What the supervisor hears, systemd or another, from the start to the end, with all privileges given up.

use crate::support::{Origin, Proxy, TempDir, WAIT, default_site};
use nix::sys::signal::Signal;
use std::os::unix::net::UnixDatagram;

/// Where a supervisor listens.
struct Supervisor(UnixDatagram);

impl Supervisor {
    fn listen(dir: &TempDir) -> (Supervisor, String) {
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(WAIT)).unwrap();
        (Supervisor(socket), path.to_str().unwrap().to_owned())
    }

    /// The next message, but for those that only say that all is well.
    fn hears(&self) -> String {
        loop {
            let message = self.hears_any();
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    fn hears_any(&self) -> String {
        let mut message = [0; 4096];
        let len = self.0.recv(&mut message).expect("a message within the time that a test waits");
        String::from_utf8_lossy(&message[..len]).trim_end().replace('\n', " ")
    }
}

#[test]
fn whoever_supervises_hears_of_everything() {
    let (origin, dir) = (Origin::named("here"), TempDir::new());
    let (supervisor, path) = Supervisor::listen(&dir);
    let run = ["run", "-c", "ringferry.toml", "--admin", "admin.sock", "--cores", "2"];
    let environment = [("NOTIFY_SOCKET", &*path), ("WATCHDOG_USEC", "200000")];
    let mut proxy = Proxy::of_verb_in(&default_site(&origin), &run, &environment);
    assert_eq!(supervisor.hears(), "READY=1 STATUS=serving ringferry.toml, snapshot 1");
    // Told by cores that have nothing else to do.
    for _ in 0..3 {
        assert_eq!(supervisor.hears_any(), "WATCHDOG=1");
    }
    assert_eq!(proxy.get("a", "/").text(), "here");
    proxy.signal(Signal::SIGHUP);
    let reloading = supervisor.hears();
    assert!(reloading.starts_with("RELOADING=1 MONOTONIC_USEC="), "{reloading}");
    assert_eq!(supervisor.hears(), "READY=1 STATUS=serving ringferry.toml, snapshot 2");
    proxy.signal(Signal::SIGTERM);
    assert_eq!(supervisor.hears(), "STOPPING=1 STATUS=draining");
    assert_eq!(proxy.wait_exit().0, Some(0));
}

/// Where nobody watches, nobody is told that all is well.
#[test]
fn without_a_watchdog_cores_are_not_asked() {
    let (origin, dir) = (Origin::named("here"), TempDir::new());
    let (supervisor, path) = Supervisor::listen(&dir);
    let run = ["run", "-c", "ringferry.toml", "--admin", "admin.sock", "--cores", "1"];
    let mut proxy = Proxy::of_verb_in(&default_site(&origin), &run, &[("NOTIFY_SOCKET", &*path)]);
    assert!(supervisor.hears_any().starts_with("READY=1"));
    proxy.signal(Signal::SIGTERM);
    assert!(supervisor.hears_any().starts_with("STOPPING=1"));
    assert_eq!(proxy.wait_exit().0, Some(0));
}
