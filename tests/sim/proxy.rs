//! The whole data plane on simulated cores: what `app` and `control` do for it is done here, by hand.

use crate::client::{PLAIN_HOST, SECURE_HOST};
use crate::draw::Draw;
use ringferry::config;
use ringferry::limit::{Clients, Gate, Rates, Requests};
use ringferry::listen::Peer;
use ringferry::log::{self, Batch};
use ringferry::model::{Config, Protocol};
use ringferry::shared::{Command, CoreStats, Event, Registry, Share, events};
use ringferry::snapshot::{Bound, Material, Snapshot, Tls};
use ringferry::tls::{ClientAuth, Keyring, Pair, Seed, cipher_order};
use ringferry::worker::Worker;
use ringferry_runtime::mailbox::{self, Sender};
use ringferry_runtime::sim::{Role, World};
use ringferry_runtime::{Core, JoinHandle, Settings};
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use tokio::sync::mpsc;

/// The addresses that the proxy listens on, in the order of its configuration.
pub(crate) const HTTP: &str = "10.0.0.1:80";
pub(crate) const HTTPS: &str = "10.0.0.1:443";
pub(crate) const BYTES: &str = "10.0.0.1:2222";

/// The servers of HTTP, and those of bytes.
pub(crate) const HTTP_SERVERS: [&str; 3] = ["10.0.1.1:8000", "10.0.1.2:8000", "10.0.1.3:8000"];
pub(crate) const BYTE_SERVERS: [&str; 2] = ["10.0.1.4:7000", "10.0.1.5:7000"];

pub(crate) struct Proxy {
    world: World,
    commands: Vec<Sender<Command<Snapshot>>>,
    stats: Vec<Arc<CoreStats>>,
    works: Vec<JoinHandle<()>>,
    registry: Registry,
    /// Nothing may fail.
    calm: bool,
    current: Arc<Snapshot>,
    next_key: u64,
    lines: mpsc::Receiver<Batch>,
    events: mpsc::Receiver<Event>,
    drained: usize,
    /// What the log says of itself besides lines of exchanges.
    pub(crate) complaints: Vec<String>,
    connections: Arc<Gate>,
}

impl Proxy {
    /// As many cores as are asked for, with a configuration that `draw` decides.
    pub(crate) fn start(world: &World, count: usize, calm: bool, draw: &mut Draw) -> (Proxy, Vec<Core>) {
        let settings = settings(draw);
        let cores: Vec<Core> = (0..count).map(|_| Core::simulated(world, Role::Tested, &settings)).collect();
        let mut registry = Registry::default();
        let mut next_key = 0;
        let first = snapshot(world, 1, calm, draw, count, &[], &mut next_key, &mut registry);
        let (queue, lines) = log::queue();
        let (told, events) = events();
        let (clients, connections) = (Arc::new(Clients::new(1024)), Arc::new(Gate::default()));
        let (requests, rates) = (Arc::new(Requests::new(64)), Arc::new(Rates::new(64, 1)));
        let stats: Vec<_> = (0..count).map(|_| Arc::new(CoreStats::default())).collect();
        let (handed_in, handed_out): (Vec<_>, Vec<_>) = (0..count).map(|_| mailbox::channel(8)).unzip();
        let (mut commands, mut works) = (Vec::new(), Vec::new());
        for (core, handed) in handed_out.into_iter().enumerate() {
            let (sender, receiver) = mailbox::channel(16);
            commands.push(sender);
            let others = (0..count).filter(|other| *other != core);
            let peers = others
                .map(|other| Peer { core: other, stats: stats[other].clone(), mailbox: handed_in[other].clone() })
                .collect();
            let share = Share {
                core,
                stats: stats[core].clone(),
                clients: clients.clone(),
                connections: connections.clone(),
                requests: requests.clone(),
                rates: rates.clone(),
                descriptors: 1000,
                events: told.clone(),
            };
            let log = queue.sink(first.config.log.format);
            let worker = Worker {
                share,
                kernel: Default::default(),
                log,
                snapshot: first.clone(),
                commands: receiver,
                handed,
                peers,
                restrict_ring: false,
            };
            let handle = cores[core].handle();
            works.push(handle.spawn_joinable(worker.on(handle.clone())));
        }
        let proxy = Proxy {
            world: world.clone(),
            commands,
            stats,
            works,
            registry,
            calm,
            current: first,
            next_key,
            lines,
            events,
            drained: 0,
            complaints: Vec::new(),
            connections,
        };
        (proxy, cores)
    }

    /// Puts another configuration in force.
    pub(crate) fn reload(&mut self, draw: &mut Draw) {
        let generation = self.current.generation + 1;
        let (count, bounds) = (self.commands.len(), &self.current.listeners);
        let (key, registry) = (&mut self.next_key, &mut self.registry);
        let next = snapshot(&self.world, generation, self.calm, draw, count, bounds, key, registry);
        self.current = next.clone();
        self.registry.sweep();
        self.command(|| Command::Publish(next.clone()));
    }

    pub(crate) fn drain(&mut self) {
        let timeout = self.current.config.timeouts.drain;
        self.command(|| Command::Drain { timeout });
    }

    pub(crate) fn stop(&mut self) {
        self.command(|| Command::Stop);
    }

    fn command(&mut self, command: impl Fn() -> Command<Snapshot>) {
        for sender in &self.commands {
            if sender.send(command()).is_err() {
                self.complaints.push("a core took no command".to_owned());
            }
        }
    }

    /// Reads what the cores tell. `line` is given each line of the log.
    pub(crate) fn listen(&mut self, mut line: impl FnMut(&str)) {
        while let Ok(batch) = self.lines.try_recv() {
            String::from_utf8_lossy(batch.text()).lines().for_each(&mut line);
        }
        while let Ok(event) = self.events.try_recv() {
            match event {
                Event::Drained { .. } => self.drained += 1,
                Event::Panicked { message, .. } => self.complaints.push(format!("a task panicked: {message}")),
                Event::Failed { message, .. } => self.complaints.push(message),
            }
        }
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.drained >= self.commands.len()
    }

    /// Whether the work of every core has ended.
    pub(crate) fn has_stopped(&mut self) -> bool {
        self.works.retain_mut(|work| work.take_if_ended().is_none());
        self.works.is_empty()
    }

    /// Connections of clients, as all cores together count them, and as each does.
    pub(crate) fn connections(&self) -> (u32, u64) {
        (self.connections.inside(), self.stats.iter().map(|stats| stats.connections.value()).sum())
    }
}

/// Small rings, so that they run out.
fn settings(draw: &mut Draw) -> Settings {
    Settings {
        submissions: 32,
        head_buffer_bytes: draw.pick(&[1024, 4096]),
        head_buffers: draw.pick(&[4, 16, 64]),
        body_buffer_bytes: draw.pick(&[4096, 65536]),
        body_buffers: draw.pick(&[2, 8]),
        datagram_buffer_bytes: 4096,
        datagram_buffers: 4,
        ..Settings::default()
    }
}

fn snapshot(
    world: &World,
    generation: u64,
    calm: bool,
    draw: &mut Draw,
    cores: usize,
    current: &[Arc<Bound>],
    next_key: &mut u64,
    registry: &mut Registry,
) -> Arc<Snapshot> {
    let text = configuration(draw, generation, calm);
    let loaded = config::load(&text, "scene.toml");
    let Some(config) = loaded.config else {
        let problems: Vec<_> = loaded.problems.iter().map(|problem| problem.render("scene.toml", false)).collect();
        panic!("the configuration of a scene is wrong:\n{}\n{text}", problems.join("\n"));
    };
    let listeners = config.listeners.iter().map(|listener| {
        let kept = current.iter().find(|bound| bound.listener == *listener);
        kept.cloned().unwrap_or_else(|| {
            *next_key += 1;
            let (address, sockets) = world.listen(listener.address, cores);
            Arc::new(Bound { key: *next_key, listener: listener.clone(), address, sockets })
        })
    });
    let listeners = listeners.collect();
    let tls = tls(&config);
    Arc::new(Snapshot::new(generation, config, listeners, tls, "ringferry-sim".into(), registry))
}

/// What `draw` makes of it. The addresses stay; from the second generation on the stream may be gone, or back.
fn configuration(draw: &mut Draw, generation: u64, calm: bool) -> String {
    let servers = |all: &[&str], scheme: &str, draw: &mut Draw| {
        let count = draw.within(1, all.len() as u64) as usize;
        let quoted: Vec<String> = all[..count].iter().map(|server| format!("\"{scheme}://{server}\"")).collect();
        quoted.join(", ")
    };
    let balance = draw.pick(&["two_choices", "round_robin", "least_conn", "ip_hash"]);
    let hold = if draw.once_in(3) { ", hold = \"5s\"" } else { "" };
    // Who waits too long for one of few connections gets an error.
    let maximum = if !calm && draw.once_in(4) { ", max_connections = 2" } else { "" };
    let mut text = format!(
        r#"
[log]
format = "json"
[limits]
idle_per_server = {kept}
[[site]]
host = "{PLAIN_HOST}"
listen = "http://{HTTP}"
upstream = {{ servers = [{plain}], balance = "{balance}"{hold}{maximum} }}
[[site]]
host = "{SECURE_HOST}"
listen = "https://{HTTPS}"
tls = "internal"
upstream = {{ servers = [{secure}] }}
"#,
        kept = draw.pick(&[1, 2, 128]),
        plain = servers(&HTTP_SERVERS, "http", draw),
        secure = servers(&HTTP_SERVERS, "http", draw),
    );
    if generation == 1 || calm || !draw.once_in(3) {
        let servers = servers(&BYTE_SERVERS, "tcp", draw);
        text += &format!("[[stream]]\nlisten = \"tcp/{BYTES}\"\nupstream = {{ servers = [{servers}] }}\n");
    }
    text
}

/// A key that signs at a fixed length: with it a handshake is as long each time, although what is in it is never the same.
/// Made once for all scenes.
static PAIR: LazyLock<Arc<Pair>> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let params = rcgen::CertificateParams::new(vec![SECURE_HOST.to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    let pair = Pair::read("scene.pem", certificate.pem().as_bytes(), key.serialize_pem().as_bytes(), None);
    Arc::new(pair.expect("a pair"))
});

fn tls(config: &Config) -> Tls {
    let policy = Keyring::default().policy(ClientAuth::open(), 0, &Seed::random().expect("randomness"));
    let material = config.sites.iter().map(|site| {
        let is_secure = site.listeners.iter().any(|id| config.listeners[id.index()].protocol == Protocol::Https);
        is_secure.then(|| Material { pairs: vec![PAIR.clone()], policy: Some(policy.clone()) })
    });
    let material: Vec<_> = material.collect();
    Tls::build(config, &material, Default::default(), &cipher_order(true), false, 1_780_000_000).expect("TLS")
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
