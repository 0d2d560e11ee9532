//! A descriptor and the core that it belongs to. Shared by the connection and its operations; closed by the last.

use crate::core::Handle;
use crate::kernel::RawDescriptor;
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
    /// Kept as long as much of the latter may be held. Behind one pointer: most have none.
    ahead: Cell<Option<Box<Box<dyn Any>>>>,
}

impl Descriptor {
    pub(crate) fn new(handle: &Handle, raw: RawDescriptor) -> Descriptor {
        let (records, holds, ahead) = (Cell::new(false), Cell::default(), Cell::default());
        Descriptor { raw, handle: handle.clone(), records, holds, ahead }
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
