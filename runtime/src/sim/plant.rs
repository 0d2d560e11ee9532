//! Bugs that are planted on purpose: a check that finds none of them proves nothing.

use std::cell::Cell;

/// A bug that the real code has while it is sown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A connection that was accepted after its listener had gone is not closed.
    LeakedAccept,
    /// A buffer that was lent goes back twice.
    BufferReturnedTwice,
    /// The slot of a cancelled operation stays, although the operation has ended.
    CancelLost,
}

thread_local! {
    static SOWN: Cell<Option<Plant>> = const { Cell::new(None) };
}

/// The bug is there as long as this is.
#[derive(Debug)]
pub struct Sown(());

impl Plant {
    /// Plants the bug on this thread.
    #[must_use]
    pub fn sow(self) -> Sown {
        SOWN.set(Some(self));
        Sown(())
    }

    /// Whether the bug is there.
    pub fn is_sown(self) -> bool {
        SOWN.get() == Some(self)
    }
}

impl Drop for Sown {
    fn drop(&mut self) {
        SOWN.set(None);
    }
}
