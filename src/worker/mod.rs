//! One core at work: its listeners, what keeps its house, and the commands of the control plane.

mod datagrams;
mod keep;

use crate::limit::{Budget, Buffers};
use crate::listen::{Handed, Peer, admit, listen};
use crate::log::LogSink;
use crate::model::Protocol;
use crate::serve::Context;
use crate::shared::{Command, Event, Share};
use crate::snapshot::{Bound, Snapshot};
use ringferry_runtime::mailbox::Mailbox;
use ringferry_runtime::time::Sleep;
use ringferry_runtime::{Core, Either, Handle, KernelChoice, KernelError, RingRestriction, Settings, race};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

/// What a core needs to work.
pub struct Worker {
    /// Its part in what belongs to the process.
    pub share: Share,
    /// What does its I/O.
    pub kernel: KernelChoice,
    /// Where its log lines go.
    pub log: LogSink,
    /// The configuration to start with.
    pub snapshot: Arc<Snapshot>,
    /// What the control plane tells it.
    pub commands: Mailbox<Command<Snapshot>>,
    /// Connections that other cores hand over.
    pub handed: Mailbox<Handed>,
    /// The other cores.
    pub peers: Vec<Peer>,
    /// Its ring refuses what a proxy never asks of it.
    pub restrict_ring: bool,
}

impl Worker {
    /// Works until told to stop. `started` is told whether the core could be made, and its ring restricted.
    pub fn run(self, started: &SyncSender<Result<RingRestriction, KernelError>>) {
        let settings = settings(self.share.memory.budget());
        let settings = Settings { kernel: self.kernel, restrict_ring: self.restrict_ring, ..settings };
        let core = match Core::new(&settings) {
            Ok(core) => core,
            Err(error) => return drop(started.send(Err(error))),
        };
        let work = self.on(core.handle());
        let _ = started.send(Ok(core.restriction()));
        core.run(work);
    }

    /// The work, for whoever turns the core of `handle`: until told to stop.
    pub fn on(self, handle: Handle) -> impl Future<Output = ()> + 'static {
        let Worker { share, log, snapshot, commands, handed, peers, .. } = self;
        let cx = Rc::new(Context::new(handle, share, log, snapshot));
        work(cx, commands, handed, peers.into())
    }
}

/// What the budget leaves for the buffers of a core.
fn settings(budget: &Budget) -> Settings {
    let Buffers { head, body, datagram, pipes, vectors } = budget.buffers;
    Settings {
        head_buffers: head,
        body_buffers: body,
        datagram_buffers: datagram,
        pipes,
        vectors,
        ..Settings::default()
    }
}

async fn work(cx: Rc<Context>, mut commands: Mailbox<Command<Snapshot>>, handed: Mailbox<Handed>, peers: Rc<[Peer]>) {
    report_panics(&cx);
    cx.handle.spawn(keep::idle_connections(cx.clone()));
    cx.handle.spawn(keep::log(cx.clone()));
    cx.handle.spawn(take_over(cx.clone(), handed));
    for bound in &cx.view().snapshot.listeners {
        open(&cx, bound, &peers);
    }
    loop {
        let command = if cx.is_ending() {
            match race(commands.recv(), cx.drained()).await {
                Either::Left(command) => command,
                Either::Right(()) => {
                    cx.events.send(Event::Drained { core: cx.core });
                    commands.recv().await
                }
            }
        } else {
            commands.recv().await
        };
        match command {
            Some(Command::Publish { snapshot, pending }) => {
                publish(&cx, snapshot, &peers);
                drop(pending);
            }
            Some(Command::Leave) => cx.leave(),
            Some(Command::Drain { .. }) => cx.drain(),
            Some(Command::Ping) => _ = cx.events.send(Event::Alive { core: cx.core }),
            Some(Command::Stop) | None => break,
        }
    }
    cx.log().flush();
}

/// Takes what comes to an address.
fn open(cx: &Rc<Context>, bound: &Arc<Bound>, peers: &Rc<[Peer]>) {
    for socket in bound.sockets_of(cx.core, peers.len() + 1) {
        match bound.listener.protocol {
            Protocol::Udp => cx.handle.spawn(datagrams::datagrams(cx.clone(), bound.clone(), socket)),
            Protocol::Http | Protocol::Https | Protocol::Tcp => {
                cx.handle.spawn(listen(cx.clone(), bound.clone(), socket, peers.clone()));
            }
        }
    }
}

/// Accepts on what is new, and serves what came through a listener that is gone for a while longer.
fn publish(cx: &Rc<Context>, snapshot: Arc<Snapshot>, peers: &Rc<[Peer]>) {
    let before = cx.view();
    for bound in &snapshot.listeners {
        if before.snapshot.listener(bound.key).is_none() {
            open(cx, bound, peers);
        }
    }
    let grace = snapshot.config.timeouts.drain;
    let retired = cx.publish(snapshot);
    // Listeners look whether they are still wanted, and flows of datagrams whether their server is.
    cx.handle.wake_all();
    if let Some(retired) = retired {
        let cx = cx.clone();
        cx.handle.clone().spawn(async move {
            Sleep::new(&cx.handle, grace).await;
            cx.forget(&retired);
        });
    }
}

async fn take_over(cx: Rc<Context>, mut handed: Mailbox<Handed>) {
    while let Some(fresh) = handed.recv().await {
        admit(&cx, fresh);
    }
}

fn report_panics(cx: &Rc<Context>) {
    let (stats, events, core) = (cx.stats.clone(), cx.events.clone(), cx.core);
    cx.handle.on_panic(move |message| {
        stats.panics.add(1);
        events.send(Event::Panicked { core, message: message.to_owned() });
    });
}
