//! Receive, into buffers that the kernel picks when bytes are there.
//!
//! Orphan rule: the picked buffer goes back to its ring by being dropped.

use super::running::Running;
use crate::buf::{Group, Lent, Ticket};
use crate::driver::{Brought, Done, Kind};
use crate::kernel::Op;
use crate::net::Descriptor;
use crate::sys::check;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// How to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Armed once for many receives into small buffers: a client that sends heads. It cannot be paused, only ended, so
    /// it is not for bodies.
    Stream,
    /// Armed for each receive, into a buffer of this group.
    Once(Group),
}

impl Mode {
    fn group(self) -> Group {
        match self {
            Mode::Stream => Group::Head,
            Mode::Once(group) => group,
        }
    }
}

/// What comes next of an operation of this mode; `None` once a stream has ended.
fn poll_next(mode: Mode, running: &mut Running, cx: &mut Context<'_>) -> Poll<Option<Brought>> {
    match mode {
        Mode::Stream => running.poll_next(cx),
        Mode::Once(_) => running.poll(cx).map(|Done { result, lent, .. }| Some(Brought { result, lent })),
    }
}

/// The receiving half of a connection.
pub struct Receiver {
    descriptor: Rc<Descriptor>,
    /// From the next arming on.
    mode: Mode,
    /// How it was armed last.
    armed_mode: Mode,
    armed: Armed,
}

/// How far receiving has come. One of them at a time, since each idle connection has this.
enum Armed {
    Nothing,
    Running(Running),
    /// It found no buffer, and waits in its group for one.
    Starved(Ticket),
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Receiver>() <= 40);

impl Receiver {
    pub(crate) fn new(descriptor: Rc<Descriptor>, mode: Mode) -> Receiver {
        Receiver { descriptor, mode, armed_mode: mode, armed: Armed::Nothing }
    }

    /// Receives in this way from the next arming on. A stream that is armed is ended; what it brought is read first.
    pub fn set_mode(&mut self, mode: Mode) {
        if let (Mode::Stream, Mode::Stream, Mode::Once(_)) = (self.mode, self.armed_mode, mode)
            && let Armed::Running(running) = &mut self.armed
        {
            running.cancel();
        }
        self.mode = mode;
    }

    /// Starts receiving without waiting for it.
    pub fn arm(&mut self) {
        // A stream that the kernel has ended by itself, and of which all has been read, would never tell of anything.
        if matches!(&self.armed, Armed::Running(running) if running.is_over()) {
            self.armed = Armed::Nothing;
        }
        self.arm_if_idle();
    }

    fn arm_if_idle(&mut self) {
        if matches!(self.armed, Armed::Running(_)) {
            return;
        }
        self.leave_queue();
        let fd = self.descriptor.raw();
        let running = match self.mode {
            Mode::Stream => Running::submit(Kind::Stream, &self.descriptor, Op::RecvMulti { fd, group: Group::Head }),
            Mode::Once(group) => Running::submit(Kind::Once, &self.descriptor, Op::Recv { fd, group }),
        };
        (self.armed_mode, self.armed) = (self.mode, Armed::Running(running));
    }

    /// Ends what is armed, so that nothing takes bytes away from a synchronous call. Bytes that came first are
    /// returned, and this is to be called again; `None` once nothing is armed. An end or an error is not reported: who
    /// asks the socket next finds that it has ended.
    pub fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<Option<Lent>> {
        while let Armed::Running(running) = &mut self.armed {
            running.cancel();
            let brought = ready!(poll_next(self.armed_mode, running, cx));
            if brought.is_none() || self.armed_mode != Mode::Stream {
                self.armed = Armed::Nothing;
            }
            if let Some(lent) = brought.and_then(|brought| brought.lent) {
                return Poll::Ready(Some(lent));
            }
        }
        Poll::Ready(None)
    }

    /// Whether something has come since it was armed: bytes, the end, or an error; or may have come, where there was no
    /// buffer to put it into.
    pub fn is_ready(&self) -> bool {
        match &self.armed {
            Armed::Nothing => false,
            Armed::Running(running) => running.is_ready(),
            Armed::Starved(_) => true,
        }
    }

    /// Whether the connection broke: reset by the peer, or given up by the kernel. What has been received before can still
    /// be read, and the mere end of what the peer sends is no break.
    pub fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.arm();
        match &self.armed {
            Armed::Running(running) => running.poll_failed(cx),
            Armed::Nothing | Armed::Starved(_) => Poll::Pending,
        }
    }

    /// The next bytes; `None` at the end of the stream. Nothing is lost when it is not waited for to the end.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Lent>>> {
        loop {
            if let Armed::Starved(ticket) = self.armed
                && self.descriptor.handle().still_waits_for_buffer(self.armed_mode.group(), ticket, cx.waker())
            {
                return Poll::Pending;
            }
            self.arm_if_idle();
            let Armed::Running(running) = &mut self.armed else { unreachable!("just armed") };
            let brought = ready!(poll_next(self.armed_mode, running, cx));
            if brought.is_none() || self.armed_mode != Mode::Stream {
                self.armed = Armed::Nothing;
            }
            // Where there is nothing, the stream has ended, by us or for want of buffers: arm anew.
            let Some(Brought { result, lent }) = brought else { continue };
            match (result, lent) {
                // Our own cancel, and nothing lost by it.
                (result, _) if result == -libc::ECANCELED => {}
                (result, _) if result == -libc::ENOBUFS => {
                    let group = self.armed_mode.group();
                    self.armed = Armed::Starved(self.descriptor.handle().wait_for_buffer(group, cx.waker()));
                    return Poll::Pending;
                }
                (0, _) => return Poll::Ready(Ok(None)),
                (_, Some(lent)) => return Poll::Ready(Ok(Some(lent))),
                (result, None) => return Poll::Ready(check(result).map(|_| None)),
            }
        }
    }

    /// See [`Receiver::poll_recv`].
    pub async fn recv(&mut self) -> io::Result<Option<Lent>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn leave_queue(&mut self) {
        if let Armed::Starved(ticket) = self.armed {
            self.descriptor.handle().stop_waiting_for_buffer(self.armed_mode.group(), ticket);
            self.armed = Armed::Nothing;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.leave_queue();
    }
}
