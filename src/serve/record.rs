//! What an exchange leaves behind: its line in the log and its place in the counters.

use super::client::Client;
use super::context::Context;
use super::plan::{Facts, Place, Text};
use crate::log::Record;
use crate::proto::error::{Cause, Error, Side, Stage};
use crate::relay::Passed;
use crate::tls::Agreed;
use crate::upstream::Server;
use ringferry_parser::h1::Version;
use ringferry_runtime::Recycled;
use ringferry_runtime::time::Instant;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// Measures one exchange. It is counted and logged when this is dropped: however it ends, it has its line.
pub(super) struct Meter {
    cx: Rc<Context>,
    /// Stands in for a client that could not be told from the request.
    peer: IpAddr,
    /// What is known of the request.
    pub(super) facts: Facts,
    is_finished: bool,
    began: Instant,
    pub(super) status: u16,
    /// Bytes of bodies, and of a tunnel.
    pub(super) passed: Passed,
    pub(super) connect_time: Option<Duration>,
    /// When the request went to the server that answered.
    pub(super) sent: Option<Instant>,
    pub(super) first_byte: Option<Instant>,
    pub(super) server: Option<Server>,
    pub(super) retries: u32,
    pub(super) error: Option<Error>,
    pub(super) tunnel: bool,
    /// What the handshake of the client's connection came to.
    tls: Option<Rc<Agreed>>,
}

impl Meter {
    /// Boxed, since it is handed from one step of the exchange to the next.
    pub(super) fn begin(cx: &Rc<Context>, client: &Client) -> Recycled<Meter> {
        cx.stats.exchanges.add(1);
        cx.handle.recycle_with(|| Meter {
            cx: cx.clone(),
            peer: client.address,
            facts: Facts::default(),
            is_finished: false,
            began: cx.handle.now(),
            status: 0,
            passed: Passed::default(),
            connect_time: None,
            sent: None,
            first_byte: None,
            server: None,
            retries: 0,
            error: None,
            tunnel: false,
            tls: client.outlet.agreed().cloned(),
        })
    }

    /// The exchange goes on as a tunnel.
    pub(super) fn becomes_tunnel(&mut self) {
        self.tunnel = true;
        self.cx.stats.exchanges.sub(1);
        self.cx.stats.tunnels.add(1);
    }

    /// The exchange has come to an end of its own, good or bad.
    pub(super) fn finish(mut meter: Recycled<Meter>) {
        meter.is_finished = true;
    }

    fn log(&self) {
        let Meter { cx, facts, .. } = self;
        let now = cx.handle.now();
        let (site, path) = match &facts.place {
            Place::Unknown => ("", ""),
            Place::Site(view, site) => (&*view.snapshot.config.sites[site.index()].name, ""),
            Place::Route(view, found) => {
                let config = &view.snapshot.config;
                (&*config.sites[found.site.index()].name, &*config.routes[found.route.index()].path)
            }
            Place::Named(site, path) => (&**site, &**path),
        };
        let record = Record {
            unix_ms: cx.unix_ms(),
            client: facts.client.unwrap_or(self.peer),
            host: facts.text(Text::Host),
            method: facts.text(Text::Method),
            target: facts.text(Text::Target),
            version: match facts.version {
                None => "",
                Some(Version::H10) => "HTTP/1.0",
                Some(Version::H11) => "HTTP/1.1",
            },
            status: self.status,
            bytes_in: self.passed.up.get(),
            bytes_out: self.passed.down.get(),
            user_agent: facts.text(Text::UserAgent),
            referer: facts.text(Text::Referer),
            total_us: micros(now.since(self.began)),
            connect_us: self.connect_time.map(micros),
            first_byte_us: self.first_byte.zip(self.sent).map(|(first, sent)| micros(first.since(sent))),
            upstream: self.server.as_ref().map_or("", |server| &server.name),
            retries: self.retries,
            site,
            path,
            error: self.error.map(|error| error.label()),
            tunnel: self.tunnel,
            tls: self.tls.as_deref(),
        };
        cx.record(&record);
    }

    fn count(&self) {
        let stats = &self.cx.stats;
        if self.tunnel {
            stats.tunnels.sub(1)
        } else {
            stats.exchanges.sub(1)
        }
        stats.requests.add(1);
        match self.status {
            400..=499 => stats.responses_4xx.add(1),
            500..=599 => stats.responses_5xx.add(1),
            _ => {}
        }
        if self.error.is_some_and(|error| error.side != Side::Downstream) {
            stats.errors.add(1);
        }
        stats.retries.add(self.retries.into());
        stats.bytes_in.add(self.passed.up.get());
        stats.bytes_out.add(self.passed.down.get());
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.is_finished {
            let cause = if std::thread::panicking() { Cause::Bug } else { Cause::CutOff };
            self.error = Some(Error::internal(Stage::ResponseBody, cause));
        }
        self.count();
        if self.cx.log().is_wanted() {
            self.log();
        }
        self.cx.handle.give_bytes(std::mem::take(&mut self.facts).into_text());
    }
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}
