//! Acknowledging: all that a turn of an orchestration, or an activity that was done, led to is one commit.

use duroxide::Event;
use duroxide::providers::{ExecutionMetadata, ScheduledActivityIdentifier, WorkItem};
use kinlog::Transaction;

use crate::clock;
use crate::error::{Result, refused};
use crate::event;
use crate::executions::Addition;
use crate::instance::Instance;
use crate::kv;
use crate::provider::KinlogProvider;
use crate::state::State;
use crate::tables::{CHILDREN, pair_key};

/// What a turn of an orchestration led to.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) execution: u64,
    pub(crate) events: Vec<Event>,
    /// Activities, and messages.
    pub(crate) items: Vec<WorkItem>,
    pub(crate) metadata: ExecutionMetadata,
    pub(crate) cancelled: Vec<ScheduledActivityIdentifier>,
}

impl KinlogProvider {
    /// Commits what a turn led to, which it takes over, and releases the instance.
    pub(crate) fn commit_turn(
        &self,
        state: &mut State,
        token: &str,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let now = clock::now();
        let Some(id) = state.inboxes.holds(token, now) else {
            return refused("Invalid lock token, or the lock has expired");
        };
        let mut tx = self.begin();
        self.write_events(&mut tx, state, &id, outcome)?;
        state.inboxes.delete(&mut tx, &id, true)?;
        let Outcome { items, cancelled, .. } = outcome;
        items.retain(|item| !cancelled.iter().any(|named| is_activity(item, named)));
        let mut jobs = vec![];
        for named in cancelled {
            jobs.extend(state.jobs(&named.instance, named.execution_id, named.activity_id));
        }
        for job in &jobs {
            state.work.delete(&mut tx, job, false)?;
        }
        self.submit(state, tx, items, 0)?;
        state.inboxes.forget(&id, true, now);
        jobs.iter().for_each(|job| state.work.forget(job, false, now));
        Ok(())
    }

    /// Writes the events of a turn, and what they and the metadata say of the instance.
    fn write_events(
        &self,
        tx: &mut Transaction<'_>,
        state: &mut State,
        id: &str,
        outcome: &Outcome,
    ) -> Result<()> {
        let Outcome { execution, events, metadata, .. } = outcome;
        let former = Instance::read(tx, id)?;
        if former.is_none() && events.is_empty() && metadata.orchestration_name.is_none() {
            return Ok(());
        }
        let mut instance = former.clone().unwrap_or_else(|| Instance::new(state.draw()));
        let before = instance.execution;
        let begins = instance.take_in(*execution, metadata, events);
        if let Some(parent) = instance.parent.as_ref().filter(|_| begins) {
            tx.put(CHILDREN, &pair_key(parent, id), b"")?;
        }
        let (execution, status) = (*execution, metadata.status.as_deref());
        let encoded = events.iter().map(|event| event::encode(event, id, execution));
        let encoded = encoded.collect::<Result<Vec<_>>>()?;
        let (instance_now, events_now) = (&instance, encoded.as_slice());
        Addition { id, instance: instance_now, execution, before, events: events_now, status }
            .write(&self.store, tx)?;
        kv::take_in(tx, id, events)?;
        if status.is_some() && instance.is_terminal() {
            kv::merge(tx, id)?;
        }
        match former.as_ref() == Some(&instance) {
            true => Ok(()),
            false => instance.write(tx, id),
        }
    }

    /// Appends events to an execution, outside any turn.
    pub(crate) fn commit_events(
        &self,
        state: &mut State,
        id: &str,
        outcome: &Outcome,
    ) -> Result<()> {
        let mut tx = self.store.begin();
        self.write_events(&mut tx, state, id, outcome)?;
        self.submit(state, tx, &mut vec![], 0)
    }

    /// Commits messages or activities by themselves.
    pub(crate) fn commit_items(
        &self,
        state: &mut State,
        items: &mut Vec<WorkItem>,
        visible: u64,
    ) -> Result<()> {
        let mut tx = self.store.begin();
        // An instance that is cancelled ends, also when the disk is full; what else comes is new work.
        tx.use_reserve(items.iter().all(|item| matches!(item, WorkItem::CancelInstance { .. })));
        self.submit(state, tx, items, visible)
    }
}

fn is_activity(item: &WorkItem, named: &ScheduledActivityIdentifier) -> bool {
    matches!(item, WorkItem::ActivityExecute { instance, execution_id, id, .. }
        if (instance, execution_id, id)
            == (&named.instance, &named.execution_id, &named.activity_id))
}
