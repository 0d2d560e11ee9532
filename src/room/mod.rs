//! Room for others, where connections or descriptors run out on a core: which connections of clients are idle and can
//! end, descriptors in reserve, and who waits for any of that to change.
//!
//! It decides nothing about requests: who is idle is told by those who serve, and who needs room asks for it.

mod reserve;

use crate::model::{NONE, Order};
use crate::shared::CoreStats;
use reserve::Reserve;
use ringferry_runtime::Handle;
use ringferry_runtime::net::Stream;
use ringferry_runtime::time::{Instant, Sleep};
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
    /// Those that wait for their next request.
    kept: RefCell<Order<Stream>>,
    /// Those that have not said a word, and since when.
    silent: RefCell<Order<(Stream, Instant)>>,
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
    is_silent: bool,
}

impl Room {
    /// The room of a core, with no reserve.
    pub fn new(handle: &Handle, stats: Arc<CoreStats>) -> Room {
        Room {
            handle: handle.clone(),
            stats,
            kept: RefCell::default(),
            silent: RefCell::default(),
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

    /// For a connection that may become idle; `is_silent` is one that has not said a word yet.
    pub fn place(&self, is_silent: bool) -> IdlePlace<'_> {
        IdlePlace { room: self, place: NONE, is_silent }
    }

    /// Connections of clients that wait for their next request.
    pub fn kept(&self) -> u32 {
        self.kept.borrow().len()
    }

    /// Whether one was told to end that is not gone yet.
    pub fn is_ending(&self) -> bool {
        self.ending.get() > 0
    }

    /// Ends the connection of a client that has been idle for the longest: first of those that have not said a word in
    /// a while, then of those that have been served. False where none is.
    pub fn end_oldest(&self) -> bool {
        let Some(stream) = self.take_silent().or_else(|| self.take_kept()) else { return false };
        self.ending.set(self.ending.get() + 1);
        self.stats.idle_ended.add(1);
        // Whoever waits on it sees the end of what the client sends, behind anything that has come before: a request that
        // was on its way is served as the last one. An error means that the client is gone, which ends it as well.
        let _ = stream.shutdown(Shutdown::Read);
        true
    }

    fn take_silent(&self) -> Option<Stream> {
        let mut silent = self.silent.borrow_mut();
        let (_, since) = silent.get(silent.oldest()?)?;
        let is_over = self.handle.now().since(*since) >= SILENCE;
        if is_over { silent.take_oldest().map(|(stream, _)| stream) } else { None }
    }

    fn take_kept(&self) -> Option<Stream> {
        let mut kept = self.kept.borrow_mut();
        for _ in 0..LOOKS_MAX {
            let place = kept.oldest()?;
            match kept.get(place)?.is_posting() {
                false => return kept.take_oldest(),
                // It would end no sooner than when its peer takes what it was sent last.
                true => kept.renew(place),
            };
        }
        None
    }

    /// Something has ended or become idle: those that have waited for the longest look again.
    pub fn changed(&self) {
        self.changes.set(self.changes.get().wrapping_add(1));
        self.refill();
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            return;
        }
        // Not all of them: what has changed is mostly good for one, and the others would look in vain each time.
        let count = waiting.len().min(WOKEN_MAX);
        // Called when the list is free again: a waker may do anything. An empty vector is no memory.
        let woken: Vec<Waker> = waiting.drain(..count).collect();
        drop(waiting);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Wakes this one once, at a change. Those that wait for long look by themselves each [`REST`].
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
        if self.place != NONE {
            return;
        }
        let room = self.room;
        self.place = match self.is_silent {
            true => room.silent.borrow_mut().push((stream.clone(), room.handle.now())),
            false => room.kept.borrow_mut().push(stream.clone()),
        };
        room.changed();
    }
}

impl Drop for IdlePlace<'_> {
    fn drop(&mut self) {
        if self.place == NONE {
            return;
        }
        let room = self.room;
        let was_there = match self.is_silent {
            true => room.silent.borrow_mut().leave(self.place).is_some(),
            false => room.kept.borrow_mut().leave(self.place).is_some(),
        };
        if !was_there {
            room.ending.set(room.ending.get() - 1);
        }
    }
}

/// A client has this long for its first word before it may be ended for others: what it sends is on its way, and one that
/// was just let in has no other connection to fall back on. It takes as long where the network is at its worst.
const SILENCE: Duration = Duration::from_secs(2);

/// Descriptors in reserve. So many requests are in progress at least, however many connections come at once: the kernel
/// accepts all that it has descriptors for before anybody here can say no.
pub const RESERVE_MAX: u64 = 64;

/// Those that are looked at for one that can end now.
const LOOKS_MAX: usize = 16;

/// Those that look again at one change.
const WOKEN_MAX: usize = 4;

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
            let mut places = [room.place(false), room.place(false)];
            places[0].take(&first);
            places[1].take(&second);
            places[0].take(&first);
            assert_eq!((room.kept(), room.is_ending()), (2, false));
            assert!(room.end_oldest());
            assert_eq!((room.kept(), room.is_ending(), room.stats.idle_ended.value()), (1, true, 1));
            let end = first.receiver(Mode::Once(Group::Head)).recv().await;
            assert!(matches!(end, Ok(None)));
            drop(places);
            assert_eq!((room.kept(), room.is_ending(), room.end_oldest()), (0, false, false));
        });
    }

    #[test]
    fn one_that_does_not_take_its_answer_is_passed_over() {
        run(|room, handle| async move {
            let (slow, _client) = pair(&handle).await;
            let (idle, _other) = pair(&handle).await;
            while slow.send(vec![0; 1 << 20], false).await.0.is_ok() {}
            let stuck = slow.post(vec![0; 1 << 20], None);
            let mut places = [room.place(false), room.place(false)];
            places[0].take(&slow);
            places[1].take(&idle);
            assert!(room.end_oldest());
            assert!(matches!(idle.receiver(Mode::Once(Group::Head)).recv().await, Ok(None)));
            assert!(!room.end_oldest(), "the other one would not end");
            drop(stuck);
            assert!(room.end_oldest());
        });
    }

    #[test]
    fn whoever_has_just_come_has_time_to_speak_and_no_more() {
        run(|room, handle| async move {
            let (fresh, _client) = pair(&handle).await;
            let (served, _other) = pair(&handle).await;
            let (mut silent, mut kept) = (room.place(true), room.place(false));
            silent.take(&fresh);
            assert!(!room.end_oldest());
            Sleep::new(&handle, SILENCE).await;
            kept.take(&served);
            assert!(room.end_oldest());
            let end = fresh.receiver(Mode::Once(Group::Head)).recv().await;
            assert!(matches!(end, Ok(None)));
            assert_eq!((room.kept(), room.end_oldest(), room.end_oldest()), (1, true, false));
        });
    }

    #[test]
    fn bytes_that_have_come_are_seen_before_the_end() {
        run(|room, handle| async move {
            let (served, client) = pair(&handle).await;
            client.send_whole(b"GET".to_vec()).await.0.unwrap();
            served.readable().await.unwrap();
            let mut place = room.place(false);
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
