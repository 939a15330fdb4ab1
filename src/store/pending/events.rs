//! What a transaction has gathered of each run: writing an event to it, taking events back. Needs no look
//! at the index.

use super::read_set::Read;
use super::run::{
    Chunk, EventSource, PendingRun, Precondition, Progress, check_max_of, is_exempt, too_many_runs,
};
use super::workspace::Workspace;
use crate::bytes::wide;
use crate::error::{Error, Result};
use crate::event;
use crate::event::NewEvent;
use crate::id::{RunId, Timestamp};
use crate::index::RunStatus;
use crate::limits::{COMMIT_RUNS_MAX, EVENT_BYTES_MAX, Limit, RUN_BYTES_MAX};

/// What the workspace held before steps that may be taken back.
pub(crate) struct Savepoint {
    runs: usize,
    chunks: usize,
    events: usize,
    known: Vec<SavedRun>,
}

/// A run as it was, with its last chunk.
struct SavedRun {
    run: usize,
    progress: Progress,
    precondition: Precondition,
    held: bool,
    ruled: bool,
    chunk: Option<Chunk>,
}

impl Workspace {
    /// The place of a run in `runs`, if the transaction has to do with it.
    #[inline]
    pub(crate) fn pending_at(&self, run: &RunId) -> Option<usize> {
        // Events of one run mostly come one after the other.
        let last = self.runs.len().checked_sub(1);
        let is_it = |at: &usize| self.runs.get(*at).is_some_and(|last| last.id == *run);
        last.filter(is_it).or_else(|| self.by_id.get(run).copied())
    }

    pub(crate) fn touch(&mut self, pending: PendingRun) -> Result<usize> {
        let index = self.runs.len();
        if index >= COMMIT_RUNS_MAX {
            return Err(too_many_runs(index + 1));
        }
        self.by_id.insert(pending.id, index);
        if let Some(begins) = &pending.begins {
            let workflow_id = begins.identity.workflow_id.clone();
            self.starts.entry(workflow_id).or_default().push(index);
        }
        self.runs.push(pending);
        Ok(index)
    }

    #[inline]
    pub(crate) fn pending(&self, run: usize) -> Result<&PendingRun> {
        self.runs.get(run).ok_or_else(|| Error::invalid("no such run"))
    }

    /// The run that the transaction found or begins, if it has anything to do with it.
    pub(crate) fn run_by_id(&self, run: &RunId) -> Option<&PendingRun> {
        self.runs.get(*self.by_id.get(run)?)
    }

    /// How a run closed, if the transaction found it closed or closes it.
    pub(crate) fn closed(&self, run: &RunId) -> Option<RunStatus> {
        let status = self.run_by_id(run)?.progress.status;
        (!status.is_open()).then_some(status)
    }

    /// Appends an event of which no rule speaks, or that the step itself makes legal.
    #[inline]
    pub(crate) fn put_unruled(
        &mut self,
        run: usize,
        event: &NewEvent<'_>,
        source: EventSource,
        now: Timestamp,
    ) -> Result<u32> {
        let pending = self.pending(run)?;
        if !pending.progress.status.is_open() {
            return Err(Error::RunClosed { run: pending.id });
        }
        pending.check_event(event, source)?;
        self.write(run, event, now)
    }

    /// Encodes the event and, if the run has room for it, makes it the run's last.
    pub(crate) fn write(
        &mut self,
        run: usize,
        event: &NewEvent<'_>,
        now: Timestamp,
    ) -> Result<u32> {
        let time = event.time.unwrap_or(now);
        let start = self.events.len();
        let size = event::encode(event, time, &mut self.events)
            .map_err(|_| too_large(self.pending(run).ok(), event))?;
        let end = self.events.len();
        let pending = self.runs.get_mut(run).ok_or_else(|| Error::invalid("no such run"))?;
        let bytes = pending.bytes_before + pending.progress.bytes;
        let asked = bytes + u64::from(size);
        let exempt = is_exempt(event.kind());
        let max = if pending.imported || exempt {
            RUN_BYTES_MAX
        } else {
            pending.limits.history_bytes.into()
        };
        if let Err(error) = check_max_of(Limit::HistoryBytes, Some(pending.id), bytes, asked, max) {
            self.events.resize(start, 0);
            return Err(error);
        }
        let id = pending.next_event();
        let progress = &mut pending.progress;
        progress.count += 1;
        progress.bytes += u64::from(size);
        if !exempt {
            progress.measured = (progress.count, progress.bytes);
        }
        progress.status = RunStatus::after(event.kind());
        progress.last = start;
        let chunks = progress.chunks;
        self.link(run, chunks, start, end);
        Ok(id)
    }

    /// Adds the bytes of an event to the chunks of its run.
    fn link(&mut self, run: usize, chunks: Option<(usize, usize)>, start: usize, end: usize) {
        let last = chunks.and_then(|(_, last)| self.chunks.get_mut(last));
        if let Some(last) = last.filter(|last| last.end == start) {
            last.end = end;
            return;
        }
        let new = self.chunks.len();
        self.chunks.push(Chunk { start, end, next: None });
        if let Some(last) = chunks.and_then(|(_, last)| self.chunks.get_mut(last)) {
            last.next = Some(new);
        }
        if let Some(pending) = self.runs.get_mut(run) {
            pending.progress.chunks = Some((chunks.map_or(new, |(first, _)| first), new));
        }
    }

    /// What there is now of all but the runs, and of the runs `known`.
    pub(crate) fn savepoint(&self, known: &[RunId]) -> Savepoint {
        let known = known.iter().filter_map(|run| self.by_id.get(run));
        Savepoint {
            runs: self.runs.len(),
            chunks: self.chunks.len(),
            events: self.events.len(),
            known: known.filter_map(|run| self.save(*run)).collect(),
        }
    }

    /// Takes back what was added since: runs that were found or begun, and events of the runs that the
    /// savepoint knows.
    pub(crate) fn roll_back(&mut self, before: Savepoint) {
        let mut origin = vec![];
        for pending in self.runs.drain(before.runs..) {
            self.by_id.remove(&pending.id);
            origin.extend(pending.begins.is_some().then_some(pending.id));
            self.draft.forget(&pending.id);
            let begins = pending.begins.as_ref();
            if let Some(starts) = begins.and_then(|b| self.starts.get_mut(&b.identity.workflow_id))
            {
                starts.retain(|start| *start < before.runs);
            }
        }
        // That their ids were free is part of why the steps were refused as they were.
        origin.into_iter().for_each(|run| self.keep(Read::NoRun(run)));
        for saved in before.known {
            if let Some(pending) = self.runs.get_mut(saved.run) {
                pending.progress = saved.progress;
                (pending.precondition, pending.held, pending.ruled) =
                    (saved.precondition, saved.held, saved.ruled);
            }
            let last = saved.progress.chunks.and_then(|(_, last)| self.chunks.get_mut(last));
            if let (Some(last), Some(chunk)) = (last, saved.chunk) {
                *last = chunk;
            }
        }
        self.chunks.truncate(before.chunks);
        self.events.resize(before.events, 0);
    }

    fn save(&self, run: usize) -> Option<SavedRun> {
        let pending = self.runs.get(run)?;
        let last = pending.progress.chunks.and_then(|(_, last)| self.chunks.get(last));
        Some(SavedRun {
            run,
            progress: pending.progress,
            precondition: pending.precondition,
            held: pending.held,
            ruled: pending.ruled,
            chunk: last.copied(),
        })
    }
}

#[cold]
fn too_large(pending: Option<&PendingRun>, event: &NewEvent<'_>) -> Error {
    let texts: usize = event.body.texts().map(|(_, text)| text.len()).sum();
    Error::LimitExceeded {
        limit: Limit::EventBytes,
        run: pending.map(|pending| pending.id),
        now: 0,
        asked: wide(texts + event.payload.len()).max(wide(EVENT_BYTES_MAX) + 1),
        max: wide(EVENT_BYTES_MAX),
    }
}
