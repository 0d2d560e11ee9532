//! Pools: sets of equal servers and how one of them is chosen.

use super::UpstreamTls;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A set of equal servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// What logs and `status` call it: `host/path` of the route, or the name of the stream, that it belongs to. Unique;
    /// known by it after a reload.
    pub name: String,
    /// At least one.
    pub servers: Vec<Server>,
    /// How a server is chosen.
    pub balance: Balance,
    /// How long a request waits while no server is up; `None` answers 503 at once.
    pub hold: Option<Duration>,
    /// How many requests may wait for a free server (`max_connections`, `hold`), process-wide.
    pub queue: usize,
    /// Consecutive failures (connect errors or 5xx) that eject a server; 0 never ejects.
    pub eject_after: u32,
    /// First ejection time; doubles with each ejection up to [`Pool::eject_max`].
    pub eject_for: Duration,
    /// The longest ejection time.
    pub eject_max: Duration,
    /// A PROXY header in front of what is passed on, for passthrough and streams.
    pub send_proxy_protocol: Option<ProxyVersion>,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// A binary header.
    V2,
}

/// One server of a pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where it is.
    pub address: ServerAddress,
    /// Its share of the requests relative to others, 1 to 65,535.
    pub weight: u16,
    /// Used only while no server that is not a backup is available.
    pub backup: bool,
    /// Connections in use at once, process-wide; `None` sets no limit.
    pub max_connections: Option<u32>,
    /// TLS towards it; `None` speaks plainly.
    pub tls: Option<UpstreamTls>,
}

impl Server {
    /// A server of which nothing else is known.
    pub fn at(address: ServerAddress) -> Server {
        Server { address, weight: 1, backup: false, max_connections: None, tls: None }
    }
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// An address that needs no name resolution.
    Ip(SocketAddr),
    /// A host name, resolved by the control plane.
    Name {
        /// Lower case, without a trailing dot.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A unix stream socket.
    Unix(PathBuf),
}

impl std::fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ServerAddress::Ip(address) => write!(f, "{address}"),
            ServerAddress::Name { host, port } => write!(f, "{host}:{port}"),
            ServerAddress::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a server is chosen among those that are available.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Balance {
    /// Smooth weighted round robin.
    RoundRobin,
    /// The fewest requests in flight by weight.
    LeastConn,
    /// The less loaded of two drawn at random.
    #[default]
    TwoChoices,
    /// Consistent hash: a key keeps its server; removing one of N servers moves about 1/N of the keys.
    Hash(HashKey),
}

/// What a consistent hash looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The client's address.
    ClientIp,
    /// The value of a request header field (lower-case name).
    Header(String),
    /// The value of a cookie.
    Cookie(String),
}
