//! Verifies all frames of one segment in memory.

use std::path::Path;

use crate::bytes::wide;
use crate::error::Result;
use crate::log::format::{
    CompactedFrames, Frame, FrameKind, SEGMENT_HEADER_BYTES, SegmentHeader, corrupt,
};

/// The content of a segment, all of whose frames verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentSummary {
    pub(crate) commits: u64,
    /// The offset after the last frame; in a full segment, that is the seal.
    pub(crate) end: usize,
    /// The epoch of the last frame.
    pub(crate) epoch: u32,
}

/// Verifies the frames of a segment, up to its seal or to the offset `stop`, where the log ends. Epochs must
/// not decrease and must be within `epochs`: that of the last frame before this segment, and the manifest's.
pub(crate) fn verify(
    bytes: &[u8],
    path: &Path,
    header: &SegmentHeader,
    stop: Option<usize>,
    epochs: (u32, u32),
) -> Result<SegmentSummary> {
    if header.compacted.is_some() {
        return verify_compacted(bytes, path, header, epochs);
    }
    let first = header.identity.first_frame(header.number);
    let mut summary =
        SegmentSummary { commits: 0, end: SEGMENT_HEADER_BYTES, epoch: epochs.0.max(header.epoch) };
    while stop.is_none_or(|stop| summary.end < stop) {
        let offset = wide(summary.end);
        let position = first.plus(wide(summary.end - SEGMENT_HEADER_BYTES));
        let rest = bytes.get(summary.end..).unwrap_or_default();
        let frame = Frame::verify(rest, header.scope(), position).map_err(|fault| {
            let (expected, found) = fault.checksums();
            corrupt(path, offset, fault.what(), expected, found)
        })?;
        let epoch = frame.header.epoch;
        if !(summary.epoch..=epochs.1).contains(&epoch) {
            let what = "a frame is older than what comes before it, or newer than the manifest";
            return Err(corrupt(path, offset, what, summary.epoch.into(), epoch.into()));
        }
        summary.epoch = epoch;
        summary.end += frame.header.frame_bytes();
        match frame.header.kind {
            FrameKind::Commit => summary.commits += 1,
            FrameKind::Seal if stop.is_none() => return Ok(summary),
            FrameKind::Seal => {
                return Err(corrupt(path, offset, "the log ends before its last commit", 0, 0));
            }
        }
    }
    match stop {
        Some(stop) if summary.end > stop => {
            let what = "the log ends within a frame";
            Err(corrupt(path, wide(stop), what, wide(summary.end), wide(stop)))
        }
        _ => Ok(summary),
    }
}

/// The same of a segment that was compacted.
fn verify_compacted(
    bytes: &[u8],
    path: &Path,
    header: &SegmentHeader,
    epochs: (u32, u32),
) -> Result<SegmentSummary> {
    let frames = CompactedFrames::new(*header, bytes);
    let mut frames = frames.map_err(|fault| fault.corrupt(path, SEGMENT_HEADER_BYTES))?;
    let mut summary =
        SegmentSummary { commits: 0, end: bytes.len(), epoch: epochs.0.max(header.epoch) };
    while let Some(position) = frames.position()
        && let Some(frame) = frames.next()
    {
        let (_, offset) = header.identity.locate(position);
        let found = frame.map_err(|fault| fault.corrupt(path, offset))?.header;
        if !(summary.epoch..=epochs.1).contains(&found.epoch) {
            let what = "a frame is older than what comes before it, or newer than the manifest";
            return Err(corrupt(
                path,
                wide(offset),
                what,
                summary.epoch.into(),
                found.epoch.into(),
            ));
        }
        summary.epoch = found.epoch;
        summary.commits += u64::from(found.kind == FrameKind::Commit);
    }
    Ok(summary)
}
