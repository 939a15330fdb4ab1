//! Whether a commit can follow those before it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::bytes::wide;
use crate::hash::Map;

use super::deletion::Deletions;
use super::draft::Draft;
use super::origin::{ForkPoint, ParentEvent, RunOrigin};
use super::steps::Illegal;
use crate::event::{Body, Event, Malformed, RawEvent, Reset, Started};
use crate::id::{RunId, RunNumber};
use crate::index::payload::{Beginning, Payload, beginning};
use crate::index::state::{Deletion, Entry, ErasedSize, Erasure, Index, Namespaces, is_name};
use crate::log::format::{Batch, Part, is_start};

/// Why a commit cannot follow.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// Its bytes make no sense, or not in this place.
    Malformed,
    /// It breaks a rule.
    Illegal(Illegal),
}

impl From<Malformed> for Refusal {
    fn from(_: Malformed) -> Self {
        Refusal::Malformed
    }
}

impl From<Illegal> for Refusal {
    fn from(illegal: Illegal) -> Self {
        Refusal::Illegal(illegal)
    }
}

/// The run that a batch is of.
#[derive(Clone, Copy)]
struct BatchRun {
    id: RunId,
    imported: bool,
    /// The bytes of its events before the batch, as far as they are known.
    bytes: u64,
}

/// A commit as far as it was looked at.
struct Checking<'i, 'a> {
    index: &'i Index,
    payload: Payload<'a>,
    /// The number that the next new run gets.
    next_new: RunNumber,
    origins: Map<RunId, Started<'a>>,
    resets: Map<RunId, RunId>,
    draft: Draft,
    deletions: Deletions,
    rows: u32,
    erasures: u32,
    erased: BTreeSet<RunNumber>,
    erased_sizes: Vec<ErasedSize>,
}

impl Index {
    /// Whether the commit can follow what was taken in so far. Changes nothing.
    pub(crate) fn check(&self, payload: Payload<'_>) -> Result<(), Refusal> {
        let mut last_run = None;
        let mut checking = Checking {
            index: self,
            payload,
            next_new: self.runs.next().ok_or(Malformed)?,
            origins: Map::default(),
            resets: Map::default(),
            draft: Draft::default(),
            deletions: Deletions::default(),
            rows: 0,
            erasures: 0,
            erased: BTreeSet::new(),
            erased_sizes: vec![],
        };
        let mut parts = payload.parts();
        while let Some(batch) = parts.batch()? {
            // In order of run number, so that no run comes twice.
            if last_run.is_some_and(|last| last >= batch.run) {
                return Err(Refusal::Malformed);
            }
            last_run = Some(batch.run);
            parts.pass(checking.batch(&batch)?)?;
        }
        for part in parts {
            if let Part::Put(row) = part?.0 {
                Namespaces::check(&row)?;
                checking.rows += 1;
                if let Some(deletion) = Deletion::of(&row)? {
                    checking.deletion(deletion)?;
                }
                if let Some(erasure) = Erasure::of(&row)? {
                    checking.erasures += 1;
                    checking.erased.extend(erasure.runs());
                }
                checking.erased_sizes.extend(ErasedSize::of(&row)?);
            }
        }
        checking.check_erasures()?;
        Ok(checking.draft.finish(self)?)
    }
}

impl<'a> Checking<'_, 'a> {
    /// Checks a batch, and returns the bytes that its events take.
    fn batch(&mut self, batch: &Batch<'a>) -> Result<usize, Refusal> {
        let run = match beginning(batch, batch.run == self.next_new)? {
            Some(Beginning::Started(started)) => self.start(batch, started)?,
            Some(Beginning::Reset(reset)) => self.reset(batch, &reset)?,
            None => self.follow(batch)?,
        };
        let mut own = 0;
        for event in batch.raw_events() {
            let (id, raw) = event?;
            self.event(batch, run, id, raw)?;
            own += u64::from(raw.size);
        }
        let bytes = run.bytes + own;
        // What a reset shares is known from the base run's batches alone.
        let reset = batch.first_event != 1 && batch.run == self.next_new;
        if batch.run == self.next_new {
            self.next_new = self.next_new.next().ok_or(Malformed)?;
        }
        let adds_up =
            bytes == u64::from(batch.run_bytes) || (reset && bytes < u64::from(batch.run_bytes));
        usize::try_from(own).ok().filter(|_| adds_up).ok_or(Refusal::Malformed)
    }

    fn event(
        &mut self,
        batch: &Batch<'_>,
        run: BatchRun,
        id: u32,
        raw: RawEvent<'_>,
    ) -> Result<(), Refusal> {
        let last = id + 1 == batch.next_event();
        if is_start(raw.kind) != (id == 1) || (raw.kind.is_closing() && !last) {
            return Err(Refusal::Malformed);
        }
        // A closing event may have no record, and is held against the rules all the same.
        if raw.is_opaque() && !raw.kind.is_ruled() {
            return Ok(());
        }
        let event = Event::check(id, raw)?;
        let body = event.body();
        let resets = matches!(body, Body::WorkflowReset(_));
        if resets && (batch.run != self.next_new || id != batch.first_event) {
            return Err(Refusal::Malformed);
        }
        if !run.imported && raw.kind.is_ruled() {
            self.draft.check(self.index, run.id, &body)?;
            self.draft.record(self.index, run.id, id, &body);
        }
        Ok(())
    }

    /// A batch that follows others of its run.
    fn follow(&self, batch: &Batch<'_>) -> Result<BatchRun, Malformed> {
        let run = self.index.runs.get(batch.run).ok_or(Malformed)?;
        let state = run.state.latest();
        let follows = state.status.is_open()
            && state.next_event == batch.first_event
            && state.last_batch == batch.previous;
        let (id, imported, bytes) = (run.id, run.imported, u64::from(state.bytes));
        follows.then_some(BatchRun { id, imported, bytes }).ok_or(Malformed)
    }

    fn start(&mut self, batch: &Batch<'_>, started: Started<'a>) -> Result<BatchRun, Malformed> {
        let run = started.run_id;
        self.check_new(batch, run)?;
        if !is_name(started.namespace) {
            return Err(Malformed);
        }
        let imported = started.imported;
        if !imported {
            self.check_ancestry(&started)?;
            let initiated = started.parent_initiated_event_id;
            let parent = started.parent_run_id.map(|run| ParentEvent { run, initiated });
            let continued = started.continued_run_id;
            self.draft.begin(run, RunOrigin { parent, continued, base: None });
        }
        self.origins.insert(run, started);
        Ok(BatchRun { id: run, imported, bytes: 0 })
    }

    /// A run of this store begins its chain or goes on with one, and a child has the root of its
    /// parent.
    fn check_ancestry(&self, started: &Started<'_>) -> Result<(), Malformed> {
        let sound = match (started.continued_run_id, started.parent_run_id) {
            (Some(before), parent) => {
                let before = self.ancestry(&before)?;
                started.first_run_id == before.first
                    && started.namespace == before.namespace
                    && started.workflow_id == before.workflow_id
                    && parent.is_some() == before.parent.is_some()
                    && started.root_run_id == before.root
            }
            (None, Some(parent)) => {
                let above = self.ancestry(&parent)?;
                started.first_run_id == started.run_id
                    && started.namespace == above.namespace
                    && started.root_run_id == Some(above.root.unwrap_or(parent))
            }
            (None, None) => started.first_run_id == started.run_id,
        };
        sound.then_some(()).ok_or(Malformed)
    }

    fn ancestry(&self, run: &RunId) -> Result<Ancestry<'_>, Malformed> {
        if let Some(base) = self.resets.get(run) {
            return self.known_ancestry(base);
        }
        match self.origins.get(run) {
            Some(started) if !started.imported => Ok(Ancestry {
                namespace: started.namespace,
                workflow_id: started.workflow_id.into(),
                first: started.first_run_id,
                parent: started.parent_run_id,
                root: started.root_run_id,
            }),
            Some(_) => Err(Malformed),
            None => self.known_ancestry(run),
        }
    }

    fn known_ancestry(&self, run: &RunId) -> Result<Ancestry<'_>, Malformed> {
        let number = self.index.runs.number(run).ok_or(Malformed)?;
        self.index.ancestry(number).filter(|_| !self.index.is_imported(number)).ok_or(Malformed)
    }

    fn reset(&mut self, batch: &Batch<'_>, reset: &Reset<'_>) -> Result<BatchRun, Malformed> {
        self.check_new(batch, reset.run_id)?;
        let number = self.index.runs.number(&reset.base_run_id).ok_or(Malformed)?;
        let base = self.index.runs.get(number).ok_or(Malformed)?;
        let state = base.state.latest();
        let shared = batch.first_event - 1;
        let last = state.next_event - 1;
        let sound = !base.imported
            && shared > 0
            && (shared < last || (shared == last && state.status.is_open()))
            && batch.previous <= state.last_batch
            && state.deleted.is_none()
            && self.only_yields(number, reset.run_id)?
            && self.index.child_gone_at_reset(number, shared).is_none();
        let base = ForkPoint { base: reset.base_run_id, shared };
        self.draft.begin(reset.run_id, RunOrigin { base: Some(base), ..Default::default() });
        // It names the activities that are open.
        self.draft.record_reset(reset);
        self.resets.insert(reset.run_id, reset.base_run_id);
        let run = BatchRun { id: reset.run_id, imported: false, bytes: 0 };
        sound.then_some(run).ok_or(Malformed)
    }

    /// Whether the commit says nothing more of the base run of a reset than that the new run takes over.
    fn only_yields(&self, base: RunNumber, to: RunId) -> Result<bool, Malformed> {
        for part in self.payload.parts() {
            match part?.0 {
                Part::Batch(batch) if batch.run < base => {}
                Part::Batch(batch) if batch.run == base => {
                    let first = batch.events().next().ok_or(Malformed)??;
                    return Ok(batch.count == 1 && first.body().replaced_by() == Some(to));
                }
                _ => break,
            }
        }
        Ok(true)
    }

    /// Checks a deletion: it takes more than was taken before, of a run that could be deleted before this commit but for
    /// the other runs of its chain.
    fn deletion(&mut self, deletion: Deletion) -> Result<(), Malformed> {
        let number = self.index.runs.number(&deletion.run).ok_or(Malformed)?;
        let found = self.index.deletability(number).ok_or(Malformed)?;
        let found = self.deletions.after(number, found);
        // A reset may give new runs what was to be deleted.
        let sound = self.resets.is_empty()
            && !found.is_done(deletion.keep)
            && found.refusal(deletion.keep).is_none();
        self.deletions.add(number, &found, deletion.keep);
        sound.then_some(()).ok_or(Malformed)
    }

    /// Checks the runs that are erased: a commit that does so says nothing else but how much that was of chains that stay.
    fn check_erasures(&self) -> Result<(), Malformed> {
        let sizes = &self.erased_sizes;
        let sound = if self.erasures == 0 {
            sizes.iter().all(|erased| self.index.may_say(erased))
        } else {
            let rows = u64::from(self.rows) == u64::from(self.erasures) + wide(sizes.len());
            self.payload.batches == 0
                && rows
                && self.index.are_erasable(&self.erased)
                && *sizes == self.index.erased_sizes(&self.erased)
        };
        sound.then_some(()).ok_or(Malformed)
    }

    fn check_new(&self, batch: &Batch<'_>, run: RunId) -> Result<(), Malformed> {
        let known = self.index.runs.number(&run).is_some()
            || self.origins.contains_key(&run)
            || self.resets.contains_key(&run);
        let sound = !run.is_nil() && !known && batch.run == self.next_new;
        sound.then_some(()).ok_or(Malformed)
    }
}

/// Who a run is to others.
#[derive(Clone, Debug)]
pub(crate) struct Ancestry<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) workflow_id: Cow<'a, str>,
    /// The first run of its chain.
    pub(crate) first: RunId,
    /// The parent's run.
    pub(crate) parent: Option<RunId>,
    /// The root's run, if it has a parent.
    pub(crate) root: Option<RunId>,
}

impl Index {
    pub(crate) fn is_imported(&self, run: RunNumber) -> bool {
        self.runs.get(run).is_some_and(|run| run.imported)
    }

    /// Who a run is to others, for one that was started in this store.
    pub(crate) fn ancestry(&self, run: RunNumber) -> Option<Ancestry<'_>> {
        let run = self.runs.get(run)?;
        let chain = self.chains.of(&run)?;
        let (namespace, workflow) = self.workflow_of(&run)?;
        let id = |number: RunNumber| self.runs.look(number, |run| run.id);
        Some(Ancestry {
            namespace: &namespace.name,
            workflow_id: match workflow {
                Entry::Here(workflow) => Cow::Borrowed(&*workflow.id),
                Entry::Decoded(workflow) => Cow::Owned(workflow.id.as_ref().to_owned()),
            },
            first: self.first_run(run.chain, &chain)?,
            parent: chain.parent.and_then(|held| id(held.parent)),
            root: chain.root.and_then(id),
        })
    }
}
