//! Little-endian integers at offsets of a byte slice; `None` where the slice ends before.

/// `N` bytes from `offset` on.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// The offset after the last byte from `from` on that is not zero; `from` if there is none.
pub(crate) fn dirty_end(bytes: &[u8], from: usize) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut end = bytes.len();
    // Whole pages are compared at once: this is most of what opening a small store does.
    for page in bytes.get(from..).unwrap_or_default().rchunks(ZEROS.len()) {
        if ZEROS.get(..page.len()) != Some(page) {
            return end - page.iter().rev().take_while(|byte| **byte == 0).count();
        }
        end -= page.len();
    }
    from
}

/// Overwrites `value.len()` bytes at `offset`, which must lie within `bytes`.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    let target = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..value.len()));
    debug_assert!(target.is_some(), "{offset} + {} is beyond {}", value.len(), bytes.len());
    if let Some(target) = target {
        target.copy_from_slice(value);
    }
}

/// The padding from `len` to the next multiple of four, at which every structure of the log is aligned.
pub(crate) fn padding4(len: usize) -> &'static [u8] {
    [0; 3].get(..padded4(len) - len).unwrap_or_default()
}

/// `len` rounded up to a multiple of four.
pub(crate) const fn padded4(len: usize) -> usize {
    (len + 3) & !3
}

/// A length of the log as one in memory. Lossless: no supported target is narrower than 32 bits.
pub(crate) const fn in_memory(len: u32) -> usize {
    const { assert!(size_of::<usize>() >= size_of::<u32>()) };
    len as usize
}

/// A length as the `u64` that addresses are counted in. Lossless: no target is wider than 64 bits.
pub(crate) const fn wide(len: usize) -> u64 {
    len as u64
}
