//! Flows on real sockets of loopback: clients, servers and the listener are tasks of one core.

mod bounds;
mod ends;
mod passing;
mod servers;

use super::{FlowEnd, Host, Plan, udp};
use crate::health::Phase;
use crate::limit::{Budget, Clients, Gate, Rates, Requests};
use crate::model::{Access, Balance, Config, Limits, Listener, Pool, PoolId, Protocol, Server, ServerAddress, Stream};
use crate::proto::error::Error;
use crate::shared::{CoreStats, Memory, Registry, Share, events};
use crate::snapshot::{Bound, Snapshot, Tls};
use crate::upstream::{PoolView, Pools};
use ringferry_runtime::net::{DatagramReceiver, Udp};
use ringferry_runtime::time::{Alarm, Sleep};
use ringferry_runtime::{Core, Handle, JoinHandle, Settings, bind_udp};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(600);

/// What a [`FlowEnd`] said.
struct Ended {
    client: SocketAddr,
    local: SocketAddr,
    server: String,
    bytes: (u64, u64),
    packets: (u64, u64),
    duration: Duration,
    error: Option<Error>,
}

/// A core with one stream.
struct Bench {
    handle: Handle,
    share: Share,
    pools: Pools,
    view: RefCell<(Arc<Snapshot>, Vec<PoolView>)>,
    registry: RefCell<Registry>,
    gate: Arc<Gate>,
    is_draining: Cell<bool>,
    has_left: Cell<bool>,
    ends: RefCell<Vec<Ended>>,
    bound: Arc<Bound>,
}

impl Host for Bench {
    fn lend(&self, with: &mut dyn FnMut(&Plan<'_>)) {
        let (snapshot, views) = &*self.view.borrow();
        with(&Plan {
            snapshot,
            views,
            pools: &self.pools,
            gate: Some(&self.gate),
            is_draining: self.is_draining.get(),
            has_left: self.has_left.get(),
        });
    }

    fn ended(&self, end: &FlowEnd<'_>) {
        self.ends.borrow_mut().push(Ended {
            client: end.client,
            local: end.local,
            server: end.server.to_owned(),
            bytes: (end.bytes_in, end.bytes_out),
            packets: (end.packets_in, end.packets_out),
            duration: end.duration,
            error: end.error,
        });
    }
}

/// The configuration of a bench: a listener on a free port of `ip`, and `servers` behind it.
struct Setup {
    ip: &'static str,
    balance: Balance,
    eject_after: u32,
    idle: Duration,
    limits: Limits,
    max_connections: Option<u32>,
    access: Access,
    descriptors: u64,
    flows_max: usize,
    /// Bytes of a buffer for datagrams, if not the usual.
    buffer_bytes: Option<u32>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            ip: "127.0.0.1",
            balance: Balance::RoundRobin,
            eject_after: 1,
            idle: NEVER,
            limits: Limits { connections: 10_000, connections_per_client: 10_000, ..Limits::default() },
            max_connections: None,
            access: Access::default(),
            descriptors: 10_000,
            flows_max: super::FLOWS_MAX,
            buffer_bytes: None,
        }
    }
}

impl Setup {
    fn config(&self, listeners: Vec<Listener>, servers: &[SocketAddr]) -> Config {
        let server = |address: &SocketAddr| Server {
            address: ServerAddress::Ip(*address),
            weight: 1,
            backup: false,
            max_connections: None,
            tls: None,
        };
        let pool = Pool {
            name: "stream".into(),
            servers: servers.iter().map(server).collect(),
            balance: self.balance.clone(),
            hold: None,
            queue: 0,
            eject_after: self.eject_after,
            eject_for: NEVER,
            eject_max: NEVER,
            send_proxy_protocol: None,
        };
        let stream = Stream {
            name: "udp/:53".into(),
            listeners: (0..listeners.len() as u32).map(crate::model::ListenerId).collect(),
            pool: PoolId(0),
            idle: NEVER,
            udp_idle: self.idle,
            max_connections: self.max_connections,
            access: self.access.clone(),
        };
        let limits = self.limits.clone();
        Config { listeners, pools: vec![pool], streams: vec![stream], limits, ..Config::default() }
    }

    /// Runs `body` with a listener that serves. Afterwards nothing may be left of any flow.
    fn run<F: Future<Output = ()> + 'static>(self, body: impl FnOnce(Rc<Bench>, Run) -> F + 'static) {
        let mut settings = Settings::default();
        settings.datagram_buffer_bytes = self.buffer_bytes.unwrap_or(settings.datagram_buffer_bytes);
        let core = Core::new(&settings).expect("io_uring");
        let handle = core.handle();
        core.run(async move {
            let is_dual = self.ip == "::";
            let (address, sockets) = bind_udp(SocketAddr::new(self.ip.parse().unwrap(), 0), is_dual, 1).unwrap();
            let listener = Listener { address, dual_stack: is_dual, protocol: Protocol::Udp, proxy_protocol: None };
            let bound = Arc::new(Bound { key: 7, listener, address, sockets });
            let share = Share {
                core: 0,
                stats: Arc::new(CoreStats::default()),
                clients: Arc::new(Clients::new(1024)),
                connections: Arc::default(),
                memory: Arc::new(Memory::new(Budget::for_machine(None, 1))),
                requests: Arc::new(Requests::new(1024)),
                rates: Arc::new(Rates::new(1024, 0)),
                descriptors: self.descriptors,
                events: events().0,
            };
            let mut registry = Registry::default();
            let config = self.config(Vec::new(), &[]);
            let nothing = Arc::new(Snapshot::new(0, config, Vec::new(), Tls::default(), "".into(), &mut registry));
            let bench = Rc::new(Bench {
                pools: Pools::new(&handle, share.stats.clone(), share.memory.clone()),
                share: share.clone(),
                view: RefCell::new((nothing, Vec::new())),
                registry: RefCell::new(registry),
                gate: Arc::default(),
                is_draining: Cell::new(false),
                has_left: Cell::new(false),
                ends: RefCell::default(),
                bound: bound.clone(),
                handle: handle.clone(),
            });
            let run = Run { bench: bench.clone(), setup: self, task: RefCell::default() };
            body(bench.clone(), run).await;
            // The end of the listener is the end of its flows.
            bench.publish_config(Config::default(), Vec::new());
            bench.until("all flows to end", || share.stats.flows.value() == 0).await;
            assert_eq!((share.connections.inside(), bench.gate.inside()), (0, 0), "places of flows are left");
            assert_eq!(bench.ends.borrow().len() as u64, share.stats.flows_total.value(), "each ends once");
        })
        .expect("the test body panicked");
    }
}

/// What only the beginning of a test uses.
struct Run {
    bench: Rc<Bench>,
    setup: Setup,
    task: RefCell<Option<JoinHandle<()>>>,
}

impl Run {
    /// Puts these servers in force; the first time, the listener begins to serve.
    fn publish(&self, servers: &[SocketAddr]) {
        let bench = &self.bench;
        let config = self.setup.config(vec![bench.bound.listener.clone()], servers);
        bench.publish_config(config, vec![bench.bound.clone()]);
        if self.task.borrow().is_none() {
            let (host, share) = (bench.clone(), bench.share.clone());
            let serve = udp::serve(host, share, bench.handle.clone(), bench.bound.clone(), 0, self.setup.flows_max);
            *self.task.borrow_mut() = Some(bench.handle.spawn_joinable(serve));
        }
    }

    /// Waits until the listener has stopped.
    async fn stopped(&self) {
        let task = self.task.borrow_mut().take().expect("it serves");
        assert_eq!(self.bench.soon(task).await, Some(()), "it panicked");
    }
}

impl Bench {
    fn publish_config(&self, config: Config, listeners: Vec<Arc<Bound>>) {
        let generation = self.view.borrow().0.generation + 1;
        let registry = &mut self.registry.borrow_mut();
        let snapshot = Arc::new(Snapshot::new(generation, config, listeners, Tls::default(), "".into(), registry));
        let views = self.pools.view(&snapshot);
        let before = self.view.replace((snapshot, views));
        drop(before);
        self.handle.wake_all();
    }

    /// Where a client on this machine finds the listener.
    fn address(&self) -> SocketAddr {
        let mut address = self.bound.address;
        if address.ip().is_unspecified() {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        address
    }

    fn client(&self) -> Client {
        self.client_of(self.address())
    }

    fn client_of(&self, address: SocketAddr) -> Client {
        let socket = Udp::connect(&self.handle, address).unwrap();
        Client { receiver: socket.receiver(), socket, handle: self.handle.clone() }
    }

    /// A server that answers each datagram with its own name in front.
    fn server(&self, name: &'static str) -> Echo {
        self.server_at(name, "127.0.0.1:0".parse().unwrap())
    }

    fn server_at(&self, name: &'static str, address: SocketAddr) -> Echo {
        let (address, sockets) = bind_udp(address, false, 1).unwrap();
        let socket = Udp::new(&self.handle, &sockets[0]).unwrap();
        let peers = Rc::new(RefCell::new(Vec::new()));
        let seen = peers.clone();
        let replies = socket.clone();
        self.handle.spawn(async move {
            let mut receiver = replies.receiver();
            // A stopped server is told of nothing any more.
            while let Ok(datagram) = receiver.recv().await {
                seen.borrow_mut().push(datagram.peer);
                for question in datagram.segments().iter() {
                    let answer = [name.as_bytes(), question].concat();
                    let _ = replies.send_to(answer.as_slice(), datagram.peer, datagram.local);
                }
            }
        });
        Echo { address, socket, peers }
    }

    fn flows(&self) -> u64 {
        self.share.stats.flows.value()
    }

    fn dropped(&self) -> u64 {
        self.share.stats.datagrams_dropped.value()
    }

    fn phase(&self, server: usize) -> Phase {
        self.view.borrow().0.pools[0].servers[server].health.phase()
    }

    /// Waits until something holds. Each look is a turn of the core.
    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let began = self.handle.clock();
        while !holds() {
            assert!(self.handle.clock().since(began) < Duration::from_secs(20), "waited in vain for {what}");
            Sleep::new(&self.handle, Duration::from_millis(1)).await;
        }
    }

    async fn soon<F: Future>(&self, future: F) -> F::Output {
        soon(&self.handle, future).await
    }
}

async fn soon<F: Future>(handle: &Handle, future: F) -> F::Output {
    let mut alarm = Alarm::new(handle);
    alarm.set(Duration::from_secs(20));
    alarm.guard(pin!(future)).await.expect("hangs")
}

struct Echo {
    address: SocketAddr,
    socket: Udp,
    /// Who sent each of the datagrams.
    peers: Rc<RefCell<Vec<SocketAddr>>>,
}

impl Echo {
    /// From now on nobody is there.
    fn stop(&self) {
        self.socket.stop().unwrap();
    }
}

struct Client {
    handle: Handle,
    socket: Udp,
    receiver: DatagramReceiver,
}

impl Client {
    fn send(&self, question: &str) {
        assert_eq!(self.socket.send(question.as_bytes()).unwrap(), 1);
    }

    async fn answer(&mut self) -> String {
        let datagram = soon(&self.handle, self.receiver.recv()).await.unwrap();
        assert_eq!(datagram.segments().count(), 1);
        String::from_utf8(datagram.segments().bytes().to_vec()).unwrap()
    }

    async fn ask(&mut self, question: &str) -> String {
        self.send(question);
        self.answer().await
    }
}
