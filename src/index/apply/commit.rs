//! Taking in a commit: its batches, its rows, and then what follows between runs.

use crate::bytes::wide;
use crate::event::Malformed;
use crate::id::{Position, RunId};
use crate::index::payload::Payload;
use crate::index::state::Index;
use crate::log::format::{Frame, Part};
use crate::log::open::Replay;

impl Index {
    /// Takes in a commit that passed [`Index::check`]. `oldest` is the oldest position that a
    /// reader holds.
    pub(crate) fn apply(&mut self, payload: Payload<'_>, oldest: Position) {
        let mut parts = payload.parts();
        // Nothing here can fail after `check`.
        while let Ok(Some(batch)) = parts.batch() {
            let bytes = self.apply_batch(&batch, payload.commit);
            if parts.pass(bytes).is_err() {
                break;
            }
        }
        for part in parts.map_while(Result::ok) {
            if let (Part::Put(row), size) = part {
                self.totals.rows_written += 1;
                self.totals.row_bytes += wide(size);
                if self.namespaces.put(&row) {
                    self.limits_changed = payload.commit;
                }
                self.tables.put(&row, payload.commit);
            }
        }
        self.apply_deferred(payload.commit);
        self.tables.forget(oldest);
        self.runs.forget(oldest);
        self.namespaces.forget(oldest);
        self.totals.commits += 1;
        self.end = payload.end;
    }
}

impl Replay for Index {
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        let payload = Payload::of(frame);
        self.check(payload).map_err(|_| Malformed)?;
        self.apply(payload, payload.end);
        Ok(())
    }

    fn run_ids(&self, numbers: &[u32]) -> Vec<RunId> {
        numbers.iter().filter_map(|number| Some(self.runs.get(*number)?.id)).collect()
    }
}
