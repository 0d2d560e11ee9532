//! A core's stock of byte vectors, for heads that are built and bytes that have to be kept.

use std::cell::RefCell;

/// Empty vectors with capacity, last in first out.
pub(crate) struct Pool {
    small: Stock,
    large: Stock,
}

/// Vectors of a capacity in `min..=max`, as many as are worth keeping.
struct Stock {
    vectors: RefCell<Vec<Vec<u8>>>,
    min: usize,
    max: usize,
    count: usize,
}

/// A fresh vector: a head with its forwarding fields fits, and a small body behind it.
const SMALL: usize = 2048;
/// A vector that has grown beyond this is freed instead of kept.
const SMALL_MAX: usize = 16 * 1024;

/// A large buffer of a body, and what TLS adds to it.
const LARGE: usize = 66 * 1024;
const LARGE_MAX: usize = 80 * 1024;
/// One is in use for each send that a peer has not taken yet; those between two sends are few.
const LARGE_COUNT: usize = 8;

impl Pool {
    /// Keeps `count` vectors at the most, and some large ones; beyond it they are freed.
    pub(crate) fn new(count: usize) -> Pool {
        let stock = |min, max, count| Stock { vectors: RefCell::default(), min, max, count };
        Pool { small: stock(SMALL, SMALL_MAX, count), large: stock(LARGE, LARGE_MAX, LARGE_COUNT) }
    }

    /// An empty vector.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.small.take()
    }

    /// An empty vector with room for `capacity` bytes.
    pub(crate) fn take_for(&self, capacity: usize) -> Vec<u8> {
        let mut bytes = if capacity > SMALL_MAX { self.large.take() } else { self.small.take() };
        bytes.reserve(capacity);
        bytes
    }

    /// Keeps a vector for the next one who asks.
    pub(crate) fn give_back(&self, bytes: Vec<u8>) {
        if bytes.capacity() > SMALL_MAX { self.large.give_back(bytes) } else { self.small.give_back(bytes) }
    }

    /// Frees what is kept: most of those who used it have left.
    pub(crate) fn clear(&self) {
        self.small.vectors.take();
        self.large.vectors.take();
    }
}

impl Stock {
    fn take(&self) -> Vec<u8> {
        self.vectors.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(self.min))
    }

    fn give_back(&self, mut bytes: Vec<u8>) {
        let mut vectors = self.vectors.borrow_mut();
        if (self.min..=self.max).contains(&bytes.capacity()) && vectors.len() < self.count {
            bytes.clear();
            vectors.push(bytes);
        }
    }
}
