//! The thread for segments: syncs full ones, and prepares the next, so that no committer does either.

use std::sync::Arc;

use super::state::State;
use super::writer::Writer;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::{Segment, reserve};
use crate::log::format::SegmentHeader;
use crate::recorder::{SEGMENT_SECONDS, span};
use crate::sync::MutexGuard;
use crate::sync::atomic::Ordering;

impl Writer {
    /// Asks for the next segment once half of this one is used. After a roll it was asked for already.
    pub(crate) fn prepare_ahead(&self, state: &mut State) {
        let (_, offset) = self.published.identity.locate(state.next);
        let half_used = wide(offset) * 2 > u64::from(state.segment.header.file_bytes);
        // After a failure it is tried again when the segment is needed, not at every commit.
        if half_used && state.prepare_failed.is_none() {
            self.prepare(state, 0);
        }
    }

    /// Asks for the next segment, with room for a frame of `frame_bytes`, unless it is there or was asked for.
    pub(crate) fn prepare(&self, state: &mut State, frame_bytes: usize) {
        if !state.preparing && state.prepared.is_none() {
            let SegmentHeader { identity, file_bytes, .. } = state.segment.header;
            state.next_file_bytes = identity.next_file_bytes(file_bytes, frame_bytes);
            state.preparing = true;
            self.segment_work.notify_one();
        }
    }

    /// Returns when no full segment is left to be synced by the thread for segments. Not by the leader itself: of
    /// two syncs of a file that fails, the system reports the failure to one.
    pub(crate) fn await_sealed(&self) -> Result<()> {
        let mut state = self.state.lock();
        while !state.sealed.is_empty() {
            if let Some(failure) = &state.failure {
                return Err((*failure.cause).clone());
            }
            self.progress.wait(&mut state);
        }
        Ok(())
    }

    /// Blocks until the log is on the device up to `upto`, which others see to.
    pub(crate) fn await_durable(&self, upto: Position) -> Result<()> {
        let mut state = self.state.lock();
        while self.durable() < upto {
            if let Some(failure) = &state.failure {
                return Err(Error::NotWritten { cause: failure.cause.clone() });
            }
            self.synced.wait(&mut state);
        }
        Ok(())
    }

    /// The thread's work, until [`Writer::end_segments`] is called and nothing is left to do.
    pub(crate) fn work_on_segments(&self) {
        let mut state = self.state.lock();
        loop {
            let failed = state.failure.is_some();
            match state.sealed.front().cloned() {
                Some(full) if !failed => self.sync_full(&mut state, &full),
                _ if state.preparing => self.prepare_next(&mut state),
                _ if state.segments_end => return,
                _ => self.segment_work.wait(&mut state),
            }
        }
    }

    /// Ends the thread for segments.
    pub(crate) fn end_segments(&self) {
        self.state.lock().segments_end = true;
        self.segment_work.notify_one();
    }

    /// Syncs the first of the full segments. The log is then on the device up to its end.
    fn sync_full(&self, state: &mut MutexGuard<'_, State>, full: &Segment) {
        let durable = self.published.identity.first_frame(full.header.number.saturating_add(1));
        let synced = MutexGuard::unlocked(state, || {
            self.sync_segment(full)?;
            self.record(durable)?;
            self.tell_durable(durable);
            Ok(())
        });
        match synced {
            Ok(()) => {
                state.sealed.pop_front();
                self.durable.fetch_max(durable.as_u64(), Ordering::Release);
                self.synced.notify_all();
                // Nothing is ever written to it again.
                full.file.end_writing();
                // Whose turn it is to lead may be content with this, and go: another of those who wait must lead.
                self.wake_waiters(state);
            }
            Err(error) => {
                state.fail(error);
                self.wake_waiters(state);
            }
        }
    }

    /// Prepares the next segment.
    fn prepare_next(&self, state: &mut MutexGuard<'_, State>) {
        let header = SegmentHeader {
            identity: self.published.identity,
            number: state.segment.header.number.saturating_add(1),
            epoch: self.epoch,
            salt: state.next_salt,
            file_bytes: state.next_file_bytes,
            compacted: None,
        };
        let prepared = MutexGuard::unlocked(state, || {
            let _span = span::prepare(header.number);
            let began = self.recording.now();
            let prepared = self.next_segment(header);
            self.recording.observe_since(&SEGMENT_SECONDS, &[], began);
            prepared
        });
        state.preparing = false;
        match prepared {
            Ok(segment) => {
                state.prepared = Some(segment);
                state.prepare_failed = None;
                state.lacks_segment = false;
            }
            Err(error) => {
                if let Error::Displaced { .. } = error {
                    state.fail(error.clone());
                    self.wake_waiters(state);
                }
                state.prepare_failed = Some(error);
            }
        }
        self.note_segments(state);
    }

    /// Wakes those who wait for the thread for segments.
    fn note_segments(&self, state: &mut MutexGuard<'_, State>) {
        self.progress.notify_all();
        MutexGuard::unlocked(state, || self.published.wake());
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
