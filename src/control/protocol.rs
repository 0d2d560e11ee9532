//! What is said over the admin socket: one line of JSON each way, then the connection ends. Once descriptors come along
//! with the answer: see [`Answer::Sockets`].

use super::{Start, Status};
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;

/// What a client asks, `{"command":"reload","dry_run":true}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How are you?
    Status {},
    /// Read the configuration again.
    Reload {
        /// Only say what would happen.
        #[serde(default)]
        dry_run: bool,
    },
    /// Are you there?
    Ping {},
    /// How were you started? Who asks may want to start another like you.
    Start {},
    /// Give me the sockets that you listen on. You go on until I ask for more.
    Sockets {},
    /// Leave what comes from now on to me, finish what you have begun, and end.
    Yield {
        /// My process.
        to: u32,
        /// I answer at your admin socket, too.
        admin: bool,
    },
}

/// What it is told, `{"answer":"error","message":"…"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Everything that there is to know.
    Status(Box<Status>),
    /// The configuration is good, and in force unless it was a dry run.
    Reloaded {
        /// Which snapshot is in force now, or would be.
        generation: u64,
        /// Nothing was changed.
        dry_run: bool,
        /// What the reader should know all the same.
        warnings: Vec<String>,
    },
    /// Somebody is there.
    Pong {
        /// Of the program.
        version: String,
        /// Of the process.
        pid: u32,
    },
    /// How it was started.
    Start(Box<Start>),
    /// Descriptors come along (SCM_RIGHTS): so many listening sockets, then the admin socket, if there is one, then where
    /// the log is written.
    Sockets {
        /// Without the last two.
        count: usize,
        /// Whether there is an admin socket.
        admin: bool,
    },
    /// It leaves what comes to another process.
    Yielded {
        /// The process that has done so.
        pid: u32,
    },
    /// It was not done, and nothing has changed.
    Error {
        /// Why, for a human.
        message: String,
    },
}

/// An answer, and what goes with it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) answer: Answer,
    /// They come along.
    pub(super) descriptors: Vec<OwnedFd>,
    /// Whoever asks from now on is answered by another process.
    pub(super) is_last: bool,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Reply {
        Reply { answer, descriptors: Vec::new(), is_last: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expect: Option<Request>) {
        assert_eq!(serde_json::from_str(line).ok(), expect);
    }

    #[test]
    fn a_request_is_one_small_object() {
        check(r#"{"command":"status"}"#, Some(Request::Status {}));
        check(r#"{"command":"ping"}"#, Some(Request::Ping {}));
        check(r#"{"command":"reload"}"#, Some(Request::Reload { dry_run: false }));
        check(r#"{"command":"reload","dry_run":true}"#, Some(Request::Reload { dry_run: true }));
        check(r#"{"command":"reload","dryrun":true}"#, None); // a typo must not reload
        check(r#"{"command":"yield","to":7,"admin":true}"#, Some(Request::Yield { to: 7, admin: true }));
        check(r#"{"command":"yield"}"#, None);
        check(r#"{"command":"stop"}"#, None);
        check("status", None);
    }
}
