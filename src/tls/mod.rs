//! TLS of the server side, as far as it is decided and not done: which certificate, which suites, which clients, which
//! sessions may be resumed. Opens no file, no socket, and reads no clock: bytes and times come from outside. The
//! records of a connection are moved by the data plane.
//!
//! Files → [`Shelf`] → [`Pair`]s, and [`Authority`] → [`Leaves`] → [`Pair`]s → [`CertStore`] for a listener; `client_ca` → [`ClientAuth`] → [`Keyring`] →
//! [`Policy`]; both and the [`CipherOrder`] → [`server_config`]. What is wrong with the files is data: a [`Problem`]
//! keeps one pair from being used, or tells what clients will hold against it, and never touches other sites.

mod authority;
mod client;
mod engine;
mod facts;
mod folder;
mod keys;
mod leaves;
mod load;
mod names;
mod pair;
mod path;
mod policy;
mod problem;
mod server;
mod store;
mod suites;
#[cfg(test)]
mod tests;
mod tickets;

pub use authority::{Authority, CLOCK_FLOOR_S};
pub use client::{Trusted, client_config, roots};
pub use engine::{Agreed, Engine, RECORD_BYTES, sealed_len};
pub use facts::subject;
pub use keys::Keys;
pub use leaves::{INTERNAL, Leaves};
pub use load::Shelf;
pub use names::Names;
pub use pair::{KeyKind, Pair};
pub use path::{Found, ReadPath};
pub use policy::{ClientAuth, Keyring, Policy, PolicyId};
pub use problem::{Fault, Problem, day};
pub use server::server_config;
pub use store::{CertStore, SitePairs};
pub use suites::{CipherOrder, cipher_order, has_aes};
pub use tickets::{KEY_LIFETIME_S, Seed, TicketKeys, Ticketer};
