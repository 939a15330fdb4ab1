//! Reading the published part of the log. A [`View`] is one state of it; a writer goes on beside it.

use std::ops::Range;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use super::segment::{Segment, Stored};
use super::unpacked::{BlockCache, Copies};
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::id::{Position, RunNumber};
use crate::log::format::{Batch, CompactedFrames, Fault, Identity, corrupt};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Condvar, Mutex, RwLock};

/// Segments in order.
#[derive(Clone, Default)]
struct Segments {
    all: Vec<Arc<Segment>>,
    /// Of those that are packed.
    cache: Arc<BlockCache>,
}

/// The segments of an open store and how far they are published. Shared by the writer and all readers.
pub(crate) struct Published {
    pub(crate) identity: Identity,
    segments: RwLock<Arc<Segments>>,
    /// Commits below it are visible. Raised after the segments' own marks.
    end: AtomicU64,
    /// Segments as they were before a compaction, as long as a view has them.
    replaced: Mutex<Vec<Weak<Segment>>>,
    waiting: Mutex<Vec<Waker>>,
    advanced: Condvar,
}

impl Published {
    pub(crate) fn new(identity: Identity, segments: Vec<Arc<Segment>>, end: Position) -> Self {
        Published {
            identity,
            segments: RwLock::new(Arc::new(Segments { all: segments, cache: Arc::default() })),
            end: AtomicU64::new(end.as_u64()),
            replaced: Mutex::new(vec![]),
            waiting: Mutex::new(vec![]),
            advanced: Condvar::new(),
        }
    }

    /// Where the published log ends.
    pub(crate) fn end(&self) -> Position {
        Position::from_u64(self.end.load(Ordering::Acquire))
    }

    /// The log as published now.
    pub(crate) fn view(&self) -> View {
        // The end is read while no segment is added or replaced. If it came from before, a compaction could since have
        // dropped what was not dead by then; if from after, the log could have gone on in a segment added since.
        let segments = self.segments.read();
        let end = self.end();
        View::new(self.identity, segments.clone(), end)
    }

    pub(crate) fn add_segment(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write();
        let mut longer = Segments::clone(&segments);
        longer.all.push(segment);
        *segments = Arc::new(longer);
    }

    /// Puts a segment in the place of the one with its number. Views that were taken before keep that one.
    pub(crate) fn replace_segment(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write();
        let mut others = Segments::clone(&segments);
        let number = usize::try_from(segment.header.number).ok();
        if let Some(place) = number.and_then(|number| others.all.get_mut(number)) {
            let before = std::mem::replace(place, segment);
            self.replaced.lock().push(Arc::downgrade(&before));
        }
        *segments = Arc::new(others);
    }

    /// The files that views hold, and that compactions have put others in the place of: the number of the segment, and the
    /// bytes.
    pub(crate) fn held(&self) -> Vec<(u32, u64)> {
        let mut replaced = self.replaced.lock();
        replaced.retain(|segment| segment.strong_count() > 0);
        let held = replaced.iter().filter_map(Weak::upgrade);
        held.map(|it| (it.header.number, wide(it.header.stored_len()))).collect()
    }

    /// Everything below `end`, published or not. The marks must have been raised to `end`.
    pub(crate) fn view_upto(&self, end: Position) -> View {
        View::new(self.identity, self.segments.read().clone(), end)
    }

    /// Makes every commit below `end` visible.
    pub(crate) fn publish(&self, end: Position) {
        self.raise_marks(end);
        self.end.fetch_max(end.as_u64(), Ordering::Release);
    }

    /// Makes everything below `end` readable in the segments.
    pub(crate) fn raise_marks(&self, end: Position) {
        let segments = self.segments.read();
        let (number, offset) = self.identity.locate(end);
        // From the last one on: only the last few are not fully published.
        for segment in segments.all.iter().rev() {
            match segment.header.number.cmp(&number) {
                std::cmp::Ordering::Greater => {}
                std::cmp::Ordering::Equal => segment.file.publish(offset),
                std::cmp::Ordering::Less if segment.file.is_published_whole() => break,
                std::cmp::Ordering::Less => segment.file.publish(usize::MAX),
            }
        }
    }

    /// Wakes every waiter, after the end has risen or the writer has failed.
    pub(crate) fn wake(&self) {
        let wakers = std::mem::take(&mut *self.waiting.lock());
        self.advanced.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Blocks until something is published at or after `from`, at most for `timeout`; returns whether
    /// something is.
    pub(crate) fn wait_beyond(&self, from: Position, timeout: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        self.advanced.wait_while_for(&mut waiting, |_| self.end() <= from, timeout);
        self.end() > from
    }

    /// Registers `waker` for the next change.
    pub(crate) fn register(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock();
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

/// Where in the file of a compacted segment a piece begins: of the run's batches in it, the one before, as a compaction puts
/// the last one first.
pub(crate) type Behind<'v> = Option<(&'v Segment, usize)>;

/// The log as published up to one position. Keeps its segments mapped.
pub(crate) struct View {
    pub(crate) identity: Identity,
    segments: Arc<Segments>,
    pub(crate) end: Position,
    /// The pieces that were read from packed segments.
    copies: Copies,
}

impl Clone for View {
    /// Without what was read from packed segments.
    fn clone(&self) -> Self {
        View::new(self.identity, self.segments.clone(), self.end)
    }
}

impl View {
    fn new(identity: Identity, segments: Arc<Segments>, end: Position) -> Self {
        View { identity, segments, end, copies: Copies::default() }
    }

    /// A log without commits.
    pub(crate) fn empty(identity: Identity) -> Self {
        View::new(identity, Arc::default(), Position::START)
    }

    /// The bytes from `position` to the end of what is readable with it in its segment.
    pub(super) fn bytes_from(&self, position: Position) -> Option<(&Segment, &[u8])> {
        let (segment, bytes, _) = self.find(position)?;
        Some((segment, bytes))
    }

    /// The same, and where the next piece begins in the file, of a compacted segment.
    #[inline]
    fn find(&self, position: Position) -> Option<(&Segment, &[u8], Option<usize>)> {
        let (number, offset) = self.identity.locate(position);
        let segment = self.segments.all.get(usize::try_from(number).ok()?)?;
        Some(match segment.stored_from(offset)? {
            Stored::Mapped(bytes) => (segment, bytes, None),
            Stored::Piece(bytes, next) => (segment, bytes, Some(next)),
            Stored::Packed(block, piece, into) => {
                let start = Position::from_u64(position.as_u64() - wide(into));
                (segment, self.unpacked(segment, start, block, piece)?.get(into..)?, None)
            }
        })
    }

    /// A copy of the piece that begins at a position, in a block.
    #[cold]
    fn unpacked(
        &self,
        segment: &Segment,
        start: Position,
        block: usize,
        piece: Range<usize>,
    ) -> Option<&[u8]> {
        let cache = &self.segments.cache;
        let copy = || Some(Box::from(segment.block(block, cache)?.get(piece)?));
        self.copies.get(start, copy)
    }

    /// `len` bytes at `position`.
    pub(crate) fn bytes(&self, position: Position, len: usize) -> Result<&[u8]> {
        if len == 0 {
            // An empty value may lie behind the end of its piece.
            return Ok(&[]);
        }
        self.bytes_from(position)
            .and_then(|(_, bytes)| bytes.get(..len))
            .ok_or_else(|| self.not_found(position, "the address is not in the log", len))
    }

    /// The batch at `position`, which must belong to `run`.
    pub(crate) fn batch(&self, position: Position, run: RunNumber) -> Result<Batch<'_>> {
        let bytes = self.bytes_from(position).map(|(_, bytes)| bytes);
        let Some(batch) = bytes.and_then(|bytes| Batch::parse(bytes, position).ok()) else {
            return Err(self.no_batch(position));
        };
        self.check_run(&batch, run)?;
        Ok(batch)
    }

    /// The bytes from the batch at `position` on. Begins to fetch its header into the cache. `behind` is what lies behind the
    /// batch that links to this one, and becomes what lies behind this one.
    pub(crate) fn prefetch<'v>(
        &'v self,
        position: Position,
        behind: &mut Behind<'v>,
    ) -> Option<&'v [u8]> {
        let bytes = match behind.take() {
            None => self.search(position, behind)?,
            Some((segment, place)) => {
                let (number, offset) = self.identity.locate(position);
                let is_there = segment.header.number == number;
                match is_there.then(|| segment.commit_at(place, offset)).flatten() {
                    None => self.search(position, behind)?,
                    Some((bytes, next)) => {
                        *behind = Some((segment, next));
                        bytes
                    }
                }
            }
        };
        std::hint::black_box(bytes.first().copied());
        Some(bytes)
    }

    /// The bytes from `position` on, without a hint where they may be.
    fn search<'v>(&'v self, position: Position, behind: &mut Behind<'v>) -> Option<&'v [u8]> {
        let (segment, bytes, next) = self.find(position)?;
        *behind = next.map(|next| (segment, next));
        Some(bytes)
    }

    /// The error for a position at which no batch was found.
    #[cold]
    pub(crate) fn no_batch(&self, position: Position) -> Error {
        match self.bytes_from(position) {
            None => self.not_found(position, "a batch is outside the log", 0),
            Some(_) => self.corrupt(position, "a batch header is malformed", 0, 0),
        }
    }

    /// The error for bytes that are not found: for `what`, unless their block or a table is damaged.
    #[cold]
    fn not_found(&self, position: Position, what: &'static str, len: usize) -> Error {
        let (number, offset) = self.identity.locate(position);
        let segment = usize::try_from(number).ok().and_then(|at| self.segments.all.get(at));
        let damaged = segment.and_then(|segment| {
            let fault = segment.fault_at(offset, &self.segments.cache)?;
            Some(fault.corrupt(&segment.path, offset))
        });
        damaged.unwrap_or_else(|| self.corrupt(position, what, wide(len), 0))
    }

    /// [`Error::Corrupt`] for a batch of another run than `run`.
    #[inline]
    pub(crate) fn check_run(&self, batch: &Batch<'_>, run: RunNumber) -> Result<()> {
        if batch.run == run {
            return Ok(());
        }
        let (expected, found) = (run.as_u32().into(), batch.run.as_u32().into());
        Err(self.corrupt(batch.position, "a batch belongs to another run", expected, found))
    }

    /// How many bytes of files lie between two positions.
    pub(crate) fn file_bytes_between(&self, from: Position, to: Position) -> u64 {
        let before = |position| {
            let (number, offset) = self.identity.locate(position);
            self.file_bytes_before(number) + wide(offset)
        };
        before(to).saturating_sub(before(from))
    }

    /// The checksum of the frame of the commit at a position; `None` if nothing of it is left.
    pub(crate) fn commit_checksum(&self, position: Position) -> Result<Option<u32>> {
        let (number, offset) = self.identity.locate(position);
        let segment = usize::try_from(number).ok().and_then(|at| self.segments.all.get(at));
        let Some(segment) = segment.filter(|segment| segment.header.compacted.is_some()) else {
            let frame = self.frames(position).next().transpose()?;
            return Ok(frame.filter(|frame| frame.position == position).map(|it| it.checksum));
        };
        let failed = |fault: Fault| fault.corrupt(&segment.path, offset);
        let mut frames =
            CompactedFrames::new(segment.header, segment.whole_file()).map_err(failed)?;
        Ok(frames.at(position).map_err(failed)?.map(|frame| frame.checksum))
    }

    /// [`Error::Corrupt`] at `position`.
    #[cold]
    pub(crate) fn corrupt(
        &self,
        position: Position,
        what: &'static str,
        expected: u64,
        found: u64,
    ) -> Error {
        let (number, offset) = self.identity.locate(position);
        let segment = usize::try_from(number).ok().and_then(|number| self.segments.all.get(number));
        let path = segment.map(|segment| segment.path.clone()).unwrap_or_default();
        corrupt(&path, offset as u64, what, expected, found)
    }

    /// The total length of the files of the segments before number `segment`.
    pub(crate) fn file_bytes_before(&self, segment: u32) -> u64 {
        let before = self.segments.all.iter().filter(|other| other.header.number < segment);
        before.map(|other| wide(other.header.stored_len())).sum()
    }

    /// The segments, in order.
    pub(crate) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments.all
    }
}
