//! Another process takes over, `ringferry upgrade`: it is told how this one was started, has its sockets, and then what
//! comes. This one finishes what it has begun, and ends.
//!
//! Both have the same sockets, so nothing that comes is lost: what neither has accepted yet, the other one accepts. A
//! client that is connected here is told with its next answer that the connection ends, and asks the successor from then
//! on.

use super::Running;
use super::protocol::{Answer, Reply};
use crate::shared::Command;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process;
use std::time::Duration;
use tokio::time::Instant;

/// How long clients that are connected when another process takes over may take to ask once more, before idle ones are
/// closed: a request that is on its way then is lost.
const LEAVING: Duration = Duration::from_secs(5);

impl<S: 'static> Running<S> {
    pub(super) fn started(&self) -> Answer {
        match &self.start {
            Ok(start) => Answer::Start(Box::new(start.clone())),
            Err(why) => Answer::Error { message: format!("it cannot be followed by another process: {why}") },
        }
    }

    /// Nothing changes by it: until we [yield](Running::yield_to) both accept what comes.
    pub(super) fn pass_sockets(&self) -> Reply {
        if let Some(refused) = self.makes_no_way() {
            return refused.into();
        }
        let all = || -> io::Result<Reply> {
            let mut descriptors = (self.sockets)(&self.in_force.snapshot)?;
            let answer = Answer::Sockets { count: descriptors.len(), admin: self.admin.is_some() };
            descriptors.extend(self.admin.as_ref().map(OwnedFd::try_clone).transpose()?);
            descriptors.push(io::stderr().as_fd().try_clone_to_owned()?);
            Ok(Reply { descriptors, ..answer.into() })
        };
        match all() {
            Ok(reply) => reply,
            Err(error) => Answer::Error { message: format!("its sockets cannot be passed on: {error}") }.into(),
        }
    }

    /// From here on what comes is for process `to`. Connections that are here are served once more, and then drained.
    /// It answers at the admin socket, too, if it `has_admin`.
    pub(super) async fn yield_to(&mut self, to: u32, has_admin: bool) -> Reply {
        if let Some(refused) = self.makes_no_way() {
            return refused.into();
        }
        self.log.note(&format!("process {to} takes over; this one, {}, finishes what it has begun", process::id()));
        self.supervisor.succeeded_by(to);
        self.leaving = Some(Instant::now() + LEAVING);
        self.tell_cores(|| Command::Leave).await;
        Reply { is_last: has_admin, ..Answer::Yielded { pid: process::id() }.into() }
    }

    fn makes_no_way(&self) -> Option<Answer> {
        let why = match (&self.draining, self.leaving) {
            (Some(_), _) => "it is draining",
            (None, Some(_)) => "another process has taken over already",
            (None, None) => return None,
        };
        Some(Answer::Error { message: why.to_owned() })
    }
}
