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
    bytes: [u8; BUILT_BYTES_MAX],
    len: u8,
}

impl Built {
    /// A key of so many zeros.
    pub(super) fn new(len: u8) -> Self {
        Built { bytes: [0; BUILT_BYTES_MAX], len }
    }

    /// A key of at most [`BUILT_BYTES_MAX`] bytes.
    fn of(key: &[u8]) -> Self {
        let mut built = Built::new(u8::try_from(key.len()).unwrap_or(u8::MAX));
        built.bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        built
    }

    /// Makes it the key behind it that leaves out so many of its first bytes, and has its own ones from there on.
    pub(super) fn follow(&mut self, shared: usize, own: &[u8]) {
        if shared == usize::from(self.len) {
            return self.increment();
        }
        let rest = self.bytes.get_mut(shared..).unwrap_or_default();
        rest.iter_mut().zip(own).for_each(|(to, from)| *to = *from);
    }

    /// Adds one to it as a number, the first byte the highest.
    fn increment(&mut self) {
        for byte in self.bytes.iter_mut().take(self.len.into()).rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
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
    let mut next = Built::of(before);
    next.increment();
    if next.bytes() == key {
        return key.len();
    }
    before.iter().zip(key).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::{Built, left_out};

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
        let mut built = Built::new(4);
        for [(before, _), (key, leaves_out)] in keys.array_windows().copied() {
            assert_eq!(left_out(before, key), leaves_out, "{key:?} behind {before:?}");
            built.follow(leaves_out, &key[leaves_out..]);
            assert_eq!(built.bytes(), key);
        }
    }
}
