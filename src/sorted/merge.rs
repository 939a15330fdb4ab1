//! Merging files into one.

use std::ops::Bound;

use super::file::SortedFile;
use super::range::{Entries, Entry};
use super::writer::{SortedWriter, Summary};
use crate::bytes::wide;
use crate::error::Result;

/// Bytes of entries between two calls of `pace`.
const PACE_BYTES: u64 = 1 << 20;

/// Merges files, the oldest first: of entries with the same key, the newest file's is kept. Tombstones are kept unless
/// `drop_tombstones`, which is right only where there is no older file. `pace` is told about each MiB that was merged, and
/// its error ends the merge. The result is the file that writing the merged entries at once would give.
pub(crate) fn merge(
    inputs: &[&SortedFile],
    mut writer: SortedWriter,
    drop_tombstones: bool,
    pace: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Summary> {
    let mut merged = 0;
    for section in 0..writer.kinds().len() {
        let mut merging = Merging::new(inputs, section)?;
        writer.begin(section, merging.at_most)?;
        while let Some((key, value)) = merging.next()? {
            if value.is_some() || !drop_tombstones {
                writer.add(&key, value)?;
            }
            merged += wide(key.len() + value.map_or(0, <[u8]>::len) + 1);
            if merged >= PACE_BYTES {
                pace(std::mem::take(&mut merged))?;
            }
        }
    }
    pace(merged)?;
    writer.finish()
}

/// The entries of a section of several files.
struct Merging<'a> {
    /// Of each file, the newest first: its next entry, and those behind it.
    inputs: Vec<(Option<Entry<'a>>, Entries<'a>)>,
    /// The sum of the entries of all.
    at_most: u64,
}

impl<'a> Merging<'a> {
    fn new(inputs: &[&'a SortedFile], section: usize) -> Result<Self> {
        let mut merging = Merging { inputs: Vec::with_capacity(inputs.len()), at_most: 0 };
        for file in inputs.iter().rev() {
            let mut entries = file.range(section, (Bound::Unbounded, Bound::Unbounded))?;
            merging.at_most += file.entries(section)?;
            merging.inputs.push((entries.next().transpose()?, entries));
        }
        Ok(merging)
    }

    /// The next entry of the merged section.
    fn next(&mut self) -> Result<Option<Entry<'a>>> {
        let heads = self.inputs.iter().filter_map(|(head, _)| *head);
        // The first of equals, which is the newest one.
        let Some(least) = heads.min_by_key(|(key, _)| *key) else { return Ok(None) };
        for (head, entries) in &mut self.inputs {
            if let Some((key, _)) = head
                && *key == least.0
            {
                let next = entries.next().transpose()?;
                if next.is_some_and(|(next, _)| next <= *key) {
                    return Err(entries.out_of_order());
                }
                *head = next;
            }
        }
        Ok(Some(least))
    }
}
