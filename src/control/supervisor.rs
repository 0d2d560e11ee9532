//! What the supervisor of this process, systemd or one that speaks as it does, is told (sd_notify(3)): that it serves,
//! reloads, ends, and that all its cores are alive.

use sd_notify::NotifyState;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Whoever has started us, if it wants to know.
pub(super) struct Supervisor {
    tell: Tell,
    watchdog: Option<Watchdog>,
}

/// Passes states on.
type Tell = Box<dyn Fn(&[NotifyState<'_>])>;

/// It ends us, and starts another, unless it hears in time that all cores are alive.
struct Watchdog {
    beat: Interval,
    /// Which cores have answered since they were asked last.
    answered: Vec<bool>,
}

impl Supervisor {
    /// The one that the environment names; without one there is nobody to tell.
    pub(super) fn of_environment(cores: usize) -> Supervisor {
        // One that has gone is none of our concern.
        let tell = |states: &[NotifyState<'_>]| drop(sd_notify::notify(states));
        Supervisor::new(Box::new(tell), sd_notify::watchdog_enabled(), cores)
    }

    /// One that wants to hear of all cores once within `within`.
    pub(super) fn new(tell: Tell, within: Option<Duration>, cores: usize) -> Supervisor {
        let watchdog = within.map(|within| {
            // Twice as often as is asked for, as sd_watchdog_enabled(3) recommends.
            let mut beat = interval((within / 2).max(BEAT_MIN));
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            Watchdog { beat, answered: vec![true; cores] }
        });
        Supervisor { tell, watchdog }
    }

    /// It serves, now or again.
    pub(super) fn ready(&self, what: &str) {
        (self.tell)(&[NotifyState::Ready, NotifyState::Status(what)]);
    }

    /// It is about to take a configuration over; [`Supervisor::ready`] follows.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => (self.tell)(&[NotifyState::Reloading, now]),
            Err(_) => (self.tell)(&[NotifyState::Reloading]),
        }
    }

    /// It will end.
    pub(super) fn stopping(&self, why: &str) {
        (self.tell)(&[NotifyState::Stopping, NotifyState::Status(why)]);
    }

    /// Another process has taken over, and tells from here on how it is.
    pub(super) fn succeeded_by(&mut self, pid: u32) {
        (self.tell)(&[NotifyState::MainPid(pid)]);
        self.tell = Box::new(|_| ());
        self.watchdog = None;
    }

    /// Returns when cores are to be asked whether they are alive.
    pub(super) async fn beat(&mut self) {
        match &mut self.watchdog {
            Some(watchdog) => drop(watchdog.beat.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Tells that all cores have answered, if they have; from here on they have to answer again.
    pub(super) fn tell_if_alive(&mut self) {
        if let Some(watchdog) = &mut self.watchdog {
            if !watchdog.answered.contains(&false) {
                (self.tell)(&[NotifyState::Watchdog]);
            }
            watchdog.answered.fill(false);
        }
    }

    /// A core has answered.
    pub(super) fn answered(&mut self, core: usize) {
        if let Some(answered) = self.watchdog.as_mut().and_then(|watchdog| watchdog.answered.get_mut(core)) {
            *answered = true;
        }
    }
}

/// Nobody needs to hear it more often.
const BEAT_MIN: Duration = Duration::from_millis(20);
