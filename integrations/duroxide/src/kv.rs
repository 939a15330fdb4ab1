//! The key-value pairs of an instance: what former executions have set, and on top of it what the current one
//! has changed. A change is the time and the value, or the time alone for a key that was cleared.

use std::collections::HashMap;

use duroxide::providers::KvEntry;
use duroxide::{Event, EventKind};
use kinlog::{Result, Snapshot, Transaction};

use crate::clock;
use crate::tables::{CHANGES, VALUES, delete_pairs, pair_key, pairs, pairs_at};

/// Takes in what the events of a turn set and clear.
pub(crate) fn take_in(tx: &mut Transaction<'_>, instance: &str, events: &[Event]) -> Result<()> {
    for event in events {
        match &event.kind {
            EventKind::KeyValueSet { key, value, last_updated_at_ms } => {
                let row = encode(*last_updated_at_ms, Some(value));
                tx.put(CHANGES, &pair_key(instance, key), &row)?;
            }
            EventKind::KeyValueCleared { key } => clear(tx, instance, key)?,
            EventKind::KeyValuesCleared => {
                for table in [CHANGES, VALUES] {
                    for (key, _) in pairs(tx, table, instance)? {
                        clear(tx, instance, &key)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn clear(tx: &mut Transaction<'_>, instance: &str, key: &str) -> Result<()> {
    tx.put(CHANGES, &pair_key(instance, key), &encode(clock::now(), None))
}

/// An execution has ended: what it changed counts for those that follow.
pub(crate) fn merge(tx: &mut Transaction<'_>, instance: &str) -> Result<()> {
    for (key, row) in pairs(tx, CHANGES, instance)? {
        let pair = pair_key(instance, &key);
        match decode(&row) {
            Some(_) => tx.put(VALUES, &pair, &row)?,
            None => tx.delete(VALUES, &pair)?,
        }
        tx.delete(CHANGES, &pair)?;
    }
    Ok(())
}

/// Forgets all of an instance.
pub(crate) fn delete(tx: &mut Transaction<'_>, instance: &str) -> Result<()> {
    delete_pairs(tx, VALUES, instance)?;
    delete_pairs(tx, CHANGES, instance)
}

/// What former executions have left.
pub(crate) fn former(snapshot: &Snapshot, instance: &str) -> Result<HashMap<String, KvEntry>> {
    let entries = scan(snapshot, VALUES, instance)?;
    Ok(entries.into_iter().filter_map(|(key, entry)| Some((key, entry?))).collect())
}

/// What is there now.
pub(crate) fn all(snapshot: &Snapshot, instance: &str) -> Result<HashMap<String, String>> {
    let mut entries = scan(snapshot, VALUES, instance)?;
    entries.extend(scan(snapshot, CHANGES, instance)?);
    Ok(entries.into_iter().filter_map(|(key, entry)| Some((key, entry?.value))).collect())
}

/// One value as it is now.
pub(crate) fn get(snapshot: &Snapshot, instance: &str, key: &str) -> Result<Option<String>> {
    let pair = pair_key(instance, key);
    let row = match snapshot.get(CHANGES, &pair)? {
        Some(row) => Some(row),
        None => snapshot.get(VALUES, &pair)?,
    };
    Ok(row.and_then(decode).map(|entry| entry.value))
}

/// The entries of an instance in one table; `None` for a key that was cleared.
fn scan(
    snapshot: &Snapshot,
    table: &str,
    instance: &str,
) -> Result<HashMap<String, Option<KvEntry>>> {
    let rows = pairs_at(snapshot, table, instance)?;
    Ok(rows.into_iter().map(|(key, row)| (key.to_owned(), decode(row))).collect())
}

fn encode(updated: u64, value: Option<&str>) -> Vec<u8> {
    let updated = updated.to_le_bytes();
    let flag = [u8::from(value.is_some())];
    [&updated, flag.as_slice(), value.unwrap_or_default().as_bytes()].concat()
}

fn decode(row: &[u8]) -> Option<KvEntry> {
    let (updated, rest) = row.split_first_chunk()?;
    let value = rest.strip_prefix(&[1])?;
    let value = std::str::from_utf8(value).ok()?.to_owned();
    Some(KvEntry { value, last_updated_at_ms: u64::from_le_bytes(*updated) })
}
