//! An operation as a kernel is asked for it, and what it leaves behind.

use crate::buf::{Chunk, Gather, Group, Lent};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::path::PathBuf;

/// Names an operation from submission to its last completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Place in the tables of driver and kernel.
    pub(crate) index: u32,
    /// Tells apart the operations that used the same place one after another.
    pub(crate) generation: u32,
}

/// A descriptor, opaque to all above the kernel.
pub(crate) type RawDescriptor = RawFd;

/// An operation and the memory that it needs.
pub(crate) enum Op {
    /// Accepts until cancelled; each completion's result is a descriptor.
    Accept { fd: RawDescriptor },
    /// Receives once into a buffer of the group.
    Recv { fd: RawDescriptor, group: Group },
    /// Receives into buffers of the group until cancelled, ended, or out of buffers.
    RecvMulti { fd: RawDescriptor, group: Group },
    /// Receives datagrams, and what the kernel tells about them (`sys::message`), until cancelled, failed, or out of
    /// buffers.
    RecvDatagrams { fd: RawDescriptor },
    /// Sends.
    Send { fd: RawDescriptor, chunk: Chunk, wait: Wait },
    /// Sends several chunks as one.
    SendGather { fd: RawDescriptor, gather: Box<Gather>, wait: Wait },
    /// Connects to a TCP address.
    Connect { fd: RawDescriptor, to: SocketAddr },
    /// Connects to a unix socket.
    ConnectUnix { fd: RawDescriptor, path: PathBuf },
    /// Waits for readiness: poll(2) events.
    Poll { fd: RawDescriptor, events: u32 },
    /// Closes.
    Close { fd: RawDescriptor },
    /// Ends another operation early; that one still completes by itself.
    Cancel { target: Token },
    /// Ends all operations early.
    CancelAll,
}

/// What a send waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until all is sent.
    All,
    /// Until something is.
    Some,
    /// For nothing: what the socket takes at once is sent.
    Nothing,
}

/// What an operation left behind.
pub(crate) struct Completion {
    pub(crate) token: Token,
    /// Non-negative, or a negative errno.
    pub(crate) result: i32,
    /// A received buffer.
    pub(crate) lent: Option<Lent>,
    /// More completions of this operation follow; false ends it.
    pub(crate) more: bool,
    /// The memory that the operation held, with the completion that ends it.
    pub(crate) held: Held,
}

/// Memory that the kernel holds for an operation.
#[derive(Default)]
pub(crate) enum Held {
    #[default]
    Nothing,
    /// A claim on the buffers of a group.
    Buffers(Group),
    Chunk(Chunk),
    Gather(Box<Gather>),
    Address(#[allow(dead_code, reason = "held for the kernel, never read by us")] Box<socket2::SockAddr>),
}

impl Op {
    /// The descriptor that it uses.
    pub(crate) fn descriptor(&self) -> Option<RawDescriptor> {
        match self {
            Op::Accept { fd }
            | Op::Recv { fd, .. }
            | Op::RecvMulti { fd, .. }
            | Op::RecvDatagrams { fd }
            | Op::Send { fd, .. }
            | Op::SendGather { fd, .. }
            | Op::Connect { fd, .. }
            | Op::ConnectUnix { fd, .. }
            | Op::Poll { fd, .. }
            | Op::Close { fd } => Some(*fd),
            Op::Cancel { .. } | Op::CancelAll => None,
        }
    }

    /// What it leaves behind where nothing is made of it that a kernel would look at.
    pub(crate) fn held(self) -> Held {
        match self {
            Op::Recv { group, .. } | Op::RecvMulti { group, .. } => Held::Buffers(group),
            Op::RecvDatagrams { .. } => Held::Buffers(Group::Datagram),
            Op::Send { chunk, .. } => Held::Chunk(chunk),
            Op::SendGather { gather, .. } => Held::Gather(gather),
            _ => Held::Nothing,
        }
    }
}
