//! Telling a slow reader from one that has stopped.
//!
//! A send is done, and a socket ready for more, only once there is room for much; at a kilobyte a second that takes
//! longer than anyone may be silent. So before a reader is given up, the kernel is asked whether it has taken anything.

use ringferry_runtime::net::Stream;
use ringferry_runtime::time::{Alarm, Elapsed};
use std::future::Future;
use std::time::Duration;

/// Runs `moving`, which waits for `sink`, unless its peer takes nothing for `idle`. (Nobody counts what it takes before
/// the first look: one that has stopped at once is given up after twice that time.)
pub(super) async fn while_taken<F: Future + Unpin>(
    mut moving: F,
    sink: &Stream,
    alarm: &mut Alarm,
    idle: Duration,
) -> Result<F::Output, Elapsed> {
    let mut taken = None;
    loop {
        alarm.set(idle);
        if let Ok(output) = alarm.guard(&mut moving).await {
            return Ok(output);
        }
        let now = sink.acknowledged();
        if now == taken {
            return Err(Elapsed);
        }
        taken = now;
    }
}
