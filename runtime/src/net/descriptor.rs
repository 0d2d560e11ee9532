//! A descriptor and the core that it belongs to. Shared by the connection and its operations; closed by the last.

use crate::core::Handle;
use crate::kernel::RawDescriptor;
use std::cell::Cell;

/// See the module.
pub(crate) struct Descriptor {
    raw: RawDescriptor,
    handle: Handle,
    /// The kernel makes records of what is sent.
    records: Cell<bool>,
}

impl Descriptor {
    pub(crate) fn new(handle: &Handle, raw: RawDescriptor) -> Descriptor {
        Descriptor { raw, handle: handle.clone(), records: Cell::new(false) }
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

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.handle.close(self.raw);
    }
}
