//! The bytes of one entry: the lengths that vary, the key, the value.

use super::key::KeyNumber;
use super::kind::{SectionKind, Width};
use crate::bytes::in_memory;

/// The most bytes that the two lengths of an entry take.
const HEAD_BYTES: usize = 10;

/// What precedes key and value.
pub(super) struct Head {
    bytes: [u8; HEAD_BYTES],
    len: usize,
}

impl Head {
    /// `None` if a length is not what the kind says. A front-coded key leaves out its first bytes, those that are `shared`.
    pub(super) fn new(
        kind: &SectionKind,
        key: &[u8],
        shared: usize,
        value: Option<&[u8]>,
    ) -> Option<Self> {
        let mut head = Head { bytes: [0; HEAD_BYTES], len: 0 };
        if matches!(kind.key, Width::FrontCoded(_)) {
            *head.bytes.first_mut()? = u8::try_from(shared).ok()?;
            head.len = 1;
        }
        head.push(kind.key, key.len())?;
        if let Some(value) = value {
            head.push(kind.value, value.len())?;
        }
        Some(head)
    }

    fn push(&mut self, width: Width, len: usize) -> Option<()> {
        if !width.allows(len) {
            return None;
        }
        if width != Width::Varying {
            return Some(());
        }
        let mut rest = u32::try_from(len).ok()?;
        loop {
            let low = u8::try_from(rest & 0x7f).ok()?;
            rest >>= 7;
            *self.bytes.get_mut(self.len)? = if rest == 0 { low } else { low | 0x80 };
            self.len += 1;
            if rest == 0 {
                return Some(());
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// An entry as it lies in its group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored<'a> {
    /// The key, or of a front-coded one what is not shared, and the bytes of the group behind it.
    from_key: &'a [u8],
    key_len: usize,
    /// How many first bytes of a front-coded key are left out: see [`left_out`](super::key::left_out).
    pub(super) shared: usize,
    /// `None` for a tombstone.
    pub(super) value: Option<&'a [u8]>,
}

impl<'a> Stored<'a> {
    /// Takes the first entry from the bytes of a group; `None` if it goes beyond them.
    #[inline]
    pub(super) fn take(group: &mut &'a [u8], kind: &SectionKind, deleted: bool) -> Option<Self> {
        let mut rest = *group;
        let (shared, key_len) = match kind.key {
            Width::FrontCoded(width) => {
                let (shared, behind) = rest.split_first()?;
                rest = behind;
                let shared = usize::from(*shared);
                // Nothing, if it is the number behind the one before.
                (shared, usize::from(width).checked_sub(shared)?)
            }
            width => (0, take_len(&mut rest, width)?),
        };
        let value_len = if deleted { 0 } else { take_len(&mut rest, kind.value)? };
        let from_key = rest;
        let (value, rest) = rest.get(key_len..)?.split_at_checked(value_len)?;
        *group = rest;
        Some(Stored { from_key, key_len, shared, value: (!deleted).then_some(value) })
    }

    /// The key; of a front-coded one what is not shared.
    #[inline]
    pub(super) fn own_key(&self) -> &'a [u8] {
        self.from_key.get(..self.key_len).unwrap_or_default()
    }

    /// The number of a front-coded key of `width` bytes; `before` is that of the key before it.
    #[inline]
    pub(super) fn key_number(&self, width: u8, before: KeyNumber) -> KeyNumber {
        before.followed(width, self.shared, self.from_key)
    }
}

/// The length at the beginning of `head`, which is cut off; `None` if it is not one that a writer writes.
#[inline]
fn take_len(head: &mut &[u8], width: Width) -> Option<usize> {
    match width {
        Width::Fixed(width) => return Some(width.into()),
        Width::FrontCoded(_) => return None,
        Width::Varying => {}
    }
    // Most lengths are of one byte.
    if let Some((byte, rest)) = head.split_first().filter(|(byte, _)| **byte & 0x80 == 0) {
        *head = rest;
        return Some(usize::from(*byte));
    }
    let mut len = 0u64;
    for shift in (0..35).step_by(7) {
        let (byte, rest) = head.split_first()?;
        *head = rest;
        len |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let shortest = *byte != 0 || shift == 0;
            return u32::try_from(len).ok().filter(|_| shortest).map(in_memory);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_they_are_written_and_in_no_other_form() {
        for len in [0, 1, 127, 128, 16_383, 16_384, (1 << 21) - 1, 1 << 21, u32::MAX] {
            let mut head = Head { bytes: [0; HEAD_BYTES], len: 0 };
            head.push(Width::Varying, in_memory(len)).unwrap();
            let mut bytes = head.bytes();
            assert_eq!(take_len(&mut bytes, Width::Varying), Some(in_memory(len)));
            assert!(bytes.is_empty());
            let cut = &head.bytes()[..head.len - 1];
            assert_eq!(take_len(&mut &cut[..], Width::Varying), None);
        }
        let wrong: [&[u8]; 4] = [
            &[0x80, 0],
            &[0xff, 0x80, 0],
            &[0xff, 0xff, 0xff, 0xff, 0x1f],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 1],
        ];
        for mut bytes in wrong {
            assert_eq!(take_len(&mut bytes, Width::Varying), None);
        }
        assert!(Head { bytes: [0; HEAD_BYTES], len: 0 }.push(Width::Varying, 1 << 32).is_none());
    }
}
