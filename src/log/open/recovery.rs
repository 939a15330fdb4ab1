//! Crash recovery, the reading part: replays the log and decides what its last bytes are (the verdict).
//!
//! Frames are read from the first one on, or from the end of what an index covers. The log ends where a frame does
//! not verify. The bytes from there on decide:
//!
//! - all zero, and no durable mark above: the log is whole;
//! - a durable mark above (of a later frame, the manifest or the lock record) says that these bytes were on the
//!   device once: acknowledged data is damaged, and the opening is refused;
//! - otherwise no mark covers them. They were never acknowledged if the checksum at the end of the log is zero (a torn
//!   write), if the manifest says that the log was closed here, or if they lie behind a seal: torn tail. Without such a
//!   proof: ambiguous.
//!
//! `docs/format.md` has the same, step by step, in its section on the verdict.

use std::ops::Range;

use super::covered::Covered;
use super::segment_reader::{OpenSegment, SegmentReader};
use crate::bytes::wide;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::event::Malformed;
use crate::id::{Position, RunId, RunNumber};
use crate::log::files::{Segment, durable_hint};
use crate::log::format::{
    Compacted, Fault, Frame, FrameKind, Identity, Manifest, Part, Parts, Paths,
    SEGMENT_HEADER_BYTES, SegmentHeader, claimed_runs, corrupt, frame, segment_number,
};

/// Receives every commit in order; the index implements it.
pub(crate) trait Replay {
    /// Applies a commit; an error if its content breaks a rule of the format.
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed>;
    /// A segment that was compacted comes next, or, if it is `left_out`, is among what is covered.
    fn compacted(&mut self, segment: &SegmentHeader, compacted: &Compacted, left_out: bool);
    /// Whether no run lacks events that is not deleted.
    fn is_whole(&self) -> bool;
    /// The ids of the runs with these numbers; unknown ones are left out.
    fn run_ids(&self, numbers: &[RunNumber]) -> Vec<RunId>;
}

/// The bytes that are not zero after the end of the log, and after the seals of full segments.
#[derive(Clone, Debug)]
pub(crate) struct UnverifiedTail {
    /// Per segment: its number and a range of offsets.
    pub(crate) ranges: Vec<(u32, Range<usize>)>,
    /// Whether it is proven that they were never acknowledged.
    pub(crate) torn: bool,
}

impl UnverifiedTail {
    pub(crate) fn bytes(&self) -> u64 {
        self.ranges.iter().map(|(_, range)| wide(range.len())).sum()
    }
}

/// The result of reading the log.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) segments: Vec<SegmentHeader>,
    pub(crate) end: Position,
    /// The highest durable mark that was found.
    pub(crate) durable_upto: Position,
    pub(crate) commits: u64,
    pub(crate) tail: Option<UnverifiedTail>,
}

fn list_segments(
    disk: &dyn Disk,
    paths: &Paths,
    manifest: &Manifest,
) -> Result<Vec<SegmentHeader>> {
    let dir = paths.log();
    let names = match disk.list(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
        listed => listed.map_err(|e| Error::io("list", &dir, e))?,
    };
    let mut numbers: Vec<u32> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        return Err(corrupt(&paths.segment(0), 0, "the segment is missing", 0, 0));
    }
    let mut headers = Vec::with_capacity(numbers.len());
    for (expected, number) in (0u32..).zip(numbers) {
        if number != expected {
            let (expected, found) = (u64::from(expected), u64::from(number));
            let path = paths.segment(u32::try_from(expected).unwrap_or(u32::MAX));
            return Err(corrupt(&path, 0, "the segment is missing", expected, found));
        }
        let header = Segment::read_header(disk, paths, number, &manifest.identity)?;
        if header.epoch > manifest.epoch {
            return Err(stale_manifest(paths, header.epoch, manifest.epoch));
        }
        headers.push(header);
    }
    Ok(headers)
}

fn stale_manifest(paths: &Paths, expected: u32, found: u32) -> Error {
    let what = "the manifest is older than the log";
    corrupt(&paths.manifest(), 44, what, u64::from(expected), u64::from(found))
}

/// Reads the log of a store: to its end, or, beside a writer, up to the position that it has published.
pub(crate) struct Scanner<'a> {
    disk: &'a dyn Disk,
    pub(super) paths: &'a Paths,
    pub(super) manifest: &'a Manifest,
    pub(super) limit: Position,
    pub(super) scan: Scan,
    /// The epoch of the last frame. It never decreases along the log.
    epoch: u32,
    /// Bytes that are not zero after the seals of full segments, where nothing is ever written.
    after_seals: Vec<(u32, Range<usize>)>,
    /// The highest position that a compaction relied on.
    pub(super) as_of: Position,
    /// Whether most of free space is left out if the manifest says that the log was closed there.
    pub(super) trusts_closing: bool,
}

impl<'a> Scanner<'a> {
    /// Looks at the segments' headers. The log will be read from its first frame on.
    pub(crate) fn new(
        disk: &'a dyn Disk,
        paths: &'a Paths,
        manifest: &'a Manifest,
        published: Option<Position>,
    ) -> Result<Self> {
        let segments = list_segments(disk, paths, manifest)?;
        let first = manifest.identity.first_frame(0);
        let hint = durable_hint(disk, paths, &manifest.identity.store, manifest.epoch)?;
        // What a compaction relied on was on the device.
        let compacted = segments.iter().filter_map(|header| header.compacted);
        let as_of = compacted.map(|compacted| compacted.as_of).max().unwrap_or_default();
        let scan = Scan {
            segments,
            end: first,
            durable_upto: manifest.durable_upto.max(first).max(hint).max(as_of),
            commits: 0,
            tail: None,
        };
        let limit = published.unwrap_or(Position::from_u64(u64::MAX));
        Ok(Scanner {
            disk,
            paths,
            manifest,
            limit,
            scan,
            epoch: 0,
            after_seals: vec![],
            as_of,
            trusts_closing: false,
        })
    }

    /// Leaves out what is `covered`; returns whether that fits this log. If not, nothing has changed.
    pub(crate) fn leave_out(&mut self, covered: &Covered) -> Result<bool> {
        let (number, _) = self.identity().locate(covered.last);
        let segments = self.scan.segments.iter();
        let Some(header) = segments.copied().find(|header| header.number == number) else {
            return Ok(false);
        };
        let mut reader = SegmentReader::new(self.disk, self.paths);
        let mut segment = reader.open(&header)?;
        // What is covered may have rows of which a segment behind it does not say any more that they were deleted.
        let mut behind = self.scan.segments.iter().filter(|other| other.number > number);
        if behind.any(|other| other.compacted.is_some()) {
            return Ok(false);
        }
        if segment.header.compacted.is_some() {
            return self.leave_out_compacted(segment, covered);
        }
        let Ok(frame) = segment.frame(covered.last)? else { return Ok(false) };
        let commit = frame.header.kind == FrameKind::Commit;
        let (checksum, end) = (frame.checksum, frame.end());
        if !commit || checksum != covered.checksum || end > self.limit {
            return Ok(false);
        }
        // No frame before it has a higher epoch or durable mark.
        let found = frame.header;
        self.scan.end = covered.last;
        self.take_marks(&header, &found)?;
        self.scan.durable_upto = self.scan.durable_upto.max(end);
        self.scan.end = end;
        Ok(true)
    }

    pub(super) fn identity(&self) -> Identity {
        self.manifest.identity
    }

    /// Replays the log, and decides what its last bytes are.
    pub(crate) fn run(mut self, replay: &mut dyn Replay) -> Result<Scan> {
        self.read(replay)?;
        if self.scan.end < self.as_of {
            if self.limit != Position::from_u64(u64::MAX) {
                return Err(self.overtaken(self.as_of));
            }
            let (number, _) = self.identity().locate(self.scan.end);
            let (expected, found) = (self.as_of.as_u64(), self.scan.end.as_u64());
            let what = "the log ends before commits that a compaction relied on";
            return Err(corrupt(&self.paths.segment(number), 0, what, expected, found));
        }
        if !replay.is_whole() {
            let (number, offset) = self.identity().locate(self.scan.end);
            let what = "a run lacks events that is not deleted";
            return Err(corrupt(&self.paths.segment(number), wide(offset), what, 0, 0));
        }
        Ok(self.scan)
    }

    fn read(&mut self, replay: &mut dyn Replay) -> Result<()> {
        let (first, _) = self.identity().locate(self.scan.end);
        let mut reader = SegmentReader::new(self.disk, self.paths);
        let segments = self.scan.segments.clone();
        let before = segments.iter().filter(|header| header.number < first);
        for header in before {
            if let Some(compacted) = &header.compacted {
                replay.compacted(header, compacted, true);
            }
        }
        for header in segments.iter().filter(|header| header.number >= first) {
            if header.number > first {
                self.scan.end = self.identity().first_frame(header.number);
            }
            let segment = reader.open(header)?;
            if dropped_rows(&segment.header) != dropped_rows(header) {
                // Deletions of rows that were in segments before, as these were read, may be missing in it.
                return Err(
                    self.overtaken(self.identity().first_frame(header.number.saturating_add(1)))
                );
            }
            if let Some(fault) = self.replay_segment(segment, replay)? {
                self.judge(header, fault, &mut reader, replay)?;
                return Ok(());
            }
        }
        if self.scan.end >= self.limit {
            self.report_after_seals();
            return Ok(());
        }
        // The last segment is sealed, which is done only once the next one exists.
        let number = u32::try_from(segments.len()).unwrap_or(u32::MAX);
        Err(corrupt(&self.paths.segment(number), 0, "the segment is missing", 0, 0))
    }

    /// [`Error::Compacted`]: beside a writer, something was compacted that was still to be read.
    fn overtaken(&self, resume: Position) -> Error {
        Error::Compacted { position: self.scan.end, resume }
    }

    /// Replays the frames of a segment, up to its seal (`None`) or to bytes that are not a frame.
    fn replay_segment(
        &mut self,
        mut segment: OpenSegment<'_>,
        replay: &mut dyn Replay,
    ) -> Result<Option<Fault>> {
        let header = segment.header;
        if let Some(compacted) = header.compacted {
            return self.replay_compacted(segment, &compacted, replay).map(|()| None);
        }
        loop {
            if self.scan.end >= self.limit {
                return Ok(Some(Fault::HeaderMissing));
            }
            let frame = match segment.frame(self.scan.end)? {
                Ok(frame) => frame,
                Err(fault) => return Ok(Some(fault)),
            };
            self.take_marks(&header, &frame.header)?;
            match frame.header.kind {
                FrameKind::Seal => {
                    let (_, offset) = self.identity().locate(frame.position);
                    let after = offset + frame.header.frame_bytes();
                    if let Some(range) = segment.dirty(after)? {
                        self.after_seals.push((header.number, range));
                    }
                    return Ok(None);
                }
                FrameKind::Commit => {
                    replay.commit(&frame).map_err(|Malformed| {
                        self.corrupt_here(&header, "a commit makes no sense", 0, 0)
                    })?;
                    self.scan.commits += 1;
                    self.scan.end = frame.end();
                }
            }
        }
    }

    /// Takes in the epoch and the durable mark of the frame at the end of what was read.
    pub(super) fn take_marks(
        &mut self,
        header: &SegmentHeader,
        frame: &frame::Header,
    ) -> Result<()> {
        let epoch = frame.epoch;
        if epoch > self.manifest.epoch {
            return Err(stale_manifest(self.paths, epoch, self.manifest.epoch));
        }
        // The manifest was written when its epoch began. Frames beyond its durable mark are of that epoch.
        let beyond = self.scan.end >= self.manifest.durable_upto;
        let epoch_beyond = if beyond { self.manifest.epoch } else { 0 };
        let lowest = self.epoch.max(header.epoch).max(epoch_beyond);
        if epoch < lowest {
            let what = "a frame is older than what comes before it";
            return Err(self.corrupt_here(header, what, lowest.into(), epoch.into()));
        }
        self.epoch = epoch;
        self.scan.durable_upto = self.scan.durable_upto.max(frame.durable_upto);
        Ok(())
    }

    /// [`Error::Corrupt`] at the end of what was read, which is in the segment of `header`.
    pub(super) fn corrupt_here(
        &self,
        header: &SegmentHeader,
        what: &'static str,
        expected: u64,
        found: u64,
    ) -> Error {
        let (_, offset) = self.identity().locate(self.scan.end);
        corrupt(&self.paths.segment(header.number), wide(offset), what, expected, found)
    }

    /// The tail as found beside a writer: bytes after the seals below the limit. Beyond the limit the writer is
    /// at work.
    fn report_after_seals(&mut self) {
        let ranges = std::mem::take(&mut self.after_seals);
        self.scan.tail = (!ranges.is_empty()).then_some(UnverifiedTail { ranges, torn: true });
    }

    /// Decides what the bytes after the last frame that verified are.
    fn judge(
        &mut self,
        header: &SegmentHeader,
        fault: Fault,
        reader: &mut SegmentReader<'_>,
        replay: &mut dyn Replay,
    ) -> Result<()> {
        let end = self.scan.end;
        if end >= self.limit {
            self.report_after_seals();
            return Ok(());
        }
        let (_, offset) = self.identity().locate(end);
        if self.trusts_closing
            && self.was_closed_here()
            && self.is_followed_by_free_space(header, reader)?
        {
            self.report_after_seals();
            return Ok(());
        }
        let mut touched = vec![];
        let mut damage_end = None;
        let mut ranges = std::mem::take(&mut self.after_seals);
        // Everything from the end of the log to the end of the last segment.
        let mut durable_upto = self.scan.durable_upto;
        let later = self.scan.segments.iter().filter(|other| other.number >= header.number);
        for other in later {
            let damaged = other.number == header.number;
            let from = if damaged { offset } else { SEGMENT_HEADER_BYTES };
            let mut segment = reader.open(other)?;
            if segment.header.compacted.is_some() {
                // What it says of itself vouches for all that is before it.
                continue;
            }
            let Some(range) = segment.dirty(from)? else { continue };
            let bytes = segment.rest(from)?;
            if damaged {
                touched.extend(claimed_runs(bytes, end));
            }
            let ends = (end, &mut damage_end);
            let mark = self.durable_mark_in(other, bytes, range.clone(), ends, &mut touched)?;
            durable_upto = durable_upto.max(mark);
            ranges.push((other.number, range));
        }
        if durable_upto > end || self.limit != Position::from_u64(u64::MAX) {
            let (expected, found) = fault.checksums();
            let error = self.corrupt_here(header, fault.what(), expected, found);
            return Err(with_runs(error, replay.run_ids(&touched)));
        }
        let unwritten = matches!(fault, Fault::HeaderMissing | Fault::TrailerMissing(_));
        let torn = unwritten || self.manifest.closed;
        self.scan.tail = (!ranges.is_empty()).then_some(UnverifiedTail { ranges, torn });
        Ok(())
    }

    /// Searches `range` of a segment, which has `rest` from its start on, for frames; returns the highest durable mark
    /// in them. The damage is between `end` and the first of these frames in any range; runs whose batches link back
    /// into it are added to `touched`.
    fn durable_mark_in(
        &self,
        header: &SegmentHeader,
        rest: &[u8],
        range: Range<usize>,
        (end, damage_end): (Position, &mut Option<Position>),
        touched: &mut Vec<RunNumber>,
    ) -> Result<Position> {
        let first = self.identity().first_byte(header.number);
        let mut durable_upto = Position::START;
        let mut offset = range.start;
        while offset < range.end {
            let position = first.plus(wide(offset));
            let bytes = rest.get(offset - range.start..).unwrap_or_default();
            // Most offsets are ruled out by the first word or the header's checksum, which is cheap.
            let frame = frame::may_begin(bytes)
                .then(|| frame::verify_header(bytes, header.scope(), position).ok())
                .flatten()
                .filter(|found| found.epoch >= self.epoch)
                .and_then(|found| Frame::verify_payload(found, bytes, position).ok());
            let Some(frame) = frame else {
                offset += 4;
                continue;
            };
            if frame.header.epoch > self.manifest.epoch {
                return Err(stale_manifest(self.paths, frame.header.epoch, self.manifest.epoch));
            }
            let damage_end = *damage_end.get_or_insert(position);
            durable_upto = durable_upto.max(frame.header.durable_upto);
            for part in Parts::of(&frame).map_while(Result::ok) {
                if let (Part::Batch(batch), _) = part
                    && (end..damage_end).contains(&batch.previous)
                {
                    touched.push(batch.run);
                }
            }
            offset += frame.header.frame_bytes();
        }
        Ok(durable_upto)
    }
}

fn dropped_rows(header: &SegmentHeader) -> u64 {
    header.compacted.map_or(0, |compacted| compacted.dropped.rows)
}

fn with_runs(error: Error, mut runs: Vec<RunId>) -> Error {
    match error {
        Error::Corrupt(mut corruption) => {
            runs.sort_unstable();
            runs.dedup();
            corruption.runs = runs;
            Error::Corrupt(corruption)
        }
        other => other,
    }
}
