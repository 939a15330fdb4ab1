//! Transactions: built and checked step by step against the state of now, checked once more and
//! written in one frame when they are committed.

use std::collections::HashMap;
use std::sync::Arc;

use super::Shared;
use super::commit::{Commit, CommitHandle};
use super::start::{Close, Current, NewRun, Resolution, check_namespace};
use super::touched::{Begins, Chunk, Touched, check_max, check_max_of, too_many_runs};
use crate::error::{Error, Result};
use crate::event::{self, Body, Buffer, NewEvent, Started, Terminated};
use crate::id::{RunId, Timestamp};
use crate::index::{NAMESPACES_TABLE, RunStatus};
use crate::limits::{
    COMMIT_RUNS_MAX, KEY_BYTES_MAX, RUN_BYTES_MAX, TABLE_NAME_BYTES_MAX, VALUE_BYTES_MAX,
};
use crate::log::batch::{is_start, write_put};
use crate::log::{Durability, Ticket};

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
    pub(super) shared: &'s Arc<Shared>,
    /// Events in the order in which they were appended.
    pub(super) events: Buffer,
    pub(super) chunks: Vec<Chunk>,
    pub(super) runs: Vec<Touched>,
    pub(super) by_id: HashMap<RunId, usize>,
    /// The runs that begin here, by workflow id.
    pub(super) starts: HashMap<Box<str>, Vec<usize>>,
    pub(super) rows: Buffer,
}

impl<'s> Transaction<'s> {
    pub(super) fn new(shared: &'s Arc<Shared>) -> Self {
        Transaction {
            shared,
            events: Buffer::new(),
            chunks: vec![],
            runs: vec![],
            by_id: HashMap::new(),
            starts: HashMap::new(),
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
        let (runs, chunks, events) = (self.runs.len(), self.chunks.len(), self.events.len());
        self.try_start(run).inspect_err(|_| {
            for touched in self.runs.drain(runs..) {
                self.by_id.remove(&touched.id);
                let begins = touched.begins.as_ref();
                if let Some(starts) = begins.and_then(|b| self.starts.get_mut(&b.workflow_id)) {
                    starts.retain(|start| *start < runs);
                }
            }
            self.chunks.truncate(chunks);
            self.events.resize(events, 0);
        })
    }

    /// Starts a run; an error may leave behind what was added at the end of the lists.
    fn try_start(&mut self, run: NewRun<'_>) -> Result<RunId> {
        check_namespace(run.started.namespace)?;
        if run.started.workflow_id.is_empty() {
            return Err(Error::invalid("a run needs a workflow id"));
        }
        let mut seen = None;
        let mut in_the_way = None;
        if !run.is_recorded() {
            let resolved = self.resolve(&run)?;
            match resolved {
                (Resolution::Existing, Some(current)) => return Ok(current),
                (Resolution::TerminateAndStart, Some(current)) => {
                    in_the_way = Some(self.find(&current)?);
                }
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
            status: RunStatus::Running,
            limits,
            recorded: run.is_recorded(),
            chunks: None,
            begins: Some(begins),
        };
        touched.check_event(&event)?;
        let run = self.touch(touched)?;
        self.write(run, &event)?;
        // Last, for it changes a run that may have been touched before.
        if let Some(current) = in_the_way {
            self.make_way(current)?;
        }
        Ok(id)
    }

    /// What a start comes to, and the workflow's current run: one that this transaction begins,
    /// or the one in the store.
    fn resolve(&self, run: &NewRun<'_>) -> Result<(Resolution, Option<RunId>)> {
        let started = &run.started;
        let same = |touched: &&Touched| {
            let begins = touched.begins.as_ref();
            begins.is_some_and(|begins| *begins.namespace == *started.namespace)
        };
        let starts = self.starts.get(started.workflow_id).map(Vec::as_slice).unwrap_or_default();
        let own = starts.iter().rev().filter_map(|index| self.runs.get(*index)).find(same);
        if let Some(own) = own {
            return Err(Error::WorkflowExists {
                namespace: started.namespace.to_owned(),
                workflow_id: started.workflow_id.to_owned(),
                run: own.id,
                open: own.status.is_open(),
            });
        }
        let index = self.shared.index.read();
        let Some(mut current) = Current::of(&index, started) else {
            return Ok((Resolution::Start, None));
        };
        // The transaction itself may close it.
        let touched = self.by_id.get(&current.run).and_then(|index| self.runs.get(*index));
        let closes = touched.filter(|touched| touched.count > 0 && !touched.status.is_open());
        current.status = closes.map_or(current.status, |touched| touched.status);
        match run.resolve(&current) {
            Resolution::Refuse => Err(current.in_the_way(started)),
            resolution => Ok((resolution, Some(current.run))),
        }
    }

    /// Terminates the open run of a workflow that is to begin another one.
    fn make_way(&mut self, run: usize) -> Result<()> {
        if self.runs.get(run).is_some_and(|touched| !touched.status.is_open()) {
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
            status: extent.status,
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
        if let Some(begins) = &touched.begins {
            self.starts.entry(begins.workflow_id.clone()).or_default().push(index);
        }
        self.runs.push(touched);
        Ok(index)
    }

    fn add(&mut self, run: usize, event: &NewEvent<'_>) -> Result<u32> {
        let touched = self.runs.get(run).ok_or(Error::invalid("no such run"))?;
        if !touched.status.is_open() {
            return Err(Error::RunClosed { run: touched.id });
        }
        touched.check_event(event)?;
        self.write(run, event)
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
        touched.status = RunStatus::after(event.kind());
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

fn check_table(table: &str) -> Result<()> {
    let taken = table.is_empty() || table.starts_with("kinlog.");
    debug_assert!(NAMESPACES_TABLE.starts_with("kinlog."));
    if taken { Err(Error::invalid("the name of the table is empty or taken")) } else { Ok(()) }
}
