//! What a seed decides, one number after the other.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and every seed is as good as any other.
pub(crate) struct Draw(u64);

impl Draw {
    /// The numbers of `seed`; those of another `stream` of the same seed are others.
    pub(crate) fn new(seed: u64, stream: u64) -> Draw {
        let mut draw = Draw(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        draw.next();
        draw
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number in `from..=to`.
    pub(crate) fn within(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Bytes of a body: mostly few, some a buffer or two, seldom as many as fill every window on the way.
    pub(crate) fn length(&mut self) -> u32 {
        let most = self.pick(&[0, 20, 200, 3_000, 5_000, 20_000, 70_000, 300_000]);
        if most == 0 { 0 } else { self.within(1, most) as u32 }
    }
}
