//! Whether a connection may come: the maxima of all connections and of one client's.

use super::Handed;
use crate::limit::Ticket;
use crate::model::Cidr;
use crate::serve::{Context, Through, serve};
use crate::shared::Place;
use ringferry_runtime::net::Stream;
use std::rc::Rc;

/// Serves a connection on this core if the limits let it; else it is closed.
pub fn admit(cx: &Rc<Context>, fresh: Handed) {
    let Handed { socket, listener, memory } = fresh;
    let stream = Stream::from_owned(&cx.handle, socket);
    // A client that is gone already has no address.
    let Some(address) = stream.peer().map(|peer| peer.ip().to_canonical()) else { return };
    let view = cx.view();
    let config = &view.snapshot.config;
    if !cx.connections.try_enter(config.limits.connections.try_into().unwrap_or(u32::MAX)) {
        cx.stats.accept_errors.add(1);
        return;
    }
    let mut open = Open { through: cx.through(listener), ticket: None, _memory: memory };
    cx.stats.connections.add(1);
    cx.stats.connections_total.add(1);
    // A proxy in front speaks for many clients; whom a PROXY header names is counted when it has come.
    let is_one_of = |proxies: &[Cidr]| proxies.iter().any(|set| set.contains(address));
    let believed = view.snapshot.listener(listener).and_then(|id| config.listeners[id.index()].proxy_protocol.as_ref());
    if !is_one_of(&config.trusted_proxies) && !believed.is_some_and(|from| is_one_of(from)) {
        let max = config.limits.connections_per_client.try_into().unwrap_or(u32::MAX);
        match cx.clients.enter(address, max) {
            Ok(ticket) => open.ticket = Some(ticket),
            Err(_) => return cx.stats.accept_errors.add(1),
        }
    }
    cx.handle.spawn(serve(cx.clone(), stream, address, listener, open));
}

/// An open connection; however it ends, it is counted out.
struct Open {
    through: Through,
    ticket: Option<Ticket>,
    _memory: Place,
}

impl Drop for Open {
    fn drop(&mut self) {
        let cx = self.through.context();
        if let Some(ticket) = self.ticket.take() {
            cx.clients.leave(ticket);
        }
        cx.connections.leave();
        cx.stats.connections.sub(1);
        cx.connection_closed();
    }
}
