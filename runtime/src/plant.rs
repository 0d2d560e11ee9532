//! Bugs that are planted on purpose: a check that finds none of them proves nothing. Without the feature `sim` there are none,
//! and nothing is left of the places where they would be.

/// A bug that the real code has while it is sown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A connection that was accepted after its listener had gone is not closed.
    LeakedAccept,
    /// A buffer that was lent goes back twice.
    BufferReturnedTwice,
    /// The slot of a cancelled operation stays, although the operation has ended.
    CancelLost,
    /// One side of a tunnel is not told that the other has ended.
    HalfCloseForgotten,
    /// The connection to a server on which an answer is still to come is kept for the next request.
    AnswerToAnother,
}

impl Plant {
    /// All.
    pub const ALL: [Plant; 5] = [
        Plant::LeakedAccept,
        Plant::BufferReturnedTwice,
        Plant::CancelLost,
        Plant::HalfCloseForgotten,
        Plant::AnswerToAnother,
    ];

    /// Whether the bug is there.
    #[cfg(not(feature = "sim"))]
    #[inline(always)]
    pub const fn is_sown(self) -> bool {
        false
    }
}

#[cfg(feature = "sim")]
mod sown {
    use super::Plant;
    use std::cell::Cell;

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
}

#[cfg(feature = "sim")]
pub use sown::Sown;
