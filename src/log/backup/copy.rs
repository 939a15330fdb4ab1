//! Copying the published log into a directory of its own, beside whoever writes.

use std::path::Path;

use super::base::Base;
use super::destination::Destination;
use super::summary;
use crate::bytes::wide;
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::log::files::{ManifestFile, View, check_disjoint};
use crate::log::format::{Manifest, Paths, SEGMENT_HEADER_BYTES, SegmentHeader, corrupt};

/// How much is written at a time.
const PIECE_BYTES: usize = 1 << 20;

/// What a copy came to.
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

/// Copies what `view` shows of the log in `from`. The copy in `to` is a store that was closed
/// where the view ends, once this returns without error, and no store before. Full segments that
/// are in `base` already get a second name instead. `progress` is told of bytes that were done.
pub(crate) fn copy(
    disk: &dyn Disk,
    from: &Paths,
    view: &View,
    to: &Paths,
    base: Option<&Paths>,
    progress: &mut dyn FnMut(u64),
) -> Result<Copied> {
    // Read after the view was taken: no frame in it is newer than this manifest.
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
        destination.check_place()?;
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
    /// The copy's.
    manifest: Manifest,
    base: Option<Base<'a>>,
    /// Of the last frame.
    epoch: u32,
    copied: Copied,
    /// One segment.
    buffer: Vec<u8>,
    progress: &'a mut dyn FnMut(u64),
}

impl Copy<'_> {
    /// Copies a full segment, or, up to the offset `stop`, the one that the log ends in.
    fn segment(&mut self, number: u32, stop: Option<usize>) -> Result<()> {
        let header = self.load(number)?;
        let path = self.from.segment(number);
        let epochs = (self.epoch, self.manifest.epoch);
        let whole = summary::verify(&self.buffer, &path, &header, stop, epochs)?;
        self.epoch = whole.epoch;
        self.copied.commits += whole.commits;
        // Commits to come, what a crash left, what is behind a seal: none of it was published.
        self.buffer.get_mut(whole.end..).unwrap_or_default().fill(0);
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
        let identity = self.view.identity;
        let path = &self.from.segment(number);
        let failed = |operation| move |source| Error::io(operation, path, source);
        let file = self.disk.open(path, OpenMode::Read).map_err(failed("open"))?;
        let (size, expected) =
            (file.size().map_err(failed("measure"))?, identity.segment_bytes.into());
        if size != expected {
            let what = "the file's length is wrong";
            return Err(corrupt(path, size.min(expected), what, expected, size));
        }
        self.buffer.resize(usize::try_from(expected).unwrap_or(usize::MAX), 0);
        file.read_at(&mut self.buffer, 0).map_err(failed("read"))?;
        let page = self.buffer.get(..SEGMENT_HEADER_BYTES).unwrap_or_default();
        let header = SegmentHeader::decode(page, path, number, &identity)?;
        let open = usize::try_from(number).ok().and_then(|at| self.view.segments().get(at));
        if open.is_none_or(|open| open.header != header) {
            return Err(corrupt(path, 0, "the segment is not the one that is open", 0, 0));
        }
        Ok(header)
    }

    /// Gives the file a second name; whether the disk can. The file should have been on the device
    /// since the former backup, which may however be a plain copy that nobody synced.
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
        for piece in self.buffer.chunks(PIECE_BYTES) {
            file.write_at(piece, offset).map_err(failed("write"))?;
            offset += wide(piece.len());
            (self.progress)(wide(piece.len()));
        }
        file.sync().map_err(failed("sync"))
    }
}
