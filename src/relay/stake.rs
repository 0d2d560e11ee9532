//! The memory of a tunnel: taken when something comes, given back while nothing moves.
//!
//! Most tunnels stand for hours and say a word now and then. What they may need while bytes are on their way is many
//! times what they need while they wait, so the ceiling has room for many more of them than could all talk at once. What
//! has moved not long ago is likely to move again, so memory is given back only after a while; but at once where it is
//! scarce, for then those who wait for it would wait for that while.

use super::error::RelayError;
use crate::limit::{ACTIVE, IDLE, UNCOUNTED};
use crate::proto::error::Cause;
use crate::shared::{Memory, Part, Place};
use crate::wire::Inbox;
use ringferry_runtime::net::{Hold, Stream};
use ringferry_runtime::time::{Alarm, Elapsed};
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// What a tunnel has of the memory.
pub struct Stake<'a> {
    memory: &'a Arc<Memory>,
    part: RefCell<Option<Part<&'a Memory>>>,
    /// For the connection to the server, while there is no part that has it.
    place: RefCell<Option<Place>>,
    /// Directions that are not at rest.
    moving: Cell<u8>,
    is_crowd: &'a dyn Fn() -> bool,
}

impl<'a> Stake<'a> {
    /// The stake of a tunnel that begins with `part`. `is_crowd` tells whether its client has many connections.
    pub fn new(memory: &'a Arc<Memory>, part: Option<Part<&'a Memory>>, is_crowd: &'a dyn Fn() -> bool) -> Stake<'a> {
        Stake { memory, part: RefCell::new(part), place: RefCell::default(), moving: Cell::new(2), is_crowd }
    }

    pub(super) fn memory(&self) -> &'a Arc<Memory> {
        self.memory
    }

    /// Whether it has memory for what may come: more than one that stands has left.
    pub(super) fn is_held(&self) -> bool {
        self.part.borrow().as_ref().is_some_and(|part| part.bytes() > IDLE)
    }

    /// A direction has nothing to do but to wait. What the tunnel has is given back if memory is scarce.
    pub(super) fn rest(&self, ends: [&Stream; 2]) {
        self.moving.set(self.moving.get() - 1);
        if self.memory.is_scarce() {
            self.give_back(ends);
        }
    }

    /// Gives back what a tunnel has that is at rest in both directions, if its ends have taken nearly all.
    pub(super) fn give_back(&self, ends: [&Stream; 2]) {
        let is_taken = || ends.iter().all(|end| end.unacknowledged() <= UNCOUNTED);
        if self.moving.get() > 0 || !self.is_held() || !is_taken() {
            return;
        }
        let (mut place, mut part) = (self.place.borrow_mut(), self.part.borrow_mut());
        let Some(work) = part.take().filter(|_| place.is_none()) else { return };
        match Memory::settle(self.memory, work, IDLE) {
            Ok(settled) => *place = Some(settled),
            // The idle have all that they may. It counts among those at work, then, by what it needs.
            Err(mut work) => {
                work.shrink(IDLE);
                *part = Some(work);
            }
        }
    }

    /// Something has come, and is in `inbox`: returns once there is memory for it. While it waits, the kernel takes next
    /// to nothing from `source`.
    pub(super) async fn begin(
        &self,
        inbox: &mut Inbox,
        source: &Stream,
        (alarm, idle): (&mut Alarm, Duration),
    ) -> Result<(), RelayError> {
        self.moving.set(self.moving.get() + 1);
        if self.is_held() {
            return Ok(());
        }
        let part = match Memory::try_work(&**self.memory, ACTIVE, self.is_crowd) {
            Ok(part) => part,
            Err((memory, purpose)) => {
                inbox.spare();
                source.hold_received(Hold::Least);
                alarm.set(idle);
                let waiting = pin!(Memory::wait(memory, ACTIVE, purpose));
                let part = match Box::pin(alarm.guard(waiting)).await {
                    Ok(Ok(part)) => part,
                    Ok(Err(_)) | Err(Elapsed) => return Err(RelayError::Source(Cause::NoMemory)),
                };
                source.hold_received(Hold::Little);
                part
            }
        };
        // If the other direction was faster, this one is given back.
        if !self.is_held() {
            self.part.replace(Some(part));
        }
        Ok(())
    }
}
