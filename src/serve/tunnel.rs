//! An exchange that has become a tunnel (WebSocket and other upgrades): it keeps what a tunnel needs, nothing else, so
//! that the snapshot that it began with can go.

use super::client::Client;
use super::context::Context;
use super::plan::Place;
use super::record::Meter;
use crate::proto::error::{Error, Stage};
use crate::relay::{RelayError, Tunnel, tunnel};
use crate::upstream::{Attempt, Connection};
use ringferry_runtime::Recycled;
use std::rc::Rc;
use std::time::Duration;

/// The server's side of a tunnel, and what the log will say.
pub(super) struct Joined {
    connection: Box<Connection>,
    /// Counts as in use while the tunnel stands.
    _attempt: Attempt,
    idle: Duration,
    /// `None` until it is taken over.
    meter: Option<Recycled<Meter>>,
}

impl Joined {
    pub(super) fn new(connection: Box<Connection>, attempt: Attempt, idle: Duration) -> Box<Joined> {
        Box::new(Joined { connection, _attempt: attempt, idle, meter: None })
    }

    /// Takes what the log will need, by name.
    pub(super) fn take_over(&mut self, mut meter: Recycled<Meter>) {
        if let Place::Route(view, found) = &meter.facts.place {
            let config = &view.snapshot.config;
            let site = config.sites[found.site.index()].name.clone();
            meter.facts.place = Place::Named(site, config.routes[found.route.index()].path.clone());
        }
        meter.becomes_tunnel();
        self.meter = Some(meter);
    }

    /// Relays until both sides have ended.
    pub(super) async fn run(self: Box<Joined>, cx: &Rc<Context>, client: Client) {
        let Joined { connection, _attempt, idle, meter } = *self;
        let down = Tunnel { outlet: client.outlet, intake: client.intake, inbox: client.inbox };
        let up = Tunnel { outlet: connection.outlet, intake: connection.intake, inbox: connection.inbox };
        let (bytes_in, bytes_out, failed) = tunnel(down, up, idle, &cx.handle).await;
        let Some(mut meter) = meter else { return };
        meter.bytes_in += bytes_in;
        meter.bytes_out += bytes_out;
        // Which of the two ends of a tunnel failed cannot be told from the direction alone; the cause can.
        meter.error = failed.map(|error| match error {
            RelayError::Source(cause) | RelayError::Sink(cause) => Error::downstream(Stage::Tunnel, cause),
        });
        Meter::finish(meter);
    }
}
