//! Configurations, decided by the seed, and snapshots of them; what `app` does with files.

use crate::client::{PLAIN_HOST, SECURE_HOST};
use crate::draw::Draw;
use ringferry::config;
use ringferry::model::{Config, Protocol};
use ringferry::shared::Registry;
use ringferry::snapshot::{Bound, Material, Snapshot, Tls};
use ringferry::tls::{ClientAuth, Keyring, Pair, Seed, cipher_order};
use ringferry_runtime::sim::World;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

/// The addresses that the proxy listens on, in the order of its configuration.
pub(crate) const HTTP: &str = "10.0.0.1:80";
pub(crate) const HTTPS: &str = "10.0.0.1:443";
pub(crate) const BYTES: &str = "10.0.0.1:2222";
pub(crate) const DATAGRAMS: &str = "10.0.0.1:53";

/// The servers of HTTP, and those of bytes.
pub(crate) const HTTP_SERVERS: [&str; 3] = ["10.0.1.1:8000", "10.0.1.2:8000", "10.0.1.3:8000"];
/// And that of datagrams.
pub(crate) const DATAGRAM_SERVER: &str = "10.0.1.6:53";
pub(crate) const BYTE_SERVERS: [&str; 2] = ["10.0.1.4:7000", "10.0.1.5:7000"];

/// What outlives a snapshot.
pub(crate) struct Loader {
    world: World,
    cores: usize,
    /// Nothing may fail.
    calm: bool,
    generation: u64,
    next_key: u64,
    registry: Registry,
}

impl Loader {
    pub(crate) fn new(world: World, cores: usize, calm: bool) -> Loader {
        Loader { world, cores, calm, generation: 0, next_key: 0, registry: Registry::default() }
    }

    /// A snapshot of what `draw` decides, with those listeners of `current` that it has, too.
    pub(crate) fn load(&mut self, draw: &mut Draw, current: &[Arc<Bound>]) -> Arc<Snapshot> {
        self.generation += 1;
        let text = configuration(draw, self.generation, self.calm);
        let loaded = config::load(&text, "scene.toml");
        let Some(config) = loaded.config else {
            let problems: Vec<_> = loaded.problems.iter().map(|problem| problem.render("scene.toml", false)).collect();
            panic!("the configuration of a scene is wrong:\n{}\n{text}", problems.join("\n"));
        };
        let listeners = config.listeners.iter().map(|listener| {
            let kept = current.iter().find(|bound| bound.listener == *listener);
            kept.cloned().unwrap_or_else(|| {
                self.next_key += 1;
                let (address, sockets) = match listener.protocol {
                    Protocol::Udp => self.world.listen_udp(listener.address, self.cores),
                    Protocol::Http | Protocol::Https | Protocol::Tcp => self.world.listen(listener.address, self.cores),
                };
                Arc::new(Bound { key: self.next_key, listener: listener.clone(), address, sockets })
            })
        });
        let (listeners, tls) = (listeners.collect(), tls(&config));
        let (name, registry) = ("ringferry-sim".into(), &mut self.registry);
        let snapshot = Snapshot::new(self.generation, config, listeners, tls, name, registry);
        registry.sweep();
        Arc::new(snapshot)
    }
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
[[stream]]
listen = "udp/{DATAGRAMS}"
upstream = "udp://{DATAGRAM_SERVER}"
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
