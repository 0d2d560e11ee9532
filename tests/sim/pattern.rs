//! The bytes that everybody sends: each says whose it is and where it belongs, so that one that comes to somebody else, twice
//! or in the wrong place is seen at once.

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// The byte at `offset` of what goes `way` for `id`.
fn byte(id: u32, way: Way, offset: u64) -> u8 {
    let whose = u64::from(id) << 1 | u64::from(way == Way::Down);
    let mixed = whose.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (offset >> 3).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 29).to_le_bytes()[(offset & 7) as usize]
}

/// `len` bytes from `offset` on.
pub(crate) fn bytes(id: u32, way: Way, offset: u64, len: usize) -> Vec<u8> {
    (offset..offset + len as u64).map(|offset| byte(id, way, offset)).collect()
}

/// Whether `got` is what comes at `offset`; where it begins to differ, if not.
pub(crate) fn differs(id: u32, way: Way, offset: u64, got: &[u8]) -> Option<u64> {
    let expected = offset..offset + got.len() as u64;
    expected.zip(got).find(|(offset, got)| byte(id, way, *offset) != **got).map(|(offset, _)| offset)
}
