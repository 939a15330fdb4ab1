//! Writing a frozen layer into a file of the cold index, and merging files.

use std::sync::Arc;

use super::cold::{
    Cold, Family, FileEntry, IndexFile, KINDS, hash_key, number_key, place_key, row_key,
};
use super::state::{FrozenIndex, Layer, ListLayer, Record, Run};
use crate::bytes::wide;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::format::Paths;
use crate::sorted::{SortedFile, SortedWriter, Summary, merge};

/// How many files of one level are merged into one of the next.
const TIER: usize = 8;

/// Writes a frozen layer, whose first commit is the one at `from`, into a file of its own, and opens that.
pub(crate) fn write_layer(
    disk: &dyn Disk,
    paths: &Paths,
    frozen: &FrozenIndex,
    from: Position,
) -> Result<Arc<IndexFile>> {
    let named = FileEntry { from, upto: frozen.upto, level: 0, len: 0, checksum: 0 };
    write_file(disk, paths, named, |mut writer| {
        write_numbered(&mut writer, &frozen.runs)?;
        let runs = frozen.runs.came().map(|(number, run)| (Run::hash(&run.id), number));
        write_hashed(&mut writer, Family::RunIds, runs.collect())?;
        write_numbered(&mut writer, &frozen.workflows)?;
        let workflows = frozen.workflows.came();
        let workflows = workflows.map(|(number, workflow)| (workflow.own_hash(), number));
        write_hashed(&mut writer, Family::WorkflowIds, workflows.collect())?;
        write_numbered(&mut writer, &frozen.chains)?;
        write_rows(&mut writer, frozen)?;
        write_list(&mut writer, Family::Started, &frozen.listing.started)?;
        write_list(&mut writer, Family::Closed, &frozen.listing.closed)?;
        write_list(&mut writer, Family::Outcomes, &frozen.listing.outcomes)?;
        writer.finish()
    })
}

/// The files to be merged next, if there are enough of one level: they are neighbours, the newest one first.
pub(crate) fn mergeable(cold: &Cold) -> Option<&[Arc<IndexFile>]> {
    let tiers = cold.files().chunk_by(|a, b| a.entry.level == b.entry.level);
    tiers.into_iter().find(|tier| tier.len() >= TIER)
}

/// Merges neighbours, the newest one first, into one file of the next level, and opens that. `pace` may end the merge.
pub(crate) fn merge_files(
    disk: &dyn Disk,
    paths: &Paths,
    cold: &Cold,
    files: &[Arc<IndexFile>],
    pace: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Arc<IndexFile>> {
    let (Some(newest), Some(oldest)) = (files.first(), files.last()) else {
        return Err(Error::internal("no file of the index is merged"));
    };
    let (from, upto) = (oldest.entry.from, newest.entry.upto);
    let level = newest.entry.level.saturating_add(1);
    let named = FileEntry { from, upto, level, len: 0, checksum: 0 };
    // What is deleted must be told as long as an older file may have it.
    let is_oldest = cold.files().last().is_some_and(|last| last.entry == oldest.entry);
    let inputs: Vec<&SortedFile> = files.iter().rev().map(|file| &file.sorted).collect();
    write_file(disk, paths, named, |writer| merge(&inputs, writer, is_oldest, pace))
}

/// Writes a file of the cold index. If that fails, nothing of it is left.
fn write_file(
    disk: &dyn Disk,
    paths: &Paths,
    named: FileEntry,
    write: impl FnOnce(SortedWriter) -> Result<Summary>,
) -> Result<Arc<IndexFile>> {
    let path = named.path(paths);
    // What an attempt has left that ended between.
    let _ = disk.remove(&path);
    let written = SortedWriter::create(disk, &path, &KINDS).and_then(write);
    let opened = written.and_then(|Summary { len, checksum, .. }| {
        IndexFile::open(disk, paths, FileEntry { len, checksum, ..named })
    });
    if opened.is_err() {
        let _ = disk.remove(&path);
    }
    opened.map(Arc::new)
}

fn write_numbered<V: Record>(writer: &mut SortedWriter, layer: &Layer<V>) -> Result<()> {
    let entries = layer.sorted();
    writer.begin(V::FAMILY.section(), wide(entries.len()))?;
    let mut value = vec![];
    for (number, entry) in entries {
        value.clear();
        entry.encode(number, &mut value);
        debug_assert!(comes_back::<V>(number, &value), "the entry {number} is written, and lost");
        writer.add(&number_key(number), Some(&value))?;
    }
    Ok(())
}

/// Whether the entry with these bytes has them again once it was read.
fn comes_back<V: Record>(number: u32, bytes: &[u8]) -> bool {
    let mut again = vec![];
    if let Some(entry) = V::decode_whole(number, bytes) {
        entry.encode(number, &mut again);
    }
    again == bytes
}

fn write_hashed(
    writer: &mut SortedWriter,
    family: Family,
    mut entries: Vec<(u64, u32)>,
) -> Result<()> {
    entries.sort_unstable();
    writer.begin(family.section(), wide(entries.len()))?;
    for (hash, number) in entries {
        writer.add(&hash_key(hash, number), Some(&[]))?;
    }
    Ok(())
}

fn write_list(writer: &mut SortedWriter, family: Family, list: &ListLayer) -> Result<()> {
    writer.begin(family.section(), wide(list.len()))?;
    let mut entries = list.iter();
    entries.try_for_each(|(place, taken)| {
        writer.add(&place_key(place.as_u128()), taken.is_none().then_some(&[]))
    })
}

fn write_rows(writer: &mut SortedWriter, frozen: &FrozenIndex) -> Result<()> {
    let mut tables: Vec<_> =
        frozen.rows.iter().map(|(name, rows)| (row_key(name, &[]), rows)).collect();
    tables.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let rows = tables.iter().map(|(_, rows)| wide(rows.len())).sum();
    writer.begin(Family::Rows.section(), rows)?;
    let mut value = vec![];
    for (mut key, rows) in tables {
        let prefix = key.len();
        for (of, row) in rows.iter() {
            key.truncate(prefix);
            key.extend_from_slice(of);
            value.clear();
            if let Some(row) = row {
                row.encode(&mut value);
            }
            writer.add(&key, row.map(|_| value.as_slice()))?;
        }
    }
    Ok(())
}
