//! When a core gives memory back: once many of those who had some have left. It sees numbers of tasks; what is given
//! back, and how, is not its business.

use crate::time::Instant;
use std::time::Duration;

/// How the number of tasks rises and falls.
#[derive(Default)]
pub(super) struct Ebb {
    /// The most since memory was last given back.
    high: usize,
    /// When it is to be given back if they stay away.
    due: Option<Instant>,
}

/// So many tasks come and go without leaving much.
const FEW: usize = 32;
/// How long less than half of them have to stay away. Those who come again at once would want the memory again.
const STAY_AWAY: Duration = Duration::from_millis(500);

impl Ebb {
    /// Whether memory is to be given back now that there are `tasks`. Before each wait.
    pub(super) fn is_due(&mut self, tasks: usize, now: Instant) -> bool {
        self.high = self.high.max(tasks);
        if self.high <= FEW || tasks > self.high / 2 {
            self.due = None;
            return false;
        }
        if now < *self.due.get_or_insert(now + STAY_AWAY) {
            return false;
        }
        (self.high, self.due) = (tasks, None);
        true
    }

    /// How long a wait may last until it has to be asked again: for ever, if nothing is due.
    pub(super) fn wait_time(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of tasks by the millisecond, and when memory is given back.
    #[track_caller]
    fn check(course: &[(u64, usize)], given_back: &[u64]) {
        let mut ebb = Ebb::default();
        let start = Instant::default();
        let mut given = Vec::new();
        for (place, &(at, tasks)) in course.iter().enumerate() {
            let mut at = at;
            let until = course.get(place + 1).map_or(3_600_000, |next| next.0);
            // As a core that wakes up for nothing else.
            while at < until {
                let now = start + Duration::from_millis(at);
                if ebb.is_due(tasks, now) {
                    given.push(at);
                }
                let Some(wait) = ebb.wait_time(now) else { break };
                assert!(!wait.is_zero());
                at += wait.as_millis() as u64;
            }
        }
        assert_eq!(given, given_back);
    }

    #[test]
    fn memory_goes_back_once_most_have_left_for_good() {
        check(&[(0, 1000), (10, 10)], &[510]);
        check(&[(0, 1000), (10, 500)], &[510]);
        // Not while half of them are there, nor for a few.
        check(&[(0, 1000), (10, 501)], &[]);
        check(&[(0, 32), (10, 0)], &[]);
    }

    #[test]
    fn who_leave_bit_by_bit_bring_it_about_a_few_times() {
        check(&[(0, 1000), (10, 400), (100, 300), (600, 150), (2000, 149), (3000, 20)], &[510, 1100, 3500]);
    }

    #[test]
    fn while_they_come_and_go_it_stays() {
        check(&[(0, 100), (10, 0), (400, 90), (410, 0), (800, 51), (900, 0), (1300, 100)], &[]);
        check(&[(0, 100), (10, 0), (400, 90), (410, 0)], &[910]);
    }
}
