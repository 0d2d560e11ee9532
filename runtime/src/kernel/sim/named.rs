//! What an operation holds, uses and is called.

use super::super::{Held, Op, RawDescriptor};
use crate::buf::Group;

/// What the kernel holds of an operation, or would have held.
pub(in crate::kernel) fn held(op: Op) -> Held {
    match op {
        Op::Recv { group, .. } | Op::RecvMulti { group, .. } => Held::Buffers(group),
        Op::RecvDatagrams { .. } => Held::Buffers(Group::Datagram),
        Op::Send { chunk, .. } => Held::Chunk(chunk),
        Op::SendGather { gather, .. } => Held::Gather(gather),
        _ => Held::Nothing,
    }
}

pub(super) fn is_detached(op: &Op) -> bool {
    matches!(op, Op::Close { .. } | Op::Cancel { .. } | Op::CancelAll)
}

/// The descriptor that an operation uses.
pub(super) fn descriptor(op: &Op) -> Option<RawDescriptor> {
    match op {
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

/// Its name in a trace.
pub(super) fn kind(op: &Op) -> &'static str {
    match op {
        Op::Accept { .. } => "op accept",
        Op::Recv { .. } => "op receive",
        Op::RecvMulti { .. } => "op receive many",
        Op::RecvDatagrams { .. } => "op receive datagrams",
        Op::Send { .. } => "op send",
        Op::SendGather { .. } => "op send gathered",
        Op::Connect { .. } => "op connect",
        Op::ConnectUnix { .. } => "op connect unix",
        Op::Poll { .. } => "op poll",
        Op::Close { .. } => "op close",
        Op::Cancel { .. } => "op cancel",
        Op::CancelAll => "op cancel all",
    }
}
