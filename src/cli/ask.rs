//! Asks a running Ringferry over its admin socket: one request, one answer.

use super::Exit;
use crate::control::{Answer, Request};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take: `reload` reads files and looks nothing up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer: some ten thousand servers.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// Why there is no answer: what the process exits with, and the line to print.
#[derive(Debug, PartialEq)]
pub(super) struct Unanswered {
    pub(super) exit: Exit,
    pub(super) message: String,
}

/// Asks whoever listens at `path`.
pub(super) fn ask(path: &Path, request: Request) -> Result<Answer, Unanswered> {
    let line = exchange(path, request).map_err(|error| unanswered(path, &error))?;
    serde_json::from_slice(&line).map_err(|_| Unanswered {
        exit: Exit::NotRunning,
        message: format!("{}: what answers there is not this version of Ringferry", path.display()),
    })
}

fn exchange(path: &Path, request: Request) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

fn unanswered(path: &Path, error: &io::Error) -> Unanswered {
    let (exit, why) = match error.kind() {
        ErrorKind::PermissionDenied => (
            Exit::BindOrPermission,
            "may not be opened by this user; run this as root, or as the user that Ringferry runs as".to_owned(),
        ),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => (
            Exit::NotRunning,
            "no Ringferry is running there; start one with `ringferry run`, or name its socket with --admin PATH"
                .to_owned(),
        ),
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            (Exit::NotRunning, format!("no answer within {} s; look at the log of that process", TIMEOUT.as_secs()))
        }
        _ => (Exit::NotRunning, error.to_string()),
    };
    Unanswered { exit, message: format!("{}: {why}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_is_told_with_what_to_do() {
        let path = std::env::temp_dir().join("ringferry-nobody.sock");
        let unanswered = ask(&path, Request::Ping {}).unwrap_err();
        assert_eq!(unanswered.exit, Exit::NotRunning);
        let expect =
            ": no Ringferry is running there; start one with `ringferry run`, or name its socket with --admin PATH";
        assert_eq!(unanswered.message, format!("{}{expect}", path.display()));
    }
}
