//! What `status` tells: the shape of the answer, which programs read too, and how it is collected.
//!
//! Field names are an interface: add, never rename.

use crate::health::Phase;
use crate::shared::{CoreStats, Resolution, ServerCell};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Everything that there is to know about a running process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the program.
    pub version: String,
    /// Of the process.
    pub pid: u32,
    /// Since it runs.
    pub uptime_s: u64,
    /// It accepts no more and ends when nothing is in flight.
    pub draining: bool,
    /// What does the I/O of the cores.
    #[serde(default)]
    pub kernel: KernelStatus,
    /// The configuration in force.
    pub snapshot: SnapshotStatus,
    /// Addresses that it accepts on.
    pub listeners: Vec<ListenerStatus>,
    /// Each site that ends TLS, in the order of the configuration.
    #[serde(default)]
    pub tls: Vec<TlsStatus>,
    /// What has been given up since the start.
    #[serde(default)]
    pub privileges: PrivilegeStatus,
    /// The ceiling on memory.
    #[serde(default)]
    pub memory: MemoryStatus,
    /// All cores together.
    pub totals: Numbers,
    /// Each core.
    pub cores: Vec<CoreStatus>,
    /// Each pool, in the order of the configuration.
    pub pools: Vec<PoolStatus>,
}

/// What does the I/O of the cores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KernelStatus {
    /// `io_uring` or `epoll`.
    pub name: String,
    /// Why it is not io_uring, where that was wanted, and what to do.
    pub refused: Option<String>,
}

/// The configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SnapshotStatus {
    /// 1 at the start, one more with each reload.
    pub generation: u64,
    /// Since when, in seconds since 1970.
    pub published_unix_s: u64,
    /// The file that it was read from.
    pub source: String,
}

/// An address that it accepts on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// Address and port.
    pub address: String,
}

/// The ceiling on memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// All that may be taken.
    pub ceiling_bytes: u64,
    /// What is taken, buffers included that are there without any connection.
    pub used_bytes: u64,
    /// Requests and connections that wait for some.
    pub waiting: usize,
}

/// A site that ends TLS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TlsStatus {
    /// Its name.
    pub site: String,
    /// Clients get a certificate. If not, they are turned away: none can be used, or it is not known whom to let in.
    pub serves: bool,
    /// Those in use.
    pub certificates: Vec<CertificateStatus>,
}

/// A certificate in use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// The file that it was read from, or that our own authority issued it.
    pub origin: String,
    /// The kind of its key.
    pub key: String,
    /// When clients no longer take it, in seconds since 1970.
    pub valid_until_unix_s: u64,
}

/// What the process has given up, so that whoever takes it over gets less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PrivilegeStatus {
    /// It has become another user.
    pub user: MeasureStatus,
    /// No program that it runs has more rights than it has.
    pub no_new_privs: MeasureStatus,
    /// It reaches files only where it needs them.
    pub landlock: MeasureStatus,
    /// The rings of its cores refuse what a proxy never asks of them.
    pub rings: MeasureStatus,
    /// System calls that a proxy never makes are refused.
    pub seccomp: MeasureStatus,
}

/// One measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasureStatus {
    /// Whether it is in force.
    pub state: MeasureState,
    /// More about it, or why it is not in force.
    pub detail: String,
}

impl MeasureStatus {
    /// It is in force, as far as the kernel knows it.
    pub fn is_on(&self) -> bool {
        matches!(self.state, MeasureState::On | MeasureState::Partly)
    }
}

/// Whether a measure is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureState {
    /// The configuration does not want it, or it is about what there is not: on epoll there are no rings.
    #[default]
    Off,
    /// It is.
    On,
    /// As far as this kernel knows it.
    Partly,
    /// It was wanted, and this machine refuses it.
    Unavailable,
}

/// One core.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CoreStatus {
    /// Its number, from 0.
    pub core: usize,
    /// The snapshot that its new exchanges use.
    pub generation: u64,
    /// What it has counted.
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// One pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: String,
    /// Requests that wait for one of its servers.
    pub waiting: usize,
    /// Its servers.
    pub servers: Vec<ServerStatus>,
}

/// One server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// As configured.
    pub address: String,
    /// Whether requests are sent to it.
    pub state: ServerState,
    /// For how much longer it is ejected; 0 when the next request is the probe.
    pub ejected_for_ms: Option<u64>,
    /// Connections in use.
    pub in_use: u32,
    /// Requests sent to it.
    pub requests: u64,
    /// Tries that failed.
    pub failures: u64,
    /// Where its name leads.
    pub addresses: Vec<String>,
    /// The last failure, or why its name leads nowhere.
    pub last_error: Option<String>,
    /// How long ago the last failure was.
    pub last_error_ago_ms: Option<u64>,
}

/// Whether requests are sent to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// They are.
    #[default]
    Up,
    /// Not for a while: it failed too often.
    Ejected,
    /// One is, to see whether it works again.
    Probing,
    /// Its name leads nowhere.
    Unresolved,
}

/// One field for each counter of [`CoreStats`] but the generation; the list is written once.
macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident)*) => {
        /// What one core or all cores have counted.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Numbers {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Numbers {
            fn read(stats: &CoreStats) -> Numbers {
                Numbers { $($name: stats.$name.value(),)* }
            }

            fn add(&mut self, other: &Numbers) {
                $(self.$name = self.$name.wrapping_add(other.$name);)*
            }
        }
    };
}

numbers! {
    /// Connections of clients that are open.
    connections
    /// Connections of clients since the start.
    connections_total
    /// Exchanges in flight.
    exchanges
    /// Tunnels that are open.
    tunnels
    /// Flows of datagrams that are open.
    flows
    /// Flows of datagrams since the start.
    flows_total
    /// Datagrams that were not passed on.
    datagrams_dropped
    /// Requests since the start.
    requests
    /// Responses with a 4xx status.
    responses_4xx
    /// Responses with a 5xx status.
    responses_5xx
    /// Exchanges that the proxy ended itself.
    errors
    /// Further tries on another connection or server.
    retries
    /// Bytes received from clients.
    bytes_in
    /// Bytes sent to clients.
    bytes_out
    /// Connections to servers that wait for use.
    upstream_idle
    /// Connections that could not be accepted.
    accept_errors
    /// Idle connections of clients that were ended for others to come.
    idle_ended
    /// Kept connections to servers that were closed for their descriptors.
    upstream_ended
    /// Requests and connections of clients that may not come there.
    denied
    /// Requests that came more often than their client may.
    over_rate
    /// Requests that would have been too many in flight.
    over_requests
    /// Bugs that ended a connection.
    panics
    /// Lines of the access log that were dropped.
    log_lines_dropped
}

/// Reads what the cores have counted, and the sum.
pub(super) fn cores<'a>(stats: impl Iterator<Item = &'a CoreStats>) -> (Vec<CoreStatus>, Numbers) {
    let mut totals = Numbers::default();
    let cores = stats.enumerate().map(|(core, stats)| {
        let numbers = Numbers::read(stats);
        totals.add(&numbers);
        CoreStatus { core, generation: stats.generation.value(), numbers }
    });
    (cores.collect(), totals)
}

/// Reads the servers, which stand together by pool.
pub(super) fn pools(servers: &[Arc<ServerCell>], now_ms: u64) -> Vec<PoolStatus> {
    servers
        .chunk_by(|a, b| a.key.pool == b.key.pool)
        .map(|servers| PoolStatus {
            name: servers[0].key.pool.clone(),
            waiting: servers[0].waiters.len(),
            servers: servers.iter().map(|cell| server(cell, now_ms)).collect(),
        })
        .collect()
}

fn server(cell: &ServerCell, now_ms: u64) -> ServerStatus {
    let failed = cell.last_error();
    let (state, ejected_for_ms) = match cell.health.phase() {
        Phase::Up { .. } => (ServerState::Up, None),
        Phase::Ejected { until_ms, .. } => (ServerState::Ejected, Some(until_ms.saturating_sub(now_ms))),
        Phase::Probing { .. } => (ServerState::Probing, None),
    };
    let mut status = ServerStatus {
        address: cell.name.clone(),
        state,
        ejected_for_ms,
        in_use: cell.in_use(),
        requests: cell.requests.load(Relaxed),
        failures: cell.failures.load(Relaxed),
        last_error: failed.map(|error| error.cause.to_owned()),
        last_error_ago_ms: failed.map(|error| now_ms.saturating_sub(error.at_ms)),
        addresses: Vec::new(),
    };
    match &**cell.resolution() {
        Resolution::Addresses(addresses) => status.addresses = addresses.iter().map(|a| a.to_string()).collect(),
        Resolution::Unresolved { why } => {
            status.state = ServerState::Unresolved;
            status.last_error = Some(why.clone());
            status.last_error_ago_ms = None;
        }
        Resolution::Unix(_) => {}
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Policy;
    use crate::model::{Server, ServerAddress};
    use crate::shared::Registry;

    #[test]
    fn totals_are_the_sum_of_the_cores() {
        let stats = [CoreStats::default(), CoreStats::default()];
        stats[0].requests.add(3);
        stats[1].requests.add(4);
        stats[1].generation.set(2);
        let (cores, totals) = cores(stats.iter());
        assert_eq!((cores[0].numbers.requests, cores[1].numbers.requests, totals.requests), (3, 4, 7));
        assert_eq!((cores[0].generation, cores[1].generation), (0, 2));
    }

    #[test]
    fn a_server_tells_how_it_is() {
        let mut registry = Registry::default();
        let unix = registry.server("a", &Server::at(ServerAddress::Unix("/run/app.sock".into())));
        let ip = registry.server("a", &Server::at(ServerAddress::Ip("127.0.0.1:80".parse().unwrap())));
        let name = registry.server("b", &Server::at(ServerAddress::Name { host: "app".into(), port: 80 }));
        ip.failed("refused", 1000);
        let policy = Policy { eject_after: 1, eject_for_ms: 10_000, eject_max_ms: 10_000 };
        ip.health.failure(1000, &policy);
        let held = ServerCell::acquire(&*ip, None);
        name.set_resolution(Resolution::Unresolved { why: "no such host".into() });

        let pools = pools(&[unix, ip.clone(), name], 1500);
        let names: Vec<_> = pools.iter().map(|pool| (pool.name.as_str(), pool.servers.len())).collect();
        assert_eq!(names, [("a", 2), ("b", 1)]);
        assert_eq!(pools[0].servers[0], ServerStatus { address: "unix:/run/app.sock".into(), ..Default::default() });
        assert_eq!(
            pools[0].servers[1],
            ServerStatus {
                address: "127.0.0.1:80".into(),
                state: ServerState::Ejected,
                ejected_for_ms: Some(9500),
                in_use: 1,
                failures: 1,
                addresses: vec!["127.0.0.1:80".into()],
                last_error: Some("refused".into()),
                last_error_ago_ms: Some(500),
                ..Default::default()
            }
        );
        assert_eq!(
            pools[1].servers[0],
            ServerStatus {
                address: "app:80".into(),
                state: ServerState::Unresolved,
                last_error: Some("no such host".into()),
                ..Default::default()
            }
        );
        drop(held);
    }

    #[test]
    fn the_answer_reads_back_as_it_was_written() {
        let status = Status {
            cores: vec![CoreStatus { core: 1, generation: 2, numbers: Numbers { panics: 3, ..Default::default() } }],
            pools: vec![PoolStatus { servers: vec![ServerStatus::default()], ..Default::default() }],
            ..Default::default()
        };
        let text = serde_json::to_string(&status).unwrap();
        assert!(text.contains(r#""cores":[{"core":1,"generation":2,"connections":0,"#), "{text}");
        assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
    }
}
