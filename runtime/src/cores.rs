//! One pinned thread for each core.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::io;
use std::thread::JoinHandle;

/// A thread that runs a core.
pub type CoreThread<T> = JoinHandle<T>;

/// The processors that this process may use, by number.
pub fn available_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return vec![0] };
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect()
}

/// Binds the calling thread to one processor.
pub fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// Runs `body` on a thread named `name` that is bound to `cpu`. Where binding is not allowed it runs unbound: slower,
/// not wrong.
pub fn spawn_pinned<T: Send + 'static>(
    name: String,
    cpu: usize,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<CoreThread<T>> {
    std::thread::Builder::new().name(name).spawn(move || {
        let _ = pin(cpu);
        body()
    })
}
