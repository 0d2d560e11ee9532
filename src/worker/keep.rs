//! What keeps a core's house: closing idle connections to servers, handing log lines over in time.

use crate::serve::Context;
use ringferry_runtime::time::{Instant, Sleep};
use std::rc::Rc;
use std::time::Duration;

/// Closes kept connections that have ended or waited too long.
pub(super) async fn idle_connections(cx: Rc<Context>) {
    cx.pools.janitor().await;
}

/// Hands over log lines that have waited long enough. Sleeps while there are none.
pub(super) async fn log(cx: Rc<Context>) {
    loop {
        let due_ms = cx.first_line().await;
        let due = Instant::from_nanos(due_ms * 1_000_000);
        Sleep::new(&cx.handle, due.since(cx.handle.now()) + Duration::from_millis(1)).await;
        let mut log = cx.log();
        log.flush_due(cx.handle.now().as_millis());
        cx.stats.log_lines_dropped.set(log.dropped());
    }
}
