//! A listening socket on a core.

use super::Descriptor;
use crate::core::Handle;
use crate::kernel::Socket;
use crate::op::Accepting;
use crate::sys::listener::BACKLOG;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// Accepts connections for one core. Dropping it stops accepting; the socket itself goes on listening in the owner of
/// the descriptor that it was made from, unless it was [closed](Listener::close).
pub struct Listener {
    handle: Handle,
    descriptor: Rc<Descriptor>,
    accepting: Accepting,
}

impl Listener {
    /// A listener on a duplicate of `socket`, which must be listening.
    pub fn new(handle: &Handle, socket: &Socket) -> io::Result<Listener> {
        let raw = handle.kernel().duplicate(socket)?;
        let descriptor = Rc::new(Descriptor::new(handle, raw));
        Ok(Listener { handle: handle.clone(), accepting: Accepting::new(descriptor.clone()), descriptor })
    }

    /// The next connection, not yet bound to a core. After an error, calling again accepts anew. Whoever stops calling
    /// leaves new connections in the backlog, apart from some that have been accepted already.
    pub async fn accept(&mut self) -> io::Result<Socket> {
        poll_fn(|cx| self.accepting.poll_next(cx)).await
    }

    /// Stops accepting, and leaves the socket with all that comes to it to its other owners, in this process or another.
    /// Returns the connections that had come by then, but for those that the others have accepted.
    pub async fn leave(mut self) -> Vec<Socket> {
        self.accepting.cancel();
        let mut accepted = Vec::new();
        while let Some(socket) = poll_fn(|cx| self.accepting.poll_rest(cx)).await {
            accepted.push(socket);
        }
        // The kernel wakes one of those who wait for a connection. Where that was us, nobody else knows of it.
        accepted.extend(self.queued());
        accepted
    }

    /// Connections that wait to be accepted.
    fn queued(&self) -> Vec<Socket> {
        let next = || {
            let mut kernel = self.handle.kernel();
            kernel.accept(self.descriptor.raw()).ok().map(|accepted| kernel.release(accepted))
        };
        std::iter::from_fn(next).take(BACKLOG as usize).collect()
    }

    /// Ends listening for all owners of the socket: who connects from now on is refused, and others may have the port.
    /// Returns the connections that had come by then.
    pub async fn close(mut self) -> Vec<Socket> {
        // What waits in the queue when a socket stops listening is reset.
        let mut accepted = self.queued();
        self.handle.kernel().stop_listening(self.descriptor.raw());
        // The accept in flight fails now, behind what it had brought before.
        while let Ok(socket) = self.accept().await {
            accepted.push(socket);
        }
        accepted
    }

    /// The address that it listens on.
    pub fn local(&self) -> Option<SocketAddr> {
        self.handle.kernel().local(self.descriptor.raw())
    }
}
