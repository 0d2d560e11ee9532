//! What threads share, from the standard library; or from loom, which tries every order in which they can meet:
//! `RUSTFLAGS="--cfg loom" cargo test -p ringferry-runtime --lib --release loom`.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Arc, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

/// Locks. What a panic has left behind is as good as before: nothing is half changed when something can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Tries every order, but for those with more than three changes of thread that nobody waits for: bugs need fewer, and all of
/// them would take hours.
#[cfg(all(test, loom))]
pub(crate) fn every_order(model: impl Fn() + Sync + Send + 'static) {
    let mut orders = loom::model::Builder::new();
    orders.preemption_bound = Some(3);
    orders.check(model);
}
