//! Deleted runs of which a compaction left parts. The new store has no place for a run that lacks events, so they are left
//! out, and reported. Erased runs are left out, too, as if they had never been.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::kept_batch::Origin;
use super::parts::{origin_of, parse};
use super::report::LeftOutRun;
use crate::bytes::wide;
use crate::id::{RunId, RunNumber};
use crate::index::{Deletion, Erasure};
use crate::log::format::{BATCH_HEADER_BYTES, Batch, Frame, Part};
use crate::retention::Keep;

/// Runs of the source that are deleted and of which something is missing.
#[derive(Default)]
pub(super) struct LeftOut {
    runs: BTreeMap<RunNumber, LeftOutRun>,
    erased: HashSet<RunNumber>,
    ids: HashSet<RunId>,
}

impl LeftOut {
    pub(super) fn has_number(&self, run: RunNumber) -> bool {
        self.runs.contains_key(&run) || self.erased.contains(&run)
    }

    pub(super) fn has(&self, run: &RunId) -> bool {
        self.ids.contains(run)
    }

    /// In the order in which they started.
    pub(super) fn into_runs(self) -> Vec<LeftOutRun> {
        self.runs.into_values().collect()
    }
}

/// Looks for deleted runs of which something is missing.
#[derive(Default)]
pub(super) struct Survey {
    /// The id of each run, and its bytes at the last batch.
    runs: HashMap<RunNumber, (RunId, u32)>,
    lacking: HashSet<RunNumber>,
    deleted: HashMap<RunId, Keep>,
    erased: HashSet<RunNumber>,
}

impl Survey {
    pub(super) fn commit(&mut self, frame: &Frame<'_>) {
        for (part, bytes) in parse(frame).unwrap_or_default() {
            match part {
                Part::Batch(batch) => self.batch(&batch, bytes.len() - BATCH_HEADER_BYTES),
                Part::Put(row) => {
                    let erasure = Erasure::of(&row).ok().flatten();
                    self.erased.extend(erasure.iter().flat_map(Erasure::runs));
                    let deletion = Deletion::of(&row).ok().flatten();
                    self.deleted.extend(deletion.map(|deletion| (deletion.run, deletion.keep)));
                }
            }
        }
    }

    fn batch(&mut self, batch: &Batch<'_>, events: usize) {
        let origin = origin_of(batch);
        let before = match (self.runs.get(&batch.run), origin) {
            (Some((_, bytes)), _) => Some(u64::from(*bytes)),
            // The bytes that a reset shares are not known here.
            (None, Some(Origin::Resets { .. })) => None,
            (None, _) => Some(0),
        };
        if before.is_some_and(|before| before + wide(events) != u64::from(batch.run_bytes)) {
            self.lacking.insert(batch.run);
        }
        let id = origin.map_or(RunId::NIL, |origin| origin.id());
        self.runs.entry(batch.run).or_insert((id, 0)).1 = batch.run_bytes;
    }

    pub(super) fn finish(self) -> LeftOut {
        let deleted = |number: RunNumber| {
            let (id, _) = self.runs.get(&number)?;
            Some((number, LeftOutRun { id: *id, kept: *self.deleted.get(id)? }))
        };
        let lacking = self.lacking.difference(&self.erased).copied();
        let runs: BTreeMap<_, _> = lacking.filter_map(deleted).collect();
        let erased = self.erased.iter().filter_map(|number| Some(self.runs.get(number)?.0));
        let ids = runs.values().map(|run| run.id).chain(erased).collect();
        LeftOut { ids, runs, erased: self.erased }
    }
}
