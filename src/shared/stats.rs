//! What a core counts. It alone writes its [`CoreStats`]; the control plane reads them whenever somebody asks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The numbers of one core. Totals never fall; the others say how it is now.
///
/// Aligned to two cache lines, because processors fetch lines in pairs: counting on one core must not slow another.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CoreStats {
    /// Connections of clients that are open.
    pub connections: Counter,
    /// Connections of clients since the start.
    pub connections_total: Counter,
    /// Exchanges that have begun and not ended, tunnels not included.
    pub exchanges: Counter,
    /// Tunnels that are open.
    pub tunnels: Counter,
    /// Flows of datagrams that are open.
    pub flows: Counter,
    /// Flows of datagrams since the start.
    pub flows_total: Counter,
    /// Datagrams that were not passed on: too large, no place for a flow, no server, or no room in a socket.
    pub datagrams_dropped: Counter,
    /// Requests since the start.
    pub requests: Counter,
    /// Responses with a 4xx status, our own included.
    pub responses_4xx: Counter,
    /// Responses with a 5xx status, our own included.
    pub responses_5xx: Counter,
    /// Exchanges that we ended ourselves: with a response of our own or by closing.
    pub errors: Counter,
    /// Further tries on another connection or server.
    pub retries: Counter,
    /// Bytes received from clients.
    pub bytes_in: Counter,
    /// Bytes sent to clients.
    pub bytes_out: Counter,
    /// Connections to servers that wait in a pool.
    pub upstream_idle: Counter,
    /// Connections that could not be accepted.
    pub accept_errors: Counter,
    /// Connections of clients that were idle and ended for others to come.
    pub idle_ended: Counter,
    /// Connections to servers that waited in a pool and were closed for their descriptors.
    pub upstream_ended: Counter,
    /// Requests and connections of clients that may not come there.
    pub denied: Counter,
    /// Requests that came more often than their client may.
    pub over_rate: Counter,
    /// Requests that would have been too many in flight, of all clients or of theirs.
    pub over_requests: Counter,
    /// Tasks that a bug ended; each cost one connection.
    pub panics: Counter,
    /// Lines of the access log that nobody took in time.
    pub log_lines_dropped: Counter,
    /// The generation of the snapshot that new exchanges on this core use.
    pub generation: Counter,
}

/// A number with one writer and any number of readers.
///
/// A load and a store rather than a read-modify-write: a tenth of the cost, and nothing is lost with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The number.
    pub fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Adds `n`. For the one writer only.
    pub fn add(&self, n: u64) {
        self.set(self.value().wrapping_add(n));
    }

    /// Takes `n` away. For the one writer only.
    pub fn sub(&self, n: u64) {
        debug_assert!(n <= self.value());
        self.set(self.value().wrapping_sub(n));
    }

    /// Replaces the number. For the one writer only.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
}
