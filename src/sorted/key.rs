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

    /// Makes it the key that shares its first bytes with this one, and has others from there on.
    pub(super) fn replace_from(&mut self, shared: usize, own: &[u8]) {
        self.bytes.iter_mut().skip(shared).zip(own).for_each(|(to, from)| *to = *from);
    }

    fn bytes(&self) -> &[u8] {
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

/// How many first bytes two keys share.
pub(super) fn shared(before: &[u8], key: &[u8]) -> usize {
    before.iter().zip(key).take_while(|(a, b)| a == b).count()
}
