//! A descriptor and the core that it belongs to. Shared by the connection and its operations; closed by the last.

use crate::core::Handle;
use crate::kernel::RawDescriptor;
use crate::sys::hold::{Hold, Way};
use std::cell::Cell;

/// See the module.
pub(crate) struct Descriptor {
    raw: RawDescriptor,
    handle: Handle,
    /// The kernel makes records of what is sent.
    records: Cell<bool>,
    /// What the kernel was told to hold of what is sent, and of what is received.
    holds: Cell<[Option<Hold>; 2]>,
}

impl Descriptor {
    pub(crate) fn new(handle: &Handle, raw: RawDescriptor) -> Descriptor {
        Descriptor { raw, handle: handle.clone(), records: Cell::new(false), holds: Cell::default() }
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
