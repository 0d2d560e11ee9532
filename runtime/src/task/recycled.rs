//! Boxes for what comes and goes with every exchange: the memory of one serves the next.
//!
//! An allocator has to find, split and join blocks, above all where many are taken before one is given back. A core
//! that wants the same few sizes again and again keeps them in stacks, where the last one used is still in the cache.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The blocks that wait for a value, by size.
#[derive(Default)]
pub(crate) struct Shelf {
    blocks: [RefCell<Vec<NonNull<u8>>>; SIZES.len()],
}

/// Bytes of the blocks that are kept. What is larger has memory of its own.
const SIZES: [usize; 3] = [128, 256, 2048];

/// Alignment of all blocks; what wants more has memory of its own.
const ALIGN: usize = 16;

/// Blocks of each size that are kept; beyond it they are freed.
const BLOCKS_MAX: usize = 64;

/// Where a value of some type is put.
#[derive(Clone, Copy)]
struct Fit {
    layout: Layout,
    /// Which of [`SIZES`] it is.
    size: Option<usize>,
}

impl Fit {
    const fn of<T>() -> Fit {
        let layout = Layout::new::<T>();
        assert!(layout.size() > 0, "nothing needs no box");
        let mut index = 0;
        while index < SIZES.len() {
            if layout.size() <= SIZES[index] && layout.align() <= ALIGN {
                return Fit { layout: block(index), size: Some(index) };
            }
            index += 1;
        }
        Fit { layout, size: None }
    }
}

const fn block(size: usize) -> Layout {
    match Layout::from_size_align(SIZES[size], ALIGN) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    }
}

impl Shelf {
    /// Boxes what `make` makes, where it can in memory that another value has left. The memory is there first, so that a
    /// large value need not be made elsewhere and moved.
    #[inline]
    pub(crate) fn place<T>(self: &Rc<Self>, make: impl FnOnce() -> T) -> Recycled<T> {
        let fit = const { Fit::of::<T>() };
        let kept = fit.size.and_then(|size| self.blocks[size].borrow_mut().pop());
        let block = kept.unwrap_or_else(|| allocate(fit.layout)).cast::<T>();
        // SAFETY: the block is at least as large and as aligned as `T` (`Fit::of`), and nobody else has it: it was just
        // allocated or just taken off the shelf.
        unsafe { block.write(make()) };
        Recycled { value: block, shelf: self.clone() }
    }

    fn take_back(&self, block: NonNull<u8>, fit: Fit) {
        if let Some(size) = fit.size {
            let mut blocks = self.blocks[size].borrow_mut();
            if blocks.len() < BLOCKS_MAX {
                return blocks.push(block);
            }
        }
        // SAFETY: every block comes from `allocate` with the layout that fits its value (`place`).
        unsafe { dealloc(block.as_ptr(), fit.layout) };
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        for (size, blocks) in self.blocks.iter_mut().enumerate() {
            for kept in blocks.get_mut().drain(..) {
                // SAFETY: only blocks of this size are kept here (`take_back`), and nobody uses one that is.
                unsafe { dealloc(kept.as_ptr(), block(size)) };
            }
        }
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layout is not empty (`Fit::of`).
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// A boxed value; see [`Handle::recycle`](crate::Handle::recycle).
pub struct Recycled<T> {
    value: NonNull<T>,
    shelf: Rc<Shelf>,
}

impl<T> Deref for Recycled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: written by `Shelf::place`; the block is ours alone until we are dropped.
        unsafe { self.value.as_ref() }
    }
}

impl<T: Unpin> DerefMut for Recycled<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`. What must not move once it was polled is not `Unpin`, and cannot be moved out this way.
        unsafe { self.value.as_mut() }
    }
}

impl<F: Future> Future for Recycled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the future lives in its block, of which we are the only owner, until we are dropped; it does not move
        // when we do, and a future that must not be moved is not reachable by `&mut` otherwise.
        unsafe { Pin::new_unchecked(self.value.as_mut()) }.poll(cx)
    }
}

/// Moving the box does not move the value.
impl<T> Unpin for Recycled<T> {}

impl<T> Drop for Recycled<T> {
    fn drop(&mut self) {
        // SAFETY: written by `place`, dropped here once. (Should its destructor panic, the block is lost, not reused.)
        unsafe { self.value.drop_in_place() };
        self.shelf.take_back(self.value.cast(), const { Fit::of::<T>() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Ready at the second poll; counts its drop.
    async fn twice<const N: usize>(dropped: Rc<Cell<u32>>) -> [u8; N] {
        struct Drops(Rc<Cell<u32>>);
        impl Drop for Drops {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let (_drops, bytes) = (Drops(dropped), [7; N]);
        let mut first = true;
        std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
        bytes
    }

    fn kept(shelf: &Shelf) -> [usize; SIZES.len()] {
        shelf.blocks.each_ref().map(|blocks| blocks.borrow().len())
    }

    #[track_caller]
    fn check<const N: usize>(shelf: &Rc<Shelf>, kept_after: [usize; SIZES.len()]) {
        let dropped = Rc::new(Cell::new(0));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut finished = shelf.place(|| twice::<N>(dropped.clone()));
        let mut abandoned = shelf.place(|| twice::<N>(dropped.clone()));
        assert!(Pin::new(&mut finished).poll(&mut cx).is_pending());
        assert!(Pin::new(&mut abandoned).poll(&mut cx).is_pending());
        assert_eq!(Pin::new(&mut finished).poll(&mut cx), Poll::Ready([7; N]));
        assert_eq!(dropped.get(), 1);
        drop((finished, abandoned));
        assert_eq!((dropped.get(), kept(shelf)), (2, kept_after));
    }

    #[test]
    fn what_fits_a_size_shares_its_blocks_and_what_is_larger_has_its_own() {
        let shelf = Rc::new(Shelf::default());
        check::<16>(&shelf, [2, 0, 0]);
        check::<200>(&shelf, [2, 2, 0]);
        check::<1500>(&shelf, [2, 2, 2]);
        check::<4000>(&shelf, [2, 2, 2]);
        let warmest = shelf.blocks[2].borrow()[1];
        let again = shelf.place(|| twice::<1600>(Rc::default()));
        assert_eq!((again.value.cast(), kept(&shelf)), (warmest, [2, 2, 1]));
    }

    #[test]
    fn a_plain_value_is_read_and_changed_through_its_box() {
        let shelf = Rc::new(Shelf::default());
        let mut boxed = shelf.place(|| vec![1, 2]);
        boxed.push(3);
        assert_eq!(*boxed, [1, 2, 3]);
    }

    #[test]
    fn no_more_than_so_many_blocks_are_kept() {
        let shelf = Rc::new(Shelf::default());
        let many: Vec<_> = (0..BLOCKS_MAX + 9).map(|number| shelf.place(|| number)).collect();
        drop(many);
        assert_eq!(kept(&shelf), [BLOCKS_MAX, 0, 0]);
    }
}
