//! Copies the published log into another directory, while a writer goes on.

use std::path::Path;

use super::base::Base;
use super::destination::Destination;
use super::summary;
use crate::bytes::wide;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::log::files::{ManifestFile, View, check_disjoint, header_of};
use crate::log::format::{Manifest, Paths, SegmentHeader, corrupt};

/// Bytes per write.
const CHUNK_BYTES: usize = 1 << 20;

/// The result of a copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Copied {
    pub(crate) commits: u64,
    /// Segments that were written.
    pub(crate) copied: u32,
    /// Segments that are shared with the former copy.
    pub(crate) linked: u32,
    /// Bytes written to segments.
    pub(crate) bytes: u64,
}

/// Copies the part of the log in `from` that is in `view`. When this returns without error, `to` is a store
/// that was shut down at the end of the view; before, it is not a store. Full segments that `base` holds
/// already are linked (hard links) instead. `progress` is called with the number of bytes done since the last call.
pub(crate) fn copy(
    disk: &dyn Disk,
    from: &Paths,
    view: &View,
    to: &Paths,
    base: Option<&Paths>,
    progress: &mut dyn FnMut(u64),
) -> Result<Copied> {
    // Read after the view was taken, so no frame in the view has a higher epoch than this manifest.
    let manifest = ManifestFile::open(disk, from, OpenMode::Read)?.current;
    if manifest.identity != view.identity {
        return Err(corrupt(&from.manifest(), 24, "the manifest is of another store", 0, 0));
    }
    check_disjoint(disk, &to.root, &from.root)?;
    let base = match base {
        Some(paths) => {
            let base = Base::open(disk, paths, view)?;
            check_disjoint(disk, &to.root, &paths.root)?;
            Some(base)
        }
        None => None,
    };
    let manifest = Manifest { generation: 1, durable_upto: view.end, closed: true, ..manifest };
    let destination = Destination::claim(disk, to, manifest)?;
    let mut copy = Copy {
        disk,
        from,
        view,
        to,
        manifest,
        base,
        epoch: 0,
        copied: Copied::default(),
        buffer: vec![],
        progress,
    };
    let (last, offset) = view.identity.locate(view.end);
    for number in 0..last {
        copy.segment(number, None)?;
        destination.check_location()?;
    }
    copy.segment(last, Some(offset))?;
    let copied = copy.copied;
    destination.finish()?;
    Ok(copied)
}

struct Copy<'a> {
    disk: &'a dyn Disk,
    from: &'a Paths,
    view: &'a View,
    to: &'a Paths,
    /// The manifest of the copy.
    manifest: Manifest,
    base: Option<Base<'a>>,
    /// The epoch of the last frame.
    epoch: u32,
    copied: Copied,
    /// Holds one segment.
    buffer: Vec<u8>,
    progress: &'a mut dyn FnMut(u64),
}

impl Copy<'_> {
    /// Copies a full segment, or, up to the offset `stop`, the one that the log ends in.
    fn segment(&mut self, number: u32, stop: Option<usize>) -> Result<()> {
        let header = self.load(number)?;
        let path = self.from.segment(number);
        let epochs = (self.epoch, self.manifest.epoch);
        let summary = summary::verify(&self.buffer, &path, &header, stop, epochs)?;
        self.epoch = summary.epoch;
        self.copied.commits += summary.commits;
        // Unpublished commits, a torn tail, bytes after a seal: none of that is copied.
        self.buffer.get_mut(summary.end..).unwrap_or_default().fill(0);
        let shared = match &mut self.base {
            Some(base) => base.shares(self.disk, &header, &self.buffer)?,
            None => None,
        };
        let to = self.to.segment(number);
        if let Some(shared) = shared
            && self.link(&shared, &to)?
        {
            self.copied.linked += 1;
            (self.progress)(wide(self.buffer.len()));
            return Ok(());
        }
        self.write(&to)?;
        self.copied.copied += 1;
        self.copied.bytes += wide(self.buffer.len());
        Ok(())
    }

    /// Reads a segment of the source, which must be the one in the view.
    fn load(&mut self, number: u32) -> Result<SegmentHeader> {
        let path = &self.from.segment(number);
        let other = || corrupt(path, 0, "the segment is not the one that is open", 0, 0);
        let open = usize::try_from(number).ok().and_then(|at| self.view.segments().get(at));
        let open = open.ok_or_else(other)?;
        let failed = |operation| move |source| Error::io(operation, path, source);
        let file = self.disk.open(path, OpenMode::Read).map_err(failed("open"))?;
        let header = header_of(file.as_ref(), path, number, &self.view.identity)?;
        if !header.is_same(&open.header) {
            return Err(other());
        }
        self.buffer.resize(open.header.stored_len(), 0);
        if header == open.header {
            file.read_at(&mut self.buffer, 0).map_err(failed("read"))?;
        } else {
            // It was compacted since the view was taken, and may lack what the view has.
            let whole = open.file.bytes(0..self.buffer.len()).ok_or_else(other)?;
            self.buffer.copy_from_slice(whole);
        }
        Ok(open.header)
    }

    /// Links the file; returns whether the disk can. The file is synced again, because the former backup may be
    /// a plain copy that was never synced.
    fn link(&self, shared: &Path, to: &Path) -> Result<bool> {
        if self.disk.link(shared, to).is_err() {
            return Ok(false);
        }
        let synced = self.disk.open(to, OpenMode::Read).and_then(|file| file.sync());
        synced.map(|()| true).map_err(|e| Error::io("sync", to, e))
    }

    fn write(&mut self, path: &Path) -> Result<()> {
        let failed = |operation| move |source| Error::io(operation, path, source);
        let file = self.disk.open(path, OpenMode::Create).map_err(failed("create"))?;
        let mut offset = 0;
        for chunk in self.buffer.chunks(CHUNK_BYTES) {
            file.write_at(chunk, offset).map_err(failed("write"))?;
            offset += wide(chunk.len());
            (self.progress)(wide(chunk.len()));
        }
        file.sync().map_err(failed("sync"))
    }
}
