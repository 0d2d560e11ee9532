//! Accepting connections: which core serves them, and whether they may come at all.

mod admit;
mod balance;

pub use admit::admit;
pub use balance::{Handed, Peer};

use crate::limit::{IDLE, IDLE_TLS};
use crate::model::Protocol;
use crate::room::{REST, is_shortage};
use crate::serve::Context;
use crate::shared::{Memory, Place};
use crate::snapshot::Bound;
use ringferry_runtime::Socket;
use ringferry_runtime::net::Listener;
use ringferry_runtime::time::{Alarm, Sleep};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

/// Accepts on one socket of an address until the snapshot has it no more or the core is to end.
pub async fn listen(cx: Rc<Context>, bound: Arc<Bound>, socket: usize, peers: Rc<[Peer]>) {
    let _through = cx.through(bound.key);
    let mut listener = match Listener::new(&cx.handle, &bound.sockets[socket]) {
        Ok(listener) => listener,
        Err(error) => {
            let message = format!("cannot accept on {}: {error}", bound.address);
            cx.events.send(crate::shared::Event::Failed { core: cx.core, message });
            return;
        }
    };
    let mut alarm = Alarm::new(&cx.handle);
    while let Some(accepted) = next(&cx, &mut listener, bound.key).await {
        match accepted {
            Ok(socket) => {
                cx.pools.room().refill();
                room(&cx, bound.key, &mut alarm).await;
                match memory(&cx, &bound, &mut alarm).await {
                    Some(memory) => balance::place(&cx, &peers, Handed { socket, listener: bound.key, memory }),
                    // It is to end, and nobody else will serve this one.
                    None => cx.stats.accept_errors.add(1),
                }
            }
            Err(error) => {
                cx.stats.accept_errors.add(1);
                if is_shortage(&error) {
                    let has_given = cx.pools.give_up();
                    cx.pools.room().descriptor_for_newcomer(has_given).await;
                } else if !is_of_one(&error) {
                    Sleep::new(&cx.handle, REST).await;
                }
            }
        }
    }
    let last = if cx.has_left() { listener.leave().await } else { listener.close().await };
    for socket in last {
        match Memory::try_place(&cx.memory, idle_bytes(&bound)) {
            Some(memory) => balance::place(&cx, &peers, Handed { socket, listener: bound.key, memory }),
            None => cx.stats.accept_errors.add(1),
        }
    }
}

/// Waits until there is memory for the connection that has been accepted; `None` when the listener is to end. Where idle
/// connections have all of it, the oldest ones of this core go, one after another.
async fn memory(cx: &Rc<Context>, bound: &Bound, alarm: &mut Alarm) -> Option<Place> {
    let mut waiting = pin!(Memory::place(&cx.memory, idle_bytes(bound)));
    poll_fn(|task| match waiting.as_mut().poll(task) {
        Poll::Ready(taken) => Poll::Ready(taken.ok()),
        Poll::Pending if is_over(cx, bound.key) => Poll::Ready(None),
        Poll::Pending => {
            let room = cx.pools.room();
            if !room.is_ending() && !room.end_oldest() {
                // Who has just come is given time to speak, and tells nobody when that is over.
                alarm.set(REST);
                let _ = alarm.poll_elapsed(task);
            }
            Poll::Pending
        }
    })
    .await
}

fn idle_bytes(bound: &Bound) -> u64 {
    if bound.listener.protocol == Protocol::Https { IDLE + IDLE_TLS } else { IDLE }
}

/// The next connection; `None` when the listener is to end.
async fn next(cx: &Rc<Context>, listener: &mut Listener, key: u64) -> Option<io::Result<Socket>> {
    let mut accept = pin!(listener.accept());
    poll_fn(|task| {
        if let Poll::Ready(accepted) = accept.as_mut().poll(task) {
            return Poll::Ready(Some(accepted));
        }
        if is_over(cx, key) { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

/// Waits until the connection that has been accepted can be served. Meanwhile others wait in the backlog, where they are
/// connected and cost nothing of ours.
async fn room(cx: &Rc<Context>, key: u64, alarm: &mut Alarm) {
    poll_fn(|task| match has_room(cx, alarm, task) || is_over(cx, key) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// Whether one more can be served now, or will not be for want of a place. If not, a connection that is idle has been
/// told to end, if there is one, and the task is woken when that may have helped.
fn has_room(cx: &Rc<Context>, alarm: &mut Alarm, task: &mut Task<'_>) -> bool {
    let room = cx.pools.room();
    let is_full = cx.connections.inside() as usize >= cx.view().snapshot.config.limits.connections;
    let is_short = descriptors(cx) >= cx.descriptors;
    if !is_full && !is_short {
        return true;
    }
    // One at a time: the next one goes when this one has not been enough.
    if !room.is_ending() && !room.end_oldest() && !is_short {
        // All places are taken by those that are busy. Nobody knows for how long: better to be told than to wait.
        return true;
    }
    room.wake_at_change(task.waker());
    // Other cores do not tell when one of theirs ends.
    alarm.set(REST);
    let _ = alarm.poll_elapsed(task);
    false
}

/// Descriptors that this core's connections have, or will want any moment: all but those that wait for their next request
/// need one to a server.
fn descriptors(cx: &Context) -> u64 {
    let (open, kept) = (cx.stats.connections.value(), u64::from(cx.pools.room().kept()));
    kept + 2 * open.saturating_sub(kept) + cx.stats.flows.value()
}

/// An address is no longer accepted on.
fn is_over(cx: &Context, key: u64) -> bool {
    cx.is_ending() || cx.view().snapshot.listener(key).is_none()
}

/// Whether accepting failed because of the one connection that was to be accepted.
fn is_of_one(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
}
