//! Taking in a commit: its batches, its rows, and then what follows between runs.

use crate::event::Malformed;
use crate::id::{Position, RunId, RunNumber};
use crate::index::payload::Payload;
use crate::index::state::{Deletion, ErasedSize, Erasure, Impossible, Index, Must};
use crate::log::format::{Compacted, Frame, Part, Put, SegmentHeader};
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
                self.apply_row(&row, size, payload.commit)?;
            }
        }
        self.finish(payload, oldest)
    }

    /// Takes in a row, which takes `size` bytes of the log.
    pub(crate) fn apply_row(
        &mut self,
        row: &Put<'_>,
        size: usize,
        commit: Position,
    ) -> Result<(), Impossible> {
        self.totals.add_row(size);
        if self.namespaces.put(row) {
            self.limits_changed = commit;
        }
        let erasure = Erasure::of(row).ok().must("an erasure that was checked is malformed")?;
        if let Some(erasure) = erasure {
            return self.apply_erasure(&erasure, commit);
        }
        let deletion = Deletion::of(row).ok().must("a deletion that was checked is malformed")?;
        if let Some(deletion) = deletion {
            self.apply_deletion(deletion, commit)?;
        }
        let erased =
            ErasedSize::of(row).ok().must("an erased size that was checked is malformed")?;
        if let Some(erased) = erased {
            self.apply_erased_size(&erased)?;
        }
        self.tables.put(row, commit)
    }

    /// Takes in what follows from all parts of a commit.
    pub(crate) fn finish(
        &mut self,
        payload: Payload<'_>,
        oldest: Position,
    ) -> Result<(), Impossible> {
        self.apply_deferred(payload.commit)?;
        self.tables.forget(oldest);
        self.runs.forget(oldest);
        self.namespaces.forget(oldest);
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
        self.cuts.is_empty()
    }

    fn run_ids(&self, numbers: &[RunNumber]) -> Vec<RunId> {
        numbers.iter().filter_map(|number| Some(self.runs.get(*number)?.id)).collect()
    }
}
