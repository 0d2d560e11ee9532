//! A listening socket on a core.

use super::Descriptor;
use crate::core::Handle;
use crate::op::Accepting;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

/// Accepts connections for one core. Dropping it stops accepting; the socket itself stays open in the owner of the
/// descriptor that it was made from.
pub struct Listener {
    handle: Handle,
    descriptor: Rc<Descriptor>,
    accepting: Accepting,
}

impl Listener {
    /// A listener on a duplicate of `socket`, which must be listening and non-blocking.
    pub fn new(handle: &Handle, socket: BorrowedFd<'_>) -> io::Result<Listener> {
        let raw = handle.kernel().duplicate(socket)?;
        let descriptor = Rc::new(Descriptor::new(handle, raw));
        Ok(Listener { handle: handle.clone(), accepting: Accepting::new(descriptor.clone()), descriptor })
    }

    /// The next connection, not yet bound to a core. After an error, calling again accepts anew. Whoever stops calling
    /// leaves new connections in the backlog, apart from some that have been accepted already.
    pub async fn accept(&mut self) -> io::Result<OwnedFd> {
        poll_fn(|cx| self.accepting.poll_next(cx)).await
    }

    /// The address that it listens on.
    pub fn local(&self) -> Option<SocketAddr> {
        self.handle.kernel().local(self.descriptor.raw())
    }
}
