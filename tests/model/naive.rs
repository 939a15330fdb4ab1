//! The naive model: runs in a list, rows in maps, rules written down one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kinlog::error::Undeletable;
use kinlog::event::{Started, Terminated};
use kinlog::retention::Keep;
use kinlog::{
    Body, EventKind, Expect, IdConflictPolicy, IdReusePolicy, Limits, ParentClosePolicy, Position,
    RunId, RunStatus, Size, Timestamp,
};
use kinlog_testing::kinds::*;

use crate::draw::{self, Start};

/// The table that kinlog keeps the limits of namespaces in.
pub(crate) const LIMITS_TABLE: &str = "kinlog.namespaces";
/// The table that kinlog keeps deleted runs in.
pub(crate) const DELETED_TABLE: &str = "kinlog.deleted";
/// The table that kinlog keeps the keys of events in.
pub(crate) const KEYS_TABLE: &str = "kinlog.keys";
/// Of how far named consumers have come.
const CONSUMERS_TABLE: &str = "kinlog.consumers";
pub(crate) const SEGMENT_BYTES: u32 = 256 << 10;
const SEGMENT_HEADER: usize = 4096;
const FRAME: usize = 24;
const BATCH_HEADER: usize = 20;

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Event {
    pub(crate) body: Body<'static>,
    pub(crate) payload: Arc<[u8]>,
    pub(crate) time: Timestamp,
    /// In the log: header, head, payload and padding.
    pub(crate) size: u64,
}

impl Event {
    pub(crate) fn new(body: Body<'static>, payload: Arc<[u8]>, time: Timestamp) -> Self {
        let (head, _) = draw::head(&body);
        let long = if head / 4 >= 255 { 4 } else { 0 };
        let size = (16 + long + head + payload.len()).next_multiple_of(4) as u64;
        Event { body, payload, time, size }
    }

    pub(crate) fn kind(&self) -> EventKind {
        self.body.kind()
    }
}

#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) namespace: &'static str,
    pub(crate) workflow_id: &'static str,
    pub(crate) recorded: bool,
    pub(crate) events: Vec<Event>,
    /// It was deleted, and this was kept.
    pub(crate) deleted: Option<Keep>,
}

impl Run {
    pub(crate) fn is_kept(&self) -> bool {
        self.deleted != Some(Keep::Nothing)
    }

    /// What is kept of it in sums.
    pub(crate) fn kept_size(&self) -> Size {
        match self.deleted {
            None => {
                let events = self.events.len() as u64;
                Size { runs: 1, events, bytes: self.bytes() }
            }
            Some(Keep::Outcome) => Size { runs: 1, ..Size::default() },
            Some(Keep::Nothing) => Size::default(),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.events.iter().map(|event| event.size).sum()
    }

    /// The id of the event to come.
    pub(crate) fn next(&self) -> u32 {
        u32::try_from(self.events.len()).unwrap() + 1
    }

    pub(crate) fn status(&self) -> RunStatus {
        status(&self.events).unwrap()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.status() == RunStatus::Running
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        self.events[0].time
    }

    pub(crate) fn closed_at(&self) -> Option<Timestamp> {
        (!self.is_open()).then(|| self.events.last().unwrap().time)
    }

    pub(crate) fn started(&self) -> Started<'static> {
        match self.events[0].body {
            Body::WorkflowExecutionStarted(started) => started,
            other => panic!("{other:?}"),
        }
    }
}

/// Why the store says no; [`kinlog::Error`] without its texts.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Refusal {
    Invalid,
    RunNotFound(RunId),
    RunClosed(RunId),
    RunExists(RunId),
    Deleted { run: RunId, kept: Keep },
    NotDeletable { run: RunId, why: Undeletable },
    KeyExists { run: RunId, key: u64, event: u32 },
    Conflict { run: RunId, expected: u32, found: u32 },
    WorkflowExists { run: RunId, open: bool },
    Illegal(RunId),
    Limit { run: Option<RunId>, now: u64, asked: u64, max: u64 },
}

type Result<T> = std::result::Result<T, Refusal>;
pub(crate) type Rows = BTreeMap<Vec<u8>, Arc<[u8]>>;
pub(crate) type RowChange = (&'static str, Vec<u8>, Option<Arc<[u8]>>);

/// What a commit did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commit {
    /// The run's place in the list, the first event, how many.
    pub(crate) batches: Vec<(usize, u32, usize)>,
    pub(crate) rows: Vec<RowChange>,
}

#[derive(Clone, Default)]
pub(crate) struct State {
    /// In the order in which they came.
    pub(crate) runs: Vec<Arc<Run>>,
    pub(crate) current: BTreeMap<(&'static str, &'static str), usize>,
    /// Tables that ever held a row.
    pub(crate) tables: BTreeMap<&'static str, Arc<Rows>>,
    pub(crate) namespaces: BTreeMap<&'static str, Limits>,
    /// How far each named consumer has come.
    pub(crate) consumers: BTreeMap<&'static str, Position>,
    pub(crate) commits: u64,
    pub(crate) batches: u64,
    pub(crate) row_bytes: u64,
}

impl State {
    pub(crate) fn find(&self, id: &RunId) -> Option<(usize, &Run)> {
        self.runs.iter().map(|run| &**run).enumerate().rfind(|(_, run)| run.id == *id)
    }

    pub(crate) fn current(&self, namespace: &str, workflow_id: &str) -> Option<&Run> {
        let place = self.current.iter().find(|(key, _)| **key == (namespace, workflow_id))?.1;
        Some(&*self.runs[*place]).filter(|run| run.is_kept())
    }

    /// The runs of a chain in the order in which they came: of a recorded one, those that name the same first run.
    pub(crate) fn chain(&self, run: &Run) -> Vec<&Run> {
        let first = run.started().first_run_id;
        let of = |other: &&Run| {
            other.id == run.id
                || (run.recorded && other.recorded && other.started().first_run_id == first)
        };
        self.runs.iter().map(|run| &**run).filter(of).collect()
    }

    pub(crate) fn limits(&self, namespace: &str) -> Limits {
        self.namespaces.get(namespace).copied().unwrap_or_default()
    }

    pub(crate) fn row(&self, table: &str, key: &[u8]) -> Option<&Arc<[u8]>> {
        self.tables.get(table)?.get(key)
    }

    /// Commits `tx`, which was built on this state; `None` if it holds nothing.
    pub(crate) fn commit(&mut self, mut tx: Tx) -> Result<Option<Commit>> {
        if tx.is_empty(self) {
            return Ok(None);
        }
        tx.check_size(self)?;
        tx.rows = tx.logged(self);
        tx.touched.retain(|touched| !touched.events.is_empty());
        let row_bytes: u64 = tx.rows.iter().map(row_size).sum();
        let (begun, mut known): (Vec<_>, Vec<_>) =
            tx.touched.into_iter().partition(|touched| touched.begins.is_some());
        known.sort_by_key(|touched| self.find(&touched.id).unwrap().0);
        let mut commit = Commit::default();
        for touched in known {
            let place = self.find(&touched.id).unwrap().0;
            let run = Arc::make_mut(&mut self.runs[place]);
            commit.batches.push((place, run.next(), touched.events.len()));
            run.events.extend(touched.events);
        }
        commit.batches.sort_unstable();
        for touched in begun {
            commit.batches.push((self.runs.len(), 1, touched.events.len()));
            self.begin(touched);
        }
        for (table, key, value) in tx.rows {
            if table == DELETED_TABLE {
                self.delete(&key, value.as_deref());
            }
            self.put(table, &key, value.clone());
            commit.rows.push((table, key, value));
        }
        self.commits += 1;
        self.batches += commit.batches.len() as u64;
        self.row_bytes += row_bytes;
        Ok(Some(commit))
    }

    fn begin(&mut self, touched: Touched) {
        let begins = touched.begins.unwrap();
        let key = (begins.namespace, begins.workflow_id);
        let run = Run {
            id: touched.id,
            namespace: begins.namespace,
            workflow_id: begins.workflow_id,
            recorded: touched.recorded,
            events: touched.events,
            deleted: None,
        };
        self.namespaces.entry(begins.namespace).or_default();
        let stays = self.current.get(&key).is_some_and(|place| {
            let current = &self.runs[*place];
            run.recorded
                && current.is_kept()
                && (current.is_open() || current.started_at() > run.started_at())
        });
        if !stays {
            self.current.insert(key, self.runs.len());
        }
        self.runs.push(Arc::new(run));
    }

    fn delete(&mut self, run: &[u8], keep: Option<&[u8]>) {
        let place = self.runs.iter().position(|known| known.id.as_bytes() == run).unwrap();
        let keep = if keep == Some(&[0]) { Keep::Nothing } else { Keep::Outcome };
        Arc::make_mut(&mut self.runs[place]).deleted = Some(keep);
    }

    fn put(&mut self, table: &'static str, key: &[u8], value: Option<Arc<[u8]>>) {
        match value {
            Some(value) => {
                let rows = self.tables.entry(table).or_default();
                Arc::make_mut(rows).insert(key.to_vec(), value);
            }
            None => {
                if let Some(rows) = self.tables.get_mut(table) {
                    Arc::make_mut(rows).remove(key);
                }
            }
        }
    }

    /// What [`kinlog::Store::set_limits`] does.
    pub(crate) fn set_limits(&mut self, namespace: &'static str, limits: Limits) -> Commit {
        let fields = [
            limits.history_events,
            limits.history_bytes,
            limits.payload_bytes,
            limits.id_bytes,
            limits.warn_events,
            limits.warn_bytes,
            limits.suggest_events,
            limits.suggest_bytes,
            limits.open_children,
            limits.open_activities,
            limits.open_signals,
            limits.open_cancels,
        ];
        // No retention: two ages that are for ever, no number of runs, and zeros.
        let retention = [[255; 8], [255; 8], [0; 8]].concat();
        let limits_bytes = fields.into_iter().flat_map(u32::to_le_bytes);
        let value: Vec<u8> = limits_bytes.chain(retention).collect();
        let row = (LIMITS_TABLE, namespace.as_bytes().to_vec(), Some(value.into()));
        let tx = Tx { rows: vec![row], ..Tx::default() };
        self.namespaces.insert(namespace, limits);
        self.commit(tx).unwrap().unwrap()
    }

    /// What moves a consumer to a position, or removes it.
    pub(crate) fn move_consumer(&mut self, name: &'static str, to: Option<Position>) -> Commit {
        let value = to.map(|to| Arc::from(to.as_u64().to_le_bytes().as_slice()));
        let row = (CONSUMERS_TABLE, name.as_bytes().to_vec(), value);
        match to {
            Some(to) => drop(self.consumers.insert(name, to)),
            None => drop(self.consumers.remove(name)),
        }
        self.commit(Tx { rows: vec![row], ..Tx::default() }).unwrap().unwrap()
    }
}

fn row_size((table, key, value): &RowChange) -> u64 {
    let value = value.as_ref().map_or(0, |value| value.len());
    (8 + table.len() + key.len() + value).next_multiple_of(4) as u64
}

fn within(run: Option<RunId>, now: u64, asked: u64, max: u32) -> Result<()> {
    let max = u64::from(max);
    if asked > max { Err(Refusal::Limit { run, now, asked, max }) } else { Ok(()) }
}

/// What closes a run or asks it to cancel may be added however long the run has grown.
fn is_exempt(kind: EventKind) -> bool {
    kind.is_closing() || kind == CANCEL_REQUESTED
}

/// What a run that was started here waits for, and what it has been asked.
#[derive(Default)]
struct Waits {
    activities: BTreeSet<u32>,
    children: BTreeSet<u32>,
    signals: BTreeSet<u32>,
    cancels: BTreeSet<u32>,
    canceled: bool,
}

impl Waits {
    fn of(run: &Run) -> Self {
        let mut waits = Waits::default();
        for (id, event) in (1..).zip(&run.events) {
            waits.take(id, &event.body);
        }
        waits
    }

    fn take(&mut self, id: u32, body: &Body<'_>) {
        match body {
            Body::ActivityTaskScheduled(_) => self.activities.insert(id),
            Body::ActivityTaskCompleted(b)
            | Body::ActivityTaskFailed(b)
            | Body::ActivityTaskTimedOut(b)
            | Body::ActivityTaskCanceled(b) => self.activities.remove(&b.scheduled_event_id),
            Body::WorkflowExecutionCancelRequested(_) => {
                std::mem::replace(&mut self.canceled, true)
            }
            Body::RequestCancelExternalWorkflowExecutionInitiated(_) => self.cancels.insert(id),
            Body::RequestCancelExternalWorkflowExecutionFailed(b)
            | Body::ExternalWorkflowExecutionCancelRequested(b) => {
                self.cancels.remove(&b.initiated_event_id)
            }
            Body::StartChildWorkflowExecutionInitiated(_) => self.children.insert(id),
            Body::StartChildWorkflowExecutionFailed(b) => {
                self.children.remove(&b.initiated_event_id)
            }
            Body::SignalExternalWorkflowExecutionInitiated(_) => self.signals.insert(id),
            Body::SignalExternalWorkflowExecutionFailed(b)
            | Body::ExternalWorkflowExecutionSignaled(b) => {
                self.signals.remove(&b.initiated_event_id)
            }
            _ => false,
        };
    }

    /// Whether the run may say this next. No run here has a child that started: a model of its
    /// own is for that.
    fn check(&self, run: RunId, body: &Body<'_>) -> Result<()> {
        let sound = match body {
            Body::ActivityTaskCompleted(b)
            | Body::ActivityTaskFailed(b)
            | Body::ActivityTaskTimedOut(b)
            | Body::ActivityTaskCanceled(b) => self.activities.contains(&b.scheduled_event_id),
            Body::WorkflowExecutionCancelRequested(_) => !self.canceled,
            Body::RequestCancelExternalWorkflowExecutionInitiated(b)
            | Body::SignalExternalWorkflowExecutionInitiated(b) => !b.workflow_id.is_empty(),
            Body::RequestCancelExternalWorkflowExecutionFailed(b)
            | Body::ExternalWorkflowExecutionCancelRequested(b) => {
                self.cancels.contains(&b.initiated_event_id)
            }
            Body::SignalExternalWorkflowExecutionFailed(b)
            | Body::ExternalWorkflowExecutionSignaled(b) => {
                self.signals.contains(&b.initiated_event_id)
            }
            Body::StartChildWorkflowExecutionInitiated(b) => {
                let policies = [
                    ParentClosePolicy::Terminate,
                    ParentClosePolicy::Abandon,
                    ParentClosePolicy::RequestCancel,
                ];
                !b.workflow_id.is_empty() && policies.contains(&b.close_policy)
            }
            Body::StartChildWorkflowExecutionFailed(b) => {
                self.children.contains(&b.initiated_event_id)
            }
            Body::ChildWorkflowExecutionCompleted(_)
            | Body::ChildWorkflowExecutionFailed(_)
            | Body::ChildWorkflowExecutionCanceled(_)
            | Body::ChildWorkflowExecutionTimedOut(_)
            | Body::ChildWorkflowExecutionTerminated(_) => false,
            _ => true,
        };
        if sound { Ok(()) } else { Err(Refusal::Illegal(run)) }
    }

    /// Whether the run may wait for one more of what this event begins.
    fn within(&self, run: RunId, body: &Body<'_>, limits: &Limits) -> Result<()> {
        let (open, max) = match body {
            Body::ActivityTaskScheduled(_) => (&self.activities, limits.open_activities),
            Body::RequestCancelExternalWorkflowExecutionInitiated(_) => {
                (&self.cancels, limits.open_cancels)
            }
            Body::StartChildWorkflowExecutionInitiated(_) => (&self.children, limits.open_children),
            Body::SignalExternalWorkflowExecutionInitiated(_) => {
                (&self.signals, limits.open_signals)
            }
            _ => return Ok(()),
        };
        let now = open.len() as u64;
        within(Some(run), now, now + 1, max)
    }
}

/// Whether an event may stand for itself in a run that was started here.
fn is_for_itself(body: &Body<'_>) -> bool {
    match body {
        Body::ChildWorkflowExecutionStarted(_) | Body::WorkflowExecutionContinuedAsNew(_) => false,
        Body::WorkflowExecutionCompleted(b)
        | Body::WorkflowExecutionFailed(b)
        | Body::WorkflowExecutionTimedOut(b) => b.new_run_id.is_none(),
        Body::WorkflowExecutionTerminated(b) => b.reset_run_id.is_none(),
        Body::StartChildWorkflowExecutionInitiated(b) => can_be(b.reuse_policy, b.conflict_policy),
        Body::Opaque(kind) => !RULED.contains(kind),
        _ => true,
    }
}

/// Whether policies are known and do not contradict each other.
fn can_be(reuse: IdReusePolicy, conflict: IdConflictPolicy) -> bool {
    let known = !matches!(reuse, IdReusePolicy::Unknown(_))
        && !matches!(conflict, IdConflictPolicy::Unknown(_));
    let contradict = [
        (IdReusePolicy::RejectDuplicate, IdConflictPolicy::TerminateExisting),
        (IdReusePolicy::TerminateIfRunning, IdConflictPolicy::UseExisting),
    ];
    known && !contradict.contains(&(reuse, conflict))
}

/// The kinds that say something about other runs, or what a run waits for.
const RULED: [EventKind; 26] = [
    COMPLETED,
    FAILED,
    TIMED_OUT,
    ACTIVITY_TASK_SCHEDULED,
    ACTIVITY_TASK_COMPLETED,
    ACTIVITY_TASK_FAILED,
    ACTIVITY_TASK_TIMED_OUT,
    ACTIVITY_TASK_CANCELED,
    CANCEL_REQUESTED,
    CANCELED,
    REQUEST_CANCEL_EXTERNAL_INITIATED,
    REQUEST_CANCEL_EXTERNAL_FAILED,
    EXTERNAL_CANCEL_REQUESTED,
    TERMINATED,
    CONTINUED_AS_NEW,
    START_CHILD_INITIATED,
    START_CHILD_FAILED,
    CHILD_STARTED,
    CHILD_COMPLETED,
    CHILD_FAILED,
    CHILD_CANCELED,
    CHILD_TIMED_OUT,
    CHILD_TERMINATED,
    SIGNAL_EXTERNAL_INITIATED,
    SIGNAL_EXTERNAL_FAILED,
    EXTERNAL_SIGNALED,
];

/// A run as a transaction found it, and the events it adds.
#[derive(Clone)]
pub(crate) struct Touched {
    pub(crate) id: RunId,
    /// The event to come when it was found.
    pub(crate) found: u32,
    bytes_found: u64,
    open_found: bool,
    limits: Limits,
    recorded: bool,
    pub(crate) events: Vec<Event>,
    begins: Option<Begins>,
}

#[derive(Clone)]
struct Begins {
    namespace: &'static str,
    workflow_id: &'static str,
}

impl Touched {
    fn bytes(&self) -> u64 {
        self.events.iter().map(|event| event.size).sum()
    }

    pub(crate) fn next(&self) -> u32 {
        self.found + u32::try_from(self.events.len()).unwrap()
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open_found && !self.events.last().is_some_and(|event| event.kind().is_closing())
    }

    /// The event by which the run got the same signal before: one with the same request id.
    fn signaled(&self, state: &State, event: &Event) -> Option<u32> {
        let request = |event: &Event| match event.body {
            Body::WorkflowExecutionSignaled(b) => Some(b.request_id).filter(|id| !id.is_empty()),
            _ => None,
        };
        let wanted = request(event).filter(|_| !self.recorded)?;
        let before = state.find(&self.id).map_or(&[][..], |(_, run)| &run.events);
        let events = (1..).zip(before).chain((self.found..).zip(&self.events));
        events.into_iter().find_map(|(id, event)| (request(event) == Some(wanted)).then_some(id))
    }

    /// Whether the run takes `event`. A recorded run is not measured, and how long a run has
    /// grown does not count for its closing event.
    fn check(&self, event: &Event) -> Result<()> {
        if !self.is_open() {
            return Err(Refusal::RunClosed(self.id));
        }
        if self.recorded {
            return Ok(());
        }
        let (run, limits) = (Some(self.id), &self.limits);
        within(run, 0, event.payload.len() as u64, limits.payload_bytes)?;
        for name in draw::head(&event.body).1 {
            within(run, 0, name.len() as u64, limits.id_bytes)?;
        }
        if is_exempt(event.kind()) {
            return Ok(());
        }
        let (next, bytes) = (u64::from(self.next()), self.bytes_found + self.bytes());
        within(run, next - 1, next, limits.history_events)?;
        within(run, bytes, bytes + event.size, limits.history_bytes)
    }
}

#[derive(Clone, Default)]
pub(crate) struct Tx {
    /// When it began.
    pub(crate) now: Timestamp,
    pub(crate) touched: Vec<Touched>,
    pub(crate) rows: Vec<RowChange>,
    deleted: Vec<(RunId, Keep)>,
}

impl Tx {
    pub(crate) fn begun(now: Timestamp) -> Self {
        Tx { now, ..Tx::default() }
    }

    pub(crate) fn get(&self, id: &RunId) -> Option<&Touched> {
        self.touched.iter().find(|touched| touched.id == *id)
    }

    pub(crate) fn begins(&self, id: &RunId) -> bool {
        self.get(id).is_some_and(|touched| touched.begins.is_some())
    }

    /// What the transaction keeps of a run that it deletes.
    fn deletion(&self, id: &RunId) -> Option<Keep> {
        self.deleted.iter().rev().find(|(run, _)| run == id).map(|(_, keep)| *keep)
    }

    /// Deletes a run, or all runs of its chain.
    pub(crate) fn delete(
        &mut self,
        state: &State,
        id: &RunId,
        chain: bool,
        keep: Keep,
    ) -> Result<()> {
        let Some((_, run)) = state.find(id) else {
            let begins = self.begins(id);
            let open = Refusal::NotDeletable { run: *id, why: Undeletable::Open };
            return Err(if begins { open } else { Refusal::RunNotFound(*id) });
        };
        let all = state.chain(run);
        let runs = if chain { all.clone() } else { vec![run] };
        let mut after = self.clone();
        for run in runs {
            let now = |tx: &Self, run: &Run| run.deleted.max(tx.deletion(&run.id));
            if now(&after, run) >= Some(keep) {
                continue;
            }
            let others = all.iter().filter(|other| other.id != run.id);
            let left = others.filter(|run| now(&after, run) != Some(Keep::Nothing)).count();
            let is_last = all.last().is_some_and(|last| last.id == run.id);
            let why = if run.is_open() {
                Undeletable::Open
            } else if is_last && left > 0 && keep == Keep::Nothing {
                Undeletable::LastOfChain
            } else {
                let kept = [u8::from(keep == Keep::Outcome)];
                let row = (DELETED_TABLE, run.id.as_bytes().to_vec(), Some(kept[..].into()));
                after.rows.push(row);
                after.deleted.push((run.id, keep));
                continue;
            };
            return Err(Refusal::NotDeletable { run: run.id, why });
        }
        *self = after;
        Ok(())
    }

    /// The run as this transaction found it, which is when it was first mentioned.
    fn find(&mut self, state: &State, id: &RunId) -> Result<&mut Touched> {
        if self.deletion(id) == Some(Keep::Nothing) {
            return Err(Refusal::Deleted { run: *id, kept: Keep::Nothing });
        }
        let known = self.touched.iter().position(|touched| touched.id == *id);
        let place = match known {
            Some(place) => place,
            None => {
                let (_, run) = state.find(id).ok_or(Refusal::RunNotFound(*id))?;
                if !run.is_kept() {
                    return Err(Refusal::Deleted { run: *id, kept: Keep::Nothing });
                }
                self.touched.push(Touched {
                    id: *id,
                    found: run.next(),
                    bytes_found: run.bytes(),
                    open_found: run.is_open(),
                    limits: state.limits(run.namespace),
                    recorded: run.recorded,
                    events: vec![],
                    begins: None,
                });
                self.touched.len() - 1
            }
        };
        Ok(&mut self.touched[place])
    }

    pub(crate) fn expect(&mut self, state: &State, id: &RunId, expect: Expect) -> Result<()> {
        let touched = self.find(state, id)?;
        match expect {
            Expect::NextEvent(expected) if expected != touched.next() => {
                Err(Refusal::Conflict { run: *id, expected, found: touched.next() })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn append(&mut self, state: &State, id: &RunId, event: Event) -> Result<u32> {
        let touched = self.find(state, id)?;
        if event.kind() <= STARTED || !(touched.recorded || is_for_itself(&event.body)) {
            return Err(Refusal::Invalid);
        }
        if let Some(first) = touched.signaled(state, &event) {
            return Ok(first);
        }
        if touched.is_open() && !touched.recorded {
            let mut waits = state.find(id).map(|(_, run)| Waits::of(run)).unwrap_or_default();
            for (id, event) in (touched.found..).zip(&touched.events) {
                waits.take(id, &event.body);
            }
            waits.check(*id, &event.body)?;
            waits.within(*id, &event.body, &touched.limits)?;
        }
        touched.check(&event)?;
        touched.events.push(event);
        Ok(touched.next() - 1)
    }

    /// The same for an event that may have a key, which the run must not have.
    pub(crate) fn append_keyed(
        &mut self,
        state: &State,
        id: &RunId,
        event: Event,
        key: Option<u64>,
    ) -> Result<u32> {
        let Some(key) = key else { return self.append(state, id, event) };
        if let Some(event) = self.keyed_event(state, id, key)? {
            return Err(Refusal::KeyExists { run: *id, key, event });
        }
        let event = self.append(state, id, event)?;
        let row = key_row(id, key);
        self.rows.push((KEYS_TABLE, row, Some(event.to_le_bytes().into())));
        Ok(event)
    }

    pub(crate) fn event_by_key(
        &mut self,
        state: &State,
        id: &RunId,
        key: u64,
    ) -> Result<Option<u32>> {
        self.find(state, id)?;
        let deleted = state.find(id).and_then(|(_, run)| run.deleted).max(self.deletion(id));
        match deleted {
            Some(kept) => Err(Refusal::Deleted { run: *id, kept }),
            None => self.keyed_event(state, id, key),
        }
    }

    /// The event of a run that has a key.
    fn keyed_event(&mut self, state: &State, id: &RunId, key: u64) -> Result<Option<u32>> {
        self.find(state, id)?;
        let row = key_row(id, key);
        let own = self.rows.iter().find(|(table, key, _)| *table == KEYS_TABLE && *key == row);
        let event = own.map_or(state.row(KEYS_TABLE, &row), |(_, _, event)| event.as_ref());
        Ok(event.map(|event| u32::from_le_bytes((**event).try_into().unwrap())))
    }

    /// The run that begins, or the one that is found. `offered` is the id that a run gets which
    /// names none.
    pub(crate) fn start(
        &mut self,
        state: &State,
        start: &Start,
        payload: &Arc<[u8]>,
        offered: RunId,
    ) -> Result<RunId> {
        let now = self.now;
        let Started { namespace, workflow_id, .. } = start.started;
        if namespace.is_empty() || workflow_id.is_empty() {
            return Err(Refusal::Invalid);
        }
        if !can_be(start.reuse, start.conflict) {
            return Err(Refusal::Invalid);
        }
        let mut terminates = None;
        if !start.recorded
            && let Some(current) = self.current(state, namespace, workflow_id)
        {
            match current.resolve(start)? {
                Resolution::Existing => return Ok(current.run),
                Resolution::Terminate => terminates = Some(current.run),
                Resolution::Start => {}
            }
        }
        let id = match (start.id, start.recorded) {
            (Some(id), _) => id,
            (None, true) => start.started.run_id,
            (None, false) => offered,
        };
        if id.is_nil() {
            return Err(Refusal::Invalid);
        }
        if self.get(&id).is_some() || state.find(&id).is_some() {
            return Err(Refusal::RunExists(id));
        }
        let mut started = Started { run_id: id, ..start.started };
        if started.first_run_id.is_nil() {
            started.first_run_id = id;
        }
        let time = start.time.unwrap_or(now);
        let event = Event::new(Body::WorkflowExecutionStarted(started), payload.clone(), time);
        let mut touched = Touched {
            id,
            found: 1,
            bytes_found: 0,
            open_found: true,
            limits: state.limits(namespace),
            recorded: start.recorded,
            events: vec![],
            begins: Some(Begins { namespace, workflow_id }),
        };
        touched.check(&event)?;
        touched.events.push(event);
        if let Some(current) = terminates {
            let reason = "TerminateIfRunning WorkflowIdReusePolicy";
            let body = Body::WorkflowExecutionTerminated(Terminated { reason, reset_run_id: None });
            let found = self.find(state, &current)?;
            if found.is_open() {
                found.events.push(Event::new(body, [].into(), now));
            }
        }
        self.touched.push(touched);
        Ok(id)
    }

    /// The current run of a workflow after the steps so far.
    fn current(&self, state: &State, namespace: &str, workflow_id: &str) -> Option<Current> {
        let known = state.current(namespace, workflow_id);
        let known = known.filter(|run| self.deletion(&run.id) != Some(Keep::Nothing));
        let known = known.map(|run| Current {
            run: run.id,
            status: self.get(&run.id).and_then(|own| status(&own.events)).unwrap_or(run.status()),
            started_at: run.started_at(),
            request_id: run.started().request_id,
        });
        let own = self.touched.iter().filter(|touched| {
            let begins = touched.begins.as_ref();
            begins.is_some_and(|b| (b.namespace, b.workflow_id) == (namespace, workflow_id))
        });
        own.fold(known, |current, touched| {
            let first = &touched.events[0];
            let Body::WorkflowExecutionStarted(started) = first.body else { return current };
            let yields = |current: &Current| {
                current.status != RunStatus::Running && current.started_at <= first.time
            };
            if touched.recorded && !current.as_ref().is_none_or(yields) {
                return current;
            }
            Some(Current {
                run: touched.id,
                status: status(&touched.events).unwrap(),
                started_at: first.time,
                request_id: started.request_id,
            })
        })
    }

    /// The rows that are logged where the store is `state`: a row that is not there is not deleted.
    fn logged(&self, state: &State) -> Vec<RowChange> {
        let mut own = BTreeMap::new();
        let is_logged = |(table, key, value): &&RowChange| {
            let before = own.insert((*table, key.clone()), value.is_some());
            value.is_some() || before.unwrap_or_else(|| state.row(table, key).is_some())
        };
        self.rows.iter().filter(is_logged).cloned().collect()
    }

    /// Whether it writes nothing where the store is `state`.
    pub(crate) fn is_empty(&self, state: &State) -> bool {
        self.logged(state).is_empty()
            && self.touched.iter().all(|touched| touched.events.is_empty())
    }

    /// Whether a segment has room for all of it.
    pub(crate) fn check_size(&self, state: &State) -> Result<()> {
        let events: u64 = self.touched.iter().map(Touched::bytes).sum();
        let runs = self.touched.iter().filter(|touched| !touched.events.is_empty()).count();
        let rows: u64 = self.logged(state).iter().map(row_size).sum();
        let asked = events + rows + (runs * BATCH_HEADER) as u64;
        let max = SEGMENT_BYTES - u32::try_from(SEGMENT_HEADER + 2 * FRAME).unwrap();
        within(None, 0, asked, max)
    }

    /// The rows of a table after the steps so far.
    pub(crate) fn table(&self, state: &State, table: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let stored = state.tables.get(table).into_iter().flat_map(|rows| rows.iter());
        let mut rows: BTreeMap<_, _> =
            stored.map(|(key, value)| (key.clone(), value.to_vec())).collect();
        for (_, key, value) in self.rows.iter().filter(|(of, ..)| *of == table) {
            match value {
                Some(value) => drop(rows.insert(key.clone(), value.to_vec())),
                None => drop(rows.remove(key)),
            }
        }
        rows
    }
}

pub(crate) fn key_row(run: &RunId, key: u64) -> Vec<u8> {
    [&run.as_bytes()[..], &key.to_le_bytes()].concat()
}

/// The run that a workflow id stands for.
struct Current {
    run: RunId,
    status: RunStatus,
    started_at: Timestamp,
    request_id: &'static str,
}

impl Current {
    fn resolve(&self, start: &Start) -> Result<Resolution> {
        let request_id = start.started.request_id;
        if !request_id.is_empty() && request_id == self.request_id {
            return Ok(Resolution::Existing);
        }
        let open = self.status == RunStatus::Running;
        let taken = Refusal::WorkflowExists { run: self.run, open };
        if open {
            let terminate = start.conflict == IdConflictPolicy::TerminateExisting
                || start.reuse == IdReusePolicy::TerminateIfRunning;
            return match start.conflict {
                _ if terminate => Ok(Resolution::Terminate),
                IdConflictPolicy::UseExisting => Ok(Resolution::Existing),
                _ => Err(taken),
            };
        }
        let succeeded = matches!(self.status, RunStatus::Completed | RunStatus::ContinuedAsNew);
        match start.reuse {
            IdReusePolicy::RejectDuplicate => Err(taken),
            IdReusePolicy::AllowDuplicateFailedOnly if succeeded => Err(taken),
            _ => Ok(Resolution::Start),
        }
    }
}

/// How a run stands whose last events these are.
fn status(events: &[Event]) -> Option<RunStatus> {
    Some(match events.last()?.kind() {
        COMPLETED => RunStatus::Completed,
        FAILED => RunStatus::Failed,
        TIMED_OUT => RunStatus::TimedOut,
        CANCELED => RunStatus::Canceled,
        TERMINATED => RunStatus::Terminated,
        CONTINUED_AS_NEW => RunStatus::ContinuedAsNew,
        _ => RunStatus::Running,
    })
}

enum Resolution {
    Start,
    Existing,
    Terminate,
}
