//! A descriptor and the core that it belongs to. Shared by the connection and its operations; closed by the last.

use crate::core::Handle;
use crate::kernel::{RawDescriptor, Token};
use crate::sys::hold::{Hold, Way};
use std::any::Any;
use std::cell::Cell;

/// See the module.
pub(crate) struct Descriptor {
    raw: RawDescriptor,
    handle: Handle,
    /// The kernel makes records of what is sent.
    records: Cell<bool>,
    /// What the kernel was told to hold of what is sent, and of what is received.
    holds: Cell<[Option<Hold>; 2]>,
    /// A posted send that is on its way, or has not gone whole and was not looked at.
    posted: Cell<Option<Token>>,
    /// Kept as long as much of the latter may be held. Behind one pointer: most have none.
    ahead: Cell<Option<Box<Box<dyn Any>>>>,
}

impl Descriptor {
    pub(crate) fn new(handle: &Handle, raw: RawDescriptor) -> Descriptor {
        let (records, holds, posted, ahead) = (Cell::new(false), Cell::default(), Cell::new(None), Cell::default());
        Descriptor { raw, handle: handle.clone(), records, holds, posted, ahead }
    }

    pub(crate) fn raw(&self) -> RawDescriptor {
        self.raw
    }

    pub(crate) fn has_records(&self) -> bool {
        self.records.get()
    }

    pub(super) fn set_has_records(&self) {
        self.records.set(true);
    }

    pub(crate) fn posted(&self) -> Option<Token> {
        self.posted.get()
    }

    pub(crate) fn set_posted(&self, token: Option<Token>) {
        self.posted.set(token);
    }

    /// Has the kernel hold so much. Costs no call where it does already.
    pub(super) fn hold(&self, way: Way, hold: Hold) {
        let mut holds = self.holds.get();
        if holds[way as usize].replace(hold) != Some(hold) {
            self.holds.set(holds);
            self.handle.kernel().hold(self.raw, way, hold);
        }
        if way == Way::Received {
            self.ahead.set(None);
        }
    }

    /// Has it hold so much of what is received, and keeps `counted` until it is told otherwise.
    pub(super) fn hold_counted(&self, hold: Hold, counted: Box<dyn Any>) {
        self.hold(Way::Received, hold);
        self.ahead.set(Some(Box::new(counted)));
    }

    /// What the kernel was told last.
    pub(super) fn held(&self, way: Way) -> Option<Hold> {
        self.holds.get()[way as usize]
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.handle.close(self.raw);
    }
}
