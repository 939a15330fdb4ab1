//! The keys of entries in the cold index. Numbers in them are big-endian, so that keys sort as the numbers do.

#![allow(clippy::big_endian_bytes)]

use crate::bytes::array_at;

/// The key of an entry by its number.
pub(crate) fn number_key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

/// The number with such a key.
pub(crate) fn number_of_key(key: &[u8]) -> Option<u32> {
    array_at(key, 0).map(u32::from_be_bytes)
}

/// How much of a hash keys have. Of a thousand million ids, one in a thousand shares it with another one, which costs a look at
/// that.
const HASH_BYTES: usize = 5;

/// What the keys begin with of ids that have this hash.
pub(crate) fn hash_prefix(hash: u64) -> [u8; HASH_BYTES] {
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    [a, b, c, d, e]
}

/// The key of an id by its hash.
pub(crate) fn hash_key(hash: u64, number: u32) -> [u8; HASH_BYTES + 4] {
    let mut key = [0; HASH_BYTES + 4];
    let parts = hash_prefix(hash).into_iter().chain(number_key(number));
    key.iter_mut().zip(parts).for_each(|(byte, of)| *byte = of);
    key
}

/// The number in such a key.
pub(crate) fn number_of_hash_key(key: &[u8]) -> Option<u32> {
    array_at(key, HASH_BYTES).map(u32::from_be_bytes)
}

/// The key of a place in a list.
pub(crate) fn place_key(place: u128) -> [u8; 16] {
    place.to_be_bytes()
}

/// The place with such a key.
pub(crate) fn place_of_key(key: &[u8]) -> Option<u128> {
    array_at(key, 0).map(u128::from_be_bytes)
}

/// The key of a row.
pub(crate) fn row_key(table: &str, key: &[u8]) -> Vec<u8> {
    // Names of tables are shorter than that.
    let len = u16::try_from(table.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), table.as_bytes(), key].concat()
}

/// The first key after all that begin with `prefix`, if there is one.
pub(crate) fn beyond_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut beyond = prefix.get(..=last)?.to_vec();
    *beyond.last_mut()? += 1;
    Some(beyond)
}
