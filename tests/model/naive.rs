//! The naive model: runs in a list, rows in maps, rules written down one by one.

use std::collections::BTreeMap;
use std::sync::Arc;

use kinlog::{
    Body, EventKind, Expect, IdConflictPolicy, IdReusePolicy, Limits, RunId, RunStatus, Started,
    Terminated, Timestamp,
};

use crate::draw::{self, Start};

/// The table that kinlog keeps the limits of namespaces in.
pub(crate) const LIMITS_TABLE: &str = "kinlog.namespaces";
pub(crate) const SEGMENT_BYTES: u32 = 64 << 10;
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
}

impl Run {
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
    Conflict { run: RunId, expected: u32, found: u32 },
    WorkflowExists { run: RunId, open: bool },
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
        Some(&self.runs[*place])
    }

    pub(crate) fn limits(&self, namespace: &str) -> Limits {
        self.namespaces.get(namespace).copied().unwrap_or_default()
    }

    pub(crate) fn row(&self, table: &str, key: &[u8]) -> Option<&Arc<[u8]>> {
        self.tables.get(table)?.get(key)
    }

    /// Commits `tx`; `None` if it holds nothing.
    pub(crate) fn commit(&mut self, mut tx: Tx) -> Result<Option<Commit>> {
        tx.touched.retain(|touched| !touched.events.is_empty());
        if tx.touched.is_empty() && tx.rows.is_empty() {
            return Ok(None);
        }
        let events: u64 = tx.touched.iter().map(Touched::bytes).sum();
        let row_bytes: u64 = tx.rows.iter().map(row_size).sum();
        let asked = events + row_bytes + (tx.touched.len() * BATCH_HEADER) as u64;
        let max = u64::from(SEGMENT_BYTES) - (SEGMENT_HEADER + 2 * FRAME) as u64;
        if asked > max {
            return Err(Refusal::Limit { run: None, now: 0, asked, max });
        }
        for touched in &tx.touched {
            self.check(touched)?;
        }
        let (begun, known): (Vec<_>, Vec<_>) =
            tx.touched.into_iter().partition(|touched| touched.begins.is_some());
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
            self.put(table, &key, value.clone());
            commit.rows.push((table, key, value));
        }
        self.commits += 1;
        self.batches += commit.batches.len() as u64;
        self.row_bytes += row_bytes;
        Ok(Some(commit))
    }

    fn check(&self, touched: &Touched) -> Result<()> {
        let found = self.find(&touched.id).map(|(_, run)| run);
        let run = match (&touched.begins, found) {
            (Some(_), Some(_)) => return Err(Refusal::RunExists(touched.id)),
            (Some(_), None) if touched.recorded => return Ok(()),
            (Some(begins), None) => {
                let current = self.current(begins.namespace, begins.workflow_id);
                return match current {
                    Some(run) if begins.seen != Some(run.id) => {
                        Err(Refusal::WorkflowExists { run: run.id, open: run.is_open() })
                    }
                    _ => Ok(()),
                };
            }
            (None, None) => return Err(Refusal::RunNotFound(touched.id)),
            (None, Some(run)) => run,
        };
        if !touched.any && run.next() != touched.found {
            let (run, expected, found) = (run.id, touched.found, run.next());
            return Err(Refusal::Conflict { run, expected, found });
        }
        if !run.is_open() {
            return Err(Refusal::RunClosed(run.id));
        }
        // A run may have grown since the events were measured.
        if touched.is_open() && !touched.recorded {
            let (now, bytes) = (run.bytes(), touched.bytes());
            within(Some(run.id), now, now + bytes, touched.limits.history_bytes)?;
            let (now, count) = (run.events.len() as u64, touched.events.len() as u64);
            within(Some(run.id), now, now + count, touched.limits.history_events)?;
        }
        Ok(())
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
        };
        self.namespaces.entry(begins.namespace).or_default();
        let stays = self.current.get(&key).is_some_and(|place| {
            let current = &self.runs[*place];
            run.recorded && (current.is_open() || current.started_at() > run.started_at())
        });
        if !stays {
            self.current.insert(key, self.runs.len());
        }
        self.runs.push(Arc::new(run));
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
        let Limits { history_events, history_bytes, payload_bytes, id_bytes, .. } = limits;
        let value: Vec<u8> = [history_events, history_bytes, payload_bytes, id_bytes]
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        let row = (LIMITS_TABLE, namespace.as_bytes().to_vec(), Some(value.into()));
        let tx = Tx { rows: vec![row], ..Tx::default() };
        self.namespaces.insert(namespace, limits);
        self.commit(tx).unwrap().unwrap()
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

/// A run as a transaction found it, and the events it adds.
#[derive(Clone)]
pub(crate) struct Touched {
    pub(crate) id: RunId,
    /// The event to come when it was found.
    found: u32,
    bytes_found: u64,
    open_found: bool,
    any: bool,
    limits: Limits,
    recorded: bool,
    pub(crate) events: Vec<Event>,
    begins: Option<Begins>,
}

#[derive(Clone)]
struct Begins {
    namespace: &'static str,
    workflow_id: &'static str,
    seen: Option<RunId>,
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
        if event.kind().is_closing() {
            return Ok(());
        }
        let (next, bytes) = (u64::from(self.next()), self.bytes_found + self.bytes());
        within(run, next - 1, next, limits.history_events)?;
        within(run, bytes, bytes + event.size, limits.history_bytes)
    }
}

#[derive(Clone, Default)]
pub(crate) struct Tx {
    pub(crate) touched: Vec<Touched>,
    pub(crate) rows: Vec<RowChange>,
}

impl Tx {
    pub(crate) fn get(&self, id: &RunId) -> Option<&Touched> {
        self.touched.iter().find(|touched| touched.id == *id)
    }

    pub(crate) fn begins(&self, id: &RunId) -> bool {
        self.get(id).is_some_and(|touched| touched.begins.is_some())
    }

    /// The run as this transaction found it, which is when it was first mentioned.
    fn find(&mut self, state: &State, id: &RunId) -> Result<&mut Touched> {
        let known = self.touched.iter().position(|touched| touched.id == *id);
        let place = match known {
            Some(place) => place,
            None => {
                let (_, run) = state.find(id).ok_or(Refusal::RunNotFound(*id))?;
                self.touched.push(Touched {
                    id: *id,
                    found: run.next(),
                    bytes_found: run.bytes(),
                    open_found: run.is_open(),
                    any: false,
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
            Expect::Any => touched.any = true,
            Expect::NextEvent(expected) if expected != touched.next() => {
                return Err(Refusal::Conflict { run: *id, expected, found: touched.next() });
            }
            Expect::NextEvent(_) => touched.any = false,
        }
        Ok(())
    }

    pub(crate) fn append(&mut self, state: &State, id: &RunId, event: Event) -> Result<u32> {
        if event.kind().number() < 2 {
            return Err(Refusal::Invalid);
        }
        let touched = self.find(state, id)?;
        touched.check(&event)?;
        touched.events.push(event);
        Ok(touched.next() - 1)
    }

    /// The run that begins, or the one that is found. `offered` is the id that a run gets which
    /// names none.
    pub(crate) fn start(
        &mut self,
        state: &State,
        start: &Start,
        payload: &Arc<[u8]>,
        now: Timestamp,
        offered: RunId,
    ) -> Result<RunId> {
        let Started { namespace, workflow_id, .. } = start.started;
        if namespace.is_empty() || workflow_id.is_empty() {
            return Err(Refusal::Invalid);
        }
        let current = state.current(namespace, workflow_id);
        let mut terminates = None;
        if !start.recorded {
            let own = self.touched.iter().rev().find(|touched| {
                let begins = touched.begins.as_ref();
                begins.is_some_and(|b| (b.namespace, b.workflow_id) == (namespace, workflow_id))
            });
            if let Some(own) = own {
                return Err(Refusal::WorkflowExists { run: own.id, open: own.is_open() });
            }
            if let Some(current) = current {
                match self.resolve(start, current)? {
                    Resolution::Existing => return Ok(current.id),
                    Resolution::Terminate => terminates = Some(current.id),
                    Resolution::Start => {}
                }
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
        let seen = current.map(|run| run.id).filter(|_| !start.recorded);
        let mut touched = Touched {
            id,
            found: 1,
            bytes_found: 0,
            open_found: true,
            any: false,
            limits: state.limits(namespace),
            recorded: start.recorded,
            events: vec![],
            begins: Some(Begins { namespace, workflow_id, seen }),
        };
        touched.check(&event)?;
        touched.events.push(event);
        if let Some(current) = terminates {
            let reason = "TerminateIfRunning WorkflowIdReusePolicy";
            let body = Body::WorkflowExecutionTerminated(Terminated { reason });
            let found = self.find(state, &current)?;
            if found.is_open() {
                found.events.push(Event::new(body, [].into(), now));
            }
        }
        self.touched.push(touched);
        Ok(id)
    }

    fn resolve(&self, start: &Start, current: &Run) -> Result<Resolution> {
        let request_id = start.started.request_id;
        if !request_id.is_empty() && request_id == current.started().request_id {
            return Ok(Resolution::Existing);
        }
        // The transaction itself may close it.
        let here = self.get(&current.id).and_then(|touched| status(&touched.events));
        let closes = here.filter(|status| *status != RunStatus::Running);
        let status = closes.unwrap_or(current.status());
        let open = status == RunStatus::Running;
        let taken = Refusal::WorkflowExists { run: current.id, open };
        if open {
            let terminate = start.conflict == IdConflictPolicy::TerminateExisting
                || start.reuse == IdReusePolicy::TerminateIfRunning;
            return match start.conflict {
                _ if terminate => Ok(Resolution::Terminate),
                IdConflictPolicy::UseExisting => Ok(Resolution::Existing),
                _ => Err(taken),
            };
        }
        let succeeded = matches!(status, RunStatus::Completed | RunStatus::ContinuedAsNew);
        match start.reuse {
            IdReusePolicy::RejectDuplicate => Err(taken),
            IdReusePolicy::AllowDuplicateFailedOnly if succeeded => Err(taken),
            _ => Ok(Resolution::Start),
        }
    }
}

/// How a run stands whose last events these are.
fn status(events: &[Event]) -> Option<RunStatus> {
    Some(match events.last()?.kind().number() {
        2 => RunStatus::Completed,
        3 => RunStatus::Failed,
        4 => RunStatus::TimedOut,
        21 => RunStatus::Canceled,
        27 => RunStatus::Terminated,
        28 => RunStatus::ContinuedAsNew,
        _ => RunStatus::Running,
    })
}

enum Resolution {
    Start,
    Existing,
    Terminate,
}
