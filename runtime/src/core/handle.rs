//! What tasks ask of their core, and what operations do.

use super::{Handle, PIPES_IDLE_MAX};
use crate::buf::{Group, Ticket};
use crate::driver::{Kind, Slots, Stats};
use crate::kernel::{Completion, Kernel, Op, PipeEnds, RawDescriptor, Token};
use crate::net::{Counted, Descriptor};
use crate::task::{self, JoinHandle, Recycled};
use crate::time::{Instant, Key};
use std::cell::RefMut;
use std::future::Future;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

impl Handle {
    /// Starts a task. It ends with the core at the latest. When it panics, it alone ends.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        // Beyond 16 million tasks, and when the core has ended, the new one is dropped, which closes its connection.
        if self.0.closed.get() {
            return;
        }
        let inserted = self.0.tasks.borrow_mut().insert(Box::pin(future));
        if let Ok(index) = inserted {
            self.0.queue.open(index);
        }
    }

    /// Starts a task whose end can be waited for.
    pub fn spawn_joinable<F: Future + 'static>(&self, future: F) -> JoinHandle<F::Output> {
        let (task, handle) = task::joinable(future);
        self.spawn(task);
        handle
    }

    /// Wakes every task: something that all of them look at has changed.
    pub fn wake_all(&self) {
        self.0.queue.wake_all();
    }

    /// The time of this turn.
    pub fn now(&self) -> Instant {
        self.0.now.get()
    }

    /// The time at this very moment, for durations within a turn.
    pub fn clock(&self) -> Instant {
        self.0.kernel.borrow().now()
    }

    /// Time since 1970.
    pub fn wall(&self) -> Duration {
        self.0.kernel.borrow().wall()
    }

    /// Random bits for seeds and identifiers; not for keys.
    pub fn random(&self) -> u64 {
        self.0.kernel.borrow_mut().random()
    }

    /// An empty vector from the core's stock.
    pub fn take_bytes(&self) -> Vec<u8> {
        self.0.pool.take()
    }

    /// An empty vector from the core's stock, with room for `capacity` bytes.
    pub fn take_bytes_for(&self, capacity: usize) -> Vec<u8> {
        self.0.pool.take_for(capacity)
    }

    /// Gives a vector back to the stock.
    pub fn give_bytes(&self, bytes: Vec<u8>) {
        self.0.pool.give_back(bytes);
    }

    /// Boxes a value that ends soon, like many of its kind before and after it: their memory is kept for the next one.
    pub fn recycle<T>(&self, value: T) -> Recycled<T> {
        self.recycle_with(|| value)
    }

    /// The same for a value that is made where it will be.
    #[inline]
    pub fn recycle_with<T>(&self, make: impl FnOnce() -> T) -> Recycled<T> {
        self.0.shelf.place(make)
    }

    /// What the core has done and holds.
    pub fn stats(&self) -> Stats {
        let (kernel, counts) = (self.0.kernel.borrow(), &self.0.counts);
        Stats {
            turns: counts.turns.get(),
            completions: counts.completions.get(),
            polls: counts.polls.get(),
            panics: counts.panics.get(),
            enters: kernel.enters(),
            messages: kernel.messages(),
            tasks: self.0.tasks.borrow().len(),
            operations: self.0.slots.borrow().len(),
            timers: self.0.wheel.borrow().len(),
            head_buffers_lent: kernel.lent(Group::Head).0,
            body_buffers_lent: kernel.lent(Group::Body).0,
            datagram_buffers_lent: kernel.lent(Group::Datagram).0,
        }
    }

    /// Who is told the message of a task's panic.
    pub fn on_panic(&self, report: impl Fn(&str) + 'static) {
        *self.0.on_panic.borrow_mut() = Some(Rc::new(report));
    }

    // For operations.

    pub(crate) fn submit(&self, kind: Kind, descriptor: &Rc<Descriptor>, op: Op) -> Token {
        let token = self.slots().open(kind, descriptor.clone());
        self.submit_as(token, op);
        token
    }

    /// A send that nobody need wait for. `counted` is dropped when it ends.
    pub(crate) fn post(&self, descriptor: &Rc<Descriptor>, op: Op, counted: Option<Counted>) -> Token {
        let token = self.slots().open_posted(descriptor.clone(), counted);
        self.submit_as(token, op);
        token
    }

    fn submit_as(&self, token: Token, op: Op) {
        if !self.0.closed.get() {
            return self.kernel().submit(token, op);
        }
        let result = -libc::ESHUTDOWN;
        self.slots().complete(Completion { token, result, lent: None, more: false, held: op.held() });
    }

    pub(crate) fn slots(&self) -> RefMut<'_, Slots> {
        self.0.slots.borrow_mut()
    }

    pub(crate) fn kernel(&self) -> RefMut<'_, Kernel> {
        self.0.kernel.borrow_mut()
    }

    /// Ends a multishot operation; what it has brought can still be read.
    pub(crate) fn cancel(&self, token: Token) {
        self.kernel().submit_detached(Op::Cancel { target: token });
    }

    /// Nobody waits for an operation any more.
    pub(crate) fn abandon(&self, token: Token) {
        let (cancel, close, _counted) = self.slots().abandon(token);
        if cancel {
            self.cancel(token);
        }
        for fd in close {
            self.kernel().close(fd);
        }
    }

    pub(crate) fn close(&self, fd: RawDescriptor) {
        let mut kernel = self.0.kernel.borrow_mut();
        if self.0.closed.get() { kernel.close(fd) } else { kernel.submit_detached(Op::Close { fd }) }
    }

    pub(crate) fn take_pipe(&self) -> Option<PipeEnds> {
        let mut pipes = self.0.pipes.borrow_mut();
        if pipes.in_use >= pipes.max {
            return None;
        }
        let ends = pipes.idle.pop().or_else(|| self.kernel().pipe().ok())?;
        pipes.in_use += 1;
        Some(ends)
    }

    /// A pipe is in use no more; it comes back empty, or is gone.
    pub(crate) fn give_pipe(&self, ends: PipeEnds, is_empty: bool) {
        let mut pipes = self.0.pipes.borrow_mut();
        pipes.in_use -= 1;
        if is_empty && pipes.idle.len() < PIPES_IDLE_MAX {
            pipes.idle.push(ends);
        }
    }

    pub(crate) fn set_timer(&self, deadline: Instant, waker: Waker) -> Key {
        self.0.wheel.borrow_mut().insert(deadline, waker)
    }

    pub(crate) fn rewake_timer(&self, key: Key, deadline: Instant, waker: &Waker) -> bool {
        self.0.wheel.borrow_mut().rewake(key, deadline, waker)
    }

    pub(crate) fn cancel_timer(&self, key: Key) {
        self.0.wheel.borrow_mut().cancel(key);
    }

    pub(crate) fn wait_for_buffer(&self, group: Group, waker: &Waker) -> Ticket {
        self.kernel().wait_for_buffer(group, waker, self.now())
    }

    pub(crate) fn still_waits_for_buffer(&self, group: Group, ticket: Ticket, waker: &Waker) -> bool {
        self.kernel().still_waits_for_buffer(group, ticket, waker)
    }

    pub(crate) fn stop_waiting_for_buffer(&self, group: Group, ticket: Ticket) {
        self.kernel().stop_waiting_for_buffer(group, ticket);
    }
}
