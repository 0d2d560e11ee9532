//! A part of the memory, as those who serve hold it.

use super::context::Context;
use crate::shared::{Memory, Part};
use std::ops::Deref;
use std::rc::Rc;

/// A part of the memory, given back on the core that took it.
pub(super) type Work = Part<OfCore>;

/// The memory as a core has it: to hold it costs no atomic, unlike an `Arc` of all cores.
pub(super) struct OfCore(Rc<Context>);

impl OfCore {
    pub(super) fn new(cx: &Rc<Context>) -> OfCore {
        OfCore(cx.clone())
    }
}

impl Deref for OfCore {
    type Target = Memory;

    fn deref(&self) -> &Memory {
        &self.0.memory
    }
}
