//! Shutdown of one direction of a connection.

use super::running::Running;
use crate::driver::Kind;
use crate::kernel::Op;
use crate::net::Descriptor;
use crate::sys::check;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;

/// Shuts down `how` and waits until that is done.
pub(crate) async fn shutdown(descriptor: &Rc<Descriptor>, how: Shutdown) -> io::Result<()> {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    let done = Running::submit(Kind::Once, descriptor, Op::Shutdown { fd: descriptor.raw(), how }).await;
    check(done.result).map(drop)
}
