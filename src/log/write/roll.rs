//! Room for a commit: in this segment, or in the next one.

use std::sync::Arc;

use super::durability::{Manner, Reserve};
use super::state::State;
use super::writer::Writer;
use crate::bytes::wide;
use crate::disk::random_bytes;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::limits::{Limit, POSITION_MAX};
use crate::log::files::{Segment, is_full, reserve_bytes};
use crate::log::format::{FrameKind, OVERHEAD_BYTES, SegmentHeader, frame};
use crate::sync::MutexGuard;

/// A group that has grown to this size takes no more commits until it is written: memory is
/// bounded however far committers run ahead of the disk.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// How many full segments may be on their way to the device at once: what a power loss can take is bounded. Short
/// ones do not count, as all of them together are shorter than a long one; nor are there so many of them that a frame
/// could not say how far behind the durable mark is, at most 16 GiB.
const UNSYNCED_SEGMENTS_MAX: u32 = 2;

impl Writer {
    /// Waits until a frame of `bytes` can be appended, and rolls over to the next segment if it
    /// does not fit into this one. [`Error::WouldBlock`] for a commit that does not wait.
    pub(crate) fn make_room(
        &self,
        state: &mut MutexGuard<'_, State>,
        bytes: usize,
        manner: Manner,
    ) -> Result<()> {
        let mut tried = false;
        loop {
            if let Some(failure) = &state.failure {
                return Err(Error::NotWritten { cause: failure.cause.clone() });
            }
            let fits = self.fits(state, bytes, manner.reserve);
            if is_group_full(state) || !fits && self.is_far_ahead(state) {
                if !manner.waits {
                    self.note_awaited(state);
                    return Err(Error::WouldBlock { why: "the disk is behind" });
                }
                self.catch_up(state);
            } else if fits {
                return Ok(());
            } else if let Some(next) = state.prepared.take() {
                self.roll(state, next)?;
            } else {
                if !state.preparing {
                    // A failure from before this commit says nothing about now.
                    tried |= !manner.waits && std::mem::take(&mut state.lacks_segment);
                    if let Some(error) = state.prepare_failed.take().filter(|_| tried) {
                        return Err(refusal(error));
                    }
                    tried = true;
                    self.prepare(state, bytes);
                }
                if !manner.waits {
                    state.lacks_segment = true;
                    return Err(Error::WouldBlock { why: "the next segment is being prepared" });
                }
                self.progress.wait(state);
            }
        }
    }

    /// Ends the segment that the log ends in, unless it has no commit, so that the next commit begins another one.
    pub(crate) fn seal(&self) -> Result<()> {
        let mut state = self.state.lock();
        let mut tried = false;
        loop {
            if let Some(failure) = &state.failure {
                return Err(Error::NotWritten { cause: failure.cause.clone() });
            }
            let number = state.segment.header.number;
            if state.next == self.published.identity.first_frame(number) {
                return Ok(());
            }
            if is_group_full(&state) || self.is_far_ahead(&state) {
                self.catch_up(&mut state);
            } else if let Some(next) = state.prepared.take() {
                return self.roll(&mut state, next);
            } else {
                if !state.preparing {
                    if let Some(error) = state.prepare_failed.take().filter(|_| tried) {
                        return Err(refusal(error));
                    }
                    tried = true;
                    self.prepare(&mut state, 0);
                }
                self.progress.wait(&mut state);
            }
        }
    }

    /// Writes what has gathered, or waits for whoever writes or syncs.
    fn catch_up(&self, state: &mut MutexGuard<'_, State>) {
        if state.leading || state.groups.is_empty() {
            self.progress.wait(state);
        } else {
            self.lead(state);
        }
    }

    /// Whether a frame fits into this segment, with a seal after it and with what must be left.
    fn fits(&self, state: &State, bytes: usize, reserve: Reserve) -> bool {
        let kept = Self::kept(state, reserve);
        let (_, offset) = self.published.identity.locate(state.next);
        wide(offset + bytes + OVERHEAD_BYTES) + kept <= u64::from(state.segment.header.file_bytes)
    }

    /// Blocks until a commit that was refused with [`Error::WouldBlock`] can be tried again.
    pub(crate) fn await_room(&self) -> Result<()> {
        let mut state = self.state.lock();
        loop {
            if let Some(outcome) = self.room(&state) {
                return outcome;
            }
            self.note_awaited(&mut state);
            self.progress.wait(&mut state);
        }
    }

    /// The same, as far as it is known: whether there is room, or never will be.
    pub(crate) fn room(&self, state: &State) -> Option<Result<()>> {
        if let Some(failure) = &state.failure {
            return Some(Err(Error::NotWritten { cause: failure.cause.clone() }));
        }
        let lacks_segment = state.lacks_segment && state.preparing;
        let behind = is_group_full(state) || self.is_far_ahead(state);
        (!lacks_segment && !behind).then_some(Ok(()))
    }

    /// Whether the segment must not be left yet: too many before it are not on the device.
    fn is_far_ahead(&self, state: &State) -> bool {
        is_far_ahead(&state.segment.header, self.durable())
    }

    /// How many bytes of the segment a commit must leave: none if the next one is there.
    fn kept(state: &State, reserve: Reserve) -> u64 {
        let bytes = reserve_bytes(state.segment.header.file_bytes);
        match reserve {
            _ if state.prepared.is_some() => 0,
            Reserve::Keep => bytes,
            Reserve::Half => bytes / 2,
            Reserve::All => 0,
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
        state.next = start;
        state.segment = next;
        state.next_salt = random_bytes(self.disk.as_ref());
        Ok(())
    }
}

/// Whether a log that is on the device up to `durable` must not go on after this segment yet.
fn is_far_ahead(header: &SegmentHeader, durable: Position) -> bool {
    let SegmentHeader { identity, number, file_bytes, .. } = *header;
    let (synced, _) = identity.locate(durable);
    file_bytes == identity.segment_bytes && number.saturating_sub(synced) >= UNSYNCED_SEGMENTS_MAX
}

fn is_group_full(state: &State) -> bool {
    state.groups.iter().map(|group| group.bytes.len()).sum::<usize>() >= GROUP_BYTES_MAX
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

#[cfg(test)]
mod tests {
    use super::is_far_ahead;
    use crate::bytes::wide;
    use crate::id::Position;
    use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
    use crate::log::format::{FrameKind, Identity, OVERHEAD_BYTES, SegmentHeader, frame};

    /// The header of a seal at `position`, in a log that is on the device up to `durable`, says so.
    fn says_so(header: &SegmentHeader, position: Position, durable: Position) -> bool {
        let mut bytes = crate::event::Buffer::new();
        frame::open(&mut bytes);
        frame::close(&mut bytes, 0, FrameKind::Seal, 0, header.epoch);
        frame::write_checksums(&mut bytes, &header.salt, position, durable);
        let read = frame::verify_header(&bytes, header.scope(), position);
        read.is_ok_and(|read| read.durable_upto == durable)
    }

    /// Nothing is synced, and each segment is filled to its end.
    #[test]
    fn segments_that_grow_leave_the_durable_mark_no_further_behind_than_a_frame_can_say() {
        let doubled = (0..15).map(|times| SEGMENT_BYTES_MIN << times);
        let odd = doubled.clone().map(|bytes| (bytes + 4096).min(SEGMENT_BYTES_MAX - 4096));
        for segment_bytes in doubled.chain(odd) {
            let identity = Identity { store: [7; 16], segment_bytes };
            let durable = identity.first_frame(0);
            let mut file_bytes = SEGMENT_BYTES_MIN;
            let mut unsynced = 0;
            for number in 0.. {
                let header = SegmentHeader {
                    identity,
                    number,
                    epoch: 1,
                    salt: [3; 16],
                    file_bytes,
                    compacted: None,
                };
                let seal = header.scope().end.as_u64() - wide(OVERHEAD_BYTES);
                let seal = Position::from_u64(seal);
                assert!(says_so(&header, seal, durable), "{segment_bytes} {number}");
                unsynced += u64::from(file_bytes);
                if is_far_ahead(&header, durable) {
                    break;
                }
                file_bytes = identity.next_file_bytes(file_bytes, 0);
            }
            // What a power loss can take is bounded, and the log need not wait for every segment.
            let long = u64::from(segment_bytes);
            assert!((long..=4 * long).contains(&unsynced), "{segment_bytes} {unsynced}");
        }
    }
}
