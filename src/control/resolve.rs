//! Keeps the addresses of named servers fresh, one small task for each name in use.
//!
//! The system's resolver is asked (getaddrinfo, on a thread that may block), because it alone knows `/etc/hosts`,
//! mDNS and what a container's DNS says. It tells no TTL, hence fixed times: every 30 s, and soon after a server did
//! not answer. A look-up that fails never takes away addresses that were good once.

use crate::log::LogQueue;
use crate::model::ServerAddress;
use crate::shared::{Resolution, ServerCell, ServerKey};
use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Addresses do not get older than this.
const REFRESH: Duration = Duration::from_secs(30);

/// The least time between two look-ups of a name, however often somebody asks.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Look-ups at the same time: each holds a thread, and a dead DNS server holds them all for many seconds.
const LOOK_UPS_MAX: usize = 8;

/// Addresses kept of one name.
const ADDRESSES_MAX: usize = 16;

/// The tasks; dropping it ends them.
pub(super) struct Resolver {
    look_up: LookUp,
    log: LogQueue,
    watched: HashMap<ServerKey, Weak<ServerCell>>,
    tasks: JoinSet<()>,
}

/// Finds the addresses of a host and port, or says why there are none.
type LookUp = Rc<dyn Fn(String, u16) -> Pin<Box<dyn Future<Output = Found>>>>;
type Found = Result<Vec<SocketAddr>, String>;

impl Resolver {
    /// Asks the system's resolver.
    pub(super) fn new(log: LogQueue) -> Resolver {
        Resolver::with(Rc::new(|host, port| Box::pin(ask_system(host, port))), log)
    }

    fn with(look_up: LookUp, log: LogQueue) -> Resolver {
        let look_up = at_most(LOOK_UPS_MAX, look_up);
        Resolver { look_up, log, watched: HashMap::new(), tasks: JoinSet::new() }
    }

    /// Resolves those of `servers` that have a name, now and from time to time as long as anyone uses them.
    pub(super) fn watch(&mut self, servers: &[Arc<ServerCell>]) {
        while self.tasks.try_join_next().is_some() {}
        self.watched.retain(|_, cell| cell.strong_count() > 0);
        for cell in servers {
            let ServerAddress::Name { host, port } = &cell.key.address else { continue };
            if self.watched.contains_key(&cell.key) {
                continue;
            }
            self.watched.insert(cell.key.clone(), Arc::downgrade(cell));
            let name = Name { host: host.clone(), port: *port, log: self.log.clone(), failures: 0 };
            self.tasks.spawn_local(name.keep_resolved(Arc::downgrade(cell), self.look_up.clone()));
        }
    }
}

/// One name and how it fares.
struct Name {
    host: String,
    port: u16,
    log: LogQueue,
    /// Look-ups that failed in a row.
    failures: u32,
}

impl Name {
    /// Runs until nobody uses the server any more.
    async fn keep_resolved(mut self, cell: Weak<ServerCell>, look_up: LookUp) {
        loop {
            let found = look_up(self.host.clone(), self.port).await;
            // Held for a moment only, so that a server without users can go.
            let Some(server) = cell.upgrade() else { return };
            let refresh = self.settle(&server, found);
            let wanted = server.look_up_wanted();
            drop(server);
            sleep(PAUSE_MIN).await;
            _ = timeout(refresh - PAUSE_MIN, wanted).await;
        }
    }

    /// Draws the consequences of a look-up; returns when the next is due at the latest.
    fn settle(&mut self, server: &ServerCell, found: Found) -> Duration {
        match found {
            Ok(addresses) => {
                self.accept(server, addresses);
                self.failures = 0;
                REFRESH
            }
            Err(why) => {
                if self.failures == 0 {
                    self.tell_failure(server, &why);
                }
                if let Resolution::Unresolved { .. } = **server.resolution() {
                    server.set_resolution(Resolution::Unresolved { why });
                }
                self.failures = self.failures.saturating_add(1);
                PAUSE_MIN.saturating_mul(1 << (self.failures - 1).min(5)).min(REFRESH)
            }
        }
    }

    fn accept(&self, server: &ServerCell, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(ADDRESSES_MAX);
        let before = match &**server.resolution() {
            Resolution::Addresses(before) => before.to_vec(),
            _ => Vec::new(),
        };
        // Some name servers turn the order at every answer; that alone is no change.
        if sorted(&before) != sorted(&addresses) {
            if !before.is_empty() || self.failures > 0 {
                self.log.note(&format!("{} is now at {}", server.name, list(&addresses)));
            }
            server.set_resolution(Resolution::Addresses(addresses.into()));
        } else if self.failures > 0 {
            self.log.note(&format!("{} resolves again, at the same address", server.name));
        }
    }

    fn tell_failure(&self, server: &ServerCell, why: &str) {
        let consequence = match &**server.resolution() {
            Resolution::Addresses(kept) => format!("{} is used as before", list(kept)),
            _ => "it is not used until it resolves".to_owned(),
        };
        self.log.note(&format!("pool {}: cannot resolve {}: {why}; {consequence}", server.key.pool, server.name));
    }
}

/// The same, but further look-ups wait while `max` are under way.
fn at_most(max: usize, look_up: LookUp) -> LookUp {
    let under_way = Rc::new(Semaphore::new(max));
    Rc::new(move |host, port| {
        let (under_way, look_up) = (under_way.clone(), look_up.clone());
        Box::pin(async move {
            let _permit = under_way.acquire().await.map_err(|closed| closed.to_string())?;
            look_up(host, port).await
        })
    })
}

async fn ask_system(host: String, port: u16) -> Found {
    match tokio::net::lookup_host((host, port)).await {
        Ok(addresses) => {
            Some(addresses.collect::<Vec<_>>()).filter(|found| !found.is_empty()).ok_or("no address".into())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn sorted(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().enumerate().fold(String::new(), |mut text, (i, address)| {
        _ = write!(text, "{}{address}", if i > 0 { ", " } else { "" });
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{self, Batch};
    use crate::model::Server;
    use crate::shared::Registry;
    use std::cell::RefCell;
    use tokio::sync::mpsc;
    use tokio::task::LocalSet;
    use tokio::time::Instant;

    /// A resolver whose answers are given, each `(seconds since the start, addresses or a reason)`: it takes the
    /// latest answer whose time has come. Time runs by itself while nothing else happens.
    struct World {
        server: Option<Arc<ServerCell>>,
        resolver: Resolver,
        asked: Rc<RefCell<Vec<u64>>>,
        notes: mpsc::Receiver<Batch>,
    }

    impl World {
        fn new(answers: &'static [(u64, Result<&'static str, &'static str>)]) -> World {
            let start = Instant::now();
            let asked = Rc::new(RefCell::new(Vec::new()));
            let seen = asked.clone();
            let (queue, notes) = log::queue();
            let look_up = move |_, port| -> Pin<Box<dyn Future<Output = Found>>> {
                let now = start.elapsed().as_secs();
                seen.borrow_mut().push(now);
                let (_, answer) = answers.iter().rfind(|(from, _)| *from <= now).unwrap();
                let found = answer
                    .map(|ips| ips.split(' ').map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).collect())
                    .map_err(str::to_owned);
                Box::pin(async { found })
            };
            let server = Registry::default()
                .server("pool", &Server::at(ServerAddress::Name { host: "app".to_owned(), port: 80 }));
            let mut resolver = Resolver::with(Rc::new(look_up), queue);
            resolver.watch(std::slice::from_ref(&server));
            World { server: Some(server), resolver, asked, notes }
        }

        /// Runs until `second`; returns where the name leads then.
        async fn at(&self, start: Instant, second: u64) -> String {
            tokio::time::sleep_until(start + Duration::from_millis(second * 1000 + 500)).await;
            match &**self.server.as_ref().unwrap().resolution() {
                Resolution::Addresses(addresses) => list(addresses),
                Resolution::Unresolved { why } => why.clone(),
                Resolution::Unix(_) => unreachable!("it has a name"),
            }
        }

        fn notes(&mut self) -> String {
            std::iter::from_fn(|| self.notes.try_recv().ok())
                .map(|batch| String::from_utf8(batch.text().to_vec()).unwrap())
                .collect()
        }
    }

    fn run(test: impl AsyncFnOnce(Instant)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        LocalSet::new().block_on(&runtime, async { test(Instant::now()).await });
    }

    #[test]
    fn addresses_are_refreshed_every_half_minute() {
        run(async |start| {
            let mut world =
                World::new(&[(0, Ok("10.0.0.1 10.0.0.2")), (20, Ok("10.0.0.2 10.0.0.1")), (50, Ok("10.0.0.3"))]);
            assert_eq!(world.at(start, 0).await, "10.0.0.1:80, 10.0.0.2:80");
            assert_eq!(world.at(start, 31).await, "10.0.0.1:80, 10.0.0.2:80", "the order alone is no change");
            assert_eq!(world.at(start, 61).await, "10.0.0.3:80");
            assert_eq!(*world.asked.borrow(), [0, 30, 60]);
            assert_eq!(world.notes(), "app:80 is now at 10.0.0.3:80\n");
        });
    }

    #[test]
    fn a_server_that_does_not_answer_is_looked_up_at_once_but_not_more_than_once_a_second() {
        run(async |start| {
            let world = World::new(&[(0, Ok("10.0.0.1")), (9, Ok("10.0.0.2"))]);
            world.at(start, 9).await;
            for _ in 0..100 {
                world.server.as_ref().unwrap().look_up_again();
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(world.at(start, 9).await, "10.0.0.2:80");
            world.at(start, 39).await;
            assert_eq!(*world.asked.borrow(), [0, 9, 10]);
        });
    }

    #[test]
    fn a_name_that_does_not_resolve_is_tried_less_and_less_often_and_told_once() {
        run(async |start| {
            let mut world = World::new(&[(0, Err("no such host")), (70, Ok("10.0.0.1"))]);
            assert_eq!(world.at(start, 69).await, "no such host");
            assert_eq!(*world.asked.borrow(), [0, 1, 3, 7, 15, 31, 61]);
            assert_eq!(world.at(start, 91).await, "10.0.0.1:80");
            assert_eq!(
                world.notes(),
                "pool pool: cannot resolve app:80: no such host; it is not used until it resolves\n\
                 app:80 is now at 10.0.0.1:80\n"
            );
        });
    }

    #[test]
    fn good_addresses_outlive_a_resolver_that_fails() {
        run(async |start| {
            let mut world = World::new(&[(0, Ok("10.0.0.1")), (10, Err("timed out")), (50, Ok("10.0.0.1"))]);
            assert_eq!(world.at(start, 45).await, "10.0.0.1:80");
            assert_eq!(world.at(start, 70).await, "10.0.0.1:80");
            assert_eq!(
                world.notes(),
                "pool pool: cannot resolve app:80: timed out; 10.0.0.1:80 is used as before\n\
                 app:80 resolves again, at the same address\n"
            );
        });
    }

    #[test]
    fn a_server_without_users_is_looked_up_no_more() {
        run(async |start| {
            let mut world = World::new(&[(0, Ok("10.0.0.1"))]);
            world.at(start, 0).await;
            let again = world.server.clone().unwrap();
            world.resolver.watch(&[again]);
            assert_eq!(world.resolver.tasks.len(), 1, "a reload does not watch a server twice");
            world.server = None;
            sleep(REFRESH * 3).await;
            world.resolver.watch(&[]);
            assert_eq!(world.resolver.tasks.len(), 0);
            assert_eq!(*world.asked.borrow(), [0, 30]);
        });
    }
}
