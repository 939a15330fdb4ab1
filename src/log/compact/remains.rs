//! What is left of a segment, in the order in which it is to be stored: run by run, so that whoever reads a history finds
//! its batches together.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;

use super::fate::{Fate, Judge, shrunk};
use super::packing::Packing;
use crate::bytes::{put, wide};
use crate::error::{Error, Result};
use crate::event::{Buffer, Malformed};
use crate::hash::Map;
use crate::id::{Position, RunNumber};
use crate::log::files::Segment;
use crate::log::format::{
    Batch, Compacted, CompactedFrames, Dropped, Fault, Frame, FrameKind, HEADER_BYTES, PIECE_BYTES,
    Part, Parts, Piece, SEGMENT_HEADER_BYTES, SegmentHeader, frame,
};

/// A piece that is kept.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// The run that it is stored with; [`RunNumber::NONE`] for what is of no run.
    run: RunNumber,
    /// Its offset in the segment.
    at: usize,
    /// Where its bytes are, of those that are kept.
    start: usize,
    len: usize,
    /// It is packed.
    packs: bool,
}

/// What is packed takes so many bytes of so many, about: what recorded histories come to.
const RATIO: (u64, u64) = (1, 5);

/// What is left of a segment.
pub(crate) struct Remains<'s> {
    segment: &'s Segment,
    bytes: Buffer,
    pieces: Vec<Kept>,
    dropped: Dropped,
}

impl<'s> Remains<'s> {
    /// Reads a segment, the last one up to `end`, where the log ends, and asks `judge` about each part of it.
    pub(crate) fn of(segment: &'s Segment, end: Position, judge: &mut dyn Judge) -> Result<Self> {
        let dropped = segment.header.compacted.map(|before| before.dropped).unwrap_or_default();
        let mut remains = Remains { segment, bytes: Buffer::new(), pieces: vec![], dropped };
        if segment.header.compacted.is_some() {
            remains.read_compacted(judge)?;
        } else {
            remains.read_plain(end, judge)?;
        }
        Ok(remains)
    }

    /// Packs the pieces of the runs that `packs`.
    pub(crate) fn pack(&mut self, packs: &mut dyn FnMut(RunNumber) -> Result<bool>) -> Result<()> {
        // What is of no run, or of several, is not packed.
        let mut asked: Map<RunNumber, bool> = Map::default();
        asked.insert(RunNumber::NONE, false);
        for piece in &mut self.pieces {
            piece.packs = match asked.entry(piece.run) {
                Entry::Occupied(answer) => *answer.get(),
                Entry::Vacant(unknown) => *unknown.insert(packs(piece.run)?),
            };
        }
        Ok(())
    }

    /// About the length of the file that [`replace`](super::replace) would write; exactly if nothing is packed.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.live_bytes() + wide(SEGMENT_HEADER_BYTES + self.pieces.len() * PIECE_BYTES)
    }

    /// What is left takes about so many bytes in a file; exactly if nothing is packed.
    pub(crate) fn live_bytes(&self) -> u64 {
        let packs = self.packs_bytes();
        let plain = wide(self.bytes.len()) - packs;
        let (numerator, denominator) = self.ratio();
        let packed = u128::from(packs) * u128::from(numerator) / u128::from(denominator);
        plain + u64::try_from(packed).unwrap_or(u64::MAX)
    }

    /// Bytes in the file by bytes that are packed: as the segment is now, or as recorded histories come to.
    fn ratio(&self) -> (u64, u64) {
        let now = self.segment.header.compacted;
        let now = now.map(|now| (now.packed_file_bytes(), now.packed_data_bytes()));
        now.filter(|(_, unpacked)| *unpacked > 0).unwrap_or(RATIO)
    }

    fn packs_bytes(&self) -> u64 {
        self.pieces.iter().filter(|piece| piece.packs).map(|piece| wide(piece.len)).sum()
    }

    /// Whether something is packed that is not now.
    pub(crate) fn packs_more(&self) -> bool {
        let before = self.segment.header.compacted;
        self.packs_bytes() > before.map_or(0, |before| before.packed_data_bytes())
    }

    /// Whether anything is dropped that was not before.
    pub(crate) fn drops(&self) -> bool {
        self.dropped != self.dropped_before()
    }

    /// Whether rows are dropped that were not before.
    pub(crate) fn drops_rows(&self) -> bool {
        self.dropped.rows != self.dropped_before().rows
    }

    fn dropped_before(&self) -> Dropped {
        self.segment.header.compacted.map(|before| before.dropped).unwrap_or_default()
    }

    fn read_plain(&mut self, end: Position, judge: &mut dyn Judge) -> Result<()> {
        let header = self.segment.header;
        let mut at = header.identity.first_frame(header.number);
        while at < end {
            let (_, offset) = header.identity.locate(at);
            let bytes = self.segment.mapped_from(offset).unwrap_or_default();
            let frame = Frame::verify(bytes, header.scope(), at);
            let frame = frame.map_err(|fault| self.damaged(at, fault))?;
            self.take(&frame, judge)?;
            match frame.header.kind {
                FrameKind::Seal => return Ok(()),
                FrameKind::Commit => at = frame.end(),
            }
        }
        Ok(())
    }

    fn read_compacted(&mut self, judge: &mut dyn Judge) -> Result<()> {
        let (header, file) = (self.segment.header, self.segment.whole_file());
        let first = header.identity.first_frame(header.number);
        let frames = CompactedFrames::new(header, file);
        let mut frames = frames.map_err(|fault| self.damaged(first, fault))?;
        while let Some(at) = frames.position()
            && let Some(frame) = frames.next()
        {
            let frame = frame.map_err(|fault| self.damaged(at, fault))?;
            self.take(&frame, judge)?;
        }
        Ok(())
    }

    fn damaged(&self, at: Position, fault: Fault) -> Error {
        let (_, offset) = self.segment.header.identity.locate(at);
        fault.corrupt(&self.segment.path, offset)
    }

    /// Takes what is to be kept of a frame.
    fn take(&mut self, frame: &Frame<'_>, judge: &mut dyn Judge) -> Result<()> {
        let mut left = Left { runs: vec![], parts: vec![], dropped: Dropped::default() };
        let mut parts = Parts::of(frame);
        let payload = frame.payload_position().as_u64();
        let malformed = |Malformed| self.damaged(frame.position, Fault::Pieces);
        while let Some(part) = parts.next() {
            let (part, size) = part.map_err(malformed)?;
            let end = parts.position().as_u64() - payload;
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            let offset = end - size;
            let bytes = frame.payload.get(offset..end).unwrap_or_default();
            match part {
                Part::Batch(batch) => {
                    let fate = judge.batch(&batch)?;
                    left.batch(&batch, offset, bytes, fate).map_err(malformed)?;
                }
                Part::Put(row) if judge.keeps_row(&row)? => left.keep(None, offset, bytes.into()),
                Part::Put(_) => {
                    left.dropped.rows += 1;
                    left.dropped.row_bytes += wide(size);
                }
            }
        }
        if frame.header.kind == FrameKind::Commit && left.parts.is_empty() {
            left.dropped.commits = 1;
        } else {
            self.keep(frame, &left);
        }
        self.dropped = self.dropped.plus(left.dropped);
        Ok(())
    }

    /// Keeps a frame with the parts that are left of it. The bytes of one that is left whole are as they were.
    fn keep(&mut self, frame: &Frame<'_>, left: &Left) {
        let (_, start) = self.segment.header.identity.locate(frame.position);
        let first = self.pieces.len();
        // What is of one run alone is stored with it, but for rows: they are read whatever becomes of the run.
        let of_frame = match left.runs.as_slice() {
            [run] => *run,
            _ => RunNumber::NONE,
        };
        let has_rows = left.parts.len() > left.runs.len();
        let of_end = if has_rows { RunNumber::NONE } else { of_frame };
        let batches = u16::try_from(left.runs.len()).unwrap_or(u16::MAX);
        let header = frame::Header { batches, ..frame.header };
        let header = frame::encode_header(&header, &self.segment.header.salt, frame.position);
        let parts = left.parts.iter().map(|part| part.bytes.as_slice());
        let trailer = frame::encode_trailer(&header, parts);
        self.push(first, of_frame, start, &header);
        for part in &left.parts {
            let run = part.run.unwrap_or(RunNumber::NONE);
            self.push(first, run, start + HEADER_BYTES + part.offset, &part.bytes);
        }
        let end = start + HEADER_BYTES + frame.header.payload_bytes;
        self.push(first, of_end, end, &trailer);
    }

    /// Keeps bytes of a frame whose pieces begin with number `first`; with the piece before, if they follow on it.
    fn push(&mut self, first: usize, run: RunNumber, at: usize, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let last = self.pieces.get_mut(first..).and_then(<[Kept]>::last_mut);
        match last.filter(|last| last.run == run && last.at + last.len == at) {
            Some(last) => last.len += bytes.len(),
            None => {
                self.pieces.push(Kept { run, at, start, len: bytes.len(), packs: false });
            }
        }
    }

    /// The file: header, pieces, table; what is packed, in blocks.
    pub(super) fn encode(&self, as_of: Position) -> Result<(SegmentHeader, Vec<u8>)> {
        let mut pieces = self.pieces.clone();
        // The last one of a run first: readers follow links backward, and then read the file forward.
        pieces.sort_by_key(|piece| (piece.packs, piece.run, Reverse(piece.at)));
        let mut file = vec![0; SEGMENT_HEADER_BYTES];
        let mut packing = Packing::default();
        let mut table = Vec::with_capacity(self.pieces.len());
        let narrow = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
        let mut place = file.len();
        for of_run in pieces.chunk_by(|a, b| a.run == b.run) {
            packing.begin_run(of_run.iter().map(|piece| piece.len).sum())?;
            for piece in of_run {
                table.push(Piece {
                    at: narrow(piece.at),
                    len: narrow(piece.len),
                    place: narrow(place),
                });
                place += piece.len;
                let kept = self.bytes.get(piece.start..piece.start + piece.len);
                let kept = kept.unwrap_or_default();
                match piece.packs {
                    true => packing.push(kept)?,
                    false => file.extend_from_slice(kept),
                }
            }
        }
        let plain_bytes = narrow(file.len() - SEGMENT_HEADER_BYTES);
        let packed = packing.finish(plain_bytes, &mut file)?;
        let table_start = file.len();
        table.sort_unstable_by_key(|piece| piece.at);
        table.iter().for_each(|piece| piece.encode(&mut file));
        let compacted = Compacted {
            pieces: narrow(table.len()),
            data_bytes: narrow(place - SEGMENT_HEADER_BYTES),
            table_check: crc32fast::hash(file.get(table_start..).unwrap_or_default()),
            as_of,
            dropped: self.dropped,
            packed: packed.as_ref().map(|(packed, _)| *packed),
        };
        file.extend(packed.into_iter().flat_map(|(_, blocks)| blocks));
        let header = SegmentHeader { compacted: Some(compacted), ..self.segment.header };
        put(&mut file, 0, &header.encode());
        Ok((header, file))
    }
}

/// What is left of a frame.
struct Left {
    /// The runs of the batches that are left.
    runs: Vec<RunNumber>,
    parts: Vec<LeftPart>,
    dropped: Dropped,
}

/// A batch or a row that is left.
struct LeftPart {
    /// Of a batch.
    run: Option<RunNumber>,
    /// Where it begins in the payload.
    offset: usize,
    bytes: Vec<u8>,
}

impl Left {
    fn keep(&mut self, run: Option<RunNumber>, offset: usize, bytes: Vec<u8>) {
        self.runs.extend(run);
        self.parts.push(LeftPart { run, offset, bytes });
    }

    fn batch(
        &mut self,
        batch: &Batch<'_>,
        offset: usize,
        bytes: &[u8],
        fate: Fate,
    ) -> std::result::Result<(), Malformed> {
        let left = match fate {
            Fate::Keep => None,
            Fate::Drop => {
                self.dropped.batches += 1;
                self.dropped.events += u64::from(batch.count);
                self.count(batch, 1)?;
                return Ok(());
            }
            Fate::Shrink(left) => shrunk(batch, bytes, &left)?,
        };
        match left {
            None => self.keep(Some(batch.run), offset, bytes.into()),
            Some(less) => {
                let again = Batch::parse(&less, batch.position)?;
                self.count(batch, 1)?;
                self.count(&again, -1)?;
                self.keep(Some(batch.run), offset, less.to_vec());
            }
        }
        Ok(())
    }

    /// Counts the bytes of a batch's events as dropped, or with the sign -1 as left.
    fn count(&mut self, batch: &Batch<'_>, sign: i64) -> std::result::Result<(), Malformed> {
        for event in batch.raw_events() {
            let (_, raw) = event?;
            let size = i64::from(raw.size) * sign;
            let payload = i64::try_from(raw.payload.len()).map_err(|_| Malformed)? * sign;
            self.dropped.event_bytes = self.dropped.event_bytes.wrapping_add_signed(size);
            self.dropped.payload_bytes = self.dropped.payload_bytes.wrapping_add_signed(payload);
        }
        Ok(())
    }
}
