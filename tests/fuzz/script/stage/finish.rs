//! The end of a script: all comes to rest, is let go of, and then nothing may be left.

use super::super::datagrams::Datagrams;
use super::super::end::{self, End};
use super::{Ringing, Stage, may_be_cut, poll_alarm};
use ringferry_runtime::sim::{Faults, World};

/// After so many rounds all must have come to rest.
const ROUNDS_MAX: usize = 100_000;

impl Stage {
    /// Ends all, and says what it came to.
    pub(in super::super) fn end(mut self) -> u64 {
        self.world.faults_off();
        if self.settles {
            self.settle();
        }
        let Stage { world, mut cores, handles, hand, .. } = self.let_go();
        drop(hand);
        if cores.iter().all(Option::is_some) {
            world.cut_short(cores.iter_mut().filter_map(Option::take).collect());
        }
        drop(cores);
        for handle in &handles {
            let stats = handle.stats();
            let lent = stats.head_buffers_lent + stats.body_buffers_lent + stats.datagram_buffers_lent;
            assert_eq!((stats.tasks, stats.operations, stats.timers, lent), (0, 0, 0, 0), "left behind");
            assert_eq!(stats.panics, 0, "tasks have panicked");
        }
        drop(handles);
        world.cut_short(Vec::new());
        world.trace_hash()
    }

    /// Lets go of all but the cores, before or after they end.
    fn let_go(mut self) -> Stage {
        if self.cores_end_first {
            (0..3).for_each(|core| self.end_core(core));
        }
        self.hand.empty();
        self.sockets = [None, None];
        self.senders.clear();
        self.arrived.borrow_mut().clear();
        let empty = Datagrams::new(&World::new(0, Faults::none()));
        drop(std::mem::replace(&mut self.datagrams, empty));
        self.listening.clear();
        self.connecting.clear();
        self.closing.clear();
        self.ends.clear();
        self.pipes.clear();
        self.alarms.clear();
        self.recycled.clear();
        self
    }

    /// Without faults everybody goes on for as long as there is anything to go on with. Then nobody may have missed
    /// anything.
    fn settle(&mut self) {
        self.hand.empty();
        self.pipes.clear();
        for end in &mut self.ends {
            end.set_mode(end::mode(0));
        }
        let mut rounds = 0;
        loop {
            let did = self.go_on();
            // The last turn may have woken somebody.
            if !self.turn(1) && !did && !self.go_on() {
                break;
            }
            rounds += 1;
            assert!(rounds < ROUNDS_MAX, "no rest");
        }
        self.ends.iter_mut().for_each(End::expect_all);
        self.datagrams.expect_all();
        let missed = |ringing: &Ringing| ringing.deadline.is_some() && self.cores[ringing.core].is_some();
        assert!(!self.alarms.iter().any(missed), "an alarm that has not rung");
    }

    /// Goes on with what may go on; whether anything did, or has been asked for.
    fn go_on(&mut self) -> bool {
        let mut did = false;
        for place in (0..self.connecting.len()).rev() {
            if self.connecting[place].connected.is_due() {
                self.go_on_connecting(place);
                did = true;
            }
        }
        for place in (0..self.listening.len()).rev() {
            if self.listening[place].accepting.is_due() {
                self.go_on_accepting(place);
                did = true;
            }
        }
        did |= self.closing.iter().any(|closing| closing.closed.is_due());
        while self.go_on_closing() {}
        did |= !self.arrived.borrow().is_empty();
        self.fetch_arrived();
        let is_cut = may_be_cut(&self.world);
        for end in &mut self.ends {
            did |= end.go_on(&mut self.hand, is_cut);
        }
        did |= self.datagrams.go_on();
        for ringing in self.alarms.iter_mut().filter(|ringing| ringing.rings.is_due()) {
            poll_alarm(ringing, &self.handles);
            did = true;
        }
        did
    }
}
