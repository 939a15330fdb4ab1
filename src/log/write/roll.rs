//! Going on in the next segment, which a thread prepares ahead.

use std::sync::Arc;

use super::durability::Reserve;
use super::state::State;
use super::writer::Writer;
use crate::bytes::wide;
use crate::disk::random_bytes;
use crate::error::{Error, Result};
use crate::limits::{Limit, POSITION_MAX};
use crate::log::files::{Segment, is_full, reserve, reserve_bytes};
use crate::log::format::{FrameKind, OVERHEAD_BYTES, SegmentHeader, frame};
use crate::sync::{MutexGuard, thread};

/// A group that has grown to this size takes no more commits until it is written: memory is
/// bounded however far committers run ahead of the disk.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// No commit is taken this far beyond the durable mark: what a frame says of the mark must fit its field. Positions
/// jump where a segment is short.
const LAG_MAX: u64 = 8 << 30;

impl Writer {
    /// Waits until a frame of `bytes` can be appended, and rolls over to the next segment if it
    /// does not fit into this one.
    pub(crate) fn make_room(
        self: &Arc<Self>,
        state: &mut MutexGuard<'_, State>,
        bytes: usize,
        reserve: Reserve,
    ) -> Result<()> {
        let mut tried = false;
        loop {
            if let Some(failure) = &state.failure {
                return Err(Error::NotWritten { cause: failure.cause.clone() });
            }
            let gathered: usize = state.groups.iter().map(|group| group.bytes.len()).sum();
            let lag = state.next.as_u64().saturating_sub(self.durable().as_u64());
            if gathered >= GROUP_BYTES_MAX || lag > LAG_MAX {
                if state.leading {
                    self.progress.wait(state);
                } else {
                    self.lead(state);
                }
                continue;
            }
            let kept = self.kept(state, reserve);
            let (_, offset) = self.published.identity.locate(state.next);
            let segment_bytes = u64::from(state.segment.header.file_bytes);
            if wide(offset + bytes + OVERHEAD_BYTES) + kept <= segment_bytes {
                return Ok(());
            }
            if let Some(next) = state.prepared.take() {
                self.roll(state, next)?;
                continue;
            }
            if !state.preparing {
                // A failure from before this commit says nothing about now.
                if let Some(error) = state.prepare_failed.take().filter(|_| tried) {
                    return Err(refusal(error));
                }
                tried = true;
                self.prepare(state, bytes);
            }
            if state.preparing {
                self.progress.wait(state);
            }
        }
    }

    /// How many bytes of the segment a commit must leave: none if the next one is there.
    fn kept(&self, state: &State, reserve: Reserve) -> u64 {
        match reserve {
            Reserve::Keep if state.prepared.is_none() => {
                reserve_bytes(state.segment.header.file_bytes)
            }
            Reserve::Keep | Reserve::Use => 0,
        }
    }

    /// Seals the segment and goes on in the next one.
    fn roll(&self, state: &mut State, next: Arc<Segment>) -> Result<()> {
        let start = self.published.identity.first_frame(next.header.number);
        if start.plus(u64::from(self.published.identity.segment_bytes)).as_u64() > POSITION_MAX {
            state.prepared = Some(next);
            let (limit, max) = (Limit::LogBytes, POSITION_MAX);
            let (now, asked) = (state.next.as_u64(), start.as_u64());
            return Err(Error::LimitExceeded { limit, run: None, now, asked, max });
        }
        let epoch = self.epoch;
        let group = self.group(state);
        let frame_start = group.bytes.len();
        frame::open(&mut group.bytes);
        frame::close(&mut group.bytes, frame_start, FrameKind::Seal, 0, epoch);
        // Never leave a sealed segment unsynced for long: see `LAG_MAX`.
        state.wanted = state.next;
        state.next = start;
        state.segment = next;
        Ok(())
    }

    /// Starts to prepare the next segment once half of this one is used.
    pub(crate) fn prepare_ahead(self: &Arc<Self>, state: &mut State) {
        let (_, offset) = self.published.identity.locate(state.next);
        let half_used = wide(offset) * 2 > u64::from(state.segment.header.file_bytes);
        // After a failure it is tried again when the segment is needed, not at every commit.
        if half_used && state.prepare_failed.is_none() {
            self.prepare(state, 0);
        }
    }

    /// Prepares the next segment, with room for a frame of `frame_bytes`, on a thread of its own, unless that is
    /// done or under way.
    fn prepare(self: &Arc<Self>, state: &mut State, frame_bytes: usize) {
        if state.preparing || state.prepared.is_some() {
            return;
        }
        let SegmentHeader { identity, number, file_bytes, .. } = state.segment.header;
        let header = SegmentHeader {
            identity,
            number: number.saturating_add(1),
            epoch: self.epoch,
            salt: random_bytes(self.disk.as_ref()),
            file_bytes: identity.next_file_bytes(file_bytes, frame_bytes),
        };
        let writer = self.clone();
        let work = move || {
            let prepared = writer.next_segment(header);
            if let Err(error @ Error::Displaced { .. }) = &prepared {
                writer.stop(error.clone());
            }
            let mut state = writer.state.lock();
            match prepared {
                Ok(segment) => {
                    state.prepared = Some(segment);
                    state.prepare_failed = None;
                }
                Err(error) => state.prepare_failed = Some(error),
            }
            state.preparing = false;
            drop(state);
            writer.progress.notify_all();
        };
        match thread::Builder::new().name("kinlog-prepare".into()).spawn(work) {
            Ok(thread) => (state.preparing, state.prepare_thread) = (true, Some(thread)),
            Err(error) => {
                state.prepare_failed =
                    Some(Error::io("start a thread for", self.paths.log(), error));
                self.progress.notify_all();
            }
        }
    }

    /// The segment that goes by this number: made with `header`, or one that a writer which was killed
    /// has left, of several perhaps that never took a commit.
    fn next_segment(&self, header: SegmentHeader) -> Result<Arc<Segment>> {
        let disk = self.disk.as_ref();
        let view = self.published.view();
        let left = usize::try_from(header.number).ok().and_then(|it| view.segments().get(it));
        if let Some(segment) = left {
            segment.open_for_writing(disk)?;
            return Ok(segment.clone());
        }
        if view.segments().last().is_none_or(|last| last.header.file_bytes < header.file_bytes) {
            self.check_place()?;
            reserve::keep(disk, &self.paths, header.file_bytes)?;
        }
        let made = Segment::prepare(disk, &self.paths, header, &|| self.check_place())?;
        let made = Arc::new(made);
        self.published.add_segment(made.clone());
        Ok(made)
    }
}

/// What becomes of a commit that needs a segment which could not be prepared.
fn refusal(error: Error) -> Error {
    match error {
        Error::Io { operation, path, source } if is_full(&source) => {
            Error::DiskFull { operation, path, source }
        }
        error => Error::NotWritten { cause: Arc::new(error) },
    }
}
