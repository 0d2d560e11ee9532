//! Memory for what a client has come to do: a head that grows, an exchange, a handshake, a tunnel. What each may take
//! is in `limit::Budget`, and why nobody waits for ever in `shared::Memory`.
//!
//! Where there is not enough, a client waits for others to give some back, at most as long as a head may take.
//! Meanwhile nothing of it is read, and the kernel takes next to nothing from it.

use super::client::Client;
use super::context::Context;
use super::transfer::client_left;
use super::work::{OfCore, Work};
use crate::limit::ACTIVE;
use crate::proto::error::{Cause, Error, Stage};
use crate::shared::{Memory, Purpose};
use ringferry_runtime::net::Hold;
use ringferry_runtime::time::Instant;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// What a partial head takes that fits one small buffer.
const HEAD: u64 = 8 * 1024;
/// A small buffer.
const SMALL: usize = 4096;

/// What a head takes of which `len` bytes have come and which is not whole: one that does not fit a small buffer is
/// held twice, as it came and as it is sent, and is given all that it will need at once.
pub(super) fn of_head(len: usize, head_bytes_max: usize, memory: &Memory) -> u64 {
    match len {
        ..=SMALL => HEAD,
        _ => (ACTIVE + 2 * head_bytes_max as u64).min(memory.budget().work_most()),
    }
}

/// Takes `bytes` for a client, in place of what it has for its work, unless that is as much. If it has to wait it does
/// so until `deadline`, and, where the client is `watched`, no longer than that is there.
pub(super) async fn take(
    cx: &Rc<Context>,
    client: &mut Client,
    bytes: u64,
    deadline: Instant,
    watched: bool,
) -> Result<(), Error> {
    client.let_go_of_taken();
    if client.work.as_ref().is_some_and(|work| work.bytes() >= bytes) {
        return Ok(());
    }
    // Who waits holds nothing but its connection.
    client.work = None;
    let address = client.address;
    let work = match Memory::try_work(OfCore::new(cx), bytes, || cx.is_crowd(address)) {
        Ok(work) => work,
        Err((_, purpose)) => Box::pin(wait(cx, client, (bytes, purpose), deadline, watched)).await?,
    };
    client.work = Some(work);
    Ok(())
}

async fn wait(
    cx: &Rc<Context>,
    client: &mut Client,
    (bytes, purpose): (u64, Purpose),
    deadline: Instant,
    watched: bool,
) -> Result<Work, Error> {
    let Client { outlet, intake, alarm, .. } = client;
    cx.pools.give_up_ahead();
    outlet.stream().hold_received(Hold::Least);
    alarm.set_at(deadline);
    let mut waiting = pin!(Memory::wait(OfCore::new(cx), bytes, purpose));
    let no_memory = || Error::internal(Stage::Route, Cause::NoMemory);
    let taken = poll_fn(|task| {
        if let Poll::Ready(taken) = waiting.as_mut().poll(task) {
            return Poll::Ready(taken.map_err(|_| no_memory()));
        }
        if alarm.poll_elapsed(task).is_ready() {
            return Poll::Ready(Err(no_memory()));
        }
        if watched { intake.poll_broken(task).map(|()| Err(client_left())) } else { Poll::Pending }
    })
    .await;
    outlet.stream().hold_received(Hold::Usual);
    taken
}
