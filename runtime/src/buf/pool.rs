//! A core's stock of byte vectors, for heads that are built and bytes that have to be kept.

use std::cell::RefCell;

/// Empty vectors with capacity, last in first out.
pub(crate) struct Pool {
    stock: RefCell<Vec<Vec<u8>>>,
}

/// Vectors kept, three for each of 64 exchanges; beyond it they are freed.
const STOCK_MAX: usize = 192;
/// A fresh vector: a head with its forwarding fields fits, and a small body behind it.
const CAPACITY: usize = 2048;
/// A vector that has grown beyond this is freed instead of kept.
const CAPACITY_MAX: usize = 16 * 1024;

impl Pool {
    pub(crate) fn new() -> Pool {
        Pool { stock: RefCell::default() }
    }

    /// An empty vector.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.stock.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(CAPACITY))
    }

    /// Keeps a vector for the next one who asks.
    pub(crate) fn give_back(&self, mut bytes: Vec<u8>) {
        let mut stock = self.stock.borrow_mut();
        if (CAPACITY..=CAPACITY_MAX).contains(&bytes.capacity()) && stock.len() < STOCK_MAX {
            bytes.clear();
            stock.push(bytes);
        }
    }
}
