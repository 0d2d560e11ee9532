//! What operations are called in a trace, and which may be detached.

use super::super::Op;

pub(super) fn is_detached(op: &Op) -> bool {
    matches!(op, Op::Close { .. } | Op::Cancel { .. } | Op::CancelAll)
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
