//! What holds of commits from before a compaction: what they say may lack what was dead by then.
//!
//! The rules were checked when they were committed, and the compaction has read them. What is left of a run that was
//! deleted does not follow from itself: events are missing in between. So no rule is asked, but that batches and rows are
//! well formed, that runs go on in order, and that only runs lack something that were deleted.

use crate::event::Malformed;
use crate::id::{Position, RunNumber};
use crate::index::payload::{Payload, beginning};
use crate::index::state::{Deletion, Index, Namespaces};
use crate::log::format::{Batch, Compacted, Part, SegmentHeader, is_start};

impl Index {
    /// A segment that was compacted comes next, or, if it is `left_out`, was taken in before.
    pub(crate) fn begin_compacted(
        &mut self,
        segment: &SegmentHeader,
        compacted: &Compacted,
        left_out: bool,
    ) {
        self.cuts.as_of = self.cuts.as_of.max(compacted.as_of);
        if !left_out {
            self.totals.add_dropped(&compacted.dropped);
            self.cuts.segment_end = segment.identity.first_byte(segment.number.saturating_add(1));
        }
    }

    /// Takes in a commit of the log, in the order of the log.
    pub(crate) fn replay(
        &mut self,
        payload: Payload<'_>,
        oldest: Position,
    ) -> Result<(), Malformed> {
        if payload.commit < self.cuts.as_of {
            self.check_cut(payload)?;
        } else if payload.cut || !self.cuts.gaps.is_empty() {
            return Err(Malformed);
        } else {
            self.check(payload).map_err(|_| Malformed)?;
        }
        self.apply(payload, oldest).map_err(|_| Malformed)
    }

    fn check_cut(&mut self, payload: Payload<'_>) -> Result<(), Malformed> {
        let mut next_new = self.runs.next().ok_or(Malformed)?;
        let mut last = None;
        for part in payload.parts() {
            match part?.0 {
                Part::Batch(batch) => {
                    if last.is_some_and(|last| last >= batch.run) {
                        return Err(Malformed);
                    }
                    last = Some(batch.run);
                    self.check_cut_batch(&batch, &mut next_new)?;
                }
                Part::Put(row) => {
                    Namespaces::check(&row)?;
                    if let Some(deletion) = Deletion::of(&row)? {
                        self.check_cut_deletion(deletion)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn check_cut_batch(
        &mut self,
        batch: &Batch<'_>,
        next_new: &mut RunNumber,
    ) -> Result<(), Malformed> {
        if batch.run == *next_new {
            beginning(batch, *next_new)?.ok_or(Malformed)?;
            *next_new = next_new.next().ok_or(Malformed)?;
        } else {
            let state = self.runs.state(batch.run).ok_or(Malformed)?;
            // Either nothing is missing before it, or batches with their events are.
            let lacks = state.last_batch < batch.previous;
            let follows = match lacks {
                false => {
                    state.last_batch == batch.previous && state.next_event == batch.first_event
                }
                true => state.next_event < batch.first_event,
            };
            if !follows || !state.status.is_open() || state.bytes >= batch.run_bytes {
                return Err(Malformed);
            }
            if lacks {
                self.cuts.gaps.insert(batch.run);
            }
        }
        for event in batch.raw_events() {
            let (id, raw) = event?;
            let last = id + 1 == batch.next_event();
            if is_start(raw.kind) != (id == 1) || (raw.kind.is_closing() && !last) {
                return Err(Malformed);
            }
        }
        Ok(())
    }

    fn check_cut_deletion(&mut self, deletion: Deletion) -> Result<(), Malformed> {
        let number = self.runs.number(&deletion.run).ok_or(Malformed)?;
        let state = self.runs.state(number).ok_or(Malformed)?;
        self.cuts.gaps.remove(&number);
        let sound = !state.status.is_open() && state.deleted < Some(deletion.keep);
        sound.then_some(()).ok_or(Malformed)
    }
}
