//! What the files of all segments are used for.

use std::io::ErrorKind::NotFound;

use super::extent::Extent;
use super::pass::Pass;
use crate::bytes::wide;
use crate::disk::OpenMode;
use crate::error::{Error, Result};
use crate::log::format::{SEGMENT_HEADER_BYTES, segment_number};
use crate::retention::{Compacted, Compaction, SegmentSpace};
use crate::store::shared::Store;

impl Store {
    /// What the file of each segment is used for, full ones and those that take commits to come, and what a
    /// [compaction](Store::compact) would come to now: which ones it would rewrite. Reads the whole log and changes nothing. Works
    /// in a store that is open for reading only, beside a writer.
    ///
    /// A file that a compaction is writing meanwhile is not among them.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::retention::Compaction;
    ///
    /// store.transact(|tx| tx.put("progress", b"worker-1", &[0; 1_000]))?;
    /// store.transact(|tx| tx.put("progress", b"worker-1", &[1; 1_000]))?;
    /// let current = store.space(&Compaction::new())?.segments[0];
    /// assert!(current.dead_bytes > 1_000 && current.live_bytes > 1_000 && current.free_bytes > 0);
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`] for damage that was found, [`Error::DamagedIndex`]; [`Error::Io`] if a file cannot be measured.
    pub fn space(&self, compaction: &Compaction) -> Result<Compacted> {
        self.shared.here()?;
        let snapshot = self.snapshot();
        let extent = Extent::of(&self.shared, compaction, &snapshot, None)?;
        let mut pass = Pass::new(&self.shared, compaction, &snapshot, extent, false);
        let segments = snapshot.view().segments();
        for segment in segments {
            pass.segment(segment.header.number)?;
        }
        let mut done = pass.done;
        done.segments.extend(self.prepared(segments.len())?);
        for (number, bytes) in self.shared.published.held() {
            let segment = done.segments.iter_mut().find(|segment| segment.segment == number);
            segment.into_iter().for_each(|segment| segment.held_bytes += bytes);
        }
        Ok(done)
    }

    /// The segments from the one on whose number is `first`, which take commits to come; also one that is being prepared.
    fn prepared(&self, first: usize) -> Result<Vec<SegmentSpace>> {
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        let names = disk.list(&paths.log()).map_err(|e| Error::io("list", paths.log(), e))?;
        let first = u32::try_from(first).unwrap_or(u32::MAX);
        let mut files: Vec<_> = names.iter().filter_map(|name| segment_number(name)).collect();
        files.retain(|number| *number >= first);
        files.sort_unstable();
        let next = files.last().map_or(first, |last| last.saturating_add(1));
        let mut found = vec![];
        let named = files.into_iter().map(|number| (number, paths.segment(number)));
        for (segment, path) in named.chain([(next, paths.prepared())]) {
            let file_bytes = match disk.open(&path, OpenMode::Read).and_then(|file| file.size()) {
                // Being prepared is a matter of some milliseconds.
                Err(error) if segment == next && error.kind() == NotFound => continue,
                measured => measured.map_err(|e| Error::io("measure", &path, e))?,
            };
            let index_bytes = if segment == next { 0 } else { wide(SEGMENT_HEADER_BYTES) };
            let free_bytes = file_bytes.saturating_sub(index_bytes);
            let space =
                SegmentSpace { segment, file_bytes, index_bytes, ..SegmentSpace::default() };
            found.push(SegmentSpace { free_bytes, left_bytes: index_bytes, ..space });
        }
        Ok(found)
    }
}
