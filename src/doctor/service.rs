//! The Ringferry that runs, as far as it tells.

use super::PATIENCE;
use super::patience::ask as ask_patiently;
use crate::control::{Answer, Request, Status, exchange};
use ringferry_runtime::KernelKind;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Whether one runs.
#[derive(Debug)]
pub enum Running {
    /// It has answered.
    Yes(Box<Status>),
    /// Nobody listens at the admin socket.
    No,
    /// Somebody does, and has not answered.
    Silent,
    /// Somebody may: why it could not be asked.
    Unknown(String),
}

impl Running {
    /// Asks at this admin socket.
    pub fn ask(admin: &Path) -> Running {
        let path = PathBuf::from(admin);
        let asked = ask_patiently(move || exchange(&path, Request::Status {}).map(|(line, _)| line));
        Running::of(admin, asked.answer())
    }

    /// What came back means; nothing, if it has not come in time.
    fn of(admin: &Path, answer: Option<io::Result<Vec<u8>>>) -> Running {
        let admin = admin.display();
        let line = match answer {
            None => return Running::Silent,
            Some(Err(why)) => {
                return match why.kind() {
                    ErrorKind::NotFound | ErrorKind::ConnectionRefused => Running::No,
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => Running::Silent,
                    ErrorKind::PermissionDenied => Running::Unknown(format!("{admin} is not for this user")),
                    _ => Running::Unknown(format!("{admin}: {why}")),
                };
            }
            Some(Ok(line)) => line,
        };
        match serde_json::from_slice(&line) {
            Ok(Answer::Status(status)) => Running::Yes(status),
            _ => Running::Unknown(format!("what answers at {admin} is another version")),
        }
    }

    /// What of it people are told.
    pub(super) fn told(&self) -> String {
        match self {
            Running::Yes(status) => {
                let (version, pid, kernel) = (&status.version, status.pid, &status.kernel.name);
                format!("Ringferry {version} runs (pid {pid}), on {kernel}, by {}", status.snapshot.source)
            }
            Running::No => "no Ringferry runs".to_owned(),
            Running::Silent => format!("a Ringferry runs that has not answered within {} s", PATIENCE.as_secs()),
            Running::Unknown(why) => format!("whether a Ringferry runs cannot be told ({why})"),
        }
    }

    fn status(&self) -> Option<&Status> {
        match self {
            Running::Yes(status) => Some(status),
            Running::No | Running::Silent | Running::Unknown(_) => None,
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.status().map(|status| status.pid)
    }

    /// Why its cores have no ring, where they should have one.
    pub(super) fn refused(&self) -> Option<&str> {
        self.status()?.kernel.refused.as_deref()
    }

    /// Whether its cores have rings.
    pub(super) fn has_rings(&self) -> bool {
        self.status().is_some_and(|status| status.kernel.name == KernelKind::Uring.name())
    }

    /// Whether it accepts on this address.
    pub(super) fn listens_on(&self, url: &str) -> bool {
        self.status().is_some_and(|status| status.listeners.iter().any(|listener| listener.address == url))
    }

    /// One of a test.
    #[cfg(test)]
    pub(super) fn planted(kernel: &str, refused: Option<&str>, listeners: &[&str]) -> Running {
        use crate::control::{KernelStatus, ListenerStatus};
        let listener = |address: &&str| ListenerStatus { address: (*address).to_owned() };
        Running::Yes(Box::new(Status {
            pid: 4711,
            kernel: KernelStatus { name: kernel.to_owned(), refused: refused.map(str::to_owned) },
            listeners: listeners.iter().map(listener).collect(),
            ..Status::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_does_not_answer_is_told_from_nobody() {
        #[track_caller]
        fn check(answer: Option<io::Result<Vec<u8>>>, told: &str) {
            let running = Running::of(Path::new("/run/r.sock"), answer);
            assert!(running.told().contains(told), "{running:?}");
        }
        let error = |kind: ErrorKind| Some(Err(io::Error::from(kind)));
        check(error(ErrorKind::NotFound), "no Ringferry runs");
        check(error(ErrorKind::ConnectionRefused), "no Ringferry runs");
        check(error(ErrorKind::PermissionDenied), "(/run/r.sock is not for this user)");
        check(error(ErrorKind::WouldBlock), "has not answered");
        check(None, "has not answered within 2 s");
        check(Some(Ok(b"{}".to_vec())), "another version");
        let status = Answer::Status(Box::new(Status { version: "0.1.0".into(), pid: 4711, ..Status::default() }));
        check(Some(Ok(serde_json::to_vec(&status).unwrap())), "Ringferry 0.1.0 runs (pid 4711)");
        assert!(matches!(Running::ask(Path::new("/no/such/r.sock")), Running::No));
    }
}
