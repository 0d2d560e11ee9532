//! Which stream takes a connection or a datagram: the one that has the address.

use super::words;
use crate::cli::status::span;
use crate::model::{Access, Config, Listener, ListenerId, Stream};
use serde_json::{Value, json};
use std::fmt::Write;

/// A stream, and the listener that it takes from.
#[derive(Debug)]
pub(super) struct Taken<'c> {
    listener: &'c Listener,
    stream: &'c Stream,
}

/// The stream of `listeners`, which is one unless several addresses have the port.
pub(super) fn taken<'c>(config: &'c Config, url: &str, listeners: &[ListenerId]) -> Result<Taken<'c>, String> {
    let of = |id: &ListenerId| {
        let stream = config.streams.iter().find(|stream| stream.listeners.contains(id))?;
        Some(Taken { listener: &config.listeners[id.index()], stream })
    };
    let mut found: Vec<Taken> = listeners.iter().filter_map(of).collect();
    let is_one = found.windows(2).all(|pair| std::ptr::eq(pair[0].stream, pair[1].stream));
    match (found.is_empty(), is_one) {
        (true, _) => Err(format!("{url}: no stream listens there")),
        (_, true) => Ok(found.swap_remove(0)),
        (_, false) => {
            let addresses: Vec<_> = found.iter().map(|taken| taken.listener.url()).collect();
            Err(format!("{url}: several streams have this port; write one of {}", addresses.join(", ")))
        }
    }
}

impl Taken<'_> {
    pub(super) fn as_text(&self, config: &Config) -> String {
        let mut text = format!("{}\n  stream {}: takes what comes", self.listener.url(), self.stream.name);
        for other in self.others(config) {
            let _ = write!(text, "\n  stream {}: another address", other.name);
        }
        for (index, line) in self.does(config).iter().enumerate() {
            let _ = write!(text, "{}\n  {line}", if index == 0 { "\n" } else { "" });
        }
        text
    }

    pub(super) fn as_json(&self, config: &Config) -> Value {
        let candidate = |stream: &Stream, wins, why| json!({ "stream": stream.name, "wins": wins, "why": why });
        let mut candidates = vec![candidate(self.stream, true, "takes what comes")];
        candidates.extend(self.others(config).map(|other| candidate(other, false, "another address")));
        json!({
            "asked": { "listener": self.listener.url() },
            "answer": { "stream": self.stream.name, "does": self.does(config) },
            "candidates": candidates,
        })
    }

    /// Who may come.
    pub(super) fn access(&self) -> &Access {
        &self.stream.access
    }

    fn others<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = &'a Stream> {
        config.streams.iter().filter(|other| !std::ptr::eq(*other, self.stream))
    }

    fn does(&self, config: &Config) -> Vec<String> {
        let Stream { pool, idle, udp_idle, max_connections, access, .. } = self.stream;
        let is_udp = self.listener.is_udp();
        let mut lines: Vec<String> = words::proxy_header(self.listener).into_iter().collect();
        lines.extend(words::access(Some(access)));
        let what = if is_udp { "datagrams" } else { "connections" };
        lines.push(format!("passes {what} on to {}", words::servers(config, *pool)));
        lines.extend(words::introduction(&config.pools[pool.index()]));
        lines.push(match is_udp {
            true => format!("ends flows without a datagram for {}", span(words::millis(*udp_idle))),
            false => format!("ends connections that move nothing for {}", span(words::millis(*idle))),
        });
        if let Some(max) = max_connections {
            lines.push(format!("takes at most {max} {} at once", if is_udp { "flows" } else { "connections" }));
        }
        lines
    }
}
