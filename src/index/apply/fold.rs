//! Taking in a commit: first each batch by itself, then what follows between runs. Which batch of
//! a commit comes first makes no difference.

use crate::event::{
    ChildClosed, ChildStartFailed, Effect, Event, EventKind, ParentClosePolicy, RawEvent,
};
use crate::id::Position;
use crate::index::payload::{Beginning, beginning};
use crate::index::state::{
    DutyKey, Index, OutgoingRequest, ParentState, Relation, RunLinks, RunState, Size,
};
use crate::log::format::Batch;

/// Whether an event changes what its run has to do with others or waits for.
const fn links(raw: &RawEvent<'_>) -> bool {
    raw.kind.changes_links() && !raw.is_opaque()
}

impl OutgoingRequest {
    pub(crate) fn key(&self, run: u32, event: u32) -> DutyKey {
        DutyKey { since: self.since.unwrap_or_default(), kind: self.kind.into(), run, event }
    }
}

impl Index {
    /// Takes in a batch, and returns the bytes that its events take.
    pub(crate) fn apply_batch(&mut self, batch: &Batch<'_>, commit: Position) -> usize {
        let mut last: Option<RawEvent<'_>> = None;
        let mut bytes = 0;
        let mut canceled = 0;
        let mut linked = false;
        for (id, raw) in batch.raw_events().map_while(Result::ok) {
            bytes += u64::from(raw.size);
            linked |= links(&raw);
            self.totals.payload_bytes += raw.payload.len() as u64;
            if raw.kind == EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED && canceled == 0 {
                canceled = id;
            }
            last = Some(raw);
        }
        let Some(last) = last else { return 0 };
        let begins = beginning(batch, self.runs.len()).ok().flatten();
        self.totals.event_bytes += bytes;
        self.totals.batches += 1;
        self.totals.events += u64::from(batch.count);
        self.totals.open_runs += u64::from(begins.is_some());
        self.totals.open_runs -= u64::from(last.kind.is_closing());
        let mut state = RunState::after(batch, &last);
        state.cancel_requested = canceled;
        if last.kind.is_closing() {
            self.deferred.closed.push(batch.run);
            let event = Event::check(batch.next_event() - 1, last).ok();
            if let Some(Effect::RunClosed { next, replaced_by }) =
                event.as_ref().map(|event| event.body().effect())
            {
                (state.continued, state.replaced) = (next.is_some(), replaced_by.is_some());
            }
        }
        if canceled != 0 {
            self.deferred.canceled.push(batch.run);
        }
        match begins {
            Some(Beginning::Started(started)) => self.start_run(batch, &started, state, commit),
            Some(Beginning::Reset(reset)) => self.start_reset(batch, &reset, state, bytes, commit),
            None => self.extend_run(batch.run, state, commit),
        }
        let run = self.runs.get_mut(batch.run);
        let workflow = run.map(|run| {
            run.waypoints.pass(batch);
            run.workflow
        });
        let namespace = workflow.and_then(|workflow| self.namespaces.namespace_of(workflow));
        let size = Size { runs: 0, events: batch.count.into(), bytes };
        self.deferred.grow(namespace, size);
        if linked {
            self.apply_links(batch, commit);
        }
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn apply_links(&mut self, batch: &Batch<'_>, commit: Position) {
        for (id, raw) in batch.raw_events().map_while(Result::ok) {
            if links(&raw)
                && let Ok(event) = Event::check(id, raw)
            {
                self.link(batch, &event, commit);
            }
        }
    }

    fn extend_run(&mut self, number: u32, mut state: RunState, commit: Position) {
        let Some(run) = self.runs.get(number) else { return };
        let before = run.state.latest().cancel_requested;
        if before != 0 {
            state.cancel_requested = before;
        }
        self.runs.extend(number, commit, state);
    }

    /// What an event changes in its run's links.
    fn link(&mut self, batch: &Batch<'_>, event: &Event<'_>, commit: Position) {
        let Some(run) = self.runs.get_mut(batch.run) else { return };
        let effect = event.body().effect();
        let without = match effect {
            Effect::Nothing | Effect::CancelRequested | Effect::RunClosed { .. } => true,
            Effect::SignaledOnce(_) => run.imported,
            _ => false,
        };
        if without {
            return;
        }
        let since = (!run.imported).then_some(commit);
        let links = run.links.get_or_insert_default();
        let (id, at) = (event.id(), batch.position);
        let touched = match effect {
            Effect::ChildInitiated(b) => {
                self.totals.relations += 1;
                links.children.push(Relation::new(id, b.close_policy, at));
                links.open_children += 1;
                links.children.len().checked_sub(1)
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
                self.duties.extend(since.map(|_| sent.key(batch.run, id)));
                None
            }
            Effect::RequestAnswered(_, b) => {
                if let Some(sent) = links.answered(b.initiated_event_id) {
                    self.duties.remove(&sent.key(batch.run, b.initiated_event_id));
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
        if let Some(place) = touched {
            self.deferred.touch(batch.run, place);
        }
    }

    /// What follows between runs from all that a commit said.
    pub(crate) fn apply_deferred(&mut self, commit: Position) {
        let mut deferred = std::mem::take(&mut self.deferred);
        for run in deferred.canceled.drain(..) {
            self.apply_cancel_policy(run, &mut deferred.relations);
        }
        for run in &deferred.closed {
            self.end_chain(*run, &mut deferred.relations);
        }
        for run in deferred.closed.drain(..) {
            self.close_links(run, commit);
        }
        for (run, place) in deferred.relations.drain(..) {
            self.refresh(run, place, commit);
        }
        for (namespace, size) in deferred.grown.drain(..) {
            self.namespaces.grow(namespace, size, commit);
        }
        self.deferred = deferred;
    }

    /// A run was asked to cancel: if its parent has closed and wants that, the policy is applied.
    fn apply_cancel_policy(&mut self, run: u32, touched: &mut Vec<(u32, u32)>) {
        let chain = self.runs.get(run).and_then(|run| self.chains.get(run.chain));
        let Some((parent, place)) = chain.and_then(|chain| chain.parent) else { return };
        let closed = self.parent(parent) == ParentState::Closed;
        if let Some(relation) = self.relation_mut(parent, place)
            && closed
            && relation.policy == ParentClosePolicy::RequestCancel
        {
            relation.applied = true;
            touched.push((parent, place));
        }
    }

    /// A run closed: if it was its chain's last, the relation to the parent knows.
    fn end_chain(&mut self, number: u32, touched: &mut Vec<(u32, u32)>) {
        let Some(run) = self.runs.get(number) else { return };
        let Some(chain) = self.chains.get(run.chain) else { return };
        let ended = chain.newest() == number && !run.state.latest().continued;
        let Some((parent, place)) = chain.parent.filter(|_| ended) else { return };
        let closed = self.parent(parent) == ParentState::Closed;
        if let Some(relation) = self.relation_mut(parent, place) {
            relation.child_ended = true;
            // A policy reaches a child once, also if a reset takes its chain on later.
            relation.applied |= closed;
            touched.push((parent, place));
        }
    }

    /// A run closed: its requests lapse, and its close policies begin to count.
    fn close_links(&mut self, number: u32, commit: Position) {
        let taken = self.runs.get_mut(number).and_then(|run| run.links.take());
        let Some(mut links) = taken.filter(|links| !links.is_empty()) else { return };
        for (initiated, sent) in &mut links.outgoing {
            if sent.since.is_some() {
                self.duties.remove(&sent.key(number, *initiated));
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
    }

    /// Opens or settles the duty of a relation that a commit touched.
    fn refresh(&mut self, run: u32, place: u32, commit: Position) {
        let parent = self.parent(run);
        let duties = &mut self.duties;
        let links = self.runs.get_mut(run).and_then(|run| run.links.as_deref_mut());
        if let Some(relation) = links.and_then(|links| links.at(place)) {
            duties.update(relation, parent, run, commit);
        }
    }

    pub(crate) fn parent(&self, run: u32) -> ParentState {
        match self.runs.get(run) {
            Some(run) if run.imported => ParentState::Replaced,
            Some(run) if run.state.latest().replaced => ParentState::Replaced,
            Some(run) if run.state.latest().status.is_open() => ParentState::Open,
            _ => ParentState::Closed,
        }
    }

    pub(crate) fn relation_mut(&mut self, run: u32, place: u32) -> Option<&mut Relation> {
        self.runs.get_mut(run)?.links.as_deref_mut()?.at(place)
    }
}

impl RunLinks {
    fn at(&mut self, place: u32) -> Option<&mut Relation> {
        self.children.get_mut(usize::try_from(place).ok()?)
    }

    fn change(&mut self, initiated: u32, f: impl FnOnce(&mut Relation)) -> Option<usize> {
        let place = self.find(initiated)?;
        f(self.children.get_mut(place)?);
        Some(place)
    }

    fn end(&mut self, initiated: u32, id: u32, kind: EventKind, at: Position) -> Option<usize> {
        let place = self.find(initiated)?;
        let relation = self.children.get_mut(place)?;
        // An imported history may say more than once how a child ended.
        if relation.is_open() {
            (relation.ended, relation.ended_kind, relation.ended_batch) = (id, kind, at);
            self.open_children -= 1;
        }
        Some(place)
    }
}

impl crate::index::state::Duties {
    fn update(&mut self, relation: &mut Relation, parent: ParentState, run: u32, commit: Position) {
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
