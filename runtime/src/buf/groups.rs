//! The three groups of a core's receive buffers together, as its kernel has them.

use super::{BufferRing, Group, GroupSettings, Ticket};
use crate::time::Instant;
use std::io;
use std::rc::Rc;
use std::task::Waker;

/// One ring of buffers for each [`Group`].
pub(crate) struct Groups([Rc<BufferRing>; 3]);

impl Groups {
    /// `settings` in the order of [`Group::ALL`]; `make` is how this kernel wants its rings.
    pub(crate) fn new(
        settings: [GroupSettings; 3],
        make: impl Fn(GroupSettings) -> io::Result<BufferRing>,
    ) -> io::Result<Groups> {
        let [head, body, datagram] = settings;
        Ok(Groups([Rc::new(make(head)?), Rc::new(make(body)?), Rc::new(make(datagram)?)]))
    }

    /// The ring of a group.
    pub(crate) fn of(&self, group: Group) -> &Rc<BufferRing> {
        &self.0[group as usize]
    }

    /// All, in the order of [`Group::ALL`].
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rc<BufferRing>> {
        self.0.iter()
    }

    /// Buffers of a group that are lent out, and how many there are.
    pub(crate) fn lent(&self, group: Group) -> (usize, usize) {
        (self.of(group).lent(), self.of(group).count())
    }

    /// A receive found no buffer: `waker` is woken when there is one.
    pub(crate) fn wait(&self, group: Group, waker: &Waker, now: Instant) -> Ticket {
        self.of(group).ran_out(now);
        self.of(group).wait(waker.clone())
    }
}
