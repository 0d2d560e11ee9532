//! Asks a running Ringferry over its admin socket: one request, one answer.

use super::{Exit, complain};
use crate::control::{ANSWER_TIMEOUT, Answer, Request, exchange};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Why there is no answer: what the process exits with, and the line to print.
#[derive(Debug, PartialEq)]
struct Unanswered {
    exit: Exit,
    message: String,
}

/// Asks whoever listens at `path`. Where there is no answer, says why, and returns what to exit with.
pub(super) fn ask(path: &Path, request: Request) -> Result<Answer, Exit> {
    try_ask(path, request).map_err(|Unanswered { exit, message }| {
        complain(message);
        exit
    })
}

/// The same, where one answer alone fits the question.
pub(super) fn ask_for<T>(path: &Path, request: Request, fitting: impl FnOnce(Answer) -> Option<T>) -> Result<T, Exit> {
    match ask(path, request)? {
        Answer::Error { message } => {
            complain(message);
            Err(Exit::NotRunning)
        }
        answer => fitting(answer).ok_or_else(unfit),
    }
}

/// An answer that does not fit the question.
pub(super) fn unfit() -> Exit {
    complain("the answer does not fit the question");
    Exit::NotRunning
}

fn try_ask(path: &Path, request: Request) -> Result<Answer, Unanswered> {
    let (line, _) = exchange(path, request).map_err(|error| unanswered(path, &error))?;
    serde_json::from_slice(&line).map_err(|_| Unanswered {
        exit: Exit::NotRunning,
        message: format!("{}: what answers there is not this version of Ringferry", path.display()),
    })
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
        ErrorKind::WouldBlock | ErrorKind::TimedOut => (
            Exit::NotRunning,
            format!("no answer within {} s; look at the log of that process", ANSWER_TIMEOUT.as_secs()),
        ),
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
        let unanswered = try_ask(&path, Request::Ping {}).unwrap_err();
        assert_eq!(unanswered.exit, Exit::NotRunning);
        let expect =
            ": no Ringferry is running there; start one with `ringferry run`, or name its socket with --admin PATH";
        assert_eq!(unanswered.message, format!("{}{expect}", path.display()));
    }
}
