//! The verdict: what the log on disk is, found out by reading only.
//!
//! Frames are read from the first one on. Where they stop verifying, the log ends, and the bytes
//! from there on decide:
//!
//! - all zero, and nothing says that more was acknowledged: the log is whole;
//! - anything says that the bytes at this place were on the device once (the durable mark of a later
//!   frame, of the manifest or of the lock record lies above): acknowledged data is damaged, refuse;
//! - otherwise they are what is left of the last group of writes. A zero check proves that it was
//!   never written completely, hence never acknowledged: torn. Without that proof: ambiguous.

use std::ops::Range;
use std::path::Path;

use crate::bytes::{dirty_end, u32_at, wide};
use crate::disk::{Disk, OpenMode};
use crate::error::{Error, Result};
use crate::event::{Buffer, Malformed};
use crate::id::{Position, RunId};
use crate::log::files::{Segment, durable_hint};
use crate::log::format::{
    Fault, Frame, FrameKind, Identity, Manifest, Part, Parts, Paths, SEGMENT_HEADER_BYTES,
    SegmentHeader, corrupt, frame, segment_number,
};

/// Who is told of every commit, in order.
pub(crate) trait Replay {
    /// Takes in a commit; an error says that its content makes no sense.
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed>;
    /// The ids of runs by number, as far as they are known.
    fn run_ids(&self, numbers: &[u32]) -> Vec<RunId>;
}

/// What was found beyond the end of the log, and behind the seals of full segments.
#[derive(Clone, Debug)]
pub(crate) struct UnverifiedTail {
    /// The dirty bytes, per segment: number and range of offsets.
    pub(crate) pieces: Vec<(u32, Range<usize>)>,
    /// It is proven that they were never acknowledged.
    pub(crate) torn: bool,
}

impl UnverifiedTail {
    pub(crate) fn bytes(&self) -> u64 {
        self.pieces.iter().map(|(_, range)| wide(range.len())).sum()
    }
}

/// The verdict and what it rests on.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) segments: Vec<SegmentHeader>,
    pub(crate) end: Position,
    /// The log was known to be on the device up to here.
    pub(crate) durable_upto: Position,
    pub(crate) commits: u64,
    pub(crate) remains: Option<UnverifiedTail>,
}

/// Reads the log of a store. With `published`, a living writer's word, it is read up to there and
/// no verdict is needed on what lies beyond.
pub(crate) fn scan(
    disk: &dyn Disk,
    paths: &Paths,
    manifest: &Manifest,
    published: Option<Position>,
    replay: &mut dyn Replay,
) -> Result<Scan> {
    let segments = list_segments(disk, paths, manifest)?;
    let first = manifest.identity.first_frame(0);
    let remembered = durable_hint(disk, paths, &manifest.identity.store, manifest.epoch)?;
    let scan = Scan {
        segments,
        end: first,
        durable_upto: manifest.durable_upto.max(first).max(remembered),
        commits: 0,
        remains: None,
    };
    let mut scanner = Scanner {
        disk,
        paths,
        manifest,
        limit: published.unwrap_or(Position::from_u64(u64::MAX)),
        scan,
        epoch: 0,
        behind_seals: vec![],
        buffer: Buffer::new(),
    };
    scanner.run(replay)?;
    Ok(scanner.scan)
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

struct Scanner<'a> {
    disk: &'a dyn Disk,
    paths: &'a Paths,
    manifest: &'a Manifest,
    limit: Position,
    scan: Scan,
    /// Of the last frame: later frames are not older.
    epoch: u32,
    /// Bytes that are not zero behind the seals of full segments, where nothing is ever written.
    behind_seals: Vec<(u32, Range<usize>)>,
    /// The segment being read.
    buffer: Buffer,
}

impl Scanner<'_> {
    fn identity(&self) -> Identity {
        self.manifest.identity
    }

    fn run(&mut self, replay: &mut dyn Replay) -> Result<()> {
        for index in 0..self.scan.segments.len() {
            let Some(header) = self.scan.segments.get(index).copied() else { return Ok(()) };
            self.load(header.number)?;
            self.scan.end = self.identity().first_frame(header.number);
            let Some(fault) = self.replay_segment(&header, replay)? else { continue };
            return self.judge(&header, fault, replay);
        }
        if self.scan.end >= self.limit {
            self.keep_behind_seals();
            return Ok(());
        }
        // The last segment was sealed, which is only done when the next one is there.
        let number = u32::try_from(self.scan.segments.len()).unwrap_or(u32::MAX);
        Err(corrupt(&self.paths.segment(number), 0, "the segment is missing", 0, 0))
    }

    /// Replays frames until the segment is sealed (`None`) or something else stands there.
    fn replay_segment(
        &mut self,
        header: &SegmentHeader,
        replay: &mut dyn Replay,
    ) -> Result<Option<Fault>> {
        let path = self.paths.segment(header.number);
        loop {
            let (_, offset) = self.identity().locate(self.scan.end);
            if self.scan.end >= self.limit {
                return Ok(Some(Fault::HeaderMissing));
            }
            let bytes = self.buffer.get(offset..).unwrap_or_default();
            let frame = match Frame::verify(bytes, header.scope(), self.scan.end) {
                Ok(frame) => frame,
                Err(fault) => return Ok(Some(fault)),
            };
            let epoch = frame.header.epoch;
            if epoch > self.manifest.epoch {
                return Err(stale_manifest(self.paths, epoch, self.manifest.epoch));
            }
            // The manifest was written when the epoch began, and nothing older lies beyond the mark.
            let beyond = self.scan.end >= self.manifest.durable_upto;
            let opening = if beyond { self.manifest.epoch } else { 0 };
            let oldest = self.epoch.max(header.epoch).max(opening);
            if epoch < oldest {
                let what = "a frame is older than what comes before it";
                let (expected, found) = (u64::from(oldest), u64::from(epoch));
                return Err(corrupt(&path, offset as u64, what, expected, found));
            }
            self.epoch = epoch;
            self.scan.durable_upto = self.scan.durable_upto.max(frame.header.durable_upto);
            match frame.header.kind {
                FrameKind::Seal => {
                    let behind = offset + frame.header.frame_bytes();
                    if let Some(piece) = dirty(&self.buffer, behind) {
                        self.behind_seals.push((header.number, piece));
                    }
                    return Ok(None);
                }
                FrameKind::Commit => {
                    replay.commit(&frame).map_err(|Malformed| {
                        corrupt(&path, offset as u64, "a commit makes no sense", 0, 0)
                    })?;
                    self.scan.commits += 1;
                    self.scan.end = frame.end();
                }
            }
        }
    }

    /// Beside a writer nothing is known of what lies beyond the limit; of a segment that is sealed
    /// below it, all is.
    fn keep_behind_seals(&mut self) {
        let pieces = std::mem::take(&mut self.behind_seals);
        self.scan.remains = (!pieces.is_empty()).then_some(UnverifiedTail { pieces, torn: true });
    }

    /// Decides what the bytes after the last good frame are.
    fn judge(
        &mut self,
        header: &SegmentHeader,
        fault: Fault,
        replay: &mut dyn Replay,
    ) -> Result<()> {
        let end = self.scan.end;
        if end >= self.limit {
            self.keep_behind_seals();
            return Ok(());
        }
        let (_, offset) = self.identity().locate(end);
        let mut touched = self.runs_at(offset);
        let mut damage_end = None;
        let mut pieces = std::mem::take(&mut self.behind_seals);
        // Everything from the end of the log to the end of the last segment.
        let mut known = self.scan.durable_upto;
        let later = self.scan.segments.clone();
        let later = later.iter().filter(|other| other.number >= header.number);
        for other in later {
            let mut from = SEGMENT_HEADER_BYTES;
            if other.number == header.number {
                from = offset;
            } else {
                self.load(other.number)?;
            }
            if let Some(piece) = dirty(&self.buffer, from) {
                let ends = (end, &mut damage_end);
                known = known.max(self.evidence(other, piece.clone(), ends, &mut touched)?);
                pieces.push((other.number, piece));
            }
        }
        if known > end || self.limit != Position::from_u64(u64::MAX) {
            let path = self.paths.segment(header.number);
            let (expected, found) = fault.checks();
            return Err(with_runs(
                corrupt(&path, offset as u64, fault.what(), expected, found),
                replay.run_ids(&touched),
            ));
        }
        let proven = matches!(fault, Fault::HeaderMissing | Fault::TrailerMissing(_));
        let torn = proven || self.manifest.closed;
        self.scan.remains = (!pieces.is_empty()).then_some(UnverifiedTail { pieces, torn });
        Ok(())
    }

    /// Looks for frames in a dirty piece: the highest `durable_upto` they carry. Runs whose
    /// batches point back into the damage, which lies between `end` and the first of these frames
    /// in any piece, are added to `touched`.
    fn evidence(
        &self,
        header: &SegmentHeader,
        piece: Range<usize>,
        (end, damage_end): (Position, &mut Option<Position>),
        touched: &mut Vec<u32>,
    ) -> Result<Position> {
        let first = self.identity().first_frame(header.number);
        let mut known = Position::START;
        let mut offset = piece.start;
        while offset < piece.end {
            let position = first.plus((offset - SEGMENT_HEADER_BYTES) as u64);
            let bytes = self.buffer.get(offset..).unwrap_or_default();
            // Most candidates fail on their first word or on the header alone, which is cheap.
            let frame = (u32_at(bytes, 0) != Some(0))
                .then(|| frame::verify_header(bytes, header.scope(), position).ok())
                .flatten()
                .filter(|found| found.epoch >= self.epoch)
                .and_then(|_| Frame::verify(bytes, header.scope(), position).ok());
            let Some(frame) = frame else {
                offset += 4;
                continue;
            };
            if frame.header.epoch > self.manifest.epoch {
                return Err(stale_manifest(self.paths, frame.header.epoch, self.manifest.epoch));
            }
            let damage_end = *damage_end.get_or_insert(position);
            known = known.max(frame.header.durable_upto);
            for part in Parts::of(&frame).map_while(Result::ok) {
                if let (Part::Batch(batch), _) = part
                    && (end..damage_end).contains(&batch.previous)
                {
                    touched.push(batch.run);
                }
            }
            offset += frame.header.frame_bytes();
        }
        Ok(known)
    }

    /// The run numbers that can still be read in the frame at `offset`.
    fn runs_at(&self, offset: usize) -> Vec<u32> {
        let bytes = self.buffer.get(offset..).unwrap_or_default();
        let payload = bytes.get(frame::HEADER_BYTES..).unwrap_or_default();
        let batches = crate::bytes::u16_at(bytes, 18).unwrap_or_default();
        let position = self.scan.end.plus(frame::HEADER_BYTES as u64);
        Parts::new(payload, position, batches)
            .take(usize::from(batches))
            .map_while(Result::ok)
            .filter_map(|(part, _)| if let Part::Batch(b) = part { Some(b.run) } else { None })
            .collect()
    }

    /// Reads a whole segment; an unreadable sector is then an error and not a signal.
    fn load(&mut self, number: u32) -> Result<()> {
        let path = self.paths.segment(number);
        self.read(&path, number).map_err(|source| Error::io("read", path, source))
    }

    fn read(&mut self, path: &Path, _number: u32) -> std::io::Result<()> {
        let file = self.disk.open(path, OpenMode::Read)?;
        let len = usize::try_from(self.identity().segment_bytes).unwrap_or(usize::MAX);
        self.buffer.resize(len, 0);
        file.read_at(&mut self.buffer, 0)
    }
}

/// From `from` to the last byte that is not zero; `None` if all are.
fn dirty(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let end = dirty_end(bytes, from);
    (end > from).then_some(from..end)
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
