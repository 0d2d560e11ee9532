//! What the behaviour tests stand on: the program under test, origins behind it, clients before it.
//!
//! Sockets are real and on the loopback with ports that the kernel chooses, so that tests run side by side. Every
//! wait ends after [`WAIT`] at the latest. Nothing in here knows a type of the proxy: it is seen from outside only.

mod body;
mod certificates;
mod lines;
mod origin;
mod proxy;
mod refuse;
mod seccomp;
mod self_test;
mod tls;
mod wire;

pub(crate) use body::{Pattern, PatternCheck, framing_field, send_body};
pub(crate) use certificates::{FOREIGN, HOME, Identity};
pub(crate) use lines::Lines;
pub(crate) use origin::{Exchange, Origin, answer, chunked, ok};
pub(crate) use proxy::{Proxy, default_site, run_to_end, run_to_end_in, site, site_of_routes};
pub(crate) use refuse::{BlackHole, refusing_port};
pub(crate) use seccomp::{SystemCall, under_seccomp};
pub(crate) use tls::{TlsClient, TlsStream, VERSIONS, alert, tcp, tls_site};
pub(crate) use wire::{Framing, Message, Stream, Wire};

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The longest that anything here waits.
pub(crate) const WAIT: Duration = Duration::from_secs(10);

/// Waits for a state that nobody announces (something behind `status`) by looking again and again.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A door between a test and a script that runs in another thread: closed until somebody opens it.
#[derive(Default)]
pub(crate) struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    /// Returns when the gate is open.
    pub(crate) fn pass(&self) {
        let open = *self.changed.wait_timeout_while(self.open.lock().unwrap(), WAIT, |open| !*open).unwrap().0;
        assert!(open, "a gate stayed closed");
    }
}

/// A directory that lives as long as the value.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ringferry-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file; its path, as a configuration takes it.
    pub(crate) fn put(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
