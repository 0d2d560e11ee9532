//! A script as bytes: what an operation is told is read off one after the other, and nothing is wrong with any byte.

/// More than any buffer of a head has.
const MIRI_SIZE_MAX: usize = 600;

/// What is left of a script.
pub(super) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Script<'a> {
        Script(bytes)
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte; 0 where there is none.
    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Which of `count`, which is not 0.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(super) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Bytes to be sent or moved: none, one, those around the size of a buffer, as many as fill every window on the way.
    pub(super) fn size(&mut self) -> usize {
        let size = self.pick(&[0, 1, 2, 10, 100, 255, 256, 257, 1000, 3000, 4096, 10_000, 60_000, 300_000]);
        // Miri would look at each byte for minutes.
        if cfg!(miri) { size.min(MIRI_SIZE_MAX) } else { size }
    }
}
