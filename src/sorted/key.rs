//! A key as it is read.

use std::cmp::Ordering;
use std::ops::Deref;

/// The most bytes that a key has which is front-coded.
pub(super) const BUILT_BYTES_MAX: usize = 16;

/// A key, where it lies in a file, or put together from what it shares with the one before it and what it does not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    InFile(&'a [u8]),
    Built(Built),
}

/// A key that was put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Built {
    /// The key, and zeros behind it.
    bytes: [u8; BUILT_BYTES_MAX],
    len: u8,
}

impl Built {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

/// A key of at most [`BUILT_BYTES_MAX`] bytes as a number, the first byte the highest of 16: numbers of keys of one width
/// order as these do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct KeyNumber(u128);

impl KeyNumber {
    pub(super) const ZERO: KeyNumber = KeyNumber(0);

    #[inline]
    pub(super) fn of(key: &[u8]) -> Self {
        let bytes = key.first_chunk().copied().unwrap_or_else(|| {
            let mut bytes = [0; BUILT_BYTES_MAX];
            bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
            bytes
        });
        KeyNumber(u128::from_le_bytes(bytes).swap_bytes())
    }

    /// The key of `width` bytes behind it that leaves out so many of its first bytes, and has its own ones from there on, the
    /// first bytes of `own`.
    #[inline]
    pub(super) fn followed(self, width: u8, shared: usize, own: &[u8]) -> Self {
        let width = usize::from(width);
        if shared >= width {
            let last_byte = BUILT_BYTES_MAX - width.clamp(1, BUILT_BYTES_MAX);
            return KeyNumber(self.0.wrapping_add(1 << (8 * last_byte)));
        }
        // Less than the width, hence than 16.
        let bits = 8 * (shared % BUILT_BYTES_MAX);
        let of_width = u128::MAX << (8 * (BUILT_BYTES_MAX - width.min(BUILT_BYTES_MAX)));
        KeyNumber((self.0 & !(u128::MAX >> bits)) | (KeyNumber::of(own).0 >> bits & of_width))
    }

    /// The key of so many bytes.
    pub(super) fn built(self, width: u8) -> Built {
        Built { bytes: self.0.swap_bytes().to_le_bytes(), len: width }
    }
}

impl<'a> Key<'a> {
    /// The key where it lies in the file, if it is there as a whole.
    pub(crate) fn in_file(self) -> Option<&'a [u8]> {
        match self {
            Key::InFile(bytes) => Some(bytes),
            Key::Built(_) => None,
        }
    }
}

impl Deref for Key<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Key::InFile(bytes) => bytes,
            Key::Built(built) => built.bytes(),
        }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Key<'_> {}

impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deref().cmp(other)
    }
}

/// How many first bytes a front-coded key leaves out behind another one: those that both share, or all if it is the next
/// number.
pub(super) fn left_out(before: &[u8], key: &[u8]) -> usize {
    let width = u8::try_from(key.len()).unwrap_or(u8::MAX);
    if KeyNumber::of(before).followed(width, key.len(), &[]) == KeyNumber::of(key) {
        return key.len();
    }
    before.iter().zip(key).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::{KeyNumber, left_out};

    #[test]
    fn a_key_follows_from_the_one_before_and_from_what_it_does_not_leave_out() {
        let keys: [(&[u8], usize); 8] = [
            (&[0, 0, 0, 0], 0),
            (&[0, 0, 0, 1], 4),
            (&[0, 0, 0, 254], 3),
            (&[0, 0, 0, 255], 4),
            (&[0, 0, 1, 0], 4),
            (&[0, 1, 0, 0], 1),
            (&[0, 255, 255, 255], 1),
            (&[1, 0, 0, 0], 4),
        ];
        let mut number = KeyNumber::ZERO;
        for [(before, _), (key, leaves_out)] in keys.array_windows().copied() {
            assert_eq!(left_out(before, key), leaves_out, "{key:?} behind {before:?}");
            number = number.followed(4, leaves_out, &key[leaves_out..]);
            assert_eq!(number.built(4).bytes(), key);
        }
    }
}
