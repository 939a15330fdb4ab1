//! A segment in memory, looked through from its first frame to its last.

use std::path::Path;

use crate::bytes::wide;
use crate::error::Result;
use crate::log::format::{Frame, FrameKind, SEGMENT_HEADER_BYTES, SegmentHeader, corrupt};

/// What a segment holds whose every frame verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentSummary {
    pub(crate) commits: u64,
    /// Behind the last frame, the seal of a full segment included.
    pub(crate) end: usize,
    /// Of the last frame.
    pub(crate) epoch: u32,
}

/// Verifies the frames of a segment: up to its seal, or up to `stop`, where the log ends. Epochs
/// do not fall and stay within `epochs`: that of the frame before, and the manifest's.
pub(crate) fn verify(
    bytes: &[u8],
    path: &Path,
    header: &SegmentHeader,
    stop: Option<usize>,
    epochs: (u32, u32),
) -> Result<SegmentSummary> {
    let first = header.identity.first_frame(header.number);
    let mut whole =
        SegmentSummary { commits: 0, end: SEGMENT_HEADER_BYTES, epoch: epochs.0.max(header.epoch) };
    while stop.is_none_or(|stop| whole.end < stop) {
        let offset = wide(whole.end);
        let position = first.plus(wide(whole.end - SEGMENT_HEADER_BYTES));
        let rest = bytes.get(whole.end..).unwrap_or_default();
        let frame = Frame::verify(rest, header.scope(), position).map_err(|fault| {
            let (expected, found) = fault.checks();
            corrupt(path, offset, fault.what(), expected, found)
        })?;
        let epoch = frame.header.epoch;
        if !(whole.epoch..=epochs.1).contains(&epoch) {
            let what = "a frame is older than what comes before it, or newer than the manifest";
            return Err(corrupt(path, offset, what, whole.epoch.into(), epoch.into()));
        }
        whole.epoch = epoch;
        whole.end += frame.header.frame_bytes();
        match frame.header.kind {
            FrameKind::Commit => whole.commits += 1,
            FrameKind::Seal if stop.is_none() => return Ok(whole),
            FrameKind::Seal => {
                return Err(corrupt(path, offset, "the log ends before its last commit", 0, 0));
            }
        }
    }
    match stop {
        Some(stop) if whole.end > stop => {
            let what = "the log ends within a frame";
            Err(corrupt(path, wide(stop), what, wide(whole.end), wide(stop)))
        }
        _ => Ok(whole),
    }
}
