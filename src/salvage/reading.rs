//! Reads the segments of the source, imports every commit, and reports every damaged range.

use std::collections::HashSet;
use std::ops::Range;

use super::image::Image;
use super::losses::{Damage, Known, LostExtent, missing};
use super::report::{
    LossStatus, ManifestState, SalvageProgress, SalvageReport, Shortfall, StaleTable,
};
use super::rescue::Rescue;
use super::source::{SegmentFile, Source};
use super::survey::Survey;
use super::walk::{End, Mismatch, Step, Walk};
use crate::bytes::wide;
use crate::disk::Disk;
use crate::error::Result;
use crate::event::Malformed;
use crate::hash::Map;
use crate::id::{Position, RunId};
use crate::log::format::{
    CompactedFrames, FrameKind, SEGMENT_HEADER_BYTES, SegmentHeader, claimed_runs,
};
use crate::store::CommitImport;

/// Commits between two calls of `progress`.
const PROGRESS_COMMITS: u64 = 1024;

/// The state of a salvage.
pub(super) struct Salvage<'a, P> {
    disk: &'a dyn Disk,
    source: &'a Source,
    rescue: Rescue<'a>,
    damage: Vec<Damage>,
    /// The highest durable mark, of the manifest, the lock record or a frame.
    durable_upto: Position,
    /// Where the last frame ends.
    end: Position,
    /// The epoch of the last frame.
    epoch: u32,
    /// The least number of segments that there must have been.
    segments: u32,
    /// The end of the new store when the last missing segment was noticed.
    gap: Option<Position>,
    done: SalvageProgress,
    progress: P,
}

impl<'a, P: FnMut(SalvageProgress)> Salvage<'a, P> {
    pub(super) fn new(
        disk: &'a dyn Disk,
        source: &'a Source,
        import: CommitImport<'a>,
        progress: P,
    ) -> Self {
        let total_bytes = source.segments.values().map(|file| file.size).sum();
        Salvage {
            disk,
            source,
            rescue: Rescue::new(import),
            damage: vec![],
            durable_upto: source.durable_upto,
            end: source.identity.first_frame(0),
            epoch: 0,
            segments: 0,
            gap: None,
            done: SalvageProgress { bytes: 0, total_bytes, commits: 0 },
            progress,
        }
    }

    /// Reads every segment.
    pub(super) fn read(&mut self) -> Result<()> {
        self.survey();
        let (mut image, mut next) = (Image::default(), 0);
        for (number, file) in &self.source.segments {
            if *number > next {
                self.gap = Some(self.rescue.import.index().end);
            }
            next = number.saturating_add(1);
            let len = usize::try_from(file.expected).unwrap_or(usize::MAX);
            image.load(self.disk, &file.path, file.size, len);
            self.segments = next;
            match file.compacted {
                Some(header) => self.compacted(header, file, &image)?,
                None => self.segment(*number, file, &image)?,
            }
            self.done.bytes += file.size;
            (self.progress)(self.done);
        }
        self.rescue.finish()
    }

    /// Finds what becomes of deleted and erased runs, if a compaction may have left parts of them.
    fn survey(&mut self) {
        let segments = self.source.segments.iter();
        let compacted = segments.filter(|(_, file)| file.compacted.is_some());
        let compacted: HashSet<u32> = compacted.map(|(number, _)| *number).collect();
        if compacted.is_empty() {
            return;
        }
        let mut survey = Survey::new(self.source.identity, compacted);
        let mut image = Image::default();
        for (number, file) in &self.source.segments {
            let len = usize::try_from(file.expected).unwrap_or(usize::MAX);
            image.load(self.disk, &file.path, file.size, len);
            let Some(header) = file.compacted else {
                let base = self.source.identity.first_byte(*number);
                for step in Walk::new(&image, &file.salt, base, 0) {
                    if let Step::Frame(frame) = step {
                        survey.commit(&frame);
                    }
                }
                continue;
            };
            let frames = CompactedFrames::of_damaged(header, &image.bytes);
            let Ok((mut frames, _)) = frames else { continue };
            while let Some(position) = frames.position() {
                match frames.next() {
                    Some(Ok(frame)) if frame.header.kind == FrameKind::Commit => {
                        survey.commit(&frame);
                    }
                    Some(Ok(_)) => {}
                    _ => drop(frames.pass_damaged(position)),
                }
            }
        }
        self.rescue.found = survey.finish();
    }

    /// Imports the commits of one segment.
    fn segment(&mut self, number: u32, file: &SegmentFile, image: &Image) -> Result<()> {
        let base = self.source.identity.first_byte(number);
        let mut walk = Walk::new(image, &file.salt, base, self.epoch);
        let damaged = |range, mismatch, extent| {
            let (path, runs, mark) = (file.path.clone(), vec![], Position::START);
            let segment_bytes = file.expected;
            Damage { segment: number, segment_bytes, path, range, mismatch, extent, runs, mark }
        };
        while let Some(step) = walk.next() {
            match step {
                Step::Frame(frame) => {
                    self.end = frame.end();
                    self.done.commits += 1;
                    if self.done.commits.is_multiple_of(PROGRESS_COMMITS) {
                        (self.progress)(self.done);
                    }
                    if let Err(Malformed) = self.rescue.commit(&frame)? {
                        let start = walk.offset() - frame.header.frame_bytes();
                        let mismatch = Mismatch::new("a commit makes no sense");
                        self.note(damaged(start..walk.offset(), mismatch, LostExtent::Gap), image);
                    }
                }
                Step::Gap(range, mismatch) => {
                    self.note(damaged(range, mismatch, LostExtent::Gap), image);
                }
            }
        }
        self.epoch = walk.epoch;
        self.durable_upto = self.durable_upto.max(walk.durable_upto);
        let (from, mismatch, extent) = match walk.end() {
            End::Sealed(from) => {
                // A segment is sealed only once the next one exists.
                self.segments = number.saturating_add(2);
                self.end = self.source.identity.first_frame(number.saturating_add(1));
                (from, Mismatch::new("bytes after the end of a full segment"), LostExtent::Unused)
            }
            End::Open(from, mismatch) => (from, mismatch, LostExtent::Tail),
        };
        self.note(damaged(from..image.dirty_end(from), mismatch, extent), image);
        if file.size > file.expected {
            let len = usize::try_from(file.size).unwrap_or(usize::MAX);
            let mismatch = Mismatch::new("bytes after the end of a segment");
            self.note(damaged(image.bytes.len()..len, mismatch, LostExtent::Unused), image);
        }
        Ok(())
    }

    /// Imports the commits of a compacted segment. It was full, and everything in it on the device.
    fn compacted(
        &mut self,
        header: SegmentHeader,
        file: &SegmentFile,
        image: &Image,
    ) -> Result<()> {
        let damaged = |range: Range<usize>, what, (expected, found), extent| {
            let what = image.unread(&range).unwrap_or(what);
            let mismatch = Mismatch { expected, found, ..Mismatch::new(what) };
            let (path, mark) = (file.path.clone(), Position::START);
            let (segment, segment_bytes) = (header.number, file.expected);
            Damage { segment, segment_bytes, path, range, mismatch, extent, runs: vec![], mark }
        };
        let as_of = header.compacted.map(|compacted| compacted.as_of);
        self.durable_upto = self.durable_upto.max(as_of.unwrap_or_default());
        self.segments = header.number.saturating_add(2);
        self.end = self.source.identity.first_frame(header.number.saturating_add(1));
        self.epoch = self.epoch.max(header.epoch);
        match CompactedFrames::of_damaged(header, &image.bytes) {
            Ok((mut frames, _)) => self.compacted_frames(&mut frames, damaged)?,
            Err(_) => {
                // A frame is bound to its position, which the table alone knows.
                let all = SEGMENT_HEADER_BYTES..image.bytes.len();
                let what = "the table of a compacted segment is damaged";
                self.note_pieces(damaged(all, what, (0, 0), LostExtent::Gap));
            }
        }
        if file.size > file.expected {
            let more = image.bytes.len()..usize::try_from(file.size).unwrap_or(usize::MAX);
            let what = "bytes after the end of a segment";
            self.note_pieces(damaged(more, what, (0, 0), LostExtent::Unused));
        }
        Ok(())
    }

    fn compacted_frames(
        &mut self,
        frames: &mut CompactedFrames<'_>,
        damaged: impl Fn(Range<usize>, &'static str, (u64, u64), LostExtent) -> Damage,
    ) -> Result<()> {
        // Many frames have parts in one block.
        let mut noted = Map::default();
        while let Some(position) = frames.position() {
            let fault = match frames.next() {
                Some(Ok(frame)) if frame.header.kind == FrameKind::Seal => continue,
                Some(Ok(frame)) => {
                    self.epoch = self.epoch.max(frame.header.epoch);
                    self.durable_upto = self.durable_upto.max(frame.header.durable_upto);
                    self.done.commits += 1;
                    match self.rescue.commit(&frame)? {
                        Ok(()) => continue,
                        Err(Malformed) => ("a commit makes no sense", (0, 0)),
                    }
                }
                Some(Err(fault)) => (fault.what(), fault.checksums()),
                None => break,
            };
            let passed = frames.pass_damaged(position).into_iter();
            for range in passed.filter(|range| noted.insert(range.start, ()).is_none()) {
                self.note_pieces(damaged(range, fault.0, fault.1, LostExtent::Gap));
            }
        }
        Ok(())
    }

    /// Records a damaged range of a compacted segment.
    fn note_pieces(&mut self, mut damage: Damage) {
        damage.mark = self.rescue.import.index().end;
        self.damage.push(damage);
    }

    /// Records a damaged range, and the runs that can still be read there.
    fn note(&mut self, mut damage: Damage, image: &Image) {
        if damage.extent != LostExtent::Unused {
            damage.mark = self.rescue.import.index().end;
            damage.runs = self.runs_at(&damage, image);
        }
        self.damage.push(damage);
    }

    /// The runs named in a damaged range, read as a frame.
    fn runs_at(&self, damage: &Damage, image: &Image) -> Vec<RunId> {
        let bytes = image.bytes.get(damage.range.start..).unwrap_or_default();
        let base = self.source.identity.first_byte(damage.segment);
        let numbers = claimed_runs(bytes, base.plus(wide(damage.range.start)));
        let mut runs = self.rescue.runs.ids(numbers);
        runs.sort_unstable();
        runs.dedup();
        runs
    }

    /// The report, after all segments were read.
    pub(super) fn report(self) -> SalvageReport {
        let Salvage { source, rescue, damage, durable_upto, end, done, .. } = self;
        let index = rescue.import.index();
        let mut expected = self.segments.max(1);
        if durable_upto > end {
            let last = Position::from_u64(durable_upto.as_u64().saturating_sub(1));
            expected = expected.max(source.identity.locate(last).0.saturating_add(1));
        }
        let gap = if expected > source.next_segment() { Some(index.end) } else { self.gap };
        let newest = source.segments.values().map(|file| file.epoch).max();
        let stale = source.epoch < newest.max(Some(self.epoch)) && source.epoch.is_some();
        let closed_at = source.closed_at.filter(|_| !stale);
        let known = Known { identity: source.identity, durable_upto, closed_at, end };
        let (mut lost, mut mark) = (vec![], gap);
        for (range, at) in damage.into_iter().filter_map(|damage| damage.judge(&known)) {
            if range.status != LossStatus::NeverAcknowledged {
                mark = mark.max(Some(at));
            }
            lost.push(range);
        }
        let runs = index.totals.runs;
        let (runs_cut, runs_unknown, parts) = rescue.runs.report(&index);
        drop(index);
        let tables = mark.map(|mark| rescue.import.rows_before(mark)).unwrap_or_default();
        let tables = tables.into_iter().map(|(table, rows)| StaleTable { table, rows });
        let counts = rescue.counts;
        SalvageReport {
            manifest: if stale { ManifestState::Stale } else { source.manifest },
            segments: wide(source.segments.len()),
            bytes_read: done.bytes,
            bytes_kept: counts.bytes,
            commits_whole: counts.whole,
            commits_partial: counts.partial,
            commits_dropped: counts.dropped,
            events_kept: counts.events,
            rows_kept: counts.rows,
            rows_dropped: counts.rows_dropped,
            runs_whole: runs.saturating_sub(parts),
            runs_cut,
            runs_left_out: rescue.found.left_out.into_runs(),
            runs_unknown,
            lost,
            files: source.files.clone(),
            missing_segments: missing(source.segments.keys().copied(), expected),
            shortfall: (durable_upto > end)
                .then_some(Shortfall { acknowledged: durable_upto, found: end }),
            stale_tables: tables.collect(),
        }
    }
}
