//! Transactions: built and checked step by step against the state of now, checked once more and
//! written in one frame when they are committed.

use std::collections::HashMap;
use std::sync::Arc;

use super::Shared;
use super::commit::{Commit, CommitHandle};
use super::start::{Close, Current, NewRun, Resolution, check_namespace};
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event::{self, Body, Buffer, NewEvent, Started, Terminated};
use crate::id::{Position, RunId, Timestamp};
use crate::index::{Extent, Index, NAMESPACES_TABLE, Payload};
use crate::limits::{
    BATCH_EVENTS_MAX, COMMIT_RUNS_MAX, KEY_BYTES_MAX, Limits, RUN_BYTES_MAX, TABLE_NAME_BYTES_MAX,
    VALUE_BYTES_MAX,
};
use crate::log::batch::{BATCH_HEADER_BYTES, is_start, write_batch_header, write_put};
use crate::log::{Durability, Span, Ticket};

/// Where a transaction expects a run to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// The next event gets this id.
    NextEvent(u32),
    /// Wherever it is. The ids that [`Transaction::append`] returns may then be passed by other
    /// commits.
    Any,
}

/// Changes to any number of runs and tables, which happen together or not at all.
///
/// Each step is checked when it is taken: a wrong one is an error and leaves the transaction as it
/// was. Unless [`Transaction::expect`] says otherwise, every run must, at the commit, still be
/// where the transaction found it.
pub struct Transaction<'s> {
    shared: &'s Arc<Shared>,
    /// Events in the order in which they were appended.
    events: Buffer,
    chunks: Vec<Chunk>,
    runs: Vec<Touched>,
    by_id: HashMap<RunId, usize>,
    rows: Buffer,
}

/// Neighbouring bytes in `events` that belong to one run; linked per run.
struct Chunk {
    start: usize,
    end: usize,
    next: Option<usize>,
}

/// A run that the transaction adds events to.
struct Touched {
    id: RunId,
    /// The event that the first of the transaction's becomes.
    first_event: u32,
    /// Any place will do.
    any: bool,
    count: usize,
    bytes_before: u64,
    bytes: u64,
    open: bool,
    limits: Limits,
    recorded: bool,
    chunks: Option<(usize, usize)>,
    /// For a run that begins here: where its workflow was seen.
    begins: Option<Begins>,
}

struct Begins {
    namespace: Box<str>,
    workflow_id: Box<str>,
    /// The workflow's current run, if it had one.
    seen: Option<RunId>,
}

impl<'s> Transaction<'s> {
    pub(super) fn new(shared: &'s Arc<Shared>) -> Self {
        Transaction {
            shared,
            events: Buffer::new(),
            chunks: vec![],
            runs: vec![],
            by_id: HashMap::new(),
            rows: Buffer::new(),
        }
    }

    /// Starts a run, or finds the one that the policies and the request id say it is; see
    /// [`Transaction::begins`]. Its first event is `WorkflowExecutionStarted`.
    ///
    /// # Errors
    /// [`Error::WorkflowExists`] where the workflow id is taken, [`Error::RunExists`] for a run id
    /// in use, [`Error::LimitExceeded`] for names and input that are too long,
    /// [`Error::InvalidArgument`] for an empty workflow id or namespace.
    pub fn start(&mut self, run: NewRun<'_>) -> Result<RunId> {
        check_namespace(run.started.namespace)?;
        if run.started.workflow_id.is_empty() {
            return Err(Error::invalid("a run needs a workflow id"));
        }
        let mut seen = None;
        if !run.is_recorded() {
            let resolved = self.resolve(&run)?;
            match resolved {
                (Resolution::Existing, Some(current)) => return Ok(current),
                (Resolution::TerminateAndStart, Some(current)) => self.make_way(&current)?,
                _ => {}
            }
            seen = resolved.1;
        }
        let now = self.shared.disk.now();
        let fresh = || RunId::fresh(now, [self.shared.disk.random(), self.shared.disk.random()]);
        let id = run.id.unwrap_or_else(fresh);
        if id.is_nil() {
            return Err(Error::invalid("a run needs an id other than zero"));
        }
        let index = self.shared.index.read();
        if self.by_id.contains_key(&id) || index.runs.number(&id).is_some() {
            return Err(Error::RunExists { run: id });
        }
        let limits = index.namespaces.get(run.started.namespace);
        let limits = limits.map(|found| found.limits).unwrap_or_default();
        drop(index);
        let mut started = Started { run_id: id, ..run.started };
        if started.first_run_id.is_nil() {
            started.first_run_id = id;
        }
        let event = NewEvent {
            body: Body::WorkflowExecutionStarted(started),
            payload: run.payload,
            time: run.time.or(Some(now)),
        };
        let begins = Begins {
            namespace: started.namespace.into(),
            workflow_id: started.workflow_id.into(),
            seen,
        };
        let touched = Touched {
            id,
            first_event: 1,
            any: false,
            count: 0,
            bytes_before: 0,
            bytes: 0,
            open: true,
            limits,
            recorded: run.is_recorded(),
            chunks: None,
            begins: Some(begins),
        };
        self.check_size(&touched, &event)?;
        let run = self.touch(touched)?;
        self.write(run, &event).inspect_err(|_| self.untouch(run))?;
        Ok(id)
    }

    /// What a start comes to, and the workflow's current run: one that this transaction begins,
    /// or the one in the store.
    fn resolve(&self, run: &NewRun<'_>) -> Result<(Resolution, Option<RunId>)> {
        let started = &run.started;
        let same = |begins: &Begins| {
            *begins.namespace == *started.namespace && *begins.workflow_id == *started.workflow_id
        };
        let own = self.runs.iter().rev().find(|touched| touched.begins.as_ref().is_some_and(same));
        if let Some(own) = own {
            return Err(Error::WorkflowExists {
                namespace: started.namespace.to_owned(),
                workflow_id: started.workflow_id.to_owned(),
                run: own.id,
                open: own.open,
            });
        }
        let index = self.shared.index.read();
        let Some(current) = Current::of(&index, started) else {
            return Ok((Resolution::Start, None));
        };
        let closed_here =
            self.by_id.get(&current.run).and_then(|i| self.runs.get(*i)).is_some_and(|t| !t.open);
        match run.resolve(&current) {
            Resolution::Refuse if !(closed_here && current.status.is_open()) => {
                Err(current.in_the_way(started))
            }
            Resolution::Refuse => Ok((Resolution::Start, Some(current.run))),
            resolution => Ok((resolution, Some(current.run))),
        }
    }

    /// Terminates the open run of a workflow that is to begin another one.
    fn make_way(&mut self, current: &RunId) -> Result<()> {
        let run = self.find(current)?;
        if self.runs.get(run).is_some_and(|touched| !touched.open) {
            return Ok(());
        }
        let reason = "TerminateIfRunning WorkflowIdReusePolicy";
        let body = Body::WorkflowExecutionTerminated(Terminated { reason });
        self.add(run, &NewEvent::new(body)).map(|_| ())
    }

    /// Whether `run` begins in this transaction, as opposed to one that [`Transaction::start`]
    /// found.
    #[must_use]
    pub fn begins(&self, run: &RunId) -> bool {
        let touched = self.by_id.get(run).and_then(|index| self.runs.get(*index));
        touched.is_some_and(|touched| touched.begins.is_some())
    }

    /// States where `run` is expected to be when the transaction is committed.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is not there now, [`Error::RunNotFound`].
    pub fn expect(&mut self, run: &RunId, expect: Expect) -> Result<()> {
        let index = self.find(run)?;
        let Some(touched) = self.runs.get_mut(index) else { return Ok(()) };
        match expect {
            Expect::Any => touched.any = true,
            Expect::NextEvent(expected) => {
                let found = touched.next_event();
                if expected != found {
                    return Err(Error::Conflict { run: *run, expected, found });
                }
                touched.any = false;
            }
        }
        Ok(())
    }

    /// Appends an event to a run and returns its id. A closing event ends the run.
    ///
    /// # Errors
    /// [`Error::RunNotFound`], [`Error::RunClosed`], [`Error::LimitExceeded`] for a payload, a
    /// name or a run that is too long (a closing event may be added to any open run),
    /// [`Error::InvalidArgument`] for a Started event, which only [`Transaction::start`] writes.
    pub fn append(&mut self, run: &RunId, event: NewEvent<'_>) -> Result<u32> {
        if is_start(event.kind()) || event.kind().number() == 0 {
            return Err(Error::invalid(
                "a Started event is written by start, and kind 0 means nothing",
            ));
        }
        let run = self.find(run)?;
        self.add(run, &event)
    }

    /// Closes a run. Possible however long the run has grown.
    ///
    /// # Errors
    /// As [`Transaction::append`].
    pub fn close(&mut self, run: &RunId, close: Close<'_>) -> Result<u32> {
        self.append(run, close.0)
    }

    /// Sets a row of a table of the engine's own. Table names that begin with `kinlog.` are taken.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for a name of more than 255 bytes, a key of more than 4 KiB or a
    /// value of more than 16 MiB, [`Error::InvalidArgument`] for a name that is empty or taken.
    pub fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<()> {
        check_table(table)?;
        self.put_row(table, key, Some(value))
    }

    /// Deletes a row of a table, if it is there.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete(&mut self, table: &str, key: &[u8]) -> Result<()> {
        check_table(table)?;
        self.put_row(table, key, None)
    }

    pub(super) fn put_row(&mut self, table: &str, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        check_max("bytes in the name of a table", table.len(), TABLE_NAME_BYTES_MAX)?;
        check_max("bytes in a key", key.len(), KEY_BYTES_MAX)?;
        check_max("bytes in a value", value.map_or(0, <[u8]>::len), VALUE_BYTES_MAX)?;
        write_put(&mut self.rows, table, key, value);
        Ok(())
    }

    /// Commits, and returns when the commit is on the device.
    ///
    /// # Errors
    /// [`Error::Conflict`] if a run has moved on, [`Error::RunClosed`],
    /// [`Error::WorkflowExists`] or [`Error::RunExists`] if another commit came first,
    /// [`Error::LimitExceeded`] for a commit larger than a segment, [`Error::ReadOnly`]:
    /// nothing was written. [`Error::NotWritten`] and [`Error::OutcomeUnknown`] tell what became
    /// of it when the disk fails.
    pub fn commit(self) -> Result<Commit> {
        self.commit_with(Durability::Sync)
    }

    /// Commits, and returns when the commit is as durable as asked.
    ///
    /// # Errors
    /// As [`Transaction::commit`].
    pub fn commit_with(self, durability: Durability) -> Result<Commit> {
        let shared = self.shared;
        let Some(span) = self.enqueue(durability)? else {
            return Ok(Commit::new(shared.published.end()));
        };
        shared.writer()?.wait(span, durability)?;
        Ok(Commit::new(span.start))
    }

    /// Commits without waiting. The handle can be waited on or awaited; whatever was submitted is
    /// written in order even if the handle is dropped.
    ///
    /// # Errors
    /// As [`Transaction::commit`], as far as it is known by now.
    pub fn submit(self, durability: Durability) -> Result<CommitHandle> {
        let shared = self.shared;
        let Some(span) = self.enqueue(durability)? else {
            return Ok(CommitHandle::done(Commit::new(shared.published.end())));
        };
        Ok(CommitHandle::new(Ticket::submit(shared.writer()?.clone(), span, durability)))
    }

    /// Checks the transaction against the state of now and appends it to the log; `None` if it
    /// holds nothing.
    fn enqueue(mut self, durability: Durability) -> Result<Option<Span>> {
        let writer = self.shared.writer()?;
        self.runs.retain(|touched| touched.count > 0);
        if self.runs.is_empty() && self.rows.is_empty() {
            return Ok(None);
        }
        let batches = u16::try_from(self.runs.len()).map_err(|_| too_many_runs(self.runs.len()))?;
        let events = self.events.len() + self.runs.len() * BATCH_HEADER_BYTES;
        let bytes = events + self.rows.len();
        let appended = writer.append(bytes, batches, durability, |position, buffer| {
            let mut index = self.shared.index.write();
            let order = self.check(&index)?;
            let start = buffer.len();
            self.assemble(&index, &order, position, buffer);
            let payload = Payload {
                bytes: buffer.get(start..).unwrap_or_default(),
                position,
                batches,
                commit: commit_of(position),
                end: end_of(position, bytes),
            };
            // Cannot fail after `check`; if it did, refusing keeps log and index in step.
            index.check(payload).map_err(|_| Error::invalid("a commit contradicts itself"))?;
            index.apply(payload, self.shared.pins.oldest(|| self.shared.published.end()));
            Ok(())
        });
        appended.map(|((), span)| Some(span))
    }

    /// Checks every run against the index as it is now, and returns them in the order of their
    /// numbers, which is the order in the frame.
    fn check(&self, index: &Index) -> Result<Vec<(u32, usize)>> {
        let mut order = Vec::with_capacity(self.runs.len());
        let mut next_new = index.runs.len();
        for (i, touched) in self.runs.iter().enumerate() {
            if let Some(begins) = &touched.begins {
                self.check_beginning(index, touched, begins)?;
                order.push((next_new, i));
                next_new = next_new.checked_add(1).ok_or_else(|| too_many_runs(usize::MAX))?;
                continue;
            }
            let run = touched.id;
            let number = index.runs.number(&run).ok_or(Error::RunNotFound { run })?;
            let extent = index.runs.get(number).ok_or(Error::RunNotFound { run })?.extent.latest();
            if !touched.any && extent.next_event != touched.first_event {
                let (expected, found) = (touched.first_event, extent.next_event);
                return Err(Error::Conflict { run, expected, found });
            }
            if !extent.status.is_open() {
                return Err(Error::RunClosed { run });
            }
            touched.check_growth(extent)?;
            order.push((number, i));
        }
        order.sort_unstable();
        Ok(order)
    }

    fn check_beginning(&self, index: &Index, touched: &Touched, begins: &Begins) -> Result<()> {
        if index.runs.number(&touched.id).is_some() {
            return Err(Error::RunExists { run: touched.id });
        }
        if touched.recorded {
            return Ok(());
        }
        let started = Started {
            namespace: &begins.namespace,
            workflow_id: &begins.workflow_id,
            ..Default::default()
        };
        match Current::of(index, &started) {
            Some(current) if begins.seen != Some(current.run) => Err(current.in_the_way(&started)),
            _ => Ok(()),
        }
    }

    /// Writes the payload of the commit at `position`, run after run.
    fn assemble(
        &self,
        index: &Index,
        order: &[(u32, usize)],
        position: Position,
        buffer: &mut Buffer,
    ) {
        let start = buffer.len();
        for (number, i) in order {
            let Some(touched) = self.runs.get(*i) else { continue };
            let extent = index.runs.get(*number).map(|run| *run.extent.latest());
            let (first_event, previous, before) = extent
                .map_or((1, Position::START, 0), |extent| {
                    (extent.next_event, extent.last_batch, u64::from(extent.bytes))
                });
            // `append` and `check` keep both within their fields.
            let count = u16::try_from(touched.count).unwrap_or(u16::MAX);
            let run_bytes = u32::try_from(before + touched.bytes).unwrap_or(u32::MAX);
            write_batch_header(buffer, *number, first_event, count, previous, run_bytes);
            let mut chunk = touched.chunks.map(|(first, _)| first);
            while let Some(link) = chunk.and_then(|chunk| self.chunks.get(chunk)) {
                buffer.extend_from_slice(self.events.get(link.start..link.end).unwrap_or_default());
                chunk = link.next;
            }
        }
        buffer.extend_from_slice(&self.rows);
        debug_assert_eq!(end_of(position, buffer.len() - start).as_u64() % 4, 0);
    }

    /// The place of a run in `runs`; looked up in the store the first time.
    fn find(&mut self, run: &RunId) -> Result<usize> {
        if let Some(index) = self.by_id.get(run) {
            return Ok(*index);
        }
        let not_found = Error::RunNotFound { run: *run };
        let index = self.shared.index.read();
        let Some(found) = index.runs.number(run).and_then(|number| index.runs.get(number)) else {
            return Err(not_found);
        };
        let extent = found.extent.latest();
        let limits = index.workflow_of(found).map(|(n, _)| n.limits).unwrap_or_default();
        let touched = Touched {
            id: *run,
            first_event: extent.next_event,
            any: false,
            count: 0,
            bytes_before: extent.bytes.into(),
            bytes: 0,
            open: extent.status.is_open(),
            limits,
            recorded: found.recorded,
            chunks: None,
            begins: None,
        };
        drop(index);
        self.touch(touched)
    }

    fn touch(&mut self, touched: Touched) -> Result<usize> {
        let index = self.runs.len();
        if index >= COMMIT_RUNS_MAX {
            return Err(too_many_runs(index + 1));
        }
        self.by_id.insert(touched.id, index);
        self.runs.push(touched);
        Ok(index)
    }

    /// Takes back the last [`Transaction::touch`].
    fn untouch(&mut self, index: usize) {
        if let Some(touched) = self.runs.get(index) {
            self.by_id.remove(&touched.id);
        }
        self.runs.truncate(index);
    }

    fn add(&mut self, run: usize, event: &NewEvent<'_>) -> Result<u32> {
        let touched = self.runs.get(run).ok_or(Error::invalid("no such run"))?;
        if !touched.open {
            return Err(Error::RunClosed { run: touched.id });
        }
        self.check_size(touched, event)?;
        self.write(run, event)
    }

    /// Checks the limits that can be told before the event is encoded.
    fn check_size(&self, touched: &Touched, event: &NewEvent<'_>) -> Result<()> {
        let run = Some(touched.id);
        let limits = if touched.recorded { UNLIMITED } else { touched.limits };
        let payload = wide(event.payload.len());
        check_max_of("bytes in a payload", run, 0, payload, limits.payload_bytes.into())?;
        for (_, text) in event.body.texts() {
            check_max_of(
                "bytes in an id or a name",
                run,
                0,
                wide(text.len()),
                limits.id_bytes.into(),
            )?;
        }
        let count = touched.count + 1;
        check_max("events of one run in one commit", count, BATCH_EVENTS_MAX)?;
        let now = u64::from(touched.next_event()) - 1;
        if !event.kind().is_closing() {
            let max = limits.history_events.into();
            check_max_of("events in one run", run, now, now + 1, max)?;
        }
        check_max_of("events in one run", run, now, now + 1, u64::from(u32::MAX) - 1)
    }

    /// Encodes the event and, if the run has room for it, makes it the run's last.
    fn write(&mut self, run: usize, event: &NewEvent<'_>) -> Result<u32> {
        let time = event.time.unwrap_or_else(|| self.shared.disk.now());
        let start = self.events.len();
        let size = event::encode(event, time, &mut self.events)
            .map_err(|_| Error::invalid("an event is larger than 16 MiB"))?;
        let end = self.events.len();
        let touched = self.runs.get_mut(run).ok_or(Error::invalid("no such run"))?;
        let asked = touched.bytes_before + touched.bytes + u64::from(size);
        let max = if touched.recorded || event.kind().is_closing() {
            RUN_BYTES_MAX
        } else {
            touched.limits.history_bytes.into()
        };
        let now = touched.bytes_before + touched.bytes;
        if let Err(error) = check_max_of("bytes in one run", Some(touched.id), now, asked, max) {
            self.events.resize(start, 0);
            return Err(error);
        }
        let id = touched.next_event();
        touched.count += 1;
        touched.bytes += u64::from(size);
        touched.open = !event.kind().is_closing();
        match touched.chunks {
            // The run's last chunk ends here: it grows.
            Some((_, last)) if self.chunks.get(last).is_some_and(|chunk| chunk.end == start) => {
                if let Some(chunk) = self.chunks.get_mut(last) {
                    chunk.end = end;
                }
            }
            chunks => {
                let new = self.chunks.len();
                self.chunks.push(Chunk { start, end, next: None });
                if let Some(chunk) = chunks.and_then(|(_, last)| self.chunks.get_mut(last)) {
                    chunk.next = Some(new);
                }
                touched.chunks = Some((chunks.map_or(new, |(first, _)| first), new));
            }
        }
        Ok(id)
    }

    /// When an event appended now would happen.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.disk.now()
    }
}

impl Touched {
    /// Checks the run's limits once more, from where it is now.
    fn check_growth(&self, extent: &Extent) -> Result<()> {
        let (run, now) = (Some(self.id), u64::from(extent.bytes));
        let unmeasured = self.recorded || !self.open;
        let limits = if unmeasured { UNLIMITED } else { self.limits };
        let bytes_max = u64::from(limits.history_bytes);
        check_max_of("bytes in one run", run, now, now + self.bytes, bytes_max)?;
        let now = u64::from(extent.next_event) - 1;
        let asked = now + wide(self.count);
        check_max_of("events in one run", run, now, asked, limits.history_events.into())
    }

    fn next_event(&self) -> u32 {
        self.first_event.saturating_add(u32::try_from(self.count).unwrap_or(u32::MAX))
    }
}

/// What a recorded run is measured by: only by what the format can hold.
const UNLIMITED: Limits = Limits {
    history_events: u32::MAX - 1,
    history_bytes: u32::MAX,
    payload_bytes: u32::MAX,
    id_bytes: u32::MAX,
};

fn commit_of(payload: Position) -> Position {
    Position::from_u64(payload.as_u64() - wide(crate::log::frame::HEADER_BYTES))
}

fn end_of(payload: Position, bytes: usize) -> Position {
    payload.plus(wide(bytes + crate::log::frame::TRAILER_BYTES))
}

fn check_table(table: &str) -> Result<()> {
    let taken = table.is_empty() || table.starts_with("kinlog.");
    debug_assert!(NAMESPACES_TABLE.starts_with("kinlog."));
    if taken { Err(Error::invalid("the name of the table is empty or taken")) } else { Ok(()) }
}

fn too_many_runs(asked: usize) -> Error {
    let (asked, max) = (wide(asked), wide(COMMIT_RUNS_MAX));
    Error::LimitExceeded { limit: "runs in one commit", run: None, now: 0, asked, max }
}

fn check_max(limit: &'static str, asked: usize, max: usize) -> Result<()> {
    check_max_of(limit, None, 0, wide(asked), wide(max))
}

fn check_max_of(
    limit: &'static str,
    run: Option<RunId>,
    now: u64,
    asked: u64,
    max: u64,
) -> Result<()> {
    if asked > max { Err(Error::LimitExceeded { limit, run, now, asked, max }) } else { Ok(()) }
}
