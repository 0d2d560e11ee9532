//! Cores by number, so that a waker can find its own from any thread.

use crate::sys::Remote;
use std::sync::{Arc, Mutex};

/// Number of a core in this process, below [`CORES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CoreId(pub(super) u8);

/// Cores that may exist at once in a process; a waker has this many bits for them.
pub(crate) const CORES_MAX: usize = if cfg!(target_pointer_width = "64") { 256 } else { 32 };

/// A core's registration; the number is free again when it is dropped.
pub(crate) struct Registered {
    pub(crate) id: CoreId,
}

static CORES: Mutex<[Option<Arc<Remote>>; CORES_MAX]> = Mutex::new([const { None }; CORES_MAX]);

/// Gives a core a number. `None` when there are too many.
pub(crate) fn register(remote: Arc<Remote>) -> Option<Registered> {
    let mut cores = lock();
    let free = cores.iter().position(Option::is_none)?;
    cores[free] = Some(remote);
    Some(Registered { id: CoreId(free as u8) })
}

/// How other threads reach core `id`; `None` when it is gone.
pub(super) fn find(id: CoreId) -> Option<Arc<Remote>> {
    lock()[usize::from(id.0)].clone()
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock()[usize::from(self.id.0)] = None;
    }
}

fn lock() -> std::sync::MutexGuard<'static, [Option<Arc<Remote>>; CORES_MAX]> {
    CORES.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
