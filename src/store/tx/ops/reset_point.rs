//! What the history of a run that is reset says about the point of the reset.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::{Body, ChildStartFailed, ChildStarted, Effect, Event, ExternalResolved};
use crate::id::{Position, RunId, RunNumber};
use crate::index::Index;
use crate::limits::Limit;
use crate::store::pending::check_max;
use crate::store::read::{History, Snapshot};
use crate::store::shared::Shared;

/// What the base run's history says, as far as it was read.
pub(crate) struct ResetPoint {
    /// The last shared event.
    last: u32,
    /// How far histories were read: that of the base run, and those of runs that hold what it began; by
    /// number, the next event.
    read: BTreeMap<RunNumber, u32>,
    base: Option<RunNumber>,
    /// The batch with the last shared event, and the bytes of all that are shared.
    pub(crate) batch: Position,
    pub(crate) bytes: u64,
    /// Open at that point, by Scheduled event.
    pub(crate) activities: BTreeSet<u32>,
    /// Later answers to requests that had none at that point, by Initiated event.
    answers: BTreeMap<u32, Option<Body<'static>>>,
    /// Later refusals to start children.
    refusals: BTreeMap<u32, ChildStartFailed>,
}

impl ResetPoint {
    /// Nothing read yet; the new run will share the events up to `last`.
    pub(crate) fn new(last: u32) -> Self {
        ResetPoint {
            last,
            read: BTreeMap::new(),
            base: None,
            batch: Position::START,
            bytes: 0,
            activities: BTreeSet::new(),
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
        }
    }

    /// The event up to which the base run's history was read.
    pub(crate) fn next_event(&self) -> u32 {
        self.base.and_then(|base| self.read.get(&base)).copied().unwrap_or(1)
    }

    /// Whether everything that the index knows was read.
    pub(crate) fn is_read(&self, index: &Index, base: &RunId) -> bool {
        let ends = |run: RunNumber| index.runs.get(run).map(|run| run.state.latest().next_event);
        let read =
            |run: RunNumber| ends(run).is_some() && self.read.get(&run).copied() == ends(run);
        let Some(base) = index.runs.number(base) else { return false };
        read(base) && self.holders(index, base).into_keys().all(read)
    }

    /// The runs whose histories were read, by number.
    pub(crate) fn read_from(&self) -> impl Iterator<Item = RunNumber> {
        self.read.keys().copied()
    }

    /// The runs that have children of the base run since former resets, by number.
    pub(crate) fn holders_of_children<'i>(
        &'i self,
        index: &'i Index,
        base: RunNumber,
    ) -> impl Iterator<Item = RunNumber> + 'i {
        let children = self.children(index, base);
        let holders =
            children.filter_map(move |initiated| Some(index.held(base, initiated)?.at.parent));
        holders.filter(move |holder| *holder != base)
    }

    /// The Initiated events of the children that the new run will have.
    fn children<'i>(&'i self, index: &'i Index, base: RunNumber) -> impl Iterator<Item = u32> + 'i {
        let links = index.runs.links(base);
        let mut children = (0..).map_while(move |at| {
            let links = links.as_ref()?;
            links.children.get(at).map(|child| child.initiated)
        });
        std::iter::from_fn(move || children.next()).take_while(|initiated| *initiated <= self.last)
    }

    /// Checks that the event that marks the reset can name what was open.
    pub(crate) fn check_open(&self) -> Result<()> {
        check_max(Limit::ResetActivities, self.activities.len(), u16::MAX.into())
    }

    /// Reads what was not read yet. Takes no look at the index while it reads.
    pub(crate) fn read_on(&mut self, shared: &Arc<Shared>, base: &RunId) -> Result<()> {
        let upto = {
            let index = shared.index.read();
            let number = index.runs.number(base);
            self.base = number;
            number
                .and_then(|number| index.runs.get(number))
                .map(|run| run.state.latest().last_batch)
        };
        let (Some(number), Some(upto)) = (self.base, upto) else { return Ok(()) };
        shared.await_written(upto)?;
        let Some(history) = history(shared, base)? else { return Ok(()) };
        let from = self.next_event();
        if from == 1 {
            (self.batch, self.bytes) = history.locate(self.last)?;
        }
        for event in history.from(from) {
            let event = event?;
            self.learn(&event);
            self.read.insert(number, event.id() + 1);
        }
        self.learn_elsewhere(shared, number)
    }

    fn learn(&mut self, event: &Event<'_>) {
        if event.id() <= self.last {
            self.before(event.id(), &event.body());
        } else {
            self.after(&event.body());
        }
    }

    fn before(&mut self, id: u32, body: &Body<'_>) {
        match body.effect() {
            Effect::ActivityScheduled => {
                self.activities.insert(id);
            }
            Effect::ActivityEnded(b) => {
                self.activities.remove(&b.scheduled_event_id);
            }
            Effect::RequestInitiated(..) => {
                self.answers.insert(id, None);
            }
            Effect::RequestAnswered(_, b) => {
                self.answers.remove(&b.initiated_event_id);
            }
            _ => {}
        }
    }

    fn after(&mut self, body: &Body<'_>) {
        if let Effect::ChildStartFailed(failed) = body.effect() {
            self.refusals.insert(failed.initiated_event_id, *failed);
        }
        if let Some((answered, body)) = answer(body)
            && let Some(waiting) = self.answers.get_mut(&answered)
        {
            *waiting = Some(body);
        }
    }

    /// The runs that hold requests of the base run since former resets, with those requests. What became
    /// of them is told there.
    pub(super) fn holders(
        &self,
        index: &Index,
        base: RunNumber,
    ) -> BTreeMap<RunNumber, BTreeSet<u32>> {
        let mut held: BTreeMap<_, BTreeSet<u32>> = BTreeMap::new();
        for initiated in self.answers.keys() {
            let holder = index.request_holder(base, *initiated).filter(|holder| *holder != base);
            if let Some(holder) = holder {
                held.entry(holder).or_default().insert(*initiated);
            }
        }
        held
    }

    fn learn_elsewhere(&mut self, shared: &Arc<Shared>, base: RunNumber) -> Result<()> {
        let held: Vec<_> = {
            let index = shared.index.read();
            let holders = self.holders(&index, base).into_iter();
            let found = holders.filter_map(|(holder, requests)| {
                let run = index.runs.get(holder)?;
                Some((holder, run.id, run.state.latest().last_batch, requests))
            });
            found.collect()
        };
        for (holder, run, last_batch, requests) in held {
            shared.await_written(last_batch)?;
            let Some(history) = history(shared, &run)? else { continue };
            for event in &history {
                let event = event?;
                // Its own requests may have the numbers of others of the base run.
                if let Some((answered, body)) = answer(&event.body())
                    && requests.contains(&answered)
                {
                    self.answers.insert(answered, Some(body));
                }
                self.read.insert(holder, event.id() + 1);
            }
        }
        Ok(())
    }

    /// What the base run learned after the point of the reset about what it had begun before.
    pub(crate) fn repeated(&self, index: &Index, base: RunNumber) -> Vec<Body<'static>> {
        let children = self.children(index, base).filter_map(|initiated| {
            let relation = index.relation_until(base, initiated, self.last)?;
            if relation.started != 0 || relation.ended != 0 {
                return None;
            }
            if let Some(failed) = self.refusals.get(&initiated) {
                return Some(Body::StartChildWorkflowExecutionFailed(*failed));
            }
            let run_id = index.runs.look(relation.child?, |run| run.id)?;
            let started = ChildStarted { run_id, initiated_event_id: initiated };
            Some(Body::ChildWorkflowExecutionStarted(started))
        });
        children.chain(self.answers.values().copied().flatten()).collect()
    }
}

/// The history of a run; `None` if it was deleted: the next step refuses the reset, at the position where it sees that.
fn history(shared: &Arc<Shared>, run: &RunId) -> Result<Option<History>> {
    match Snapshot::new(shared).history(run) {
        Err(Error::RunDeleted { .. }) => Ok(None),
        history => history.map(Some),
    }
}

/// The answer to a signal or a cancel request, and the event that it answers.
fn answer(body: &Body<'_>) -> Option<(u32, Body<'static>)> {
    let of = |b: &ExternalResolved, body| Some((b.initiated_event_id, body));
    match body {
        Body::SignalExternalWorkflowExecutionFailed(b) => {
            of(b, Body::SignalExternalWorkflowExecutionFailed(*b))
        }
        Body::ExternalWorkflowExecutionSignaled(b) => {
            of(b, Body::ExternalWorkflowExecutionSignaled(*b))
        }
        Body::RequestCancelExternalWorkflowExecutionFailed(b) => {
            of(b, Body::RequestCancelExternalWorkflowExecutionFailed(*b))
        }
        Body::ExternalWorkflowExecutionCancelRequested(b) => {
            of(b, Body::ExternalWorkflowExecutionCancelRequested(*b))
        }
        _ => None,
    }
}
