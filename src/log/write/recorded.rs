//! What the recorder is told of rounds, syncs and segments. Never called with the state locked.

use super::state::Round;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::log::files::Segment;
use crate::recorder::{
    DURABLE_BYTES, END_BYTES, FAILURES, ROLLS, ROUND_BYTES, ROUND_SECONDS, SYNC_SECONDS, span,
};

impl Writer {
    /// Tells of a round that went well, after which the log ends at `end`.
    pub(super) fn tell_round(&self, round: &Round, end: Position) {
        let recording = &self.recording;
        let sync = ("sync", if round.sync { "true" } else { "false" });
        recording.observe_since(&ROUND_SECONDS, &[sync], round.began);
        recording.observe(&ROUND_BYTES, &[], round.bytes as u64);
        if round.segments > 1 {
            recording.add(&ROLLS, &[], round.segments as u64 - 1);
        }
        recording.set(&END_BYTES, &[], end.as_u64());
        // Without a sync, the thread for segments may have told of more meanwhile.
        if round.sync {
            self.tell_durable(end);
        }
    }

    /// Tells how far the log is on the device.
    pub(crate) fn tell_durable(&self, durable: Position) {
        self.recording.set(&DURABLE_BYTES, &[], durable.as_u64());
    }

    /// Tells that the log takes no more commits.
    pub(super) fn tell_failure(&self) {
        self.recording.add(&FAILURES, &[], 1);
    }

    /// Syncs a segment (`fsync`): the acknowledgement of every commit in it rests on that.
    pub(super) fn sync_segment(&self, segment: &Segment) -> Result<()> {
        let _span = span::sync(segment.header.number);
        let began = self.recording.now();
        segment.file.sync().map_err(|e| Error::io("sync", &segment.path, e))?;
        self.recording.observe_since(&SYNC_SECONDS, &[], began);
        Ok(())
    }
}
