//! The parts that steps are made of: finding a run, putting an event into it, saying who it is.

use super::step::Step;
use crate::error::{Error, Result};
use crate::event::{Body, NewEvent};
use crate::id::{RunId, RunNumber};
use crate::index::{Illegal, Index, Run};
use crate::retention::Keep;
use crate::store::pending::{
    EventSource, ParentIdentity, PendingRun, Precondition, Progress, Read, RootIdentity,
    RunIdentity,
};

/// An event that was written and of which no note was taken yet.
pub(crate) struct Unrecorded<'a> {
    /// The place of its run in the workspace.
    pub(crate) run: usize,
    pub(crate) id: u32,
    pub(crate) body: Body<'a>,
}

impl Step<'_> {
    /// The place of a run in the workspace; looked up in the index the first time.
    pub(crate) fn find(&mut self, run: &RunId) -> Result<usize> {
        self.find_at(run, Precondition::Found)
    }

    /// The same for a step to which it matters in another way where the run is.
    pub(crate) fn find_at(&mut self, run: &RunId, needs: Precondition) -> Result<usize> {
        if let Some(at) = self.work.pending_at(run) {
            return self.find_again(at, needs);
        }
        let index = self.index;
        let known =
            index.runs.number(run).and_then(|number| Some((number, index.runs.get(number)?)));
        let Some((number, found)) = known else {
            self.work.keep(Read::NoRun(*run));
            return Err(Error::RunNotFound { run: *run });
        };
        self.touch(number, &found, needs)
    }

    /// The same for a run whose number is known.
    pub(crate) fn find_known(
        &mut self,
        number: RunNumber,
        run: &Run,
        needs: Precondition,
    ) -> Result<usize> {
        match self.work.pending_at(&run.id) {
            Some(at) => self.find_again(at, needs),
            None => self.touch(number, run, needs),
        }
    }

    fn find_again(&mut self, at: usize, needs: Precondition) -> Result<usize> {
        if let Some(pending) = self.work.runs.get_mut(at) {
            self.work.named.extend(pending.number);
            if let Some(number) = pending.number
                && self.work.deletions.of(number) == Some(Keep::Nothing)
            {
                return Err(Error::RunDeleted { run: pending.id, kept: Keep::Nothing });
            }
            if pending.precondition == Precondition::Loose {
                pending.precondition = needs;
            }
        }
        self.see_run(at)?;
        Ok(at)
    }

    fn touch(
        &mut self,
        number: RunNumber,
        found: &Run,
        precondition: Precondition,
    ) -> Result<usize> {
        let index = self.index;
        self.work.named.push(number);
        self.see(index.limits_changed.max(found.state.changed()))?;
        let state = found.state.latest();
        if state.deleted.max(self.work.deletions.of(number)) == Some(Keep::Nothing) {
            return Err(Error::RunDeleted { run: found.id, kept: Keep::Nothing });
        }
        let (namespace, _) = index
            .workflow_of(found)
            .ok_or_else(|| Error::internal("a run is of a workflow that is not there"))?;
        self.work.touch(PendingRun {
            id: found.id,
            number: Some(number),
            first_event: state.next_event,
            precondition,
            held: false,
            ruled: false,
            bytes_before: state.bytes.into(),
            limits: namespace.settings.limits,
            imported: found.imported,
            deleted: state.deleted,
            begins: None,
            progress: Progress::none(state.status),
        })
    }

    /// Sees a run that was found before as it is now. Where it has moved, nothing may depend on it yet.
    fn see_run(&mut self, at: usize) -> Result<()> {
        let number = self.work.pending(at)?.number;
        let Some(run) = number.and_then(|number| self.index.runs.get(number)) else {
            return Ok(());
        };
        self.see(run.state.changed())?;
        let state = run.state.latest();
        if let Some(pending) = self.work.runs.get_mut(at)
            && pending.progress.count == 0
        {
            pending.first_event = state.next_event;
            pending.bytes_before = state.bytes.into();
            pending.deleted = state.deleted;
            pending.progress = Progress::none(state.status);
        }
        Ok(())
    }

    /// Holds a run to where it was found, for steps that refer to its events by their ids or whose answer
    /// depends on it, whatever the caller says of it before or after.
    pub(crate) fn hold(&mut self, at: usize) -> Result<()> {
        self.see_run(at)?;
        self.check_unmoved(at)?;
        if let Some(pending) = self.work.runs.get_mut(at) {
            pending.held = true;
        }
        Ok(())
    }

    /// Whether a run that has got events is where it was found, also if it may be anywhere.
    pub(crate) fn check_unmoved(&self, at: usize) -> Result<()> {
        let pending = self.work.pending(at)?;
        if pending.begins.is_some() {
            return Ok(());
        }
        let state = &pending.known(self.index)?.1;
        if state.next_event == pending.first_event { Ok(()) } else { Err(pending.moved(state)) }
    }

    /// Appends an event that stands for itself.
    pub(crate) fn add(
        &mut self,
        run: usize,
        event: &NewEvent<'_>,
        source: EventSource,
    ) -> Result<u32> {
        let id = self.put_event(run, event, source)?;
        self.record(run, id, &event.body);
        Ok(id)
    }

    /// Appends an event that is part of a larger step, which will record it when all of it is
    /// written.
    pub(crate) fn put_event(
        &mut self,
        run: usize,
        event: &NewEvent<'_>,
        source: EventSource,
    ) -> Result<u32> {
        let pending = self.work.pending(run)?;
        let ruled = event.kind().is_ruled() && !pending.imported;
        if ruled && pending.progress.status.is_open() {
            self.check_rules(run, event)?;
        }
        let offset = self.work.events.len();
        let id = self.put_unruled(run, event, source)?;
        if let Some(pending) = self.work.runs.get_mut(run) {
            pending.ruled |= ruled;
        }
        if let Body::StartChildWorkflowExecutionInitiated(_) = event.body {
            self.work.initiated.insert((run, id), offset);
        }
        Ok(id)
    }

    fn check_rules(&mut self, run: usize, event: &NewEvent<'_>) -> Result<()> {
        self.see_run(run)?;
        let pending = self.work.pending(run)?;
        // Wherever the run will be then, an event that answers one of this transaction must find it.
        if event.body.answers().is_some_and(|answered| answered >= pending.first_event) {
            self.hold(run)?;
        }
        let pending = self.work.pending(run)?;
        self.work.draft.check(self.index, pending.id, &event.body)?;
        self.work.draft.check_told(self.index, pending.id, &event.body)?;
        match event.body.effect().begins() {
            Some(awaited) => self.work.check_open(self.index, pending, awaited, 1),
            None => Ok(()),
        }
    }

    /// The same for an event that the step itself makes legal.
    pub(crate) fn put_unruled(
        &mut self,
        run: usize,
        event: &NewEvent<'_>,
        source: EventSource,
    ) -> Result<u32> {
        self.work.put_unruled(run, event, source, self.now)
    }

    /// Takes note of an event that is part of a larger step, once all of that is written.
    pub(crate) fn note(&mut self, written: &Unrecorded<'_>) {
        self.record(written.run, written.id, &written.body);
    }

    /// Takes note of what an event says about others.
    pub(crate) fn record(&mut self, run: usize, id: u32, body: &Body<'_>) {
        let Some(pending) = self.work.runs.get(run) else { return };
        if body.kind().is_ruled() && !pending.imported {
            self.work.draft.record(self.index, pending.id, id, body);
        }
    }

    /// Who a run is to others, whether it begins here or is in the store.
    pub(crate) fn identity(&mut self, run: &RunId) -> Result<RunIdentity> {
        let index = self.index;
        let pending = self.work.run_by_id(run);
        let begins = pending.and_then(|pending| pending.begins.as_ref());
        let mut identity = match begins.map(|begins| begins.identity.clone()) {
            Some(identity) => identity,
            None => self.known_identity(run)?,
        };
        // A reset among the steps so far may have made another run the parent.
        if let Some(parent) = &mut identity.parent
            && let Some(holder) = index.runs.number(&parent.run)
            && let Some(now) = self.work.draft.taken_by(index, holder, parent.initiated)
        {
            parent.run = now;
        }
        Ok(identity)
    }

    fn known_identity(&mut self, run: &RunId) -> Result<RunIdentity> {
        let index = self.index;
        let known = index.runs.number(run).and_then(|number| index.runs.get(number));
        let Some(known) = known else {
            self.work.keep(Read::NoRun(*run));
            return Err(Error::RunNotFound { run: *run });
        };
        self.read_parent(known.chain)?;
        RunIdentity::of(index, run).ok_or(Error::RunNotFound { run: *run })
    }
}

impl RunIdentity {
    fn of(index: &Index, run: &RunId) -> Option<Self> {
        let number = index.runs.number(run)?;
        let identity = index.ancestry(number)?;
        let named = |run: RunId| {
            let found = index.runs.get(index.runs.number(&run)?)?;
            Some(RootIdentity { workflow_id: (&*index.workflow_of(&found)?.1.id).into(), run })
        };
        let chain = index.chains.get(index.runs.get(number)?.chain)?;
        let initiated = chain.parent.and_then(|held| Some(index.runs.relation(held)?.initiated));
        Some(RunIdentity {
            namespace: identity.namespace.into(),
            workflow_id: identity.workflow_id.into(),
            first: identity.first,
            parent: identity.parent.and_then(named).and_then(
                |RootIdentity { workflow_id, run }| {
                    Some(ParentIdentity { workflow_id, run, initiated: initiated? })
                },
            ),
            root: identity.root.and_then(named),
        })
    }
}

impl From<Illegal> for Error {
    fn from(Illegal { run, kind, refers_to, why }: Illegal) -> Self {
        Error::IllegalEvent { run, kind, refers_to, why }
    }
}
