//! The Ringferry that runs, as far as it tells. Who asks it is `cli`, which knows its socket.

use crate::control::Status;
use ringferry_runtime::KernelKind;

/// Whether one runs.
#[derive(Debug)]
pub enum Running {
    /// It has answered.
    Yes(Box<Status>),
    /// Nobody listens at the admin socket.
    No,
    /// Somebody may: why it could not be asked.
    Unknown(String),
}

impl Running {
    /// Its process.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Running::Yes(status) => Some(status.pid),
            Running::No | Running::Unknown(_) => None,
        }
    }

    /// Why its cores have no ring, where they should have one.
    pub(super) fn refused(&self) -> Option<&str> {
        match self {
            Running::Yes(status) => status.kernel.refused.as_deref(),
            Running::No | Running::Unknown(_) => None,
        }
    }

    /// Whether its cores have rings.
    pub(super) fn has_rings(&self) -> bool {
        match self {
            Running::Yes(status) => status.kernel.name == KernelKind::Uring.name(),
            Running::No | Running::Unknown(_) => false,
        }
    }

    /// Whether it accepts on this address.
    pub(super) fn listens_on(&self, url: &str) -> bool {
        match self {
            Running::Yes(status) => status.listeners.iter().any(|listener| listener.address == url),
            Running::No | Running::Unknown(_) => false,
        }
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
