//! A commit as it is built: what its steps have changed, as far as rules depend on it.

use std::collections::{BTreeMap, BTreeSet};

use super::origin::{ForkPoint, ResetRun, RunOrigin};
use super::waiting::{OpenCounts, count};
use crate::event::{Body, Effect, EventKind, RequestKind, Reset};
use crate::hash::Map;
use crate::id::{RunId, RunNumber};
use crate::index::state::{Index, RunLinks};

/// What the steps of a commit have changed, as far as rules depend on it.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) runs: Map<RunId, RunChanges>,
    pub(crate) origins: Map<RunId, RunOrigin>,
    pub(crate) closed: Map<RunId, Closing>,
    /// The runs that resets begin.
    pub(crate) resets: Vec<ResetRun>,
}

#[derive(Clone, Copy)]
pub(crate) struct Closing {
    pub(crate) kind: EventKind,
    pub(crate) next: Option<RunId>,
    pub(crate) replaced_by: Option<RunId>,
}

#[derive(Default)]
pub(crate) struct RunChanges {
    pub(crate) relations: BTreeMap<u32, RelationState>,
    /// What was initiated here, and `None` for what was answered here.
    pub(crate) outgoing: BTreeMap<u32, Option<RequestKind>>,
    cancel_requested: bool,
    signal_requests: BTreeMap<Box<str>, u32>,
    activities_opened: BTreeSet<u32>,
    activities_ended: BTreeSet<u32>,
    /// What this adds to all that the run waits for.
    waiting: OpenCounts,
}

/// What is known of a relation at some step.
#[derive(Clone, Copy, Default)]
pub(crate) struct RelationState {
    /// The ChildStarted event; 0 before it.
    pub(crate) started: u32,
    /// The first run of the child.
    pub(crate) child: Option<RunId>,
    pub(crate) ended: bool,
    /// The outcome that this commit tells: its kind and the last run it names.
    pub(crate) told: Option<(EventKind, RunId)>,
    /// Whether this commit says that the child started.
    pub(crate) starts: bool,
}

impl Draft {
    /// Takes in the event `id` of `run`, which passed [`Draft::check`].
    pub(crate) fn record(&mut self, index: &Index, run: RunId, id: u32, body: &Body<'_>) {
        match body.effect() {
            Effect::ChildInitiated(_) => {
                let changes = self.changes(run);
                changes.relations.insert(id, RelationState::default());
                changes.waiting.children += 1;
            }
            Effect::ChildStartFailed(b) => {
                self.change(index, run, b.initiated_event_id, |known| known.ended = true);
                self.changes(run).waiting.children -= 1;
            }
            Effect::ChildStarted(b) => {
                self.change(index, run, b.initiated_event_id, |known| {
                    (known.started, known.child, known.starts) = (id, Some(b.run_id), true);
                });
            }
            Effect::ChildClosed(b) => {
                self.change(index, run, b.initiated_event_id, |known| {
                    (known.ended, known.told) = (true, Some((body.kind(), b.run_id)));
                });
                self.changes(run).waiting.children -= 1;
            }
            Effect::CancelRequested => self.changes(run).cancel_requested = true,
            Effect::RequestInitiated(kind, _) => {
                let changes = self.changes(run);
                changes.outgoing.insert(id, Some(kind));
                *changes.waiting.requests(kind) += 1;
            }
            Effect::RequestAnswered(kind, b) => {
                let waited = self.waits_for(index, run, b.initiated_event_id).is_some();
                let changes = self.changes(run);
                changes.outgoing.insert(b.initiated_event_id, None);
                *changes.waiting.requests(kind) -= i64::from(waited);
            }
            Effect::ActivityScheduled => {
                let changes = self.changes(run);
                changes.activities_opened.insert(id);
                changes.waiting.activities += 1;
            }
            Effect::ActivityEnded(b) => {
                let changes = self.changes(run);
                if !changes.activities_opened.remove(&b.scheduled_event_id) {
                    changes.activities_ended.insert(b.scheduled_event_id);
                }
                changes.waiting.activities -= 1;
            }
            Effect::RunClosed { next, replaced_by } => {
                self.closed.insert(run, Closing { kind: body.kind(), next, replaced_by });
            }
            Effect::SignaledOnce(request_id) => {
                self.changes(run).signal_requests.insert(request_id.into(), id);
            }
            Effect::Nothing => {}
        }
    }

    /// Takes in the activities that a reset names: those that are open in the run it begins.
    pub(crate) fn record_reset(&mut self, reset: &Reset<'_>) {
        let changes = self.changes(reset.run_id);
        changes.activities_opened.extend(reset.open_activities.iter());
        changes.waiting.activities += count(changes.activities_opened.len());
    }

    /// The signal of `run` that came with this request id.
    pub(crate) fn signaled(&self, index: &Index, run: RunId, request_id: &str) -> Option<u32> {
        let here = self.runs.get(&run).and_then(|changes| changes.signal_requests.get(request_id));
        let before = || {
            let found = self.with_links(index, run, |links, shared| {
                links.signal_requests.get(request_id).copied().filter(|id| *id <= shared)
            });
            found.flatten()
        };
        here.copied().or_else(before)
    }

    /// Forgets all steps.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.origins.clear();
        self.closed.clear();
        self.resets.clear();
    }

    /// Takes in that a run begins.
    pub(crate) fn begin(&mut self, run: RunId, origin: RunOrigin) {
        self.resets.extend(origin.base.map(|from| ResetRun { run, from }));
        self.origins.insert(run, origin);
    }

    /// Forgets a run that was to begin and whose steps are taken back.
    pub(crate) fn forget(&mut self, run: &RunId) {
        self.origins.remove(run);
        self.runs.remove(run);
        self.closed.remove(run);
        self.resets.retain(|reset| reset.run != *run);
    }

    /// The run to which a reset among the steps so far gives the relation that `holder` has.
    pub(crate) fn taken_by(
        &self,
        index: &Index,
        holder: RunNumber,
        initiated: u32,
    ) -> Option<RunId> {
        self.resets.iter().find_map(|reset| {
            let base = index.runs.number(&reset.from.base)?;
            let told = index.relation_until(base, initiated, reset.from.shared)?;
            let held_by = index.held(base, initiated)?.at.parent;
            (told.is_open() && held_by == holder).then_some(reset.run)
        })
    }

    /// By how much the steps so far change what `run` waits for.
    pub(crate) fn added(&self, run: RunId) -> OpenCounts {
        self.runs.get(&run).map(|changes| changes.waiting).unwrap_or_default()
    }

    /// How much `run` waits for after the steps so far.
    pub(crate) fn waiting(&self, index: &Index, run: RunId) -> OpenCounts {
        let before = match self.origins.get(&run).map(|origin| origin.base) {
            None => self.with_links(index, run, |links, _| links.waiting()).unwrap_or_default(),
            Some(None) => OpenCounts::default(),
            Some(Some(from)) => index.waiting_until(from),
        };
        self.runs.get(&run).map_or(before, |changes| before + changes.waiting)
    }

    /// The Scheduled events of the open activities of `run`.
    pub(crate) fn activities(&self, index: &Index, run: RunId) -> Vec<u32> {
        let changes = self.runs.get(&run);
        let ended = |id: &u32| changes.is_some_and(|run| run.activities_ended.contains(id));
        let begins = self.origins.contains_key(&run);
        let before = self.with_links(index, run, |links, _| {
            let open = links.activities.iter().copied();
            open.filter(|id| !begins && !ended(id)).collect()
        });
        let mut open: Vec<u32> = before.unwrap_or_default();
        open.extend(changes.into_iter().flat_map(|changes| &changes.activities_opened));
        open
    }

    /// Whether `run` was asked to cancel.
    pub(crate) fn cancel_requested(&self, index: &Index, run: RunId) -> bool {
        let here = self.runs.get(&run).is_some_and(|changes| changes.cancel_requested);
        let ForkPoint { base, shared } = self.source(run);
        let known = index.runs.number(&base).and_then(|number| index.runs.get(number));
        let event = known.map_or(0, |run| run.state.latest().cancel_requested);
        here || (event != 0 && event <= shared)
    }

    pub(crate) fn is_open_activity(&self, index: &Index, run: RunId, scheduled: u32) -> bool {
        let changes = self.runs.get(&run);
        if changes.is_some_and(|changes| changes.activities_opened.contains(&scheduled)) {
            return true;
        }
        let ended = changes.is_some_and(|changes| changes.activities_ended.contains(&scheduled));
        // What a reset leaves open it names, and the names were taken in with it.
        let before = self.with_links(index, run, |links, _| links.activities.contains(&scheduled));
        before == Some(true) && !ended && !self.origins.contains_key(&run)
    }

    /// Whether the child of this event was neither started nor refused.
    pub(crate) fn may_start(&self, index: &Index, run: RunId, initiated: u32) -> bool {
        let known = self.relation(index, run, initiated);
        known.is_some_and(|known| known.started == 0 && !known.ended)
    }

    /// Whether the child of this event has ended and its parent was not told.
    pub(crate) fn may_report(&self, index: &Index, run: RunId, initiated: u32) -> bool {
        let known = self.relation(index, run, initiated);
        known.is_some_and(|known| !known.ended) && self.ended_child(index, run, initiated).is_some()
    }

    /// The request of this event, if it has no answer.
    pub(crate) fn waits_for(
        &self,
        index: &Index,
        run: RunId,
        initiated: u32,
    ) -> Option<RequestKind> {
        let here = self.runs.get(&run).and_then(|changes| changes.outgoing.get(&initiated));
        let before = || {
            let ForkPoint { base, shared } = self.source(run);
            let number = index.runs.number(&base).filter(|_| initiated <= shared)?;
            let sent = if base == run {
                // One that a reset has taken is not its own any more.
                index.runs.request(number, initiated).filter(|sent| sent.moved.is_none())
            } else {
                index.open_request(number, initiated)
            };
            sent.map(|sent| sent.kind)
        };
        here.copied().unwrap_or_else(before)
    }

    fn changes(&mut self, run: RunId) -> &mut RunChanges {
        self.runs.entry(run).or_default()
    }

    fn change(
        &mut self,
        index: &Index,
        run: RunId,
        initiated: u32,
        f: impl FnOnce(&mut RelationState),
    ) {
        let known = self.relation(index, run, initiated);
        debug_assert!(known.is_some(), "a step changes a relation that is not there");
        let known = known.unwrap_or_default();
        f(self.changes(run).relations.entry(initiated).or_insert(known));
    }

    /// What is known of a relation after the steps so far.
    pub(crate) fn relation(
        &self,
        index: &Index,
        run: RunId,
        initiated: u32,
    ) -> Option<RelationState> {
        let here = self.runs.get(&run).and_then(|changes| changes.relations.get(&initiated));
        here.copied().or_else(|| self.known(index, run, initiated))
    }

    /// What is known of a relation before the commit.
    fn known(&self, index: &Index, run: RunId, initiated: u32) -> Option<RelationState> {
        let relation = if self.origins.contains_key(&run) {
            let ForkPoint { base, shared } = self.origins.get(&run)?.base?;
            index.relation_until(index.runs.number(&base)?, initiated, shared)?
        } else {
            index.runs.relation_of(index.runs.number(&run)?, initiated)?.1.into_owned()
        };
        let child = relation.child.and_then(|child| index.runs.get(child)).map(|run| run.id);
        let ended = !relation.is_open();
        Some(RelationState { started: relation.started, child, ended, told: None, starts: false })
    }

    /// The run whose links say what `run` had before this commit, and up to which event.
    pub(crate) fn source(&self, run: RunId) -> ForkPoint {
        let own = |shared| ForkPoint { base: run, shared };
        self.origins.get(&run).map_or(own(u32::MAX), |origin| origin.base.unwrap_or(own(0)))
    }

    fn with_links<T>(
        &self,
        index: &Index,
        run: RunId,
        f: impl FnOnce(&RunLinks, u32) -> T,
    ) -> Option<T> {
        let ForkPoint { base, shared } = self.source(run);
        let links = index.runs.links(index.runs.number(&base)?);
        links.map(|links| f(&links, shared))
    }
}
