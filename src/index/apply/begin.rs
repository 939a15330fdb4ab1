//! A run begins: by itself, as a child, as the next of its chain, or by a reset.

use std::sync::Arc;

use crate::bytes::wide;
use crate::event::{Reset, Started};
use crate::id::{ChainNumber, ChildSlot, Position, RunNumber, Timestamp, WorkflowNumber};
use crate::index::state::{
    ChildRef, Entry, Fork, Impossible, Index, Latest, Must, NewRun, OutgoingRequest, Relation, Run,
    RunLinks, RunState, Waypoints, WorkflowSlot,
};
use crate::log::format::Batch;

const NO_BASE: &str = "a reset has no base run";

/// A relation where resets have taken it.
pub(crate) struct Held<'i> {
    pub(crate) at: ChildRef,
    pub(crate) relation: Entry<'i, Relation>,
}

impl Index {
    pub(crate) fn start_run(
        &mut self,
        batch: &Batch<'_>,
        started: &Started<'_>,
        state: RunState,
        commit: Position,
    ) -> Result<(), Impossible> {
        let started_at = first_time(batch)?;
        let imported = started.imported;
        // An imported run never takes the place of one that is open or began later.
        let yields = |current: Entry<'_, Run>| {
            !imported
                || (!current.state.latest().status.is_open() && current.started_at <= started_at)
        };
        let slot = self.namespaces.slot(started.namespace, started.workflow_id);
        let displaces = slot.current.and_then(|current| self.runs.get(current)).is_none_or(yields);
        let workflow_type =
            self.namespaces.types.number(slot.namespace, started.workflow_type, batch.run)?;
        let chain = self.chain_for(batch.run, started)?;
        let namespace =
            u32::try_from(slot.namespace).ok().must("there are more namespaces than runs")?;
        let run = |workflow, older| Run {
            id: started.run_id,
            namespace,
            workflow,
            older,
            workflow_type,
            request_id: request_id(started.request_id),
            attempt: started.attempt,
            chain,
            imported,
            first_batch: batch.position,
            started_at,
            state: Latest::new(commit, state),
            waypoints: Waypoints::default(),
            fork: None,
            links: None,
        };
        self.add_run(slot, run, displaces, NewRun { number: batch.run, commit })
    }

    /// The chain of a run that begins with `started`: one that goes on, or a new one.
    fn chain_for(
        &mut self,
        run: RunNumber,
        started: &Started<'_>,
    ) -> Result<ChainNumber, Impossible> {
        if started.imported {
            let before = started.continued_run_id;
            if let Some(before) = before.filter(|_| started.first_run_id == started.run_id) {
                self.chains.follow(before, run);
            }
            return self.chains.record(started.first_run_id, run);
        }
        if started.continued_run_id.is_some() {
            // The one before may have been erased, and the first one is as long as the chain.
            let first = self.runs.number(&started.first_run_id);
            let chain = first.and_then(|first| self.runs.look(first, |run| run.chain));
            let chain = chain.must("a run continues one that is not there")?;
            self.chains.add(chain, run)?;
            return Ok(chain);
        }
        let Some(parent) = &started.parent_run_id else {
            return Ok(self.chains.begin(run, None, None));
        };
        let parent = self.runs.number(parent).must("a child begins without its parent")?;
        let above = self.runs.get(parent).and_then(|above| self.chains.get(above.chain));
        let root = above.and_then(|chain| chain.root).unwrap_or(parent);
        let links = self.runs.get_mut(parent).and_then(|parent| parent.links.as_deref_mut());
        let slot = links.and_then(|links| {
            let slot = links.find(started.parent_initiated_event_id)?;
            links.child_mut(slot)?.child = Some(run);
            Some(slot)
        });
        let slot = slot.must("a child begins that its parent has not initiated")?;
        let held = ChildRef { parent, slot };
        Ok(self.chains.begin(run, Some(held), Some(root)))
    }

    /// A run that shares the events of `reset.base_run_id` before its first batch.
    pub(crate) fn start_reset(
        &mut self,
        batch: &Batch<'_>,
        reset: &Reset<'_>,
        mut state: RunState,
        commit: Position,
    ) -> Result<(), Impossible> {
        let shared = batch.first_event - 1;
        let number = self.runs.number(&reset.base_run_id).must(NO_BASE)?;
        let base = self.runs.get(number).must(NO_BASE)?;
        let slot = self.namespaces.slot_of(base.workflow);
        let slot = slot.must("a run is of a workflow that is not there")?;
        let (namespace, chain) = (base.namespace, base.chain);
        let (workflow_type, attempt) = (base.workflow_type, base.attempt);
        let canceled = base.state.latest().cancel_requested;
        if canceled <= shared && state.cancel_requested == 0 {
            state.cancel_requested = canceled;
        }
        if state.cancel_requested != 0 {
            // Also by an event that it shares: a close policy that is due wants no more than that.
            self.deferred.canceled.push(batch.run);
        }
        self.chains.add(chain, batch.run)?;
        self.reopen_chain(chain)?;
        let links = self.inherit(number, batch, reset, commit)?;
        self.totals.relations += wide(links.children.len());
        let started_at = first_time(batch)?;
        let run = |workflow, older| Run {
            id: reset.run_id,
            namespace,
            workflow,
            older,
            workflow_type,
            request_id: request_id(reset.request_id),
            attempt,
            chain,
            imported: false,
            first_batch: batch.position,
            started_at,
            state: Latest::new(commit, state),
            waypoints: Waypoints::default(),
            fork: Some(Box::new(Fork { base: number, shared })),
            links: (!links.is_empty()).then(|| Box::new(links)),
        };
        self.add_run(slot, run, true, NewRun { number: batch.run, commit })
    }

    fn add_run(
        &mut self,
        slot: WorkflowSlot,
        run: impl FnOnce(WorkflowNumber, Option<RunNumber>) -> Run,
        displaces: bool,
        NewRun { number, commit }: NewRun,
    ) -> Result<(), Impossible> {
        let new = NewRun { number, commit };
        let (workflow, older) = self.namespaces.add_run(slot, &new, displaces)?;
        self.runs.put(number, run(workflow, older));
        Ok(())
    }

    /// What a run made by a reset takes over from its base run: the children that were initiated
    /// before it, with those that are still open taken from whoever holds them; requests without
    /// an answer; the activities that the reset names.
    fn inherit(
        &mut self,
        base: RunNumber,
        batch: &Batch<'_>,
        reset: &Reset<'_>,
        commit: Position,
    ) -> Result<RunLinks, Impossible> {
        let mut links =
            RunLinks { activities: reset.open_activities.iter().collect(), ..RunLinks::default() };
        let shared = batch.first_event - 1;
        let Some(known) = self.runs.links(base) else {
            return Ok(links);
        };
        let signals = known.signal_requests.iter().filter(|(_, id)| **id <= shared);
        links.signal_requests = signals.map(|(request, id)| (request.clone(), *id)).collect();
        let initiated: Vec<u32> = known.children.iter().map(|child| child.initiated).collect();
        let requests: Vec<u32> = known.outgoing.keys().copied().collect();
        for request in requests.into_iter().take_while(|request| *request <= shared) {
            if let Some(sent) = self.take_request(base, request, batch.run) {
                let sent = OutgoingRequest { since: Some(commit), moved: None, ..sent };
                links.request(request, sent);
                self.duties.extend(sent.key(batch.run, request));
            }
        }
        for initiated in initiated.into_iter().take_while(|initiated| *initiated <= shared) {
            let Some(relation) = self.relation_until(base, initiated, shared) else { continue };
            if relation.is_open() {
                let slot = ChildSlot::from_index(links.children.len());
                let slot = slot.must("a run has more children than events")?;
                self.take_over_child(base, &relation, batch, slot);
            }
            links.open_children += u32::from(relation.is_open());
            links.children.push(relation);
        }
        Ok(links)
    }

    /// A chain goes on that may have ended: its parent has no outcome to be told.
    fn reopen_chain(&mut self, chain: ChainNumber) -> Result<(), Impossible> {
        let parent = self.chains.get(chain).and_then(|chain| chain.parent);
        let Some(held) = parent else { return Ok(()) };
        self.relation_mut(held)?.child_ended = false;
        self.deferred.relations.push(held);
        Ok(())
    }

    /// Takes a request that has no answer from the run that holds it.
    fn take_request(
        &mut self,
        base: RunNumber,
        initiated: u32,
        to: RunNumber,
    ) -> Option<OutgoingRequest> {
        let holder = self.request_holder(base, initiated)?;
        let links = self.runs.get_mut(holder)?.links.as_deref_mut()?;
        let sent = links.outgoing.get_mut(&initiated)?;
        let taken = *sent;
        (sent.since, sent.moved) = (None, Some(to));
        if let Some(key) = taken.key(holder, initiated) {
            self.duties.remove(&key);
        }
        Some(taken)
    }

    /// The request that the run `base` began, where resets have taken it, if it has no answer there.
    pub(crate) fn open_request(&self, base: RunNumber, initiated: u32) -> Option<OutgoingRequest> {
        self.runs.request(self.request_holder(base, initiated)?, initiated)
    }

    /// The run that holds, or has answered, the request that the run `base` began.
    pub(crate) fn request_holder(&self, base: RunNumber, initiated: u32) -> Option<RunNumber> {
        let mut run = base;
        loop {
            self.runs.get(run)?;
            match self.runs.request(run, initiated).and_then(|sent| sent.moved) {
                // A reset makes a later run.
                Some(next) if next > run => run = next,
                _ => return Some(run),
            }
        }
    }

    /// Moves a relation from the run that holds it to the one that `batch` begins.
    fn take_over_child(
        &mut self,
        base: RunNumber,
        relation: &Relation,
        batch: &Batch<'_>,
        slot: ChildSlot,
    ) {
        if let Some(before) = self.held(base, relation.initiated).map(|held| held.at) {
            let holder = self.runs.get_mut(before.parent);
            let links = holder.and_then(|holder| holder.links.as_deref_mut());
            if let Some(links) = links
                && let Some(held) = links.children.get_mut(before.slot.as_index())
            {
                links.open_children -= u32::from(held.is_open());
                held.moved = held.moved.or(Some((batch.position, batch.run)));
            }
            self.deferred.relations.push(before);
        }
        let held = ChildRef { parent: batch.run, slot };
        let chain = relation.child.and_then(|child| self.runs.get(child)).map(|child| child.chain);
        if let Some(chain) = chain.and_then(|chain| self.chains.get_mut(chain)) {
            chain.parent = Some(held);
        }
        self.deferred.relations.push(held);
    }

    /// The relation that `initiated` of the run `base` began, as it is where resets have taken it.
    pub(crate) fn held(&self, base: RunNumber, initiated: u32) -> Option<Held<'_>> {
        // From the run that wrote the event: one that shares it may never have had the child.
        let mut run = base;
        while let Some(fork) = self.runs.get(run).and_then(|run| run.fork.as_deref().copied())
            && initiated <= fork.shared
        {
            run = fork.base;
        }
        loop {
            let (slot, relation) = self.runs.relation_of(run, initiated)?;
            match relation.moved {
                // A reset makes a later run.
                Some((_, next)) if next > run => run = next,
                _ => return Some(Held { at: ChildRef { parent: run, slot }, relation }),
            }
        }
    }

    /// A relation of the run `base` as its first `shared` events tell it, with the child as it is.
    pub(crate) fn relation_until(
        &self,
        base: RunNumber,
        initiated: u32,
        shared: u32,
    ) -> Option<Relation> {
        let links = self.runs.links(base)?;
        let told = links.relation(initiated)?.until(shared)?;
        let held = self.held(base, initiated)?.relation;
        Some(Relation { child: held.child, child_ended: held.child_ended, ..told })
    }
}

fn request_id(said: &str) -> Option<Arc<str>> {
    (!said.is_empty()).then(|| said.into())
}

fn first_time(batch: &Batch<'_>) -> Result<Timestamp, Impossible> {
    let first = batch.raw_events().next().and_then(Result::ok);
    first.map(|(_, raw)| raw.time).must("a batch has no events")
}
