//! Room for others, where connections or descriptors run out on a core: which connections of clients are idle and can
//! end, descriptors in reserve, and who waits for any of that to change.
//!
//! It decides nothing about requests: who is idle is told by those who serve, and who needs room asks for it.

mod order;
mod reserve;

use crate::shared::CoreStats;
use order::{NONE, Order};
use reserve::Reserve;
use ringferry_runtime::Handle;
use ringferry_runtime::net::Stream;
use ringferry_runtime::time::Sleep;
use ringferry_runtime::{Either, race};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

/// What a core can give up. See the module.
pub struct Room {
    handle: Handle,
    stats: Arc<CoreStats>,
    idle: RefCell<Order<Stream>>,
    /// Told to end, and not gone yet.
    ending: Cell<u32>,
    reserve: RefCell<Reserve>,
    /// How often something has changed that others may wait for.
    changes: Cell<u64>,
    waiting: RefCell<Vec<Waker>>,
}

/// The place of an idle connection in the order, if it has one. It leaves when this is dropped.
pub struct IdlePlace<'r> {
    room: &'r Room,
    place: u32,
}

impl Room {
    /// The room of a core, with no reserve.
    pub fn new(handle: &Handle, stats: Arc<CoreStats>) -> Room {
        Room {
            handle: handle.clone(),
            stats,
            idle: RefCell::default(),
            ending: Cell::new(0),
            reserve: RefCell::default(),
            changes: Cell::new(0),
            waiting: RefCell::default(),
        }
    }

    /// Sets descriptors aside: half of those that connections may have, since those who are busy need as many for their
    /// servers, within reason.
    pub fn set_aside(&self, descriptors: u64) {
        *self.reserve.borrow_mut() = Reserve::new((descriptors / 2).clamp(1, RESERVE_MAX) as usize);
    }

    /// For a connection that may become idle.
    pub fn place(&self) -> IdlePlace<'_> {
        IdlePlace { room: self, place: NONE }
    }

    /// Connections of clients that are idle.
    pub fn idle(&self) -> u32 {
        self.idle.borrow().len()
    }

    /// Whether one was told to end that is not gone yet.
    pub fn is_ending(&self) -> bool {
        self.ending.get() > 0
    }

    /// Ends the connection of a client that has been idle for the longest. False where none is.
    pub fn end_oldest(&self) -> bool {
        // A statement of its own: the end of a connection must not find the order in use.
        let oldest = self.idle.borrow_mut().take_oldest();
        let Some(stream) = oldest else { return false };
        self.ending.set(self.ending.get() + 1);
        self.stats.idle_ended.add(1);
        // Whoever waits on it sees the end of what the client sends, behind anything that has come before: a request that
        // was on its way is served as the last one. An error means that the client is gone, which ends it as well.
        let _ = stream.shutdown(Shutdown::Read);
        true
    }

    /// Something has ended or become idle: those that wait look again.
    pub fn changed(&self) {
        self.changes.set(self.changes.get().wrapping_add(1));
        self.refill();
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.is_empty() {
            let woken = std::mem::take(&mut *waiting);
            drop(waiting);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// Wakes this one once, at the next change.
    pub fn wake_at_change(&self, waker: &Waker) {
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Waits until something has changed.
    pub async fn change(&self) {
        let seen = self.changes.get();
        poll_fn(|task| {
            if self.changes.get() != seen {
                return Poll::Ready(());
            }
            self.wake_at_change(task.waker());
            Poll::Pending
        })
        .await;
    }

    /// There was no descriptor left for somebody who is let in. Returns when it is worth trying again: at once where the
    /// reserve has one, else when something may have been closed. `has_given` tells whether something was given up.
    pub async fn descriptor(&self, has_given: bool) {
        if !self.reserve.borrow_mut().spend() {
            self.closed(has_given).await;
        }
    }

    /// There was no descriptor left for somebody who wants to come in. The reserve is spent only on what was given up,
    /// which is still being closed.
    ///
    /// Where nothing can be given up all that is here is busy, and newcomers wait. Accepting on the reserve just to close
    /// would spare them nothing: those in the backlog are connected, and served as descriptors become free; and a page
    /// that loads late is better than one that fails.
    pub async fn descriptor_for_newcomer(&self, has_given: bool) {
        if !has_given || !self.reserve.borrow_mut().spend() {
            self.closed(has_given).await;
        }
    }

    async fn closed(&self, has_given: bool) {
        if has_given || matches!(race(self.change(), Sleep::new(&self.handle, REST)).await, Either::Left(())) {
            Sleep::new(&self.handle, SETTLE).await;
        }
        self.refill();
    }

    /// Fills up the reserve, as far as there are descriptors for it.
    pub fn refill(&self) {
        self.reserve.borrow_mut().refill();
    }
}

/// Whether an error says that no descriptor was left, in this process or in the system.
pub fn is_shortage(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE))
}

impl IdlePlace<'_> {
    /// The connection is idle: it may be ended for others to come.
    pub fn take(&mut self, stream: &Stream) {
        if self.place == NONE {
            self.place = self.room.idle.borrow_mut().push(stream.clone());
            self.room.changed();
        }
    }
}

impl Drop for IdlePlace<'_> {
    fn drop(&mut self) {
        if self.place == NONE {
            return;
        }
        let was_idle = self.room.idle.borrow_mut().leave(self.place).is_some();
        if !was_idle {
            self.room.ending.set(self.room.ending.get() - 1);
        }
    }
}

/// Descriptors in reserve. So many requests are in progress at least, however many connections come at once: the kernel
/// accepts all that it has descriptors for before anybody here can say no.
const RESERVE_MAX: u64 = 64;

/// How long somebody waits for a change before he looks for himself: other cores and other processes close descriptors,
/// too, and do not tell.
pub const REST: Duration = Duration::from_millis(50);

/// A descriptor is closed by the kernel a turn or two after its connection has ended.
const SETTLE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use ringferry_runtime::net::{Listener, Mode};
    use ringferry_runtime::{Core, Group, Settings, bind_tcp, join};
    use std::pin::pin;
    use std::rc::Rc;

    fn run<F: Future<Output = ()> + 'static>(body: impl FnOnce(Rc<Room>, Handle) -> F) {
        let core = Core::new(&Settings::default()).expect("io_uring");
        let handle = core.handle();
        core.run(body(Rc::new(Room::new(&handle, Arc::default())), handle));
    }

    /// Both ends of a connection.
    async fn pair(handle: &Handle) -> (Stream, Stream) {
        let (address, sockets) = bind_tcp(([127, 0, 0, 1], 0).into(), false, 1).unwrap();
        let mut listener = Listener::new(handle, &sockets[0]).unwrap();
        let (accepted, connected) = join(pin!(listener.accept()), pin!(Stream::connect(handle, address))).await;
        (Stream::from_owned(handle, accepted.unwrap()), connected.unwrap())
    }

    #[test]
    fn the_oldest_idle_one_sees_the_end_and_leaves() {
        run(|room, handle| async move {
            let (first, _client) = pair(&handle).await;
            let (second, _other) = pair(&handle).await;
            let mut places = [room.place(), room.place(), room.place()];
            places[0].take(&first);
            places[1].take(&second);
            places[0].take(&first);
            assert_eq!((room.idle(), room.is_ending()), (2, false));
            assert!(room.end_oldest());
            assert_eq!((room.idle(), room.is_ending(), room.stats.idle_ended.value()), (1, true, 1));
            let end = first.receiver(Mode::Once(Group::Head)).recv().await;
            assert!(matches!(end, Ok(None)));
            drop(places);
            assert_eq!((room.idle(), room.is_ending(), room.end_oldest()), (0, false, false));
        });
    }

    #[test]
    fn bytes_that_have_come_are_seen_before_the_end() {
        run(|room, handle| async move {
            let (served, client) = pair(&handle).await;
            client.send_whole(b"GET".to_vec()).await.0.unwrap();
            served.readable().await.unwrap();
            let mut place = room.place();
            place.take(&served);
            assert!(room.end_oldest());
            let mut receiver = served.receiver(Mode::Once(Group::Head));
            assert_eq!(&*receiver.recv().await.unwrap().unwrap(), b"GET");
            assert!(matches!(receiver.recv().await, Ok(None)));
        });
    }

    #[test]
    fn the_reserve_is_for_those_inside_and_for_whom_something_was_given_up() {
        run(|room, _handle| async move {
            room.set_aside(4);
            // At once: nothing else is polled meanwhile.
            let at_once = async |future: std::pin::Pin<&mut dyn Future<Output = ()>>| {
                matches!(race(future, std::future::ready(())).await, Either::Left(()))
            };
            assert!(!at_once(pin!(room.descriptor_for_newcomer(false))).await);
            assert!(at_once(pin!(room.descriptor_for_newcomer(true))).await);
            assert!(at_once(pin!(room.descriptor(false))).await);
            let waiting = pin!(room.descriptor(false));
            join(waiting, async { room.changed() }).await;
            assert!(at_once(pin!(room.descriptor(false))).await, "it has been filled up");
        });
    }
}
