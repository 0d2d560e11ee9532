//! Asks a running Ringferry over its admin socket: one request, one answer.

use super::Request;
use ringferry_runtime::receive_with_descriptors;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take: a reload reads files and looks nothing up.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer: some ten thousand servers.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// Asks whoever listens at `path`. Returns the answer, an [`Answer`](super::Answer) as JSON if it is of this version, and
/// the descriptors that came along.
pub fn exchange(path: &Path, request: Request) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    receive_with_descriptors(&stream, ANSWER_BYTES_MAX)
}
