//! Integers of variable length (LEB128), texts behind their lengths.

use crate::bytes::wide;
use crate::id::{Position, RunId, Timestamp};

/// Appends values to bytes.
pub(crate) trait Pack {
    /// Seven bits a byte, the lowest first.
    fn number(&mut self, value: u64);
    /// A number that is as often negative (zigzag).
    fn signed(&mut self, value: i64);
    fn text(&mut self, text: &str);
    fn position(&mut self, position: Position);
    /// A number of any type, against another that is mostly near to it.
    fn near(&mut self, value: u32, other: u32);
}

impl Pack for Vec<u8> {
    fn number(&mut self, value: u64) {
        let mut rest = value;
        loop {
            let [low, ..] = (rest & 0x7f).to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.push(low);
                return;
            }
            self.push(low | 0x80);
        }
    }

    fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        self.number(wide(text.len()));
        self.extend_from_slice(text.as_bytes());
    }

    fn position(&mut self, position: Position) {
        self.number(position.as_u64());
    }

    fn near(&mut self, value: u32, other: u32) {
        self.signed(i64::from(value) - i64::from(other));
    }
}

/// Takes values from the front of bytes; `None` where they end, or cannot be such a value.
#[derive(Clone, Copy)]
pub(crate) struct Unpack<'a>(pub(crate) &'a [u8]);

impl<'a> Unpack<'a> {
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    pub(crate) fn narrow(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// How many of something follow, each of which takes a byte at least.
    pub(crate) fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())
    }

    pub(crate) fn near(&mut self, other: u32) -> Option<u32> {
        u32::try_from(self.signed()?.checked_add(i64::from(other))?).ok()
    }

    pub(crate) fn position(&mut self) -> Option<Position> {
        self.number().map(Position::from_u64)
    }

    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        let bytes = self.take(8)?.first_chunk().copied()?;
        Some(Timestamp::from_unix_nanos(i64::from_le_bytes(bytes)))
    }

    pub(crate) fn run_id(&mut self) -> Option<RunId> {
        Some(RunId::from_bytes(self.take(16)?.first_chunk().copied()?))
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let len = self.count()?;
        std::str::from_utf8(self.take(len)?).ok()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// `value`, if nothing follows.
    pub(crate) fn finish<T>(self, value: T) -> Option<T> {
        self.0.is_empty().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_take_seven_bits_a_byte() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = vec![];
                bytes.number(value);
                assert_eq!(bytes.len(), (64 - value.leading_zeros()).div_ceil(7).max(1) as usize);
                assert_eq!(Unpack(&bytes).number(), Some(value));
                let cut = bytes.split_last().map(|(_, cut)| cut).unwrap();
                assert_eq!(Unpack(cut).number(), None);
                for value in [value.cast_signed(), value.cast_signed().wrapping_neg()] {
                    let mut bytes = vec![];
                    bytes.signed(value);
                    assert_eq!(Unpack(&bytes).signed(), Some(value));
                }
            }
        }
        assert_eq!(Unpack(&[0xff; 10]).number(), None, "more than 64 bits");
    }
}
