//! A tunnel: an exchange that has become one (WebSocket and other upgrades), or a connection that is passed on as it is.
//! It keeps what a tunnel needs, nothing else, so that the snapshot that it began with can go.

use super::client::Client;
use super::context::Context;
use super::plan::Place;
use super::record::Meter;
use super::work::Work;
use crate::limit::Inside;
use crate::proto::error::{Error, Stage};
use crate::relay::{RelayError, Stake, Tunnel, tunnel};
use crate::upstream::{Attempt, Connection};
use ringferry_runtime::Recycled;
use std::pin::pin;
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
    /// Its place among the connections of a stream.
    inside: Option<Inside>,
    work: Option<Work>,
}

impl Joined {
    pub(super) fn new(connection: Box<Connection>, attempt: Attempt, idle: Duration) -> Box<Joined> {
        Box::new(Joined { connection, _attempt: attempt, idle, meter: None, inside: None, work: None })
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

    /// Leaves its stream when it ends.
    pub(super) fn count_inside(&mut self, inside: Option<Inside>) {
        self.inside = inside;
    }

    /// Holds this as long as it lasts.
    pub(super) fn take_memory(&mut self, work: Option<Work>) {
        self.work = work;
    }

    /// Relays until both sides have ended, or until the tunnel is to end because its listener is gone.
    ///
    /// Not an `async fn`: that would hold its arguments twice, and it may last for days.
    pub(super) fn run(self, cx: &Rc<Context>, client: Client) -> impl Future<Output = ()> {
        let Joined { connection, _attempt, idle, meter, inside, work } = self;
        let Client { outlet, intake, inbox, listener, proxied, address, .. } = client;
        let down = Tunnel { outlet, intake, inbox };
        let Connection { outlet, intake, inbox, place, .. } = *connection;
        let up = Tunnel { outlet, intake, inbox };
        async move {
            let _kept = (_attempt, inside, proxied, place);
            let Some(mut meter) = meter else { return };
            let is_crowd = || cx.is_crowd(address);
            let stake = Stake::new(&cx.memory, work.map(|work| work.onto(&*cx.memory)), &is_crowd);
            let relayed = {
                let relaying = pin!(tunnel(down, up, idle, &meter.passed, &stake, &cx.handle));
                cx.while_served(listener, relaying).await
            };
            // What the meter says of itself when it is dropped: cut off.
            let Some(failed) = relayed else { return };
            // Which of the two ends of a tunnel failed cannot be told from the direction alone; the cause can.
            meter.error = failed.map(|error| match error {
                RelayError::Source(cause) | RelayError::Sink(cause) => Error::downstream(Stage::Tunnel, cause),
            });
            Meter::finish(meter);
        }
    }
}
