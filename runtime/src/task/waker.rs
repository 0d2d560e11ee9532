//! Wakers without a reference count: core, index and generation of the task, packed into the data pointer.

use super::queue::Turning;
use super::registry::{self, CoreId};
use std::task::{RawWaker, RawWakerVTable, Waker};

/// The waker of a task. Sound on any thread and at any time: it names the task, it does not point to it.
pub(crate) fn waker(core: CoreId, index: u32, generation: u32) -> Waker {
    let raw = RawWaker::new(std::ptr::without_provenance(pack(core, index, generation)), &VTABLE);
    // SAFETY: the functions of the vtable only read the packed word. They own nothing, so clone and drop have nothing to
    // do, and they may be called on any thread.
    unsafe { Waker::from_raw(raw) }
}

/// Whether a generation that was packed is the given one.
pub(super) fn same_generation(whole: u32, packed: u32) -> bool {
    (whole ^ packed) & GENERATION_MASK == 0
}

const VTABLE: RawWakerVTable = RawWakerVTable::new(
    |data| RawWaker::new(data, &VTABLE),
    |data| wake(data.addr()),
    |data| wake(data.addr()),
    |_| (),
);

fn wake(packed: usize) {
    let (core, index, generation) = unpack(packed);
    if !Turning::wake_local(core, index, generation)
        && let Some(remote) = registry::find(core)
        && remote.doze().wake_task(index, generation)
    {
        Turning::wake_remote(remote);
    }
}

/// Bits for the task's index: 16 million tasks of a core, or 128 thousand where pointers have 32 bits.
const INDEX_BITS: u32 = if cfg!(target_pointer_width = "64") { 24 } else { 17 };
const CORE_BITS: u32 = if cfg!(target_pointer_width = "64") { 8 } else { 5 };
const GENERATION_BITS: u32 = usize::BITS - INDEX_BITS - CORE_BITS;
const GENERATION_MASK: u32 = ((1u64 << GENERATION_BITS) - 1) as u32;

/// Tasks that a core may have.
pub(super) const TASKS_MAX: usize = 1 << INDEX_BITS;

fn pack(core: CoreId, index: u32, generation: u32) -> usize {
    debug_assert!((index as usize) < TASKS_MAX);
    usize::from(core.0)
        | (index as usize) << CORE_BITS
        | ((generation & GENERATION_MASK) as usize) << (CORE_BITS + INDEX_BITS)
}

fn unpack(packed: usize) -> (CoreId, u32, u32) {
    let core = CoreId((packed & ((1 << CORE_BITS) - 1)) as u8);
    let index = (packed >> CORE_BITS) & (TASKS_MAX - 1);
    (core, index as u32, (packed >> (CORE_BITS + INDEX_BITS)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        for (core, index, generation) in [(0, 0, 0), (31, 70_000, 1), (7, (TASKS_MAX - 1) as u32, GENERATION_MASK)] {
            assert_eq!(unpack(pack(CoreId(core), index, generation)), (CoreId(core), index, generation));
        }
    }

    #[test]
    fn a_waker_that_outlives_its_core_wakes_nobody() {
        waker(CoreId(31), 5, 5).wake();
    }
}
