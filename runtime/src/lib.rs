//! One io_uring (or epoll in its place) and one run loop per core: the runtime of the data plane.
//!
//! It knows no protocol. A [`Core`] is one event loop; [`Handle`] is how everything on it reaches the kernel, the clock
//! and the other tasks. A core is not bound to a thread by any thread-local state of its own, so several can be turned
//! in one thread; only a note of *which core is turning right now* is kept per thread, for wakers.
//!
//! From the kernel up: `sys` (system calls) < `buf` (memory that the kernel may hold) < `kernel` (the seam: what an
//! operation is) < `driver` (its life) < `op` (one file per operation) < `net`, `io`; beside them `time` and `task`;
//! `core` joins them, `cores` and `mailbox` connect several.
#![deny(unsafe_code)]

mod buf;
mod core;
mod cores;
mod driver;
mod kernel;
pub mod mailbox;
pub mod net;
mod op;
pub mod plant;
pub mod probe;
#[cfg(feature = "sim")]
pub mod sim;
mod sync;
mod sys;
mod task;
pub mod time;

pub use crate::buf::{Chunk, Group, Lent};
pub use crate::core::{Core, Handle, Settings};
pub use crate::cores::{CoreThread, available_cpus, pin, spawn_pinned};
pub use crate::driver::Stats;
pub use crate::kernel::{KernelChoice, KernelError, KernelKind, RingFeatures, RingRestriction, Socket};
pub use crate::sys::listener::{Adopted, BindError, adopt, bind_tcp, bind_udp, is_taken, is_taken_udp};
pub use crate::sys::passed::{left_open, receive_with_descriptors, send_with_descriptors};
pub use crate::task::{Either, JoinHandle, Recycled, join, race};

/// Lets the allocator give memory that has been freed back to the system. Cores do so by themselves; for a thread that is
/// none, and has just let go of much.
pub fn release_heap() {
    sys::release_heap();
}

/// Random bits for identifiers; not for keys.
pub fn random() -> u64 {
    sys::clock::random_u64()
}
