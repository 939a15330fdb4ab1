//! The tables and their keys.

#![allow(clippy::big_endian_bytes)]

use kinlog::read::{OwnedRow, Row};
use kinlog::{Snapshot, Transaction};

/// By instance id: [`Instance`](crate::instance::Instance).
pub(crate) const INSTANCES: &str = "instances";
/// By parent and child: nothing. Instances name their parent; this finds the children of one.
pub(crate) const CHILDREN: &str = "children";
/// By number: messages to instances.
pub(crate) const INBOX: &str = "inbox";
/// By number: activities to be done.
pub(crate) const WORK: &str = "work";
/// By number: how often a message or an activity was fetched, where that is written down.
pub(crate) const ATTEMPTS: &str = "attempts";
/// By instance and key: values that former executions have set.
pub(crate) const VALUES: &str = "values";
/// By instance and key: what the current execution has set, and nothing for what it has cleared.
pub(crate) const CHANGES: &str = "changes";
/// By run: executions of instances that were deleted, until they are deleted, too.
pub(crate) const PRUNED: &str = "pruned";

/// The key of a message: how many bytes the number has, and these. In the order of the numbers.
pub(crate) fn number_key(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let used = bytes.get(zeros..).unwrap_or_default();
    [&[u8::try_from(used.len()).unwrap_or_default()], used].concat()
}

pub(crate) fn number_of(key: &[u8]) -> u64 {
    key.iter().skip(1).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A key of two parts. The length of the first one stands before it, so that a prefix is one of whole parts.
pub(crate) fn pair_key(first: &str, second: &str) -> Vec<u8> {
    let length = u16::try_from(first.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), first.as_bytes(), second.as_bytes()].concat()
}

/// All rows of a table of pairs with this first part: key and value.
pub(crate) fn pairs(
    tx: &mut Transaction<'_>,
    table: &str,
    first: &str,
) -> kinlog::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let rows = tx.rows_with_prefix(table, &pair_key(first, ""));
    rows.map(|row| row.map(|OwnedRow { key, value }| (key, value))).collect()
}

/// All rows of a table of pairs with this first part: second part and value.
pub(crate) fn pairs_at<'s>(
    snapshot: &'s Snapshot,
    table: &str,
    first: &str,
) -> kinlog::Result<Vec<(&'s str, &'s [u8])>> {
    let prefix = pair_key(first, "");
    let rows = snapshot.rows_with_prefix(table, &prefix);
    let pair = |Row { key, value }: Row<'s>| {
        let second = key.get(prefix.len()..).unwrap_or_default();
        (std::str::from_utf8(second).unwrap_or_default(), value)
    };
    rows.map(|row| row.map(pair)).collect()
}
