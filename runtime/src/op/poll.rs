//! Poll: waits for readiness, for what is done by a synchronous call afterwards.

use super::running::Running;
use crate::driver::Kind;
use crate::kernel::Op;
use crate::net::Descriptor;
use crate::sys::check;
use std::io;
use std::rc::Rc;

/// Waits for one of the poll(2) `events`; returns those that came.
pub(crate) async fn ready(descriptor: &Rc<Descriptor>, events: u32) -> io::Result<u32> {
    let done = Running::submit(Kind::Once, descriptor, Op::Poll { fd: descriptor.raw(), events }).await;
    check(done.result)
}
