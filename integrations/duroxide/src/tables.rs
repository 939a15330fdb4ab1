//! The tables and their keys.

#![allow(clippy::big_endian_bytes)]

use kinlog::read::Row;
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
/// By instance and key: what the current execution has set.
pub(crate) const CHANGES: &str = "changes";
/// By run: executions that are pruned.
pub(crate) const PRUNED: &str = "pruned";

/// The key of a message: in the order of the numbers.
pub(crate) fn number_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

pub(crate) fn number_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

/// A key of two parts. The length of the first one stands before it, so that a prefix is one of whole parts.
pub(crate) fn pair_key(first: &str, second: &str) -> Vec<u8> {
    let length = u16::try_from(first.len()).unwrap_or(u16::MAX);
    [length.to_be_bytes().as_slice(), first.as_bytes(), second.as_bytes()].concat()
}

/// The second part of a key.
pub(crate) fn second_of(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.split_first_chunk::<2>()?;
    std::str::from_utf8(rest.get(usize::from(u16::from_be_bytes(*length))..)?).ok()
}

/// All rows of a table of pairs with this first part: second part and value.
pub(crate) fn pairs(
    tx: &mut Transaction<'_>,
    table: &str,
    first: &str,
) -> kinlog::Result<Vec<(String, Vec<u8>)>> {
    let rows = tx.rows_with_prefix(table, &pair_key(first, ""));
    rows.map(|row| row.map(|row| (second_of(&row.key).unwrap_or_default().to_owned(), row.value)))
        .collect()
}

/// As [`pairs`], of a snapshot.
pub(crate) fn pairs_at<'s>(
    snapshot: &'s Snapshot,
    table: &str,
    first: &str,
) -> kinlog::Result<Vec<(&'s str, &'s [u8])>> {
    let prefix = pair_key(first, "");
    let rows = snapshot.rows(table, prefix.as_slice()..);
    let own = |row: &kinlog::Result<Row<'_>>| {
        row.as_ref().map_or(true, |row| row.key.starts_with(&prefix))
    };
    rows.take_while(own)
        .map(|row| row.map(|row| (second_of(row.key).unwrap_or_default(), row.value)))
        .collect()
}

/// Deletes all rows of a table of pairs with this first part.
pub(crate) fn delete_pairs(
    tx: &mut Transaction<'_>,
    table: &str,
    first: &str,
) -> kinlog::Result<()> {
    for (second, _) in pairs(tx, table, first)? {
        tx.delete(table, &pair_key(first, &second))?;
    }
    Ok(())
}
