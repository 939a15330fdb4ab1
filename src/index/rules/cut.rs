//! What holds of commits from before a compaction: what they say may lack what was dead by then.
//!
//! The rules were checked when they were committed, and the compaction has read them. What is left of a run that was
//! deleted does not follow from itself: events are missing in between. So no rule is asked, but that batches and rows are
//! well formed, that runs go on in order, and that only runs lack something that were deleted.

use crate::event::{Body, Malformed};
use crate::id::Position;
use crate::index::payload::Payload;
use crate::index::state::{
    Deletion, EVENT_KEYS_TABLE, ErasedSize, Erasure, Index, Namespaces, event_of_row,
};
use crate::log::format::{Batch, Compacted, Part, Put, SegmentHeader, is_start};

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
            return self.replay_cut(payload, oldest);
        }
        if payload.cut || !self.cuts.is_empty() {
            return Err(Malformed);
        }
        self.check(payload).map_err(|_| Malformed)?;
        self.apply(payload, oldest).map_err(|_| Malformed)
    }

    /// Takes in a commit from before a compaction, part by part: what is missing of one shows in the next.
    fn replay_cut(&mut self, payload: Payload<'_>, oldest: Position) -> Result<(), Malformed> {
        let impossible = |_| Malformed;
        let mut last = None;
        let mut parts = payload.parts();
        while let Some(batch) = parts.batch()? {
            if last.is_some_and(|last| last >= batch.run) {
                return Err(Malformed);
            }
            last = Some(batch.run);
            let bytes = match self.check_cut_batch(&batch)? {
                true => self.apply_batch(&batch, payload.commit).map_err(impossible)?,
                false => self.totals.add_left_out(&batch)?,
            };
            parts.pass(bytes)?;
        }
        for part in parts {
            if let (Part::Put(row), size) = part? {
                Namespaces::check(&row)?;
                if self.check_cut_row(&row)? {
                    self.apply_row(&row, size, payload.commit).map_err(impossible)?;
                } else {
                    self.totals.add_row(size);
                }
            }
        }
        self.finish(payload, oldest).map_err(impossible)
    }

    /// Checks a batch; whether it is of a run that the index has, or that it begins. Any other one is of a run that is erased
    /// later.
    fn check_cut_batch(&mut self, batch: &Batch<'_>) -> Result<bool, Malformed> {
        for event in batch.raw_events() {
            let (id, raw) = event?;
            let last = id + 1 == batch.next_event();
            if is_start(raw.kind) != (id == 1) || (raw.kind.is_closing() && !last) {
                return Err(Malformed);
            }
        }
        let Some(state) = self.runs.state(batch.run) else {
            let begins = Some(batch.run) >= self.runs.next() && self.begins_here(batch)?;
            if !begins {
                self.cuts.strays.insert(batch.run);
            }
            return Ok(begins);
        };
        // Either nothing is missing before it, or batches with their events are.
        let lacks = state.last_batch < batch.previous;
        let follows = match lacks {
            false => state.last_batch == batch.previous && state.next_event == batch.first_event,
            true => state.next_event < batch.first_event,
        };
        let ended = !state.status.is_open() || state.deleted.is_some();
        if !follows || ended || state.bytes >= batch.run_bytes {
            return Err(Malformed);
        }
        if lacks {
            self.cuts.gaps.insert(batch.run);
        }
        Ok(true)
    }

    /// Whether the first batch of a run is this one, and the index has what it refers to.
    fn begins_here(&self, batch: &Batch<'_>) -> Result<bool, Malformed> {
        let first = batch.events().next().ok_or(Malformed)??;
        Ok(match first.body() {
            Body::WorkflowReset(reset) => self.runs.number(&reset.base_run_id).is_some(),
            Body::WorkflowExecutionStarted(started) if started.imported => true,
            Body::WorkflowExecutionStarted(started) if started.continued_run_id.is_some() => {
                self.runs.number(&started.first_run_id).is_some()
            }
            Body::WorkflowExecutionStarted(started) => started.parent_run_id.is_none_or(|parent| {
                let parent = self.runs.number(&parent).and_then(|parent| self.runs.links(parent));
                parent
                    .is_some_and(|parent| parent.find(started.parent_initiated_event_id).is_some())
            }),
            _ => false,
        })
    }

    /// Checks a row; whether it says something to the index. One that deletes a run which is not there, has the key of an
    /// event of such a run, or says what was erased of its chain, is of one that is erased later.
    fn check_cut_row(&mut self, row: &Put<'_>) -> Result<bool, Malformed> {
        if let (EVENT_KEYS_TABLE, Some((_, value))) = (row.table, row.value) {
            let event = event_of_row(row.key, value);
            return Ok(event.is_none_or(|(run, _)| self.runs.number(&run).is_some()));
        }
        if let Some(erased) = ErasedSize::of(row)? {
            return match self.chain_of_first(&erased.first) {
                Some(_) => self.may_say(&erased).then_some(true).ok_or(Malformed),
                None => Ok(false),
            };
        }
        let Some(deletion) = Deletion::of(row)? else {
            return Erasure::of(row).map(|_| true);
        };
        let Some(number) = self.runs.number(&deletion.run) else { return Ok(false) };
        let state = self.runs.state(number).ok_or(Malformed)?;
        self.cuts.gaps.remove(&number);
        if state.status.is_open() {
            // The batch that closed it is missing.
            self.cuts.strays.insert(number);
        }
        (state.deleted < Some(deletion.keep)).then_some(true).ok_or(Malformed)
    }
}
