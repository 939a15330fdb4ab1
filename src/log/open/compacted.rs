//! Reading the log where it was compacted.

use super::covered::Covered;
use super::recovery::{Replay, Scanner};
use super::segment_reader::OpenSegment;
use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::event::Malformed;
use crate::id::Position;
use crate::log::files::Segment;
use crate::log::format::{Compacted, Fault, FrameKind, Identity, Paths, SegmentHeader};

/// As of which position segments are compacted by now, up to the one that has the last byte before `end`: what commits before
/// it had made dead may be missing there.
pub(crate) fn compacted_as_of(
    disk: &dyn Disk,
    paths: &Paths,
    identity: &Identity,
    end: Position,
) -> Result<Position> {
    let (last, _) = identity.locate(Position::from_u64(end.as_u64().saturating_sub(1)));
    let mut as_of = Position::START;
    for number in 0..=last {
        let header = Segment::read_header(disk, paths, number, identity)?;
        as_of = header.compacted.map_or(as_of, |compacted| as_of.max(compacted.as_of));
    }
    Ok(as_of)
}

impl Scanner<'_> {
    /// [`Scanner::leave_out`] if what is covered ends in a segment that was compacted, which is then left out as a whole or
    /// not at all.
    pub(super) fn leave_out_compacted(
        &mut self,
        mut segment: OpenSegment<'_>,
        covered: &Covered,
    ) -> Result<bool> {
        let header = segment.header;
        let Ok(mut frames) = segment.compacted()? else { return Ok(false) };
        let Ok(Some(frame)) = frames.at(covered.last) else { return Ok(false) };
        let (found, checksum) = (frame.header, frame.checksum);
        let Some(Ok(seal)) = frames.next() else { return Ok(false) };
        let next = self.identity().first_frame(header.number.saturating_add(1));
        if checksum != covered.checksum || seal.header.kind != FrameKind::Seal || next > self.limit
        {
            return Ok(false);
        }
        self.scan.end = covered.last;
        self.take_marks(&header, &found)?;
        self.scan.durable_upto = self.scan.durable_upto.max(next);
        self.scan.end = next;
        Ok(true)
    }

    /// Replays what is left of a segment that was compacted. It was on the device as a whole, so that a fault is damage.
    pub(super) fn replay_compacted(
        &mut self,
        mut segment: OpenSegment<'_>,
        compacted: &Compacted,
        replay: &mut dyn Replay,
    ) -> Result<()> {
        let header = segment.header;
        self.as_of = self.as_of.max(compacted.as_of);
        replay.compacted(&header, compacted, false);
        let frames = segment.compacted()?;
        let mut frames = frames.map_err(|fault| self.fault_here(&header, fault))?;
        let mut last = None;
        while let Some(position) = frames.position()
            && let Some(frame) = frames.next()
        {
            self.scan.end = position;
            let frame = frame.map_err(|fault| self.fault_here(&header, fault))?;
            self.take_marks(&header, &frame.header)?;
            last = Some(frame.header.kind);
            if frame.header.kind == FrameKind::Commit {
                let taken = replay.commit(&frame);
                taken.map_err(|Malformed| {
                    self.corrupt_here(&header, "a commit makes no sense", 0, 0)
                })?;
                self.scan.commits += 1;
                self.scan.end = frame.end();
            }
        }
        match last {
            Some(FrameKind::Seal) => Ok(()),
            _ => Err(self.fault_here(&header, Fault::Pieces)),
        }
    }

    fn fault_here(&self, header: &SegmentHeader, fault: Fault) -> Error {
        let (_, offset) = self.identity().locate(self.scan.end);
        fault.corrupt(&self.paths.segment(header.number), offset)
    }
}
