//! The kernel behind the seam that is plain data: operations in a simulated world.
//!
//! They mean what they mean on a ring: handed over by a wait, tried in their order, completed by themselves, cancelled or
//! not. Where the world's seed says so they are handed over late, done in part, completed late and in another order, or
//! fail. No operation has a form of which some kernels know nothing while the runtime has another way: so none is
//! ever missing here.

mod attempt;
mod calls;
mod named;

pub(super) use calls::no_records;

use super::{Completion, KernelSettings, Op, RawDescriptor, RingRestriction, Token};
use crate::buf::{BufferRing, Groups, Lent};
use crate::sim::{CoreNumber, Fault, Role, World};
use crate::sys::Remote;
use crate::time::Instant;
use attempt::Tried;
use named::{is_detached, kind};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// One core's part of a world.
pub(crate) struct Sim {
    world: World,
    core: CoreNumber,
    remote: Arc<Remote>,
    pub(super) groups: Groups,
    /// By [`Token::index`].
    operations: Vec<Option<Operation>>,
    /// Not handed over yet.
    submissions: VecDeque<Submission>,
    /// Not told yet.
    completed: VecDeque<Completion>,
    /// What the last wait brought.
    batch: VecDeque<Completion>,
    turn: u64,
    /// The completion queue is full until this turn.
    stalled_until: u64,
    /// How often in a row completions, and submissions, were late.
    stalls: u32,
    delays: u32,
    /// What had happened in the world before the last wait, and how many waits ago that changed.
    events_seen: u64,
    idle_waits: u32,
}

/// An operation that has not ended.
struct Operation {
    token: Token,
    op: Op,
    is_handed_over: bool,
    /// Bytes of a send that have gone.
    sent: usize,
    /// The version of its descriptor for which it could not go on.
    stuck_at: Option<u64>,
    /// It ends in this turn unless it completes by itself.
    cancelled_for: Option<u64>,
}

enum Submission {
    Operation(Token),
    Detached(Op),
}

/// Turns by which something is late.
const LATE_TURNS_MAX: u64 = 4;
/// How often in a row: a queue that is always full, whatever a core does, is that of no kernel.
const LATE_IN_A_ROW_MAX: u32 = 16;
/// A core that nobody drives, and whose tasks do nothing but wake themselves: after so many waits time passes all the
/// same,
const IDLE_WAITS_MAX: u32 = 64;
/// this much, if nothing else is to come.
const IDLE_TIME: Duration = Duration::from_millis(1);

impl Sim {
    pub(super) fn new(settings: &KernelSettings, world: &World, role: Role, remote: Arc<Remote>) -> io::Result<Sim> {
        Ok(Sim {
            world: world.clone(),
            core: world.settle_in(role),
            remote,
            groups: Groups::new(settings.groups, BufferRing::unpublished)?,
            operations: Vec::new(),
            submissions: VecDeque::new(),
            completed: VecDeque::new(),
            batch: VecDeque::new(),
            turn: 0,
            stalled_until: 0,
            stalls: 0,
            delays: 0,
            events_seen: 0,
            idle_waits: 0,
        })
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    pub(crate) fn core(&self) -> CoreNumber {
        self.core
    }

    pub(super) fn submit(&mut self, token: Token, op: Op) {
        let index = token.index as usize;
        if index >= self.operations.len() {
            self.operations.resize_with(index + 1, || None);
        }
        assert!(self.operations[index].is_none(), "operation index {index} is in use");
        let operation = Operation { token, op, is_handed_over: false, sent: 0, stuck_at: None, cancelled_for: None };
        self.operations[index] = Some(operation);
        self.submissions.push_back(Submission::Operation(token));
    }

    pub(super) fn submit_detached(&mut self, op: Op) {
        assert!(is_detached(&op), "a detached operation cannot hold memory");
        self.submissions.push_back(Submission::Detached(op));
    }

    pub(super) fn wake(&mut self, _remote: Arc<Remote>) {
        // It has been marked, and whoever drives the cores turns it.
    }

    /// Never sleeps. Where nobody drives the world, a wait that may take time lets it pass.
    pub(super) fn wait(&mut self, timeout: Option<Duration>, _now: Instant) {
        let may_wait = timeout != Some(Duration::ZERO);
        let until = timeout.map(|timeout| self.world.now() + timeout);
        loop {
            let fed = self.turn();
            if fed || !self.batch.is_empty() || self.has_work() || self.remote.doze().is_woken() {
                break;
            }
            if !may_wait {
                self.pass_while_idle();
                break;
            }
            let next = match (self.world.next_event(), until) {
                (Some(event), Some(until)) => event.min(until),
                (next, until) => next.or(until).unwrap_or_else(|| {
                    panic!("seed {}: a core waits, and nothing is ever going to happen", self.world.seed())
                }),
            };
            self.world.advance(next);
            if until.is_some_and(|until| next >= until) {
                self.turn();
                break;
            }
        }
    }

    pub(super) fn next(&mut self) -> Option<Completion> {
        let completion = self.batch.pop_front()?;
        let Token { index, .. } = completion.token;
        self.note("complete", index.into(), completion.result.into());
        Some(completion)
    }

    pub(super) fn unfinished(&self) -> usize {
        let detached = |submission: &&Submission| matches!(submission, Submission::Detached(_));
        self.operations.iter().flatten().count()
            + self.submissions.iter().filter(detached).count()
            + self.completed.len()
            + self.batch.len()
    }

    pub(super) fn messages(&self) -> u64 {
        0
    }

    /// There is no ring.
    pub(super) fn restriction(&self) -> &RingRestriction {
        &RingRestriction::Off
    }

    pub(super) fn enters(&self) -> u64 {
        self.turn
    }

    /// Operations whose end has not been told.
    pub(crate) fn running(&self) -> Vec<Token> {
        let told = self.completed.iter().chain(&self.batch).filter(|completion| !completion.more);
        let mut running: Vec<_> = told.map(|completion| completion.token).collect();
        running.extend(self.operations.iter().flatten().map(|operation| operation.token));
        running
    }

    /// Whether a turn would bring something although nothing happens meanwhile.
    pub(crate) fn has_work(&self) -> bool {
        !self.submissions.is_empty()
            || !self.completed.is_empty()
            || !self.batch.is_empty()
            || self.operations.iter().flatten().any(|operation| self.may_go_on(operation))
    }

    fn turn(&mut self) -> bool {
        self.turn += 1;
        // All of them are asked, although one is enough.
        let fed = self.groups.iter().filter(|group| group.feed()).count() > 0;
        self.hand_over();
        self.go_on();
        self.tell();
        fed
    }

    /// A task that wakes itself until something happens would wait forever, since here only waiting takes time.
    fn pass_while_idle(&mut self) {
        let events = self.world.events();
        if self.world.is_driven() || events != self.events_seen {
            self.events_seen = events;
            self.idle_waits = 0;
            return;
        }
        self.idle_waits += 1;
        if self.idle_waits > IDLE_WAITS_MAX {
            let now = self.world.now();
            self.world.advance(self.world.next_event().unwrap_or(now + IDLE_TIME).min(now + IDLE_TIME));
            self.events_seen = self.world.events();
        }
    }

    fn hand_over(&mut self) {
        let mut left = self.submissions.len();
        if left > 0 && is_late_again(&mut self.delays, || self.world.hits(Fault::SubmissionsLate, self.core)) {
            left = self.world.below(left as u64) as usize;
        }
        for _ in 0..left {
            let Some(submission) = self.submissions.pop_front() else { return };
            match submission {
                Submission::Operation(token) => {
                    if let Some(operation) = &mut self.operations[token.index as usize] {
                        operation.is_handed_over = true;
                        let (kind, fd) = (kind(&operation.op), operation.op.descriptor().unwrap_or(-1));
                        self.note(kind, token.index.into(), fd.into());
                        self.try_operation(token.index as usize);
                    }
                }
                Submission::Detached(Op::Close { fd }) => self.close(fd),
                Submission::Detached(Op::Cancel { target }) => self.cancel(target),
                Submission::Detached(Op::CancelAll) => {
                    let all: Vec<_> = self.operations.iter().flatten().map(|operation| operation.token).collect();
                    all.into_iter().for_each(|token| self.cancel(token));
                }
                Submission::Detached(_) => unreachable!("checked by `submit_detached`"),
            }
        }
    }

    fn cancel(&mut self, target: Token) {
        let late = self.world.hits(Fault::CancelLoses, self.core);
        let turns = if late { 1 + self.world.below(LATE_TURNS_MAX) } else { 0 };
        let place = self.operations.get_mut(target.index as usize).and_then(Option::as_mut);
        // One that has ended is not there to be cancelled.
        let Some(operation) = place.filter(|operation| operation.token == target) else { return };
        if operation.cancelled_for.is_none() {
            operation.cancelled_for = Some(self.turn + turns);
        }
        if turns == 0 {
            self.try_operation(target.index as usize);
        }
    }

    pub(super) fn close(&mut self, fd: RawDescriptor) {
        let holder = self.operations.iter().flatten().find(|operation| operation.op.descriptor() == Some(fd));
        assert!(
            holder.is_none(),
            "seed {}: descriptor {fd} is closed under an operation ({})",
            self.world.seed(),
            holder.map_or("", |operation| kind(&operation.op)),
        );
        self.world.close(fd);
    }

    /// Tries all that could not be done before.
    fn go_on(&mut self) {
        let mut order: Vec<usize> = (0..self.operations.len())
            .filter(|index| self.operations[*index].as_ref().is_some_and(|operation| self.may_go_on(operation)))
            .collect();
        if order.len() > 1 && self.world.hits(Fault::Shuffled, self.core) {
            self.world.shuffle(&mut order);
        }
        order.into_iter().for_each(|index| self.try_operation(index));
    }

    fn may_go_on(&self, operation: &Operation) -> bool {
        let Some(fd) = operation.op.descriptor().filter(|_| operation.is_handed_over) else { return false };
        operation.cancelled_for.is_some() || operation.stuck_at != Some(self.world.version(fd))
    }

    fn try_operation(&mut self, index: usize) {
        // Out of the table meanwhile: nothing of what it does comes back to it.
        let Some(mut operation) = self.operations[index].take() else { return };
        let fd = operation.op.descriptor();
        let is_due = operation.cancelled_for.is_some_and(|turn| turn <= self.turn);
        let tried = if is_due { Tried::Stuck } else { self.attempt(&mut operation) };
        match tried {
            Tried::Ended(result, lent) => self.end(operation, result, lent),
            Tried::Stuck if is_due => {
                // What has gone of a send has gone.
                let result = if operation.sent > 0 { operation.sent as i32 } else { -libc::ECANCELED };
                self.end(operation, result, None);
            }
            stuck => {
                operation.stuck_at = fd.filter(|_| matches!(stuck, Tried::Stuck)).map(|fd| self.world.version(fd));
                self.operations[index] = Some(operation);
            }
        }
    }

    fn end(&mut self, operation: Operation, result: i32, lent: Option<Lent>) {
        let held = operation.op.held();
        self.completed.push_back(Completion { token: operation.token, result, lent, more: false, held });
    }

    /// Moves what has completed to where it is read, in an order that the seed decides.
    fn tell(&mut self) {
        if self.turn < self.stalled_until {
            return;
        }
        if !self.completed.is_empty()
            && is_late_again(&mut self.stalls, || self.world.hits(Fault::CompletionsLate, self.core))
        {
            self.stalled_until = self.turn + 1 + self.world.below(LATE_TURNS_MAX);
            return;
        }
        if self.completed.len() > 1 && self.world.hits(Fault::Shuffled, self.core) {
            self.shuffle_completed();
        }
        self.batch.append(&mut self.completed);
    }

    /// Any order in which the completions of one operation stay in theirs.
    fn shuffle_completed(&mut self) {
        let mut order: Vec<u32> = self.completed.iter().map(|completion| completion.token.index).collect();
        self.world.shuffle(&mut order);
        let mut of: BTreeMap<u32, VecDeque<Completion>> = BTreeMap::new();
        for completion in self.completed.drain(..) {
            of.entry(completion.token.index).or_default().push_back(completion);
        }
        self.completed.extend(order.into_iter().filter_map(|index| of.get_mut(&index)?.pop_front()));
    }

    fn note(&self, what: &str, index: i64, number: i64) {
        self.world.note(what, [self.core.number(), index, number]);
    }
}

/// Whether something is late once more, if `hits` says so. It is on time when it was late too often.
fn is_late_again(in_a_row: &mut u32, hits: impl FnOnce() -> bool) -> bool {
    let is_late = *in_a_row < LATE_IN_A_ROW_MAX && hits();
    *in_a_row = if is_late { *in_a_row + 1 } else { 0 };
    is_late
}
