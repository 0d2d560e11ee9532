//! Connect.
//!
//! Orphan rule: the attempt is cancelled; the descriptor is closed when its last owner goes.

use super::running::Running;
use crate::driver::Kind;
use crate::kernel::Op;
use crate::net::Descriptor;
use crate::sys::check;
use std::io;
use std::rc::Rc;

/// Submits `op`, a connect on `descriptor`, and waits for it.
pub(crate) async fn connect(descriptor: &Rc<Descriptor>, op: Op) -> io::Result<()> {
    let done = Running::submit(Kind::Once, descriptor, op).await;
    check(done.result).map(drop)
}
