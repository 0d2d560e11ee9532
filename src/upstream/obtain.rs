//! Obtaining a connection for an exchange: pick a server, reuse or dial, wait or hold where the pool says so.

use super::dial::dial;
use super::idle::Connection;
use super::pools::{PoolView, Pools, Server};
use super::tried::Tried;
use crate::balance::Servers;
use crate::health::{self, Admit};
use crate::model::Pool;
use crate::proto::error::{Cause, Error, Stage};
use crate::shared::{InUse, ServerCell, Waiters};
use crate::snapshot::SnapshotPool;
use ringferry_runtime::Handle;
use ringferry_runtime::time::{Alarm, Elapsed, Instant, Sleep};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A connection for one exchange, and the claim on its server.
pub struct Upstream {
    /// Which server of the pool.
    pub index: usize,
    /// The connection; boxed, since it moves from stock to exchange and back.
    pub connection: Box<Connection>,
    /// What the server is told about how it went.
    pub attempt: Attempt,
    /// It was kept from an earlier exchange: the server may be closing it at this moment.
    pub reused: bool,
    /// How long connecting took; `None` for a kept one.
    pub connect_time: Option<Duration>,
}

/// One try of a server. It counts as in use until dropped, and a probe that told nothing is given to the next.
pub struct Attempt {
    server: Server,
    is_probe: bool,
    /// The server was ejected, and no other was up.
    is_early: bool,
    handle: Handle,
    _in_use: InUse<Server>,
}

/// What obtaining needs to know.
pub struct Obtain<'a> {
    /// The core's servers.
    pub pools: &'a Pools,
    /// The pool as this core sees it,
    pub view: &'a PoolView,
    /// as configured,
    pub pool: &'a Pool,
    /// and as all cores share it.
    pub state: &'a SnapshotPool,
    /// The hash key of the request, for pools that balance by one.
    pub key: u64,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// The core.
    pub handle: &'a Handle,
}

/// How often a held request looks whether a server is up.
const HOLD_STEP: Duration = Duration::from_millis(100);

/// How long a request waits for a server that has its `max_connections`, where the pool has no `hold`.
const QUEUE_TIME: Duration = Duration::from_secs(5);

/// A server was picked that has no kept connection.
pub struct Picked(usize, Attempt);

impl Obtain<'_> {
    /// A kept connection to a server that `tried` does not name: what most requests find, without waiting. Else
    /// [`Obtain::upstream`] goes on with what this returns.
    pub fn kept(&self, tried: &mut Tried) -> Result<Upstream, Option<Picked>> {
        match self.pick(*tried) {
            Pick::Server(index, attempt) => self.reuse(index, attempt, tried).map_err(Some),
            Pick::Full | Pick::Nothing => Err(None),
        }
    }

    /// A connection to a server that `tried` does not name, or to `picked`; where there is none, the error of the last
    /// try. `held_until` is when a held request gives up; it is set when the wait begins and kept over further tries.
    pub async fn upstream(
        &self,
        mut picked: Option<Picked>,
        tried: &mut Tried,
        held_until: &mut Option<Instant>,
    ) -> Result<Upstream, Error> {
        let mut looking = None;
        loop {
            if let Some(Picked(index, attempt)) = picked.take() {
                match self.connect(index, attempt, !tried.wants_fresh()).await {
                    Ok(upstream) => return Ok(upstream),
                    // It is none of the server's doing, and another one needs a descriptor as well.
                    Err(error) if error.cause == Cause::NoDescriptor => return Err(error),
                    Err(error) => tried.failed(index, false, error),
                }
            }
            let (index, attempt) = match self.pick(*tried) {
                Pick::Server(index, attempt) => (index, attempt),
                Pick::Full => Box::pin(self.wait_for_place(*tried)).await?,
                Pick::Nothing if tried.forgive_stale() => continue,
                Pick::Nothing => match self.pick_ejected(*tried, looking.is_some()) {
                    Some(found) => found,
                    None => {
                        let error = tried.last_error();
                        let error = error.unwrap_or(Error::upstream(Stage::Connect, Cause::NoServer));
                        Box::pin(self.hold(held_until, &mut looking, error)).await?;
                        tried.begin_anew();
                        continue;
                    }
                },
            };
            match self.reuse(index, attempt, tried) {
                Ok(upstream) => return Ok(upstream),
                Err(none_kept) => picked = Some(none_kept),
            }
        }
    }

    /// A server for a flow of datagrams, which has no connection to wait for: one that `tried` does not name, at once or not
    /// at all. `tried` names it from now on.
    pub fn claim(&self, tried: &mut Tried) -> Option<(usize, Attempt)> {
        let (index, attempt) = match self.pick(*tried) {
            Pick::Server(index, attempt) => (index, attempt),
            Pick::Full => return None,
            Pick::Nothing => self.pick_ejected(*tried, true)?,
        };
        tried.add(index);
        attempt.server.requests.fetch_add(1, Relaxed);
        Some((index, attempt))
    }

    /// A server of the pool.
    pub fn server(&self, index: usize) -> &Server {
        &self.view.servers[index]
    }

    fn pick(&self, tried: Tried) -> Pick {
        let now_ms = self.handle.now().as_millis();
        let mut tried = tried;
        loop {
            let usable = Usable { obtain: self, tried, now_ms };
            let Some(index) = self.view.picker.borrow_mut().pick(&usable, self.key) else {
                return if usable.any_full() { Pick::Full } else { Pick::Nothing };
            };
            match self.admit(index, |health| health.admit(now_ms)) {
                Some(attempt) => return Pick::Server(index, attempt),
                // Another core was faster to probe it or to take its last place.
                None => tried.skip(index),
            }
        }
    }

    /// The server whose ejection ends first, before its time: a bad server is better than none. A pool that holds its
    /// requests has only the one that is looking do so.
    fn pick_ejected(&self, tried: Tried, is_looking: bool) -> Option<(usize, Attempt)> {
        if self.pool.hold.is_some() && !is_looking {
            return None;
        }
        let now_ms = self.handle.now().as_millis();
        let servers = &self.view.servers;
        let left = (0..servers.len()).filter(|&server| !tried.has(server));
        let index = left.min_by_key(|&server| servers[server].health.down_until_ms())?;
        let mut attempt = self.admit(index, |health| health.admit_early(now_ms))?;
        attempt.is_early = true;
        Some((index, attempt))
    }

    fn admit(&self, index: usize, ask: impl FnOnce(&health::State) -> Admit) -> Option<Attempt> {
        let server = &self.view.servers[index];
        let in_use = ServerCell::acquire(server.clone(), self.pool.servers[index].max_connections)?;
        let is_probe = match ask(&server.health) {
            Admit::Yes => false,
            Admit::Probe => true,
            Admit::No => return None,
        };
        let server = server.clone();
        Some(Attempt { server, is_probe, is_early: false, handle: self.handle.clone(), _in_use: in_use })
    }

    /// Begins a try, and takes a kept connection for it if there is one.
    fn reuse(&self, index: usize, attempt: Attempt, tried: &mut Tried) -> Result<Upstream, Picked> {
        tried.add(index);
        attempt.server.requests.fetch_add(1, Relaxed);
        match if tried.wants_fresh() { None } else { attempt.server.idle().take() } {
            Some(connection) => Ok(Upstream { index, connection, attempt, reused: true, connect_time: None }),
            None => Err(Picked(index, attempt)),
        }
    }

    /// A new connection. Where there is no descriptor for it, it waits for one, or for a kept connection if that `may_do`.
    async fn connect(&self, index: usize, mut attempt: Attempt, kept_may_do: bool) -> Result<Upstream, Error> {
        let began = self.handle.now();
        let mut dialled = dial(&attempt.server, &self.state.reach[index], self.connect_timeout, self.handle).await;
        while matches!(dialled, Err(Error { cause: Cause::NoDescriptor, .. })) {
            let left = (began + self.connect_timeout).since(self.handle.now());
            if left.is_zero() {
                return Err(Error::internal(Stage::Connect, Cause::NoDescriptor));
            }
            let has_given = self.pools.give_up();
            Box::pin(self.pools.room().descriptor(has_given)).await;
            let kept = if kept_may_do { attempt.server().idle().take() } else { None };
            if let Some(connection) = kept {
                return Ok(Upstream { index, connection, attempt, reused: true, connect_time: None });
            }
            dialled = dial(&attempt.server, &self.state.reach[index], left, self.handle).await;
        }
        match dialled {
            Ok(connection) => {
                // Others need not wait until this request is answered.
                if attempt.is_early {
                    attempt.succeeded();
                }
                if self.pool.hold.is_some() {
                    self.state.waiters.wake_all();
                }
                let connect_time = Some(self.handle.now().since(began));
                Ok(Upstream { index, connection, attempt, reused: false, connect_time })
            }
            Err(error) => {
                attempt.server.look_up_again();
                attempt.failed(error.label(), self.state);
                Err(error)
            }
        }
    }

    /// Waits until a server with `max_connections` has a place.
    async fn wait_for_place(&self, tried: Tried) -> Result<(usize, Attempt), Error> {
        let mut alarm = Alarm::new(self.handle);
        alarm.set(self.pool.hold.unwrap_or(QUEUE_TIME));
        let waiting = self.state.waiters.wait(self.pool.queue, || match self.pick(tried) {
            Pick::Server(index, attempt) => Some((index, attempt)),
            Pick::Full | Pick::Nothing => None,
        });
        match alarm.guard(std::pin::pin!(waiting)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) => Err(Error::upstream(Stage::Connect, Cause::QueueFull)),
            Err(Elapsed) => Err(Error::upstream(Stage::Connect, Cause::Overloaded)),
        }
    }

    /// No server is up: waits a moment where the pool holds requests, else gives `error`. One held request of a core
    /// looks again and again whether a server is back; the others wait to hear of it.
    async fn hold<'s>(
        &'s self,
        held_until: &mut Option<Instant>,
        looking: &mut Option<Looking<'s>>,
        error: Error,
    ) -> Result<(), Error> {
        let Some(hold) = self.pool.hold else { return Err(error) };
        let until = *held_until.get_or_insert(self.handle.now() + hold);
        if self.handle.now() >= until {
            return Err(error);
        }
        let waiters = &self.state.waiters;
        if looking.is_none() && !self.view.looking.replace(true) {
            *looking = Some(Looking { view: self.view, waiters });
        }
        if looking.is_some() {
            Sleep::new(self.handle, HOLD_STEP.min(until.since(self.handle.now()))).await;
            return Ok(());
        }
        let mut alarm = Alarm::new(self.handle);
        alarm.set_at(until);
        let calls = waiters.calls();
        let is_over = || waiters.calls() != calls || !self.view.looking.get();
        let heard = waiters.wait(self.pool.queue, || is_over().then_some(()));
        match alarm.guard(std::pin::pin!(heard)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::upstream(Stage::Connect, Cause::QueueFull)),
            Err(Elapsed) => Err(error),
        }
    }
}

enum Pick {
    Server(usize, Attempt),
    /// Servers are up, but each has its `max_connections`.
    Full,
    Nothing,
}

/// Marks the one held request that looks, until it is held no more; then another one does.
struct Looking<'a> {
    view: &'a PoolView,
    waiters: &'a Waiters,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.view.looking.set(false);
        self.waiters.wake_one();
    }
}

struct Usable<'a> {
    obtain: &'a Obtain<'a>,
    tried: Tried,
    now_ms: u64,
}

impl Usable<'_> {
    fn is_full(&self, server: usize) -> bool {
        let max = self.obtain.pool.servers[server].max_connections;
        max.is_some_and(|max| self.obtain.view.servers[server].in_use() >= max)
    }

    fn is_candidate(&self, server: usize) -> bool {
        !self.tried.has(server) && self.obtain.view.servers[server].health.is_up(self.now_ms)
    }

    fn any_full(&self) -> bool {
        (0..self.obtain.view.servers.len()).any(|server| self.is_candidate(server) && self.is_full(server))
    }
}

impl Servers for Usable<'_> {
    fn usable(&self, server: usize) -> bool {
        self.is_candidate(server) && !self.is_full(server)
    }

    fn in_flight(&self, server: usize) -> u32 {
        self.obtain.view.servers[server].in_use()
    }
}

impl Attempt {
    /// The server answered sensibly.
    pub fn succeeded(&mut self) {
        self.server.health.success(self.handle.now().as_millis());
        if std::mem::take(&mut self.is_probe) {
            // It is up again: held requests may try.
            self.server.waiters.wake_all();
        }
    }

    /// The server failed: not reached, broke off, or answered with a 5xx.
    pub fn failed(&mut self, cause: &'static str, state: &SnapshotPool) {
        self.failed_under(cause, &state.policy);
    }

    /// The same, for one that outlives the snapshot that it began with and keeps the policy alone.
    pub fn failed_under(&mut self, cause: &'static str, policy: &health::Policy) {
        let now_ms = self.handle.now().as_millis();
        self.server.failed(cause, now_ms);
        self.server.health.failure(now_ms, policy);
        self.is_probe = false;
    }

    /// Keeps the connection for a later exchange.
    pub fn keep(self, connection: Box<Connection>, pools: &Pools) {
        pools.keep(&self.server, connection);
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.is_probe {
            self.server.health.probe_abandoned();
        }
    }
}
