//! A part of the memory, as those who serve hold it.

use super::context::Context;
use crate::shared::{Memory, Part};
use ringferry_runtime::net::{Counted, Owner};
use std::ops::Deref;
use std::rc::Rc;

/// A part of the memory, given back on the core that took it.
pub(super) type Work = Part<OfCore>;

/// The memory as a core has it: to hold it costs no atomic, unlike an `Arc` of all cores.
#[derive(Clone)]
pub(super) struct OfCore(Rc<Context>);

impl OfCore {
    pub(super) fn new(cx: &Rc<Context>) -> OfCore {
        OfCore(cx.clone())
    }
}

/// What was taken for an answer that is on its way, for who sends it to keep until it has left.
pub(super) fn counted(work: Work) -> Counted {
    let (OfCore(cx), bytes) = work.into_parts();
    Counted::new(cx, bytes)
}

impl Owner for Context {
    fn take_back(&self, amount: u64) {
        self.memory.give(amount);
    }
}

impl Deref for OfCore {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.0.memory
    }
}
