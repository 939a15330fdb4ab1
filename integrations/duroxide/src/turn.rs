//! Acknowledging: all that a turn of an orchestration, or an activity that was done, led to is one commit.

use std::collections::HashSet;

use duroxide::Event;
use duroxide::providers::{ExecutionMetadata, ScheduledActivityIdentifier, WorkItem};
use kinlog::{CommitHandle, Transaction};

use crate::clock;
use crate::error::{Result, invalid, refused};
use crate::event::{self, Encoded};
use crate::executions::{Addition, End};
use crate::instance::Instance;
use crate::provider::KinlogProvider;
use crate::state::{State, Waiting};
use crate::tables::{CHILDREN, INBOX, WORK, number_key, pair_key};
use crate::{item, kv};

pub(crate) const TURN: &str = "ack_orchestration_item";
pub(crate) const WORK_ITEM: &str = "ack_work_item";

/// What a turn of an orchestration led to.
pub(crate) struct Outcome {
    pub(crate) execution: u64,
    pub(crate) events: Vec<Event>,
    pub(crate) work: Vec<WorkItem>,
    pub(crate) messages: Vec<WorkItem>,
    pub(crate) metadata: ExecutionMetadata,
    pub(crate) cancelled: Vec<ScheduledActivityIdentifier>,
}

/// A message or an activity to be put.
struct Put {
    item: WorkItem,
    row: Vec<u8>,
    visible: u64,
}

impl Put {
    fn new(operation: &'static str, item: WorkItem, delayed: u64) -> Result<Self> {
        let visible = item::visible_at(&item).max(delayed);
        Ok(Put { row: item::encode(operation, &item, visible)?, item, visible })
    }

    /// Puts the row; its number.
    fn write(&self, tx: &mut Transaction<'_>, state: &mut State) -> kinlog::Result<u64> {
        let table = if item::instance_of(&self.item).is_some() { INBOX } else { WORK };
        let number = state.draw_number();
        tx.put(table, &number_key(number), &self.row)?;
        Ok(number)
    }
}

impl KinlogProvider {
    /// Commits what a turn led to, and releases the instance.
    pub(crate) fn commit_turn(&self, token: &str, outcome: Outcome) -> Result<CommitHandle> {
        let puts = puts_of(&outcome)?;
        let now = clock::now();
        let mut state = self.state.lock();
        let held = state.token(token).and_then(|token| state.inboxes.holder(token, now));
        let Some((id, live)) = held else { return Err(invalid(TURN, "Invalid lock token")) };
        if !live {
            return Err(invalid(TURN, "Instance lock expired"));
        }
        let mut tx = self.store.begin();
        self.write_turn(&mut tx, &mut state, &id, &outcome)?;
        let numbers = puts.iter().map(|put| put.write(&mut tx, &mut state));
        let numbers: Vec<_> = numbers.collect::<kinlog::Result<_>>().map_err(refused(TURN))?;
        state.inboxes.delete_fetched(&mut tx, &id).map_err(refused(TURN))?;
        let cancelled = state.work.numbers(&outcome.cancelled);
        for number in &cancelled {
            state.work.delete_rows(&mut tx, *number).map_err(refused(TURN))?;
        }
        let handle = self.submit(TURN, tx, self.durability)?;
        state.inboxes.acknowledge(&id, now);
        cancelled.iter().for_each(|number| state.work.forget(*number));
        for (put, number) in puts.iter().zip(numbers) {
            state.add(number, &put.item, Waiting::new(put.visible), now);
        }
        drop(state);
        self.wake();
        Ok(handle)
    }

    /// Writes the events of a turn, and what they and the metadata say of the instance.
    fn write_turn(
        &self,
        tx: &mut Transaction<'_>,
        state: &mut State,
        id: &str,
        outcome: &Outcome,
    ) -> Result<()> {
        let Outcome { execution, events, metadata, .. } = outcome;
        let former = Instance::read(tx, TURN, id)?;
        if former.is_none() && events.is_empty() && metadata.orchestration_name.is_none() {
            return Ok(());
        }
        let mut instance =
            former.clone().unwrap_or_else(|| Instance::new(state.draw_birth(clock::now())));
        let before = instance.execution;
        let named = instance.take_in(*execution, metadata);
        instance.take_custom_status(events);
        if let Some(parent) = instance.parent.as_deref().filter(|_| named) {
            tx.put(CHILDREN, &pair_key(parent, id), b"").map_err(refused(TURN))?;
        }
        let encoded = encode(TURN, events, id, *execution)?;
        let end = End::of(metadata.status.as_deref());
        let (events, execution) = (encoded.as_slice(), *execution);
        Addition { operation: TURN, id, instance: &instance, execution, before, events, end }
            .write(&self.store, tx)?;
        kv::take_in(tx, id, &outcome.events).map_err(refused(TURN))?;
        if metadata.status.is_some() && instance.is_terminal() {
            kv::merge(tx, id).map_err(refused(TURN))?;
        }
        match former.as_ref() == Some(&instance) {
            true => Ok(()),
            false => instance.write(tx, TURN, id),
        }
    }

    /// Appends events to an execution, outside any turn.
    pub(crate) fn commit_events(
        &self,
        id: &str,
        execution: u64,
        events: &[Event],
    ) -> Result<CommitHandle> {
        const OPERATION: &str = "append_with_execution";
        let encoded = encode(OPERATION, events, id, execution)?;
        let mut state = self.state.lock();
        let mut tx = self.store.begin();
        let former = Instance::read(&mut tx, OPERATION, id)?;
        let mut instance =
            former.clone().unwrap_or_else(|| Instance::new(state.draw_birth(clock::now())));
        let before = instance.execution;
        instance.enter(execution);
        let (operation, events, end) = (OPERATION, encoded.as_slice(), None);
        Addition { operation, id, instance: &instance, execution, before, events, end }
            .write(&self.store, &mut tx)?;
        if former.as_ref() != Some(&instance) {
            instance.write(&mut tx, OPERATION, id)?;
        }
        self.submit(OPERATION, tx, self.durability)
    }

    /// Commits that an activity was done, and what it came to.
    pub(crate) fn commit_work(
        &self,
        token: &str,
        completion: Option<WorkItem>,
    ) -> Result<CommitHandle> {
        let completion = match completion {
            Some(item @ (WorkItem::ActivityCompleted { .. } | WorkItem::ActivityFailed { .. })) => {
                Some(Put::new(WORK_ITEM, item, 0)?)
            }
            Some(_) => return Err(invalid(WORK_ITEM, "Invalid completion type for worker ack")),
            None => None,
        };
        let now = clock::now();
        let mut state = self.state.lock();
        let (number, session) = state.held_job(WORK_ITEM, token, now)?;
        let mut tx = self.store.begin();
        state.work.delete_rows(&mut tx, number).map_err(refused(WORK_ITEM))?;
        let put = completion.as_ref().map(|put| put.write(&mut tx, &mut state)).transpose();
        let put = put.map_err(refused(WORK_ITEM))?;
        let handle = self.submit(WORK_ITEM, tx, self.durability)?;
        state.work.forget(number);
        if let Some(session) = session {
            state.sessions.touch(&session, now);
        }
        if let (Some(number), Some(put)) = (put, completion) {
            state.add(number, &put.item, Waiting::new(0), now);
        }
        drop(state);
        self.wake();
        Ok(handle)
    }

    /// Commits a message or an activity by itself.
    pub(crate) fn commit_item(
        &self,
        operation: &'static str,
        item: WorkItem,
        delayed: u64,
    ) -> Result<CommitHandle> {
        let put = Put::new(operation, item, delayed)?;
        let mut state = self.state.lock();
        let mut tx = self.store.begin();
        let number = put.write(&mut tx, &mut state).map_err(refused(operation))?;
        let handle = self.submit(operation, tx, self.durability)?;
        state.add(number, &put.item, Waiting::new(put.visible), clock::now());
        drop(state);
        self.wake();
        Ok(handle)
    }
}

/// What a turn puts: activities, but for those that it cancels itself, and messages.
fn puts_of(outcome: &Outcome) -> Result<Vec<Put>> {
    let cancelled: HashSet<_> = outcome
        .cancelled
        .iter()
        .map(|activity| (activity.instance.as_str(), activity.execution_id, activity.activity_id))
        .collect();
    let stays = |item: &&WorkItem| match item {
        WorkItem::ActivityExecute { instance, execution_id, id, .. } => {
            !cancelled.contains(&(instance.as_str(), *execution_id, *id))
        }
        _ => true,
    };
    let items = outcome.work.iter().filter(stays).chain(&outcome.messages);
    items.map(|item| Put::new(TURN, item.clone(), 0)).collect()
}

fn encode(
    operation: &'static str,
    events: &[Event],
    id: &str,
    execution: u64,
) -> Result<Vec<Encoded>> {
    let encoded = events.iter().map(|event| event::encode(event, id, execution));
    encoded.collect::<std::result::Result<_, _>>().map_err(|e| invalid(operation, e.to_string()))
}
