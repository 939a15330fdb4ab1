//! The base of an incremental backup: a former copy whose full segments the new one can share.

use std::path::PathBuf;

use super::summary;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::log::files::{Lock, ManifestFile, Segment, View};
use crate::log::format::{Manifest, Paths, SegmentHeader};

/// A former copy of the log.
pub(crate) struct Base<'a> {
    paths: &'a Paths,
    manifest: Manifest,
    /// Holds one segment of it.
    buffer: Vec<u8>,
}

impl<'a> Base<'a> {
    /// Opens the copy in `paths`. Its manifest and segment headers must be those of a former copy of the log
    /// in `view`.
    pub(crate) fn open(disk: &dyn Disk, paths: &'a Paths, view: &View) -> Result<Self> {
        let manifest = ManifestFile::open(disk, paths, OpenMode::Read)?.current;
        let refused = |why| Err(Error::NotABase { path: paths.root.clone(), why });
        if Lock::is_held(disk, paths)? {
            return refused("it is a store that a process writes");
        }
        if manifest.identity != view.identity {
            return refused("it belongs to another store");
        }
        if !manifest.closed {
            return refused("it was opened for writing and not closed in order");
        }
        if manifest.durable_upto > view.end {
            return refused("it holds more than the store does");
        }
        let (last, _) = manifest.identity.locate(manifest.durable_upto);
        for (number, segment) in (0..=last).zip(view.segments()) {
            let header = Segment::read_header(disk, paths, number, &manifest.identity)?;
            if !header.is_same(&segment.header) {
                return refused("a segment of it is another one");
            }
            let path = paths.segment(number);
            if disk.id_at(&path).map_err(|e| Error::io("look at", path, e))? == segment.id {
                // Otherwise damage to the store would also damage its backups.
                return refused("it is the store itself, or shares its files");
            }
        }
        Ok(Base { paths, manifest, buffer: vec![] })
    }

    /// The file that holds exactly the `bytes` of a full segment; `None` if the segment was not full in this
    /// copy.
    pub(crate) fn shares(
        &mut self,
        disk: &dyn Disk,
        header: &SegmentHeader,
        bytes: &[u8],
    ) -> Result<Option<PathBuf>> {
        let (last, offset) = self.manifest.identity.locate(self.manifest.durable_upto);
        if header.number > last {
            return Ok(None);
        }
        let path = self.paths.segment(header.number);
        let found = Segment::read_header(disk, self.paths, header.number, &header.identity)?;
        if found != *header {
            // It was compacted since.
            return Ok(None);
        }
        self.buffer.resize(bytes.len(), 0);
        let file = disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        file.read_at(&mut self.buffer, 0).map_err(|e| Error::io("read", &path, e))?;
        let full = header.number < last;
        let upto = if full { bytes.len() } else { offset };
        if self.buffer.get(..upto) == bytes.get(..upto) {
            return Ok(full.then_some(path));
        }
        // Either it is damaged, or the copy was written to.
        let stop = (!full).then_some(offset);
        let summary = summary::verify(&self.buffer, &path, header, stop, (0, self.manifest.epoch))?;
        if self.buffer.get(..summary.end) == bytes.get(..summary.end) {
            // Only bytes after the seal differ, where nothing is ever written.
            return Ok(None);
        }
        let why = "it has commits that the store does not have";
        Err(Error::NotABase { path: self.paths.root.clone(), why })
    }
}
