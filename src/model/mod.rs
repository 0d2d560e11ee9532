//! The nouns: what a valid configuration means. Plain data, no I/O, no parsing.
//!
//! `config` builds a [`Config`] from TOML; everything above reads it. A value of these types cannot be wrong by
//! itself: ids index the vectors they were made for, limits are in range, hosts and paths are normalised.
//! Beside the nouns, the arithmetic that the layers above share: [`hash64`] and [`Rng`]; [`Order`]; and [`bytes`].

mod access;
mod ids;
mod limits;
mod listener;
mod mix;
mod order;
mod pool;
mod privileges;
mod site;
mod size;
mod stream;
mod tls;

pub use access::{Access, Rate};
pub use ids::{ListenerId, PoolId, RouteId, SiteId};
pub use limits::{Limits, LogFormat, LogSettings, Resources, Timeouts};
pub use listener::{Cidr, Listener, Protocol};
pub use mix::{FixedHasher, FixedState, Rng, hash_pair, hash64};
pub use order::{NONE, Order};
pub use pool::{Balance, HashKey, Pool, ProxyVersion, Server, ServerAddress};
pub use privileges::Privileges;
pub use site::{Action, HostPattern, Redirect, Route, Site};
pub use size::bytes;
pub use stream::Stream;
pub use tls::{CertificateSource, Hsts, SiteTls, Termination, Trust, UpstreamTls};

use std::path::PathBuf;

/// The whole configuration in force, as it is meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Addresses that we accept on; [`ListenerId`] indexes this.
    pub listeners: Vec<Listener>,
    /// Sites; [`SiteId`] indexes this.
    pub sites: Vec<Site>,
    /// Routes of all sites; [`RouteId`] indexes this, sites hold ranges of ids.
    pub routes: Vec<Route>,
    /// Upstream pools of all routes and streams; [`PoolId`] indexes this.
    pub pools: Vec<Pool>,
    /// What is passed on as it is.
    pub streams: Vec<Stream>,
    /// Which processors run the data plane.
    pub cores: Cores,
    /// What of the machine we may use. Fixed from the start: a reload does not change it.
    pub resources: Resources,
    /// What does the I/O of the data plane.
    pub kernel: KernelChoice,
    /// Named maxima.
    pub limits: Limits,
    /// Named waits.
    pub timeouts: Timeouts,
    /// The access log.
    pub log: LogSettings,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<Cidr>,
    /// Adds `Via: 1.1 ringferry` to what is forwarded, both ways.
    pub via: bool,
    /// The kernel makes and opens the records of clients' TLS connections, if it can.
    pub kernel_tls: bool,
    /// The admin socket; `None` means the default of the command line.
    pub admin: Option<PathBuf>,
    /// Where what has to outlive the process is kept: our own authority. `None` means the default of the program.
    pub state: Option<PathBuf>,
    /// What is given up once it is not needed any more.
    pub privileges: Privileges,
}

/// Which processors run the data plane, one pinned thread each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cores {
    /// Every processor that the process may use.
    #[default]
    All,
    /// The first N of them.
    Count(usize),
    /// These processors, by number.
    List(Vec<usize>),
}

/// What does the I/O of the data plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KernelChoice {
    /// io_uring; where it is refused or missing, epoll.
    #[default]
    Auto,
    /// io_uring, or nothing starts.
    Uring,
    /// epoll.
    Epoll,
}
