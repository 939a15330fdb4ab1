//! The key-value pairs of an instance: what former executions have set, and on top of it what the current one
//! has changed. A row is the value and when it was set, or no value for a key that was cleared.

use std::collections::HashMap;

use duroxide::providers::KvEntry;
use duroxide::{Event, EventKind};
use kinlog::{Snapshot, Transaction};

use crate::error::Result;
use crate::tables::{CHANGES, VALUES, pair_key, pairs, pairs_at};

/// Takes in what the events of a turn set and clear.
pub(crate) fn take_in(tx: &mut Transaction<'_>, id: &str, events: &[Event]) -> Result<()> {
    for event in events {
        match &event.kind {
            EventKind::KeyValueSet { key, value, last_updated_at_ms } => {
                let row = serde_json::to_vec(&(value, last_updated_at_ms))?;
                tx.put(CHANGES, &pair_key(id, key), &row)?;
            }
            EventKind::KeyValueCleared { key } => tx.put(CHANGES, &pair_key(id, key), b"")?,
            EventKind::KeyValuesCleared => {
                for (key, _) in [pairs(tx, CHANGES, id)?, pairs(tx, VALUES, id)?].concat() {
                    tx.put(CHANGES, &key, b"")?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// An execution has ended: what it changed counts for those that follow.
pub(crate) fn merge(tx: &mut Transaction<'_>, id: &str) -> Result<()> {
    for (key, row) in pairs(tx, CHANGES, id)? {
        match row.is_empty() {
            true => tx.delete(VALUES, &key)?,
            false => tx.put(VALUES, &key, &row)?,
        }
        tx.delete(CHANGES, &key)?;
    }
    Ok(())
}

/// What former executions have left.
pub(crate) fn former(snapshot: &Snapshot, id: &str) -> Result<HashMap<String, KvEntry>> {
    let rows = pairs_at(snapshot, VALUES, id)?;
    let entries = rows.into_iter().filter_map(|(key, row)| Some((key, entry(row).transpose()?)));
    entries.map(|(key, entry)| Ok((key.to_owned(), entry?))).collect()
}

/// What is there now.
pub(crate) fn all(snapshot: &Snapshot, id: &str) -> Result<HashMap<String, String>> {
    let mut values = HashMap::new();
    for table in [VALUES, CHANGES] {
        for (key, row) in pairs_at(snapshot, table, id)? {
            match entry(row)? {
                Some(entry) => values.insert(key.to_owned(), entry.value),
                None => values.remove(key),
            };
        }
    }
    Ok(values)
}

/// One value as it is now.
pub(crate) fn get(snapshot: &Snapshot, id: &str, key: &str) -> Result<Option<String>> {
    let key = pair_key(id, key);
    let row = match snapshot.get(CHANGES, &key)? {
        None => snapshot.get(VALUES, &key)?,
        changed => changed,
    };
    Ok(entry(row.unwrap_or_default())?.map(|entry| entry.value))
}

fn entry(row: &[u8]) -> Result<Option<KvEntry>> {
    if row.is_empty() {
        return Ok(None);
    }
    let (value, last_updated_at_ms) = serde_json::from_slice(row)?;
    Ok(Some(KvEntry { value, last_updated_at_ms }))
}
