//! Named maxima and waits. Their defaults, each with its why, are in `config::defaults`.

use std::time::Duration;

/// Named maxima; a peer can never make us hold more.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes of a request or response head, request line included.
    pub head_bytes: usize,
    /// Fields of a head.
    pub header_count: usize,
    /// Connections of clients, all listeners together.
    pub connections: usize,
    /// Connections of one client address.
    pub connections_per_client: usize,
    /// Requests that are forwarded and not answered yet, all clients together.
    pub requests: usize,
    /// The same of one client.
    pub requests_per_client: usize,
    /// Idle upstream connections kept for each server on each core.
    pub idle_per_server: usize,
}

/// What of the machine we may use.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Resources {
    /// The ceiling on memory, in bytes; `None`: by what the machine has. See `limit::Budget`.
    pub memory: Option<u64>,
}

/// Named waits. Bodies have idle timeouts only, never a total time.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// From the first byte of a request head to its last.
    pub head: Duration,
    /// A client connection without a request.
    pub idle: Duration,
    /// A body that makes no progress, either way.
    pub body_idle: Duration,
    /// A tunnel or an event stream that makes no progress.
    pub tunnel_idle: Duration,
    /// Connecting to a server.
    pub connect: Duration,
    /// From the request sent to the first byte of the response head.
    pub first_byte: Duration,
    /// An upstream connection that waits in the pool.
    pub upstream_idle: Duration,
    /// How long SIGTERM waits for exchanges in flight.
    pub drain: Duration,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// How a line looks; `None` writes no access log.
    pub format: Option<LogFormat>,
}

/// How an access-log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The combined format of web servers, with our durations after it.
    Combined,
    /// One JSON object a line.
    Json,
}
