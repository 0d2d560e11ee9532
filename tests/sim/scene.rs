//! What a seed stands for: who comes, what goes wrong, what the operator does meanwhile; and the run of it.

use crate::client::{Kind, Visit};
use crate::datagrams;
use crate::draw::Draw;
use crate::ledger::Ledger;
use crate::loader::{BYTE_SERVERS, BYTES, DATAGRAM_SERVER, DATAGRAMS, HTTP, HTTP_SERVERS, HTTPS, address};
use crate::plan::{Exchange, Mishap};
use crate::proxy::Proxy;
use crate::server;
use ringferry_runtime::net::Stream;
use ringferry_runtime::sim::{Fault, Faults, Role, World};
use ringferry_runtime::{Core, Handle, Settings};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// What came of a scene.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What must not be; empty if all is well.
    pub(crate) problems: Vec<String>,
    /// Everything that happened, as one number.
    pub(crate) trace: u64,
    /// Exchanges that were answered whole, and bytes of bodies that came where they belong.
    pub(crate) whole: u64,
    pub(crate) bytes: u64,
    /// Turns of all cores.
    pub(crate) turns: u64,
    /// How often each fault has happened.
    pub(crate) faults: Vec<(String, u64)>,
}

/// Which numbers of a seed are for what.
const STREAM_SCENE: u64 = 1;
const STREAM_SERVER: u64 = 1_000;
const STREAM_CLIENT: u64 = 1_000_000;

/// A scene that has not ended by then, on its own clock, never does.
const END: Duration = Duration::from_secs(4 * 3600);

/// Runs the scene of a seed.
pub(crate) fn run(seed: u64) -> Outcome {
    let mut draw = Draw::new(seed, STREAM_SCENE);
    // One scene in eight shows that all succeeds where nothing goes wrong.
    let calm = draw.once_in(8);
    let world = World::new(seed, if calm { Faults::none() } else { Faults::drawn(seed) });
    let ledger = Ledger::new(calm);
    let (mut proxy, mut cores) = Proxy::start(&world, draw.within(1, 2) as usize, calm, &mut draw);
    let outside = Core::simulated(&world, Role::Outside, &Settings::default());
    // A stop without a drain, as by a second signal.
    let is_abrupt = draw.once_in(4);
    let panics = Rc::new(Cell::new(None));
    let seen = panics.clone();
    outside.handle().on_panic(move |message| seen.set(Some(message.to_owned())));
    servers(&world, &outside, seed, &ledger);
    let present = clients(&outside, seed, &mut draw, &ledger);
    let outside = {
        let handle = outside.handle();
        cores.push(outside);
        handle
    };

    // The operator comes now and then; the last one ends it all.
    let mut reloads: Vec<u64> = (0..draw.below(4)).map(|_| draw.below(20_000)).collect();
    reloads.sort_unstable_by(|a, b| b.cmp(a));
    let faults_until = Duration::from_secs(draw.within(5, 60));
    let began = world.now();
    let mut stage = Stage::Open;
    let mut turned: Vec<&mut Core> = cores.iter_mut().collect();
    let mut problems = Vec::new();
    let (mut turns, mut idle_steps) = (0, 0);
    while stage != Stage::Over {
        let goes_on = world.step(&mut turned);
        turns += turned.len() as u64;
        let now = world.now().since(began);
        let may_reload = matches!(stage, Stage::Open | Stage::Draining);
        while may_reload && reloads.last().is_some_and(|at| now >= Duration::from_millis(*at)) {
            reloads.pop();
            proxy.reload(&mut draw);
        }
        if now >= faults_until {
            world.faults_off();
        }
        proxy.told.listen(|line| note(line, &ledger));
        stage = match stage {
            Stage::Open if present.get() == 0 && is_abrupt => {
                stragglers(&outside);
                proxy.stop();
                Stage::Stopping
            }
            Stage::Open if present.get() == 0 => {
                world.faults_off();
                proxy.drain();
                Stage::Draining
            }
            Stage::Draining if proxy.is_drained() => {
                proxy.stop();
                Stage::Stopping
            }
            Stage::Stopping if proxy.has_stopped() => Stage::Over,
            other => other,
        };
        problems.extend(ledger.problems());
        problems.append(&mut proxy.told.complaints);
        problems.extend(panics.take().map(|message| format!("the outside panicked: {message}")));
        if !problems.is_empty() {
            break;
        }
        // What the operator has just done is seen in the next step.
        idle_steps = if goes_on { 0 } else { idle_steps + 1 };
        if stage != Stage::Over && (now > END || idle_steps > 1) {
            let left = proxy.left();
            problems.push(format!("{stage:?} for ever, with {} clients, {left}, the clock at {now:?}", present.get()));
            break;
        }
    }
    if problems.is_empty() {
        let mut told = proxy.into_told();
        // Who still comes while a core goes is let go of, wherever he is then.
        world.set_faults(Faults::none().with(Fault::CancelLoses, 500));
        cores.drain(..cores.len() - 1).for_each(drop);
        world.cut_short(cores);
        told.listen(|line| note(line, &ledger));
        ledger.close();
        problems.extend(ledger.problems());
        if told.memory_left() > 0 {
            problems.push(format!("all have gone, and {} bytes of memory are taken", told.memory_left()));
        }
        if told.connections() != (0, 0) {
            problems.push(format!("all have gone, and {:?} connections are counted", told.connections()));
        }
    }
    for line in world.trace() {
        println!("{line}");
    }
    let (whole, bytes) = ledger.figures();
    let faults = world.fault_counts().map(|(fault, count)| (format!("{fault:?}"), count)).to_vec();
    Outcome { problems, trace: world.trace_hash(), whole, bytes, turns, faults }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Clients come and go.
    Open,
    Draining,
    Stopping,
    Over,
}

fn servers(world: &World, outside: &Core, seed: u64, ledger: &Ledger) {
    let handle = outside.handle();
    for (n, at) in HTTP_SERVERS.iter().enumerate() {
        let (_, sockets) = world.listen(address(at), 1);
        let ledger = ledger.clone();
        server::listen(&handle, &sockets[0], move |stream, connection| {
            let draw = Draw::new(seed, STREAM_SERVER * (n as u64 + 1) + connection);
            server::http(stream, ledger.clone(), draw)
        });
    }
    let (_, sockets) = world.listen_udp(address(DATAGRAM_SERVER), 1);
    datagrams::echo(&handle, &sockets[0]);
    for at in BYTE_SERVERS {
        let (_, sockets) = world.listen(address(at), 1);
        let ledger = ledger.clone();
        server::listen(&handle, &sockets[0], move |stream, _| server::bytes(stream, ledger.clone()));
    }
}

/// Clients that come when nobody expects any more.
fn stragglers(outside: &Handle) {
    for _ in 0..10 {
        let handle = outside.clone();
        outside.spawn(async move { drop(Stream::connect(&handle, address(HTTP)).await) });
    }
}

/// All clients of the scene; how many have not gone yet.
fn clients(outside: &Core, seed: u64, draw: &mut Draw, ledger: &Ledger) -> Rc<Cell<usize>> {
    let handle = outside.handle();
    let present = Rc::new(Cell::new(0));
    let has_tls = draw.once_in(4);
    let mut next_id = 1;
    for n in 0..draw.within(1, 12) {
        let visit = visit(draw, &mut next_id, has_tls, ledger.is_calm());
        let (task, ledger, left) = (handle.clone(), ledger.clone(), present.clone());
        present.set(present.get() + 1);
        handle.spawn(async move {
            visit.pay(task, ledger, Draw::new(seed, STREAM_CLIENT + n)).await;
            left.set(left.get() - 1);
        });
    }
    present
}

fn visit(draw: &mut Draw, next_id: &mut u32, has_tls: bool, calm: bool) -> Visit {
    let mut exchange = |draw: &mut Draw| {
        *next_id += 1;
        Exchange::draw(draw, *next_id - 1, calm)
    };
    let (to, kind) = match draw.below(8) {
        0 => {
            let exchange = exchange(draw);
            (BYTES, Kind::Bytes { id: exchange.id, up: draw.length(), down: draw.length() })
        }
        1 => {
            let mut exchange = exchange(draw);
            (exchange.method, exchange.up) = ("GET", draw.length());
            (exchange.answer.status, exchange.answer.mishap) = (101, Mishap::None);
            (HTTP, Kind::Upgrade(exchange))
        }
        2 if draw.once_in(2) => {
            let id = exchange(draw).id;
            (DATAGRAMS, Kind::Datagrams { id, count: draw.within(1, 6) as u32 })
        }
        _ => {
            let secure = has_tls && draw.once_in(2);
            let mut exchanges: Vec<Exchange> = (0..draw.within(1, 6)).map(|_| exchange(draw)).collect();
            if let (Some(last), true) = (exchanges.last_mut(), draw.once_in(3)) {
                last.last = true;
            }
            let pipelined = exchanges.iter().all(|exchange| !exchange.expects) && draw.once_in(3);
            (if secure { HTTPS } else { HTTP }, Kind::Requests { exchanges, pipelined, secure })
        }
    };
    Visit {
        to: address(to),
        at: Duration::from_millis(draw.below(8_000)),
        kind,
        leaves: (!calm && draw.once_in(5)).then(|| (Duration::from_millis(draw.below(5_000)), draw.once_in(2))),
        rest: if draw.once_in(8) { Duration::from_millis(draw.below(2_000)) } else { Duration::ZERO },
    }
}

/// Notes a line of the log.
fn note(line: &str, ledger: &Ledger) {
    let target = serde_json::from_str::<serde_json::Value>(line).ok();
    let target = target.as_ref().and_then(|line| line.get("target")?.as_str());
    let id = target.and_then(|target| target.split('/').nth(1)?.parse().ok());
    if let Some(id) = id {
        ledger.logged(id);
    }
}
