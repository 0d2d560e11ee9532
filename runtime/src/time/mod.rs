//! Time as the runtime sees it: told by the core once a turn, never asked of the system.

mod alarm;
mod instant;
mod wheel;

pub use alarm::{Alarm, Elapsed, Sleep};
pub use instant::Instant;
pub(crate) use wheel::{Key, Wheel};

/// The clock that cores use, for threads that have none.
pub fn monotonic() -> Instant {
    crate::sys::clock::monotonic()
}

/// Whether something keeps the clock of the wall right (NTP), as the kernel has been told; `None` where it does not say.
pub fn is_synchronized() -> Option<bool> {
    crate::sys::clock::is_synchronized()
}
