//! Taking in a commit: first each batch by itself, then what follows between runs. Which batch of
//! a commit comes first makes no difference.

use crate::bytes::wide;
use crate::event::{
    ChildClosed, ChildStartFailed, Effect, Event, EventKind, ParentClosePolicy, RawEvent,
};
use crate::id::{ChildSlot, Position, RunNumber};
use crate::index::payload::{Beginning, beginning};
use crate::index::state::{
    ChildRef, DutyKey, Impossible, Index, Must, OutgoingRequest, ParentState, Relation, RunLinks,
    RunList, RunState,
};
use crate::log::format::Batch;

/// Whether an event changes what its run has to do with others or waits for.
const fn links(raw: &RawEvent<'_>) -> bool {
    raw.kind.changes_links() && !raw.is_opaque()
}

const NO_RELATION: &str = "a chain has a relation that its parent has not";

impl OutgoingRequest {
    /// The duty that it is as long as it has no answer; none where it is nobody's.
    pub(crate) fn key(&self, run: RunNumber, event: u32) -> Option<DutyKey> {
        let kind = self.kind.into();
        self.since.map(|since| DutyKey { since, kind, run, event })
    }
}

impl Index {
    /// Takes in a batch, and returns the bytes that its events take.
    pub(crate) fn apply_batch(
        &mut self,
        batch: &Batch<'_>,
        commit: Position,
    ) -> Result<usize, Impossible> {
        let mut last: Option<RawEvent<'_>> = None;
        let mut bytes = 0;
        let mut canceled = 0;
        let mut linked = false;
        for event in batch.raw_events() {
            let (id, raw) = event.ok().must("an event that was checked is malformed")?;
            bytes += u64::from(raw.size);
            linked |= links(&raw);
            self.totals.payload_bytes += wide(raw.payload.len());
            if raw.kind == EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED && canceled == 0 {
                canceled = id;
            }
            last = Some(raw);
        }
        let last = last.must("a batch has no events")?;
        let next_new = self.runs.next().must("there are more runs than numbers")?;
        let begins = beginning(batch, batch.run >= next_new);
        let begins = begins.ok().must("a run begins with another event")?;
        let before = self.runs.state(batch.run).filter(|_| begins.is_none());
        self.totals.event_bytes += bytes;
        self.totals.batches += 1;
        self.totals.events += u64::from(batch.count);
        let (begun, closes) = (begins.is_some(), last.kind.is_closing());
        self.totals.runs += u64::from(begun);
        self.totals.open_runs += u64::from(begun);
        self.totals.open_runs -= u64::from(last.kind.is_closing());
        let mut state = RunState::after(batch, &last);
        state.cancel_requested = canceled;
        if last.kind.is_closing() {
            self.deferred.closed.push(batch.run);
            let event = Event::check(batch.next_event() - 1, last).ok();
            let event = event.must("a closing event that was checked is malformed")?;
            if let Effect::RunClosed { next, replaced_by } = event.body().effect() {
                (state.continued, state.replaced) = (next.is_some(), replaced_by.is_some());
            }
        }
        if canceled != 0 {
            self.deferred.canceled.push(batch.run);
        }
        match begins {
            Some(Beginning::Started(started)) => self.start_run(batch, &started, state, commit)?,
            Some(Beginning::Reset(reset)) => {
                self.start_reset(batch, &reset, state, commit)?;
            }
            None => self.extend_run(batch.run, before.as_ref(), state, commit)?,
        }
        let run = self.runs.get_mut(batch.run).must("a batch is of a run that is not there")?;
        run.waypoints.pass(batch);
        match (begun, closes) {
            (true, false) => self.namespaces.types.open(run.workflow_type, batch.run),
            (false, true) => {
                self.namespaces.types.close(run.workflow_type, batch.run, commit);
            }
            _ => {}
        }
        let namespace = run.namespace;
        let started = begun.then(|| RunList::Started.place(batch.run, run)).flatten();
        let closed = closes.then(|| RunList::Closed.place(batch.run, run)).flatten();
        self.listing.add(RunList::Started, started);
        self.listing.add(RunList::Closed, closed);
        // By where the run ends: after a compaction, batches may be missing before this one.
        let grown = state.growth(before.as_ref()).must("a run has become smaller")?;
        self.deferred.grow(namespace, grown);
        if linked {
            self.apply_links(batch, commit)?;
        }
        usize::try_from(bytes).ok().must("a batch is larger than memory")
    }

    fn apply_links(&mut self, batch: &Batch<'_>, commit: Position) -> Result<(), Impossible> {
        for (id, raw) in batch.raw_events().map_while(Result::ok) {
            if links(&raw) {
                let event = Event::check(id, raw).ok();
                let event = event.must("an event whose record was checked is malformed")?;
                self.link(batch, &event, commit)?;
            }
        }
        Ok(())
    }

    fn extend_run(
        &mut self,
        number: RunNumber,
        before: Option<&RunState>,
        mut state: RunState,
        commit: Position,
    ) -> Result<(), Impossible> {
        let before = before.map_or(0, |before| before.cancel_requested);
        if before != 0 {
            state.cancel_requested = before;
        }
        self.runs.extend(number, commit, state)
    }

    /// What an event changes in its run's links.
    fn link(
        &mut self,
        batch: &Batch<'_>,
        event: &Event<'_>,
        commit: Position,
    ) -> Result<(), Impossible> {
        let run = self.runs.get_mut(batch.run).must("a batch is of a run that is not there")?;
        let body = event.body();
        let effect = body.effect();
        let without = match effect {
            Effect::Nothing | Effect::CancelRequested | Effect::RunClosed { .. } => true,
            Effect::SignaledOnce(_) => run.imported,
            _ => false,
        };
        if without {
            return Ok(());
        }
        let since = (!run.imported).then_some(commit);
        let links = run.links.get_or_insert_default();
        let (id, at) = (event.id(), batch.position);
        let touched = match effect {
            Effect::ChildInitiated(b) => {
                self.totals.relations += 1;
                links.children.push(Relation::new(id, b.close_policy, at));
                links.open_children += 1;
                links.find(id)
            }
            Effect::ChildStarted(b) => links.change(b.initiated_event_id, |relation| {
                if relation.started == 0 {
                    (relation.started, relation.started_batch) = (id, at);
                }
            }),
            Effect::ChildStartFailed(ChildStartFailed {
                initiated_event_id: initiated, ..
            })
            | Effect::ChildClosed(ChildClosed { initiated_event_id: initiated, .. }) => {
                links.end(*initiated, id, event.kind(), at)
            }
            Effect::RequestInitiated(kind, _) => {
                let sent = OutgoingRequest { kind, batch: at, since, moved: None };
                links.request(id, sent);
                self.duties.extend(sent.key(batch.run, id));
                None
            }
            Effect::RequestAnswered(_, b) => {
                let initiated = b.initiated_event_id;
                let sent = links.answered(initiated);
                if let Some(key) = sent.and_then(|sent| sent.key(batch.run, initiated)) {
                    self.duties.remove(&key);
                }
                None
            }
            Effect::ActivityScheduled => {
                links.activities.insert(id);
                None
            }
            Effect::ActivityEnded(b) => {
                links.activities.remove(&b.scheduled_event_id);
                None
            }
            Effect::SignaledOnce(request_id) => {
                links.signal_requests.entry(request_id.into()).or_insert(id);
                None
            }
            Effect::Nothing | Effect::CancelRequested | Effect::RunClosed { .. } => None,
        };
        let parent = batch.run;
        self.deferred.relations.extend(touched.map(|slot| ChildRef { parent, slot }));
        Ok(())
    }

    /// What follows between runs from all that a commit said.
    pub(crate) fn apply_deferred(&mut self, commit: Position) -> Result<(), Impossible> {
        let mut deferred = std::mem::take(&mut self.deferred);
        for run in &deferred.canceled {
            self.apply_cancel_policy(*run, &mut deferred.relations)?;
        }
        for run in &deferred.closed {
            self.end_chain(*run, &mut deferred.relations)?;
        }
        for run in &deferred.closed {
            self.close_links(*run, commit)?;
        }
        for relation in &deferred.relations {
            self.refresh(*relation, commit)?;
        }
        for (namespace, size) in &deferred.grown {
            self.namespaces.resize(*namespace, commit, |now| Some(now.plus(*size)))?;
        }
        deferred.clear();
        self.deferred = deferred;
        Ok(())
    }

    /// A run was asked to cancel: if its parent has closed and wants that, the policy is applied.
    fn apply_cancel_policy(
        &mut self,
        run: RunNumber,
        touched: &mut Vec<ChildRef>,
    ) -> Result<(), Impossible> {
        let run = self.runs.get(run).must("a run was asked to cancel that is not there")?;
        let chain = self.chains.get(run.chain).must("a run is of a chain that is not there")?;
        let Some(held) = chain.parent else { return Ok(()) };
        let closed = self.parent(held.parent) == ParentState::Closed;
        let relation = self.relation_mut(held)?;
        if closed && relation.policy == ParentClosePolicy::RequestCancel {
            relation.applied = true;
            touched.push(held);
        }
        Ok(())
    }

    /// A run closed: if it was its chain's last, the relation to the parent knows.
    fn end_chain(
        &mut self,
        number: RunNumber,
        touched: &mut Vec<ChildRef>,
    ) -> Result<(), Impossible> {
        let run = self.runs.get(number).must("a run closed that is not there")?;
        let chain = self.chains.get(run.chain).must("a run is of a chain that is not there")?;
        let ended = chain.newest() == number && !run.state.latest().continued;
        let Some(held) = chain.parent.filter(|_| ended) else { return Ok(()) };
        let closed = self.parent(held.parent) == ParentState::Closed;
        let relation = self.relation_mut(held)?;
        relation.child_ended = true;
        // A policy reaches a child once, also if a reset takes its chain on later.
        relation.applied |= closed;
        touched.push(held);
        Ok(())
    }

    /// A run closed: its requests lapse, and its close policies begin to count.
    fn close_links(&mut self, number: RunNumber, commit: Position) -> Result<(), Impossible> {
        let run = self.runs.get_mut(number).must("a run closed that is not there")?;
        let taken = run.links.take();
        let Some(mut links) = taken.filter(|links| !links.is_empty()) else { return Ok(()) };
        for (initiated, sent) in &mut links.outgoing {
            if let Some(key) = sent.key(number, *initiated) {
                self.duties.remove(&key);
                sent.since = None;
            }
        }
        let parent = self.parent(number);
        for relation in links.children.iter_mut().filter(|relation| relation.is_open()) {
            if relation.policy == ParentClosePolicy::RequestCancel {
                let child = relation.child.and_then(|child| self.runs.get(child));
                let chain = child.and_then(|child| self.chains.get(child.chain));
                let current = chain.and_then(|chain| self.runs.get(chain.newest()));
                relation.applied =
                    current.is_some_and(|run| run.state.latest().cancel_requested != 0);
            }
            relation.applied |= relation.child_ended;
            self.duties.update(relation, parent, number, commit);
        }
        if let Some(run) = self.runs.get_mut(number) {
            run.links = Some(links);
        }
        Ok(())
    }

    /// Opens or settles the duty of a relation that a commit touched.
    fn refresh(&mut self, held: ChildRef, commit: Position) -> Result<(), Impossible> {
        let parent = self.parent(held.parent);
        let duties = &mut self.duties;
        let links = self.runs.get_mut(held.parent).and_then(|run| run.links.as_deref_mut());
        let relation = links.and_then(|links| links.child_mut(held.slot));
        duties.update(relation.must(NO_RELATION)?, parent, held.parent, commit);
        Ok(())
    }

    pub(crate) fn parent(&self, run: RunNumber) -> ParentState {
        match self.runs.get(run) {
            Some(run) if run.imported => ParentState::Replaced,
            Some(run) if run.state.latest().replaced => ParentState::Replaced,
            Some(run) if run.state.latest().status.is_open() => ParentState::Open,
            _ => ParentState::Closed,
        }
    }

    /// A relation that is known to be there.
    pub(crate) fn relation_mut(&mut self, held: ChildRef) -> Result<&mut Relation, Impossible> {
        let links = self.runs.get_mut(held.parent).and_then(|run| run.links.as_deref_mut());
        links.and_then(|links| links.child_mut(held.slot)).must(NO_RELATION)
    }
}

impl RunLinks {
    fn change(&mut self, initiated: u32, f: impl FnOnce(&mut Relation)) -> Option<ChildSlot> {
        let slot = self.find(initiated)?;
        f(self.child_mut(slot)?);
        Some(slot)
    }

    fn end(&mut self, initiated: u32, id: u32, kind: EventKind, at: Position) -> Option<ChildSlot> {
        let slot = self.find(initiated)?;
        let relation = self.children.get_mut(slot.as_index())?;
        // An imported history may say more than once how a child ended.
        if relation.is_open() {
            (relation.ended, relation.ended_kind, relation.ended_batch) = (id, kind, at);
            self.open_children -= 1;
        }
        Some(slot)
    }
}

impl crate::index::state::Duties {
    fn update(
        &mut self,
        relation: &mut Relation,
        parent: ParentState,
        run: RunNumber,
        commit: Position,
    ) {
        let due = relation.due(parent);
        let event = relation.initiated;
        match (relation.duty, due) {
            (Some((kind, _)), Some(due)) if kind == due => return,
            (Some((kind, since)), _) => self.remove(&DutyKey { since, kind, run, event }),
            (None, _) => {}
        }
        relation.duty = due.map(|kind| (kind, commit));
        self.extend(due.map(|kind| DutyKey { since: commit, kind, run, event }));
    }

    pub(crate) fn extend(&mut self, keys: impl IntoIterator<Item = DutyKey>) {
        keys.into_iter().for_each(|key| self.add(key));
    }
}
