//! How moving bytes fails.

use crate::proto::error::Cause;
use std::io::{self, ErrorKind};

/// Which end failed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayError {
    /// The end that sends the body.
    Source(Cause),
    /// The end that it is for.
    Sink(Cause),
}

impl RelayError {
    /// Sending failed.
    pub(super) fn sending(error: &io::Error) -> RelayError {
        RelayError::Sink(match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Cause::Closed,
            _ => Cause::Io,
        })
    }
}
