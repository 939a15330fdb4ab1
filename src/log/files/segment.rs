//! One segment of the log: a file of a length that never changes, zero until written.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::location::check_at;
use super::unpacked::BlockCache;
use crate::bytes::{in_memory, wide};
use crate::disk::{Disk, DiskFile, FileId, MappedFile, OpenMode, create_anew};
use crate::error::{Error, Result};
use crate::log::format::{
    Blocks, Compacted, Fault, HEADER_BYTES, Identity, Paths, PieceDirectory, PieceTable,
    SEGMENT_HEADER_BYTES, SegmentHeader, corrupt, frame::verify_header, wrong_length,
};

/// Bytes per write while a segment is zeroed. The page cache keeps the file in folios of this size: with 1 MiB, a
/// later write of a few hundred bytes takes twice as long.
const ZERO_BYTES: usize = 64 << 10;
/// Bytes zeroed between two syncs. A commit's sync may have to wait for one of these.
const SYNC_BYTES: u64 = 1 << 20;

/// An open segment.
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) path: PathBuf,
    pub(crate) id: FileId,
    pub(crate) file: MappedFile,
    /// Of a segment that was compacted; made when it is first read.
    directory: OnceLock<Option<Directory>>,
}

/// Where the parts of a compacted segment are.
struct Directory {
    pieces: PieceDirectory,
    blocks: Arc<Blocks>,
}

/// Where bytes of a segment are.
pub(crate) enum Stored<'s> {
    /// In the map.
    Mapped(&'s [u8]),
    /// In the map of a compacted segment; and where in its file the next piece begins.
    Piece(&'s [u8], usize),
    /// In a block, which is packed: its number, the piece in it, and where the bytes begin in that.
    Packed(usize, Range<usize>, usize),
}

impl Segment {
    pub(super) fn new(header: SegmentHeader, path: PathBuf, id: FileId, file: MappedFile) -> Self {
        Segment { header, path, id, file, directory: OnceLock::new() }
    }

    /// Creates an empty segment: zeroed, synced (`fsync`), then renamed. So a segment under its final name always
    /// has a header and allocated space. `check_location` is called before each file is created or renamed.
    pub(crate) fn prepare(
        disk: &dyn Disk,
        paths: &Paths,
        header: SegmentHeader,
        check_location: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        check_location()?;
        let prepared = Self::make(disk, paths, header, check_location);
        if !matches!(prepared, Ok(_) | Err(Error::Displaced { .. })) {
            // Frees the space on a full disk. If it fails, the next attempt removes the file, or it was
            // renamed already.
            let _ = disk.remove(&paths.prepared());
        }
        prepared
    }

    fn make(
        disk: &dyn Disk,
        paths: &Paths,
        header: SegmentHeader,
        check_location: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let temporary = paths.prepared();
        let failed = |operation| {
            let path = temporary.clone();
            move |source| Error::io(operation, path, source)
        };
        let file = create_anew(disk, &temporary).map_err(failed("create"))?;
        let size = u64::from(header.file_bytes);
        let zeros = vec![0; ZERO_BYTES];
        let mut offset = 0;
        while offset < size {
            let len = usize::try_from(size - offset).unwrap_or(ZERO_BYTES).min(ZERO_BYTES);
            file.write_at(zeros.get(..len).unwrap_or_default(), offset).map_err(failed("zero"))?;
            offset += len as u64;
            if offset.is_multiple_of(SYNC_BYTES) && offset < size {
                file.sync().map_err(failed("sync"))?;
            }
        }
        file.write_at(&header.encode(), 0).map_err(failed("write"))?;
        // The content must be durable before the name is: recovery trusts a segment under its final name.
        file.sync().map_err(failed("sync"))?;
        let segment =
            Self::put_in_place(disk, paths, (&temporary, &*file), header, check_location)?;
        segment.open_for_writing(disk)?;
        Ok(segment)
    }

    /// Gives a file that is on the device, under a temporary name, that of its segment, and opens it. `check_location` is
    /// called before.
    pub(crate) fn put_in_place(
        disk: &dyn Disk,
        paths: &Paths,
        (temporary, file): (&Path, &dyn DiskFile),
        header: SegmentHeader,
        check_location: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| Error::io(operation, path, source)
        };
        let id = file.id().map_err(failed("look at", temporary))?;
        check_location()?;
        check_at(disk, temporary, id)?;
        let path = paths.segment(header.number);
        disk.rename(temporary, &path).map_err(failed("rename", temporary))?;
        let dir = paths.log();
        // The entry must be durable before a commit in the segment is acknowledged.
        disk.sync_dir(&dir).map_err(failed("sync", &dir))?;
        let segment = Self::open(disk, paths, header, SEGMENT_HEADER_BYTES)?;
        check_at(disk, &path, id)?;
        Ok(segment)
    }

    /// Maps the segment that has this header, readable up to `mark`, or what a compaction has made of it since that was
    /// read. Keeps no descriptor open.
    pub(crate) fn open(
        disk: &dyn Disk,
        paths: &Paths,
        header: SegmentHeader,
        mark: usize,
    ) -> Result<Self> {
        let path = paths.segment(header.number);
        let file = disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        let found = header_of(file.as_ref(), &path, header.number, &header.identity)?;
        if !found.is_same(&header) {
            return Err(corrupt(&path, 0, "the segment is not the one that is open", 0, 0));
        }
        let id = file.id().map_err(|e| Error::io("look at", &path, e))?;
        let map = file.map(found.stored_len()).map_err(|e| Error::io("map", &path, e))?;
        let mark = if found.compacted.is_some() { usize::MAX } else { mark };
        let file = MappedFile::new(map, mark);
        Ok(Segment::new(found, path, id, file))
    }

    /// The readable bytes from an offset of the segment on: to its mark, or to the end of the piece that a compaction has left
    /// there.
    #[inline]
    pub(crate) fn stored_from(&self, offset: usize) -> Option<Stored<'_>> {
        match &self.header.compacted {
            None => self.mapped_from(offset).map(Stored::Mapped),
            Some(compacted) => self.piece_from(compacted, offset),
        }
    }

    /// The readable bytes from an offset on, of a segment that was not compacted.
    pub(crate) fn mapped_from(&self, offset: usize) -> Option<&[u8]> {
        self.file.bytes(offset..self.file.mark())
    }

    fn piece_from(&self, compacted: &Compacted, offset: usize) -> Option<Stored<'_>> {
        let table = PieceTable::new(self.file.bytes(compacted.table())?);
        let directory = self.directory(compacted)?;
        let piece = table.find(&directory.pieces, offset)?;
        let (places, into) = (piece.places(), offset - in_memory(piece.at));
        let Some(number) = directory.blocks.at(places.start) else {
            let next = places.end;
            return Some(Stored::Piece(self.file.bytes(places.start + into..next)?, next));
        };
        let start = directory.blocks.get(number)?.unpacked.start;
        Some(Stored::Packed(number, places.start - start..places.end - start, into))
    }

    /// The batch at an offset of the segment, if the piece at this place of its file is a commit of that batch alone; and where
    /// the next piece begins. The frame's check proves that it is that one (its position is part of it).
    pub(crate) fn commit_at(&self, place: usize, offset: usize) -> Option<(&[u8], usize)> {
        let compacted = self.header.compacted.as_ref()?;
        let bytes = self.file.bytes(place..compacted.plain().end)?;
        let start = self.header.identity.first_byte(self.header.number);
        let position = start.plus(wide(offset.checked_sub(HEADER_BYTES)?));
        let frame = verify_header(bytes, self.header.scope(), position).ok()?;
        let batch = bytes.get(HEADER_BYTES..frame.frame_bytes())?;
        (frame.batches == 1).then_some((batch, place + frame.frame_bytes()))
    }

    /// `None` if a table is damaged, as it would lead anywhere.
    fn directory(&self, compacted: &Compacted) -> Option<&Directory> {
        let new = || {
            let table = PieceTable::new(self.file.bytes(compacted.table())?);
            let pieces = PieceDirectory::new(table, compacted, self.header.file_bytes)?;
            let blocks = Arc::new(Blocks::of(compacted, self.whole_file())?);
            Some(Directory { pieces, blocks })
        };
        self.directory.get_or_init(new).as_ref()
    }

    /// A block, unpacked; `None` if it is damaged.
    pub(super) fn block(&self, number: usize, cache: &BlockCache) -> Option<Arc<[u8]>> {
        let directory = self.directory(self.header.compacted.as_ref()?)?;
        let block = directory.blocks.get(number)?;
        cache.get(&directory.blocks, number, || block.unpack(self.whole_file()))
    }

    /// Why the bytes at an offset of a segment that was compacted are not found, if a table or their block is damaged.
    pub(super) fn fault_at(&self, offset: usize, cache: &BlockCache) -> Option<Fault> {
        let compacted = self.header.compacted.as_ref()?;
        let Some(directory) = self.directory(compacted) else {
            return Some(Fault::Table { offset: compacted.table().start });
        };
        let Stored::Packed(number, ..) = self.stored_from(offset)? else { return None };
        let offset = directory.blocks.get(number)?.packed.start;
        self.block(number, cache).is_none().then_some(Fault::Blocks { offset })
    }

    /// The offset of the seal, of a segment that was compacted.
    pub(crate) fn compacted_seal(&self) -> Option<usize> {
        let table = PieceTable::new(self.file.bytes(self.header.compacted?.table())?);
        table.get(table.len().checked_sub(1)?).map(|seal| in_memory(seal.at))
    }

    /// All bytes of the file, of a segment that was compacted.
    pub(crate) fn whole_file(&self) -> &[u8] {
        self.file.bytes(0..self.header.stored_len()).unwrap_or_default()
    }

    /// Opens the segment for writing; [`Error::Displaced`] if its path leads to another file than the mapped
    /// one.
    pub(crate) fn open_for_writing(&self, disk: &dyn Disk) -> Result<()> {
        let opened = disk.open(&self.path, OpenMode::Write);
        let file = opened.map_err(|e| Error::io("open", &self.path, e))?;
        let id = file.id().map_err(|e| Error::io("look at", &self.path, e))?;
        if id != self.id {
            return Err(Error::Displaced { path: self.path.clone(), replaced: true });
        }
        self.file.begin_writing(file);
        Ok(())
    }

    /// Reads and checks the header of segment `number`.
    pub(crate) fn read_header(
        disk: &dyn Disk,
        paths: &Paths,
        number: u32,
        identity: &Identity,
    ) -> Result<SegmentHeader> {
        let path = paths.segment(number);
        let file = disk.open(&path, OpenMode::Read).map_err(|e| Error::io("open", &path, e))?;
        header_of(file.as_ref(), &path, number, identity)
    }
}

/// Reads and checks the header of segment `number` in its file.
pub(crate) fn header_of(
    file: &dyn DiskFile,
    path: &Path,
    number: u32,
    identity: &Identity,
) -> Result<SegmentHeader> {
    let size = file.size().map_err(|e| Error::io("measure", path, e))?;
    if size < wide(SEGMENT_HEADER_BYTES) {
        return Err(wrong_length(path, wide(SEGMENT_HEADER_BYTES), size));
    }
    let mut page = vec![0; SEGMENT_HEADER_BYTES];
    file.read_at(&mut page, 0).map_err(|e| Error::io("read", path, e))?;
    let header = SegmentHeader::decode(&page, path, number, identity)?;
    if size != wide(header.stored_len()) {
        return Err(wrong_length(path, wide(header.stored_len()), size));
    }
    Ok(header)
}
