//! Accepting connections: which core serves them, and whether they may come at all.

mod admit;
mod balance;

pub use admit::admit;
pub use balance::{Handed, Peer};

use crate::limit::{IDLE, IDLE_TLS};
use crate::model::Protocol;
use crate::serve::Context;
use crate::shared::{Memory, Place};
use crate::snapshot::Bound;
use ringferry_runtime::Socket;
use ringferry_runtime::net::Listener;
use ringferry_runtime::time::Sleep;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// How long accepting rests after an error: mostly there are no descriptors left, and some have to be closed first.
const REST: Duration = Duration::from_millis(50);

/// Accepts on one address until the snapshot has it no more or the core drains.
pub async fn listen(cx: Rc<Context>, bound: Arc<Bound>, peers: Rc<[Peer]>) {
    let _through = cx.through(bound.key);
    // The sockets of an address are shared out among the cores in order.
    let Some(socket) = bound.sockets.get(cx.core % bound.sockets.len().max(1)) else { return };
    let mut listener = match Listener::new(&cx.handle, socket) {
        Ok(listener) => listener,
        Err(error) => {
            let message = format!("cannot accept on {}: {error}", bound.address);
            cx.events.send(crate::shared::Event::Failed { core: cx.core, message });
            return;
        }
    };
    while let Some(accepted) = next(&cx, &mut listener, bound.key).await {
        match accepted {
            Ok(socket) => match memory(&cx, &bound).await {
                Some(memory) => balance::place(&cx, &peers, Handed { socket, listener: bound.key, memory }),
                // It is to end, and nobody else will serve this one.
                None => cx.stats.accept_errors.add(1),
            },
            Err(_) => {
                cx.stats.accept_errors.add(1);
                Sleep::new(&cx.handle, REST).await;
            }
        }
    }
    for socket in listener.close().await {
        match Memory::try_place(&cx.memory, idle_bytes(&bound)) {
            Some(memory) => balance::place(&cx, &peers, Handed { socket, listener: bound.key, memory }),
            None => cx.stats.accept_errors.add(1),
        }
    }
}

/// Waits until there is memory for the connection that has been accepted; `None` when the listener is to end. Meanwhile
/// others wait in the backlog, where they are connected and cost us nothing.
async fn memory(cx: &Rc<Context>, bound: &Bound) -> Option<Place> {
    let mut waiting = pin!(Memory::place(&cx.memory, idle_bytes(bound)));
    poll_fn(|task| match waiting.as_mut().poll(task) {
        Poll::Pending if is_over(cx, bound.key) => Poll::Ready(None),
        taken => taken.map(Result::ok),
    })
    .await
}

fn idle_bytes(bound: &Bound) -> u64 {
    if bound.listener.protocol == Protocol::Https { IDLE + IDLE_TLS } else { IDLE }
}

/// An address is no longer accepted on.
fn is_over(cx: &Context, key: u64) -> bool {
    cx.is_draining() || cx.view().snapshot.listener(key).is_none()
}

/// The next connection; `None` when the listener is to end.
async fn next(cx: &Rc<Context>, listener: &mut Listener, key: u64) -> Option<std::io::Result<Socket>> {
    let mut accept = pin!(listener.accept());
    poll_fn(|task| {
        if let Poll::Ready(accepted) = accept.as_mut().poll(task) {
            return Poll::Ready(Some(accepted));
        }
        if is_over(cx, key) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}
