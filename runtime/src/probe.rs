//! What this machine gives a core, found by trying; and what a core asks of it. For those who advise: a core takes what it
//! gets, and says nothing.

use crate::core::{Core, Settings};
use crate::kernel::{KernelChoice, KernelError, RingFeatures};
use crate::sys::{self, hold, listener, pipe};
use std::io;

/// What the ring of a core has, found by making a core, which is not kept.
pub fn ring() -> Result<RingFeatures, KernelError> {
    let core = Core::new(&Settings { kernel: KernelChoice::Uring, ..Settings::default() })?;
    core.ring_features().ok_or(KernelError::TooOld("ring"))
}

/// Bytes that a pipe of a core takes, found by making one. This user may have many already, and then it is small.
pub fn pipe_bytes() -> io::Result<usize> {
    Ok(pipe::pipe()?.capacity())
}

/// Bytes of a page of memory.
pub fn page_bytes() -> usize {
    sys::page_size()
}

/// What is asked of the kernel, which gives less without a word where an administrator allows less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Bytes of what a socket may hold that it received (`net.core.rmem_max`).
    pub receive_bytes: u64,
    /// The same of what it sends (`net.core.wmem_max`). Where `net.ipv4.tcp_wmem` stays within twice of it, the kernel
    /// decides instead, and nothing is lost.
    pub send_bytes: u64,
    /// Connections that may wait to be accepted (`net.core.somaxconn`).
    pub backlog: u64,
    /// Bytes of a pipe (`fs.pipe-max-size`).
    pub pipe_bytes: u64,
}

/// What cores ask for.
pub const WANTED: Wanted = Wanted {
    receive_bytes: hold::MUCH_RECEIVED as u64,
    send_bytes: hold::MUCH_SENT as u64,
    backlog: listener::BACKLOG as u64,
    pipe_bytes: pipe::CAPACITY as u64,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_here_is_what_cores_get() {
        // Where rings are refused, a core of the same kind is refused for the same reason.
        let core = Core::new(&Settings::default()).unwrap();
        match ring() {
            Ok(features) => assert_eq!(core.ring_features(), Some(features)),
            Err(refused) => assert_eq!(core.refused().map(KernelError::cause), Some(refused.cause())),
        }
        assert!(page_bytes() >= 4096 && page_bytes().is_power_of_two());
        assert!(pipe_bytes().unwrap() >= page_bytes());
    }

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let refused = KernelError::Refused(io::Error::from_raw_os_error(libc::EPERM));
        assert_eq!(refused.to_string(), format!("{}: {}", refused.cause(), refused.remedy()));
        assert!(refused.cause().starts_with("io_uring is refused to this process (Operation not permitted"));
    }
}
