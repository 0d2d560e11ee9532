//! Clock and randomness. Only the kernel seam calls these; all else is told the time.

use crate::time::Instant;
use std::time::{SystemTime, UNIX_EPOCH};

/// CLOCK_MONOTONIC, the clock of ring timeouts.
pub(crate) fn monotonic() -> Instant {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    Instant::from_nanos(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// Time since 1970; zero when the clock of the board stands before that.
pub(crate) fn wall() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whether something keeps the clock of the wall right, as the kernel has been told; `None` where it does not say.
pub(crate) fn is_synchronized() -> Option<bool> {
    // SAFETY: a timex is plain numbers, for which zero is a value; no mode is set, so the call only reads the clock.
    let mut told: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `told` is a valid timex that outlives the call.
    let state = unsafe { libc::adjtimex(&mut told) };
    (state >= 0).then_some(told.status & libc::STA_UNSYNC == 0)
}

/// Random bits for seeds and identifiers; not for keys.
pub(crate) fn random_u64() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: the pointer and the length describe `bytes`, which outlives the call.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    if got == 8 {
        return u64::from_ne_bytes(bytes);
    }
    // Before the entropy pool is ready (early boot) the clock has to do: seeds need to differ, not to be secret.
    monotonic().as_nanos() ^ (wall().as_nanos() as u64).rotate_left(32)
}
