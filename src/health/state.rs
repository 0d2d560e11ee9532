//! The health of one server for the whole process, in one atomic word.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The health of one server, shared by all cores. A new server is up.
///
/// One word holds all of it, so a change is one compare-and-swap, and a success on a healthy server, which is nearly
/// every request, writes nothing. It guards no other data: relaxed ordering is enough.
#[derive(Debug, Default)]
pub struct State(AtomicU64);

/// When to eject and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Consecutive failures that eject; 0 never ejects.
    pub eject_after: u32,
    /// The first ejection; each failed probe doubles it.
    pub eject_for_ms: u64,
    /// The longest ejection.
    pub eject_max_ms: u64,
}

/// Whether a server takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// It is up.
    Yes,
    /// It was ejected, and this request is the probe. Its end must be told: [`State::success`], [`State::failure`] or
    /// [`State::probe_abandoned`].
    Probe,
    /// It is ejected, or another request is the probe.
    No,
}

/// The server has just been ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejected {
    /// For this long.
    pub for_ms: u64,
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It takes requests.
    Up {
        /// The last requests in a row that failed.
        failures: u64,
    },
    /// It takes none until this time, then a probe.
    Ejected {
        /// On the clock of the arguments.
        until_ms: u64,
        /// Ejections in a row before this one.
        earlier: u8,
    },
    /// A probe is on its way.
    Probing {
        /// When the probe is given up and another may go.
        until_ms: u64,
        /// Ejections in a row before the one that the probe may end.
        earlier: u8,
    },
}

impl State {
    /// Whether a request may be sent: the server is up, or due for a probe. Changes nothing; for choosing a server.
    pub fn is_up(&self, now_ms: u64) -> bool {
        now_ms >= self.down_until_ms()
    }

    /// When a server that is down may be probed; 0 for one that is up.
    pub fn down_until_ms(&self) -> u64 {
        match self.phase() {
            Phase::Up { .. } => 0,
            Phase::Ejected { until_ms, .. } | Phase::Probing { until_ms, .. } => until_ms,
        }
    }

    /// Asks for the server that was chosen. Of all who ask a server that is due for a probe, one gets it.
    pub fn admit(&self, now_ms: u64) -> Admit {
        let change = self.change(|phase| match phase {
            Phase::Ejected { until_ms, earlier } | Phase::Probing { until_ms, earlier } if now_ms >= until_ms => {
                Some(Phase::Probing { until_ms: now_ms.saturating_add(PROBE_MS_MAX), earlier })
            }
            _ => None,
        });
        match change {
            Ok(_) => Admit::Probe,
            Err(Phase::Up { .. }) => Admit::Yes,
            Err(_) => Admit::No,
        }
    }

    /// Asks for a server although it is down, since no other is up. The request is the probe, unless one is on its way.
    pub fn admit_early(&self, now_ms: u64) -> Admit {
        let change = self.change(|phase| match phase {
            Phase::Ejected { earlier, .. } => {
                Some(Phase::Probing { until_ms: now_ms.saturating_add(PROBE_MS_MAX), earlier })
            }
            _ => None,
        });
        if change.is_ok() { Admit::Probe } else { Admit::Yes }
    }

    /// A request succeeded. One that was sent before the ejection ends it only once its time is over.
    pub fn success(&self, now_ms: u64) {
        let _ = self.change(|phase| match phase {
            Phase::Up { failures: 0 } => None,
            Phase::Ejected { until_ms, .. } if now_ms < until_ms => None,
            _ => Some(Phase::Up { failures: 0 }),
        });
    }

    /// A request failed; the answer says if that ejects the server. Requests that were in flight when it was ejected
    /// fail in a crowd: they do not eject it again. A failure while a probe is on its way counts as the probe's.
    pub fn failure(&self, now_ms: u64, policy: &Policy) -> Option<Ejected> {
        let mut ejected = None;
        let _ = self.change(|phase| {
            // The closure runs again when another core was faster.
            ejected = None;
            let earlier = match phase {
                _ if policy.eject_after == 0 => return None,
                Phase::Up { failures } if failures + 1 < policy.eject_after.into() => {
                    return Some(Phase::Up { failures: failures + 1 });
                }
                Phase::Up { .. } => 0,
                Phase::Ejected { .. } => return None,
                Phase::Probing { earlier, .. } => earlier.saturating_add(1).min(EARLIER_MAX),
            };
            let for_ms = policy.eject_for_ms.saturating_mul(1 << earlier).min(policy.eject_max_ms);
            ejected = Some(Ejected { for_ms });
            Some(Phase::Ejected { until_ms: now_ms.saturating_add(for_ms), earlier })
        });
        ejected
    }

    /// The probe ended without telling anything about the server, by the client's leaving for example. The next
    /// request is the next probe.
    pub fn probe_abandoned(&self) {
        let _ = self.change(|phase| match phase {
            Phase::Probing { earlier, .. } => Some(Phase::Ejected { until_ms: 0, earlier }),
            _ => None,
        });
    }

    /// Where the server stands, for people to look at.
    pub fn phase(&self) -> Phase {
        unpack(self.0.load(Relaxed))
    }

    /// The phase before the change, or the one that `next` left as it is.
    fn change(&self, mut next: impl FnMut(Phase) -> Option<Phase>) -> Result<Phase, Phase> {
        self.0.fetch_update(Relaxed, Relaxed, |word| next(unpack(word)).map(pack)).map(unpack).map_err(unpack)
    }
}

/// From the top: 2 bits for the phase, 6 for the earlier ejections, 56 for the failures or the time (two million
/// years). A new server is all zeros.
fn pack(phase: Phase) -> u64 {
    let (tag, earlier, value) = match phase {
        Phase::Up { failures } => (UP, 0, failures),
        Phase::Ejected { until_ms, earlier } => (EJECTED, earlier, until_ms),
        Phase::Probing { until_ms, earlier } => (PROBING, earlier, until_ms),
    };
    debug_assert!(earlier <= EARLIER_MAX);
    tag << 62 | u64::from(earlier) << 56 | value.min(VALUE_MAX)
}

fn unpack(word: u64) -> Phase {
    let earlier = (word >> 56) as u8 & EARLIER_MAX;
    let value = word & VALUE_MAX;
    match word >> 62 {
        UP => Phase::Up { failures: value },
        EJECTED => Phase::Ejected { until_ms: value, earlier },
        _ => Phase::Probing { until_ms: value, earlier },
    }
}

/// A probe that nobody ended by then, through a fault of ours, keeps its server down no longer. A slower one may still
/// succeed; there are two probes for a while then.
const PROBE_MS_MAX: u64 = 30_000;
const EARLIER_MAX: u8 = (1 << 6) - 1;
const VALUE_MAX: u64 = (1 << 56) - 1;
const UP: u64 = 0;
const EJECTED: u64 = 1;
const PROBING: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    const POLICY: Policy = Policy { eject_after: 3, eject_for_ms: 10_000, eject_max_ms: 60_000 };

    /// Checks steps `time event → outcome`, one after the other, on a new server.
    #[track_caller]
    fn check(policy: &Policy, steps: &str) {
        let state = State::default();
        for line in steps.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (step, expect) = line.split_once(" → ").unwrap();
            let (time, event) = step.trim().split_once(' ').unwrap();
            let now = time.parse().unwrap();
            let outcome = match event.trim() {
                "up?" => state.is_up(now).to_string(),
                "admit" => format!("{:?}", state.admit(now)),
                "early" => format!("{:?}", state.admit_early(now)),
                "ok" => {
                    state.success(now);
                    "-".to_owned()
                }
                "fail" => state.failure(now, policy).map_or("-".to_owned(), |ejected| ejected.for_ms.to_string()),
                "abandon" => {
                    state.probe_abandoned();
                    "-".to_owned()
                }
                other => panic!("{other}"),
            };
            assert_eq!(outcome, expect, "{line}");
            assert_eq!(unpack(pack(state.phase())), state.phase());
        }
    }

    #[test]
    fn failures_in_a_row_eject() {
        check(
            &POLICY,
            "0   admit → Yes
             1   fail  → -
             2   fail  → -
             3   up?   → true
             3   ok    → -
             4   fail  → -
             5   fail  → -
             6   admit → Yes
             7   fail  → 10000
             8   up?   → false
             8   admit → No
             10006 admit → No
             10007 up?   → true",
        );
        check(&Policy { eject_after: 1, ..POLICY }, "5 fail → 10000");
        check(&Policy { eject_after: 0, ..POLICY }, "1 fail → -\n2 fail → -\n3 fail → -\n4 admit → Yes");
    }

    #[test]
    fn an_ejection_ends_with_one_probe_at_a_time() {
        check(
            &Policy { eject_after: 1, ..POLICY },
            "0     fail  → 10000
             10000 admit → Probe
             10001 up?   → false
             10001 admit → No
             10002 ok    → -
             10003 admit → Yes
             10003 admit → Yes
             10004 fail  → 10000",
        );
    }

    #[test]
    fn where_no_other_is_up_a_server_is_probed_before_its_time() {
        check(
            &Policy { eject_after: 1, ..POLICY },
            "0     early → Yes
             0     fail  → 10000
             1     early → Probe
             2     early → Yes
             2     admit → No
             3     fail  → 20000
             4     early → Probe
             5     ok    → -
             6     admit → Yes",
        );
    }

    #[test]
    fn a_failed_probe_doubles_the_ejection_up_to_the_longest() {
        check(
            &Policy { eject_after: 1, ..POLICY },
            "0      fail  → 10000
             10000  admit → Probe
             10000  fail  → 20000
             29999  admit → No
             30000  admit → Probe
             30000  fail  → 40000
             70000  admit → Probe
             70000  fail  → 60000
             130000 admit → Probe
             130000 fail  → 60000",
        );
        let state = State::default();
        let policy = Policy { eject_after: 1, eject_for_ms: 1, eject_max_ms: 100 };
        let mut now = 0;
        let mut last = state.failure(now, &policy);
        for _ in 0..200 {
            now += 100;
            assert_eq!(state.admit(now), Admit::Probe);
            last = state.failure(now, &policy);
        }
        assert_eq!(last, Some(Ejected { for_ms: 100 }));
    }

    #[test]
    fn requests_from_before_the_ejection_do_not_change_it() {
        check(
            &Policy { eject_after: 1, ..POLICY },
            "0     fail  → 10000
             1     fail  → -
             2     ok    → -
             9999  admit → No
             10000 fail  → -
             10001 admit → Probe",
        );
    }

    #[test]
    fn a_late_success_ends_an_ejection_whose_time_is_over() {
        check(&Policy { eject_after: 1, ..POLICY }, "0 fail → 10000\n10000 ok → -\n10000 admit → Yes");
    }

    #[test]
    fn an_abandoned_probe_makes_room_for_the_next() {
        check(
            &Policy { eject_after: 1, ..POLICY },
            "0      fail    → 10000
             10000  admit   → Probe
             10001  abandon → -
             10002  admit   → Probe
             10003  fail    → 20000
             10004  abandon → -
             10005  admit   → No",
        );
    }

    #[test]
    fn a_forgotten_probe_expires() {
        check(
            &Policy { eject_after: 1, ..POLICY },
            "0     fail  → 10000
             10000 admit → Probe
             39999 admit → No
             40000 up?   → true
             40000 admit → Probe
             40001 admit → No",
        );
    }

    #[test]
    fn of_two_cores_one_gets_the_probe() {
        let state = State::default();
        state.failure(0, &Policy { eject_after: 1, eject_for_ms: 0, eject_max_ms: 0 });
        let probes = AtomicU64::new(0);
        let ask = || {
            for _ in 0..100_000 {
                if state.admit(0) == Admit::Probe {
                    assert_eq!(probes.fetch_add(1, Relaxed), 0, "two probes at once");
                    probes.fetch_sub(1, Relaxed);
                    state.probe_abandoned();
                }
            }
        };
        on_two_cores(ask);
        assert_eq!(state.admit(0), Admit::Probe, "none was lost");
    }

    #[test]
    fn failures_on_all_cores_count_together() {
        let policy = Policy { eject_after: 100_000, eject_for_ms: 1, eject_max_ms: 1 };
        let state = State::default();
        let ejections = AtomicU64::new(0);
        on_two_cores(|| {
            let ejected = (0..50_000).filter(|_| state.failure(0, &policy).is_some()).count();
            ejections.fetch_add(ejected as u64, Relaxed);
        });
        assert_eq!(ejections.into_inner(), 1);
    }

    /// Does the work twice at the same time.
    fn on_two_cores(work: impl Fn() + Sync) {
        let start = Barrier::new(2);
        let run = || {
            start.wait();
            work();
        };
        std::thread::scope(|scope| {
            scope.spawn(run);
            run();
        });
    }
}
