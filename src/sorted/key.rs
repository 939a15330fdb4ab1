//! A key as it is read.

use std::cmp::Ordering;
use std::ops::Deref;

/// The bytes of a key that is front-coded.
pub(crate) const FRONT_CODED_BYTES: usize = 16;

/// A key, where it lies in a file, or put together from what it shares with the one before it and what it does not.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    InFile(&'a [u8]),
    Built([u8; FRONT_CODED_BYTES]),
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
            Key::Built(bytes) => bytes,
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

/// How many first bytes two keys share.
pub(super) fn shared(before: &[u8], key: &[u8]) -> usize {
    before.iter().zip(key).take_while(|(a, b)| a == b).count()
}
