//! The runs of the source: how much of each is in the new store, and how much was found.

use std::collections::HashMap;

use super::report::{CutRun, UnknownRun};
use crate::id::{Position, RunId, RunNumber};
use crate::index::Index;
use crate::log::format::Batch;

/// Why a run is cut if its next batch was not found.
pub(super) const BATCH_MISSING: &str = "the batch that follows is missing";

/// The runs of the source, by the numbers that the source gave them.
#[derive(Default)]
pub(super) struct SourceRuns(HashMap<RunNumber, SourceRun>);

/// A run of the source.
pub(super) struct SourceRun {
    id: RunId,
    /// Its last batch that is in the new store.
    kept: Option<Kept>,
    /// Why nothing more of it is kept.
    cut: Option<&'static str>,
    /// The first event that was found and not kept.
    first_dropped: u32,
    /// One more than the last event that was found.
    found_end: u32,
    /// Namespace and workflow id, if the new store does not know them.
    name: Option<Box<Name>>,
}

/// The id and names of a run that is not in the new store.
#[derive(Default)]
pub(super) struct Name {
    pub(super) id: RunId,
    pub(super) namespace: String,
    pub(super) workflow_id: String,
}

/// The end of a run in the new store.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    /// The position of its last batch in the source.
    pub(super) last_batch: Position,
    pub(super) next_event: u32,
    pub(super) bytes: u32,
}

impl SourceRun {
    /// Its id and its end in the new store, if it is not cut.
    pub(super) fn open(&self) -> Option<(RunId, Kept)> {
        let kept = self.kept.filter(|_| self.cut.is_none())?;
        Some((self.id, kept))
    }
}

impl SourceRuns {
    pub(super) fn get(&self, number: RunNumber) -> Option<&SourceRun> {
        self.0.get(&number)
    }

    /// The ids of those among `numbers` that are known.
    pub(super) fn ids(&self, numbers: impl Iterator<Item = RunNumber>) -> Vec<RunId> {
        let known = numbers.filter_map(|number| Some(self.0.get(&number)?.id));
        known.filter(|id| !id.is_nil()).collect()
    }

    /// The runs that are cut and of which the new store has a part, in the order in which they started.
    pub(super) fn parts(&self) -> Vec<RunId> {
        let parts = self.0.iter().filter(|(_, run)| run.cut.is_some() && run.kept.is_some());
        let mut parts: Vec<_> = parts.map(|(number, run)| (*number, run.id)).collect();
        parts.sort_unstable();
        parts.into_iter().map(|(_, id)| id).collect()
    }

    /// The runs that are not cut, and what the events of each take in the source.
    pub(super) fn whole(&self) -> impl Iterator<Item = (RunId, u32)> {
        self.0.values().filter_map(|run| run.open().map(|(id, kept)| (id, kept.bytes)))
    }

    /// Records that a batch is in the new store.
    pub(super) fn keep(&mut self, batch: &Batch<'_>, id: RunId) {
        let run = self.note_found(batch);
        let (last_batch, next_event) = (batch.position, batch.next_event());
        run.id = id;
        run.kept = Some(Kept { last_batch, next_event, bytes: batch.run_bytes });
    }

    /// Records that a batch and all later ones of its run are left out. `name` is given if the run begins with it.
    pub(super) fn cut(&mut self, batch: &Batch<'_>, name: Option<Name>, why: &'static str) {
        let run = self.note_found(batch);
        if run.cut.is_none() {
            (run.cut, run.first_dropped) = (Some(why), batch.first_event);
        }
        run.first_dropped = run.first_dropped.min(batch.first_event);
        if let Some(name) = name.filter(|_| run.id.is_nil()) {
            run.id = name.id;
            run.name = Some(Box::new(name));
        }
    }

    /// Records that a batch was found.
    fn note_found(&mut self, batch: &Batch<'_>) -> &mut SourceRun {
        let run = self.0.entry(batch.run).or_insert(SourceRun {
            id: RunId::NIL,
            kept: None,
            cut: None,
            first_dropped: batch.first_event,
            found_end: 0,
            name: None,
        });
        run.found_end = run.found_end.max(batch.next_event());
        run
    }

    /// The runs that are cut, those that are not known, and how many of the former have a part in the new store,
    /// whose index is `index`.
    pub(super) fn report(self, index: &Index) -> (Vec<CutRun>, Vec<UnknownRun>, u64) {
        let mut cut: Vec<_> = self.0.into_iter().filter(|(_, run)| run.cut.is_some()).collect();
        cut.sort_unstable_by_key(|(number, _)| *number);
        let (mut runs, mut unknown, mut parts) = (vec![], vec![], 0);
        for (number, run) in cut {
            parts += u64::from(run.kept.is_some());
            if run.id.is_nil() {
                let (first_found, last_found) =
                    (run.first_dropped, run.found_end.saturating_sub(1));
                let number = number.as_u32();
                unknown.push(UnknownRun { number, first_found, last_found });
            } else {
                runs.push(cut_run(run, index));
            }
        }
        (runs, unknown, parts)
    }
}

fn cut_run(run: SourceRun, index: &Index) -> CutRun {
    let known = index.runs.number(&run.id).and_then(|number| index.runs.get(number));
    let workflow = known.and_then(|known| index.workflow_of(&known));
    let (namespace, workflow_id) = match (workflow, run.name) {
        (Some((namespace, workflow)), _) => (namespace.name.to_string(), workflow.id.to_string()),
        (None, Some(name)) => (name.namespace, name.workflow_id),
        (None, None) => Default::default(),
    };
    let first_lost = run.kept.map_or(run.first_dropped, |kept| kept.next_event);
    CutRun {
        id: run.id,
        namespace,
        workflow_id,
        events_kept: run.kept.map_or(0, |kept| kept.next_event.saturating_sub(1)),
        first_lost,
        events_lost: run.found_end.saturating_sub(first_lost),
        why: run.cut.unwrap_or(BATCH_MISSING),
    }
}
