//! The access log up to the point where bytes leave the data plane: what a line says ([`Record`]), how it looks
//! ([`format()`]), and how lines travel in batches to the control plane ([`LogSink`], [`Batch`]).
//!
//! Does not write anywhere: the writer is in `control`. Nothing here allocates for a line, waits, or fails: lines
//! that nobody takes in time are dropped and counted.

mod format;
mod queue;
mod record;
mod text;
mod time_text;

pub use format::format;
pub use queue::{BATCH_BYTES, Batch, LogQueue, LogSink, queue};
pub use record::Record;
pub use time_text::TimeText;
