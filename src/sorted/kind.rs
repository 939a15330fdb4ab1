//! What the entries of a section look like.

use super::hash::hash;

/// The kind of a section. A reader must know the kinds of a file's sections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SectionKind {
    /// Tells kinds apart.
    pub(crate) id: u8,
    pub(crate) key: Width,
    /// `Fixed(0)` for a set.
    pub(crate) value: Width,
    /// How many first bytes of each key the filter knows, all of a shorter key; 0 for no filter.
    pub(crate) filtered: u8,
}

/// The width of keys or of values, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Width {
    Fixed(u8),
    Varying,
    /// For keys alone: so many bytes, at most [`BUILT_BYTES_MAX`](super::key::BUILT_BYTES_MAX). An entry leaves out what it
    /// shares with the key before it in its group.
    FrontCoded(u8),
}

/// The bit that tells a front-coded width from a fixed one.
const FRONT_CODED: u16 = 1 << 15;

impl Width {
    /// Whether bytes of this length are allowed.
    pub(super) fn allows(self, len: usize) -> bool {
        match self {
            Width::Fixed(width) | Width::FrontCoded(width) => len == usize::from(width),
            // Lengths are stored in 32 bits.
            Width::Varying => u32::try_from(len).is_ok(),
        }
    }

    fn code(self) -> u16 {
        match self {
            Width::Fixed(width) => width.into(),
            Width::Varying => u16::MAX,
            Width::FrontCoded(width) => FRONT_CODED | u16::from(width),
        }
    }
}

impl SectionKind {
    /// The part of `key` that the filter knows; `None` if it does not know this key.
    pub(super) fn filtered<'a>(&self, key: &'a [u8]) -> Option<&'a [u8]> {
        let most = usize::from(self.filtered).min(key.len());
        if self.filtered == 0 { None } else { key.get(..most) }
    }

    /// What the filter knows a key by.
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        hash(self.filtered(key).unwrap_or_default())
    }

    /// The kind as eight bytes of the footer.
    pub(super) fn encode(&self) -> [u8; 8] {
        let [key, key_high] = self.key.code().to_le_bytes();
        let [value, value_high] = self.value.code().to_le_bytes();
        [self.id, self.filtered, key, key_high, value, value_high, 0, 0]
    }
}
