//! The directory of a section: one row for each group of entries, and the search in them.

use crate::bytes::{u64_at, wide};
use crate::error::Result;

/// Entries in a group; the last one of a section may have fewer.
pub(super) const GROUP: usize = 16;
pub(super) const ROW_BYTES: usize = 16;
/// Rows that the search takes for close: some cache lines.
const CLOSE: usize = 64;
/// The bits of an offset in a row; the mask is above them.
const OFFSET_BITS: u32 = 48;

/// What the directory says of a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// The first bytes of its first key.
    pub(super) prefix: u64,
    /// Where it begins in the file.
    pub(super) offset: u64,
    /// A bit for each of its entries, the first one's the lowest: set where the entry is a tombstone.
    pub(super) deleted: u16,
}

impl Row {
    /// `None` if the offset does not fit.
    pub(super) fn encode(&self) -> Option<[u8; ROW_BYTES]> {
        if self.offset >> OFFSET_BITS != 0 {
            return None;
        }
        let place = self.offset | (u64::from(self.deleted) << OFFSET_BITS);
        Some((u128::from(self.prefix) | (u128::from(place) << 64)).to_le_bytes())
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let place = u64_at(bytes, 8)?;
        let offset = place & ((1 << OFFSET_BITS) - 1);
        let deleted = u16::try_from(place >> OFFSET_BITS).ok()?;
        Some(Row { prefix: u64_at(bytes, 0)?, offset, deleted })
    }
}

/// The first eight bytes of `key`, or fewer and zeros, as a number that orders as they do: the keys' own order, but for
/// keys that begin alike.
pub(super) fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    match key.first_chunk() {
        Some(first) => bytes = *first,
        None => bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from),
    }
    u64::from_le_bytes(bytes).swap_bytes()
}

/// How many of `rows` ascending numbers are at most `wanted`. Interpolates: numbers that are spread evenly take a few
/// probes, any others at most two for each bit of `rows`.
pub(super) fn at_most(
    rows: usize,
    wanted: u64,
    number: impl Fn(usize) -> Result<u64>,
) -> Result<usize> {
    let Some(last) = rows.checked_sub(1) else { return Ok(0) };
    let (mut from, mut to) = (0, last);
    let (mut below, mut above) = (number(from)?, number(to)?);
    if wanted < below {
        return Ok(0);
    }
    if wanted >= above {
        return Ok(rows);
    }
    // The number at `from` is at most `wanted`, that at `to` is more.
    let mut interpolate = true;
    while to - from > 1 {
        let span = to - from;
        let probe = if interpolate && span > 4 {
            from + likely(span, wanted - below, above - below)
        } else {
            from + span / 2
        };
        let found = number(probe)?;
        if found <= wanted {
            (from, below) = (probe, found);
        } else {
            (to, above) = (probe, found);
        }
        // Where a guess excluded little, the numbers are not spread evenly: halve before the next one.
        interpolate = !interpolate || to - from <= span / 4 * 3;
        if above < below {
            // Rows out of order, which `verify` reports: the search ends all the same.
            interpolate = false;
            above = below;
        }
    }
    Ok(to)
}

/// Where to probe between 0 and `span` for what lies `part` of `whole` between them. If that is close to an end, a bit
/// behind the likely place, as seen from that end, so that the other end comes close too.
fn likely(span: usize, part: u64, whole: u64) -> usize {
    // 32 bits of both are precise enough, and spare a division of 128 bits.
    let shift = 32_u32.saturating_sub(whole.leading_zeros());
    let product = (part >> shift).saturating_mul(wide(span));
    let place = usize::try_from(product / (whole >> shift).max(1)).unwrap_or(span).min(span);
    let nearer = place.min(span - place);
    let margin = if nearer <= CLOSE { nearer.isqrt() } else { 0 };
    let probe = if place == nearer { place + margin } else { place - margin };
    probe.clamp(1, span - 1)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::sorted::hash;

    /// Searches each of `wanted`, compares with a plain search, and returns the probes of all and of the worst.
    fn probes(numbers: &[u64], wanted: impl Iterator<Item = u64>) -> (usize, usize) {
        let (mut all, mut worst) = (0, 0);
        for wanted in wanted {
            let count = Cell::new(0);
            let number = |row: usize| {
                count.set(count.get() + 1);
                Ok(numbers[row])
            };
            let found = at_most(numbers.len(), wanted, number).unwrap();
            assert_eq!(found, numbers.partition_point(|number| *number <= wanted));
            all += count.get();
            worst = worst.max(count.get());
        }
        (all, worst)
    }

    fn around(numbers: &[u64]) -> impl Iterator<Item = u64> {
        let near = |number: &u64| [number.saturating_sub(1), *number, number.saturating_add(1)];
        numbers.iter().flat_map(near).chain([0, u64::MAX])
    }

    #[test]
    fn even_numbers_take_few_probes() {
        let dense: Vec<u64> = (0..50_000u64).map(|number| (number * 16) << 32).collect();
        let mut hashes: Vec<u64> = (0..50_000u64).map(|n| hash(&n.to_le_bytes())).collect();
        hashes.sort_unstable();
        for numbers in [dense, hashes] {
            let (all, worst) = probes(&numbers, numbers.iter().copied());
            assert!(all <= numbers.len() * 9 && worst <= 24, "{all} probes, {worst} at worst");
        }
    }

    #[test]
    fn any_numbers_take_at_most_two_probes_a_bit() {
        let doubled =
            |n: u64| 1u64.checked_shl(u32::try_from(n / 100).unwrap()).unwrap_or(u64::MAX);
        let shapes: [&dyn Fn(u64) -> u64; 6] = [
            &|_| 7,
            &|n| n / 1000 * 1000,
            &|n| if n < 5 { n } else { u64::MAX - 6400 + n },
            &|n| if n < 6390 { n } else { u64::MAX - 6400 + n },
            &doubled,
            &|n| n * n * n * n,
        ];
        for (shape, number) in shapes.iter().enumerate() {
            for len in [0, 1, 2, 3, 16, 6400] {
                let numbers: Vec<u64> = (0..len).map(number).collect();
                let (_, worst) = probes(&numbers, around(&numbers));
                assert!(worst <= 2 + 2 * 13 + 6, "{worst} probes, shape {shape} of {len}");
            }
        }
    }

    #[test]
    fn prefixes_order_as_keys_do() {
        let keys: [&[u8]; 8] =
            [b"", b"\0", b"\0\x01", b"a", b"a\0", b"abcdefgh", b"abcdefghi", b"\xff"];
        assert!(keys.is_sorted() && keys.is_sorted_by_key(|key| prefix(key)));
        assert_eq!(prefix(b"abcdefghi"), 0x6162_6364_6566_6768);
        assert_eq!(prefix(b"ab"), 0x6162 << 48);
    }

    #[test]
    fn the_search_ends_on_rows_out_of_order() {
        for seed in 0..2000u64 {
            let number = |row: usize| {
                Ok(hash(&[seed.to_le_bytes(), wide(row).to_le_bytes()].concat()) >> (seed % 60))
            };
            for wanted in [0, 1, seed, u64::MAX / 2, u64::MAX] {
                assert!(at_most(1000, wanted, number).unwrap() <= 1000);
            }
        }
    }
}
