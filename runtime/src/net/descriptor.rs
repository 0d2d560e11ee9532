//! A descriptor and the core that it belongs to. Shared by the connection and its operations; closed by the last.

use crate::core::Handle;
use crate::kernel::RawDescriptor;

/// See the module.
pub(crate) struct Descriptor {
    raw: RawDescriptor,
    handle: Handle,
}

impl Descriptor {
    pub(crate) fn new(handle: &Handle, raw: RawDescriptor) -> Descriptor {
        Descriptor { raw, handle: handle.clone() }
    }

    pub(crate) fn raw(&self) -> RawDescriptor {
        self.raw
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
