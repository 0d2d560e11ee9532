//! What an exchange has tried already: which servers, how often, and how the last one failed.

use crate::proto::error::Error;

/// What an exchange has tried already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    /// One bit for each of the first 64 servers.
    servers: u64,
    /// Of these, those that failed on a kept connection: they deserve a fresh one when there is no other server.
    stale: u64,
    fresh_only: bool,
    /// Tries since the request was last held,
    round: u32,
    /// and since it came.
    total: u32,
    /// The server that failed last, and how.
    last: Option<(usize, Error)>,
}

/// Tries of one request before it is given up or held: a pool may have more servers than can be told apart.
const TRIES_MAX: u32 = 64;

impl Tried {
    /// The request failed on a connection to this server, `reused` or fresh, and is to be tried again.
    pub fn failed(&mut self, server: usize, reused: bool, error: Error) {
        if reused {
            self.stale |= bit(server);
            self.fresh_only = true;
        }
        self.last = Some((server, error));
    }

    /// Tries beyond the first.
    pub fn retries(&self) -> u32 {
        self.total.saturating_sub(1)
    }

    /// The server that failed last.
    pub fn last_server(&self) -> Option<usize> {
        self.last.map(|(server, _)| server)
    }

    /// How the last one failed.
    pub(super) fn last_error(&self) -> Option<Error> {
        self.last.map(|(_, error)| error)
    }

    /// No kept connection may be used: one has failed already.
    pub(super) fn wants_fresh(&self) -> bool {
        self.fresh_only
    }

    /// Another server first: another request has got this one, or it has failed before `self` was made.
    pub fn skip(&mut self, server: usize) {
        self.servers |= bit(server);
    }

    /// The request is about to be tried on this server.
    pub(super) fn add(&mut self, server: usize) {
        self.servers |= bit(server);
        self.round += 1;
        self.total += 1;
    }

    /// Whether this server is out of the question, or the request has been tried often enough.
    pub(super) fn has(self, server: usize) -> bool {
        self.servers & bit(server) != 0 || self.round >= TRIES_MAX
    }

    /// Lets servers be tried again that only failed on a kept connection. False when there is none.
    pub(super) fn forgive_stale(&mut self) -> bool {
        self.servers &= !self.stale;
        std::mem::take(&mut self.stale) != 0
    }

    /// After a while: every server may be tried again.
    pub(super) fn begin_anew(&mut self) {
        *self = Tried { total: self.total, last: self.last, ..Tried::default() };
    }
}

fn bit(server: usize) -> u64 {
    1u64.checked_shl(server as u32).unwrap_or(0)
}
