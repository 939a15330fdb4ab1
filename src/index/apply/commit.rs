//! Taking in a commit: its batches, its rows, and then what follows between runs.

use crate::bytes::wide;
use crate::event::Malformed;
use crate::id::{Position, RunId, RunNumber};
use crate::index::payload::Payload;
use crate::index::state::{Deletion, Impossible, Index, Must};
use crate::log::format::{Compacted, Frame, Part, SegmentHeader};
use crate::log::open::Replay;

impl Index {
    /// Takes in a commit that passed [`Index::check`]. `oldest` is the oldest position that a
    /// reader holds. What was checked is taken in; an error says that the index contradicts itself.
    pub(crate) fn apply(
        &mut self,
        payload: Payload<'_>,
        oldest: Position,
    ) -> Result<(), Impossible> {
        let mut parts = payload.parts();
        while let Some(batch) = parts.batch().ok().must("a batch that was checked is malformed")? {
            let bytes = self.apply_batch(&batch, payload.commit)?;
            parts.pass(bytes).ok().must("a batch is longer than its commit")?;
        }
        for part in parts {
            if let (Part::Put(row), size) = part.ok().must("a row that was checked is malformed")? {
                self.totals.rows_written += 1;
                self.totals.row_bytes += wide(size);
                if self.namespaces.put(&row) {
                    self.limits_changed = payload.commit;
                }
                let deletion = Deletion::of(&row).ok();
                let deletion = deletion.must("a deletion that was checked is malformed")?;
                if let Some(deletion) = deletion {
                    self.apply_deletion(deletion, payload.commit)?;
                }
                self.tables.put(&row, payload.commit)?;
            }
        }
        self.apply_deferred(payload.commit)?;
        self.tables.forget(oldest);
        self.runs.forget(oldest);
        self.namespaces.forget(oldest);
        while let Some(crowded) = self.namespaces.types.crowded() {
            let runs = &self.runs;
            self.namespaces.types.drop_closed(crowded, |run| {
                let Some(run) = runs.get(run) else { return (false, false) };
                (run.state.latest().status.is_open(), run.state.changed() >= oldest)
            });
        }
        self.totals.commits += 1;
        self.end = payload.end;
        self.last = payload.commit;
        Ok(())
    }
}

impl Replay for Index {
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        let payload = Payload::of(frame);
        self.replay(payload, payload.end)
    }

    fn compacted(&mut self, segment: &SegmentHeader, compacted: &Compacted, left_out: bool) {
        self.begin_compacted(segment, compacted, left_out);
    }

    fn is_whole(&self) -> bool {
        self.cuts.gaps.is_empty()
    }

    fn run_ids(&self, numbers: &[RunNumber]) -> Vec<RunId> {
        numbers.iter().filter_map(|number| Some(self.runs.get(*number)?.id)).collect()
    }
}
