//! `[[stream]]`: TCP or UDP that is passed on as it is. What `upstream` says is in `upstream`; addresses that somebody
//! else has are found in `listeners`.

use super::access;
use super::defaults;
use super::listen::{self, Place, RawListener};
use super::problem::{At, Problems};
use super::reader::{Item, Read, Table};
use super::schema;
use super::server::Use;
use super::upstream;
use crate::model::{Access, Listener, Pool, Protocol};
use std::time::Duration;

/// A `[[stream]]`.
pub(super) struct RawStream {
    /// Its first address as written.
    pub(super) name: String,
    pub(super) listen: Vec<At<Listener>>,
    /// `None`: a problem says why there is none.
    pub(super) pool: Option<Pool>,
    pub(super) idle: Duration,
    pub(super) udp_idle: Duration,
    pub(super) max_connections: Option<u32>,
    pub(super) access: Access,
}

impl<'t> Read<'t> for RawStream {
    fn read(item: Item<'t>, problems: &mut Problems) -> Option<RawStream> {
        let table = Table::read(item, &schema::STREAM, problems)?;
        let listen = listen::listeners(&table, "listen", Place::Stream, problems).unwrap_or_default();
        let of = listens_on(&table, &listen);
        if table.item("listen").is_none() {
            let hint = "write: listen = \"tcp/:2222\", or \"udp/:53\"";
            table.lacks(&["listen"], "a stream without an address to listen on", hint, problems);
        }
        if table.item("upstream").is_none() {
            let hint = "write: upstream = \"192.168.1.53:22\"";
            table.lacks(&["upstream"], "a stream without upstream", hint, problems);
        }
        let pool = upstream::pool(&table, of, problems);
        let idle = table.wait("idle", defaults::STREAM_IDLE, problems);
        let udp_idle = table.wait("udp_idle", defaults::STREAM_UDP_IDLE, problems);
        let max_connections = table.number("max_connections", 1..=defaults::CONNECTIONS_MAX as u32, problems);
        let without_effect = match of {
            Some(Use::Stream { tcp: false, .. }) => Some(("idle", "UDP alone: its flows have udp_idle")),
            Some(Use::Stream { udp: false, .. }) => Some(("udp_idle", "TCP alone: its connections have idle")),
            _ => None,
        };
        if let Some((key, why)) = without_effect
            && let Some(at) = table.key_at(key)
        {
            problems.warning(at, format!("{key} changes nothing in a stream of {why}"), "remove it");
        }
        Some(RawStream {
            name: listen.first().map_or(String::new(), |first| first.value.text.clone()),
            listen: listen::plain(listen),
            pool,
            idle,
            udp_idle,
            max_connections: max_connections.map(|max| max.value),
            access: access::access(&table, problems).unwrap_or_default(),
        })
    }
}

/// What the servers of the stream have to be for; not clear while one of its addresses is wrong.
fn listens_on(stream: &Table, listen: &[At<RawListener<'_>>]) -> Option<Use> {
    let has = |protocol| listen.iter().any(|listener| listener.value.listener.protocol == protocol);
    let clear = stream.item("listen").is_some_and(|item| !item.is_empty_list() && item.len() == listen.len());
    clear.then(|| Use::Stream { tcp: has(Protocol::Tcp), udp: has(Protocol::Udp) })
}
