//! The steps a transaction is made of: finding a run, writing an event to it, taking steps back.

use super::touched::{
    Chunk, Kinship, Place, Progress, Touched, check_max_of, is_exempt, too_many_runs,
};
use super::transaction::Transaction;
use crate::error::{Error, Result};
use crate::event::{self, Body, NewEvent};
use crate::id::RunId;
use crate::index::{Illegal, Index, RunStatus, is_ruled};
use crate::limits::{COMMIT_RUNS_MAX, RUN_BYTES_MAX};

impl Transaction<'_> {
    /// The place of a run in `runs`; looked up in the store the first time.
    pub(super) fn find(&mut self, run: &RunId) -> Result<usize> {
        // Events of one run mostly come one after the other.
        let last = self.work.runs.len().checked_sub(1);
        let is_it = |place: &usize| self.work.runs.get(*place).is_some_and(|last| last.id == *run);
        if let Some(index) = last.filter(is_it).or_else(|| self.work.by_id.get(run).copied()) {
            if !self.settling {
                self.hold(index);
            }
            return Ok(index);
        }
        let index = self.shared.index.read();
        let number = index.runs.number(run);
        let Some(found) = number.and_then(|number| index.runs.get(number)) else {
            return Err(Error::RunNotFound { run: *run });
        };
        let extent = found.extent.latest();
        let limits = index.workflow_of(found).map(|(n, _)| n.limits).unwrap_or_default();
        let touched = Touched {
            id: *run,
            number,
            first_event: extent.next_event,
            place: if self.settling { Place::Loose } else { Place::Found },
            bytes_before: extent.bytes.into(),
            limits,
            recorded: found.recorded,
            begins: None,
            progress: Progress::none(extent.status),
        };
        drop(index);
        self.touch(touched)
    }

    pub(super) fn touch(&mut self, touched: Touched) -> Result<usize> {
        let index = self.work.runs.len();
        if index >= COMMIT_RUNS_MAX {
            return Err(too_many_runs(index + 1));
        }
        self.work.by_id.insert(touched.id, index);
        if let Some(begins) = &touched.begins {
            let workflow_id = begins.kin.workflow_id.clone();
            self.work.starts.entry(workflow_id).or_default().push(index);
        }
        self.work.runs.push(touched);
        Ok(index)
    }

    pub(super) fn touched(&self, run: usize) -> Result<&Touched> {
        self.work.runs.get(run).ok_or_else(|| Error::invalid("no such run"))
    }

    /// The run that the transaction found or begins, if it has anything to do with it.
    pub(super) fn touched_by_id(&self, run: &RunId) -> Option<&Touched> {
        self.work.runs.get(*self.work.by_id.get(run)?)
    }

    /// Holds a run to where it was found, unless the caller said otherwise.
    fn hold(&mut self, run: usize) {
        if let Some(touched) = self.work.runs.get_mut(run)
            && touched.place == Place::Loose
        {
            touched.place = Place::Found;
        }
    }

    /// Holds a run to where it was found, for steps that other runs refer to by the ids of their
    /// events.
    pub(super) fn pin(&mut self, run: usize) {
        if let Some(touched) = self.work.runs.get_mut(run)
            && touched.place != Place::Expected
        {
            touched.place = Place::Found;
        }
    }

    /// Appends an event that stands for itself.
    pub(super) fn add(&mut self, run: usize, event: &NewEvent<'_>) -> Result<u32> {
        let id = self.put_event(run, event)?;
        self.record(run, id, &event.body);
        Ok(id)
    }

    /// Appends an event that is part of a larger step, which will record it when all of it is
    /// written.
    pub(super) fn put_event(&mut self, run: usize, event: &NewEvent<'_>) -> Result<u32> {
        let touched = self.touched(run)?;
        if is_ruled(event.kind()) && !touched.recorded && touched.progress.status.is_open() {
            let index = self.shared.index.read();
            self.work.draft.check(&index, touched.id, &event.body)?;
            self.check_open(&index, touched, event.kind().number(), 1)?;
        }
        let offset = self.work.events.len();
        let id = self.put_unruled(run, event)?;
        if let Body::StartChildWorkflowExecutionInitiated(_) = event.body {
            self.work.initiated.insert((run, id), offset);
        }
        Ok(id)
    }

    /// The same for an event that the step itself makes legal.
    pub(super) fn put_unruled(&mut self, run: usize, event: &NewEvent<'_>) -> Result<u32> {
        let touched = self.touched(run)?;
        if !touched.progress.status.is_open() {
            return Err(Error::RunClosed { run: touched.id });
        }
        touched.check_event(event)?;
        self.write(run, event)
    }

    /// Takes note of what an event says about others.
    pub(super) fn record(&mut self, run: usize, id: u32, body: &Body<'_>) {
        let Some(touched) = self.work.runs.get(run) else { return };
        let noted = is_ruled(body.kind()) || matches!(body, Body::WorkflowReset(_));
        if noted && !touched.recorded {
            self.work.draft.record(&self.shared.index.read(), touched.id, id, body);
        }
    }

    /// Checks the limits on what a run waits for, with `more` of a kind to come.
    pub(super) fn check_open(
        &self,
        index: &Index,
        touched: &Touched,
        kind: u16,
        more: u64,
    ) -> Result<()> {
        let limits = &touched.limits;
        let (limit, max) = match kind {
            10 => ("open activities of one run", limits.open_activities),
            22 => ("cancel requests of one run on their way", limits.open_cancels),
            29 => ("open children of one run", limits.open_children),
            37 => ("signals of one run on their way", limits.open_signals),
            _ => return Ok(()),
        };
        let now = self.work.draft.waiting(index, touched.id).of(kind);
        let now = u64::try_from(now).unwrap_or_default();
        check_max_of(limit, Some(touched.id), now, now + more, max.into())
    }

    /// Encodes the event and, if the run has room for it, makes it the run's last.
    pub(super) fn write(&mut self, run: usize, event: &NewEvent<'_>) -> Result<u32> {
        let time = event.time.unwrap_or(self.now);
        let start = self.work.events.len();
        let size = event::encode(event, time, &mut self.work.events)
            .map_err(|_| Error::invalid("an event is larger than 16 MiB"))?;
        let end = self.work.events.len();
        let touched = self.work.runs.get_mut(run).ok_or_else(|| Error::invalid("no such run"))?;
        let now = touched.bytes_before + touched.progress.bytes;
        let asked = now + u64::from(size);
        let exempt = is_exempt(event.kind());
        let max = if touched.recorded || exempt {
            RUN_BYTES_MAX
        } else {
            touched.limits.history_bytes.into()
        };
        if let Err(error) = check_max_of("bytes in one run", Some(touched.id), now, asked, max) {
            self.work.events.resize(start, 0);
            return Err(error);
        }
        let id = touched.next_event();
        let progress = &mut touched.progress;
        progress.count += 1;
        progress.bytes += u64::from(size);
        if !exempt {
            progress.measured = (progress.count, progress.bytes);
        }
        progress.status = RunStatus::after(event.kind());
        progress.last = start;
        match progress.chunks {
            // The run's last chunk ends here: it grows.
            Some((_, last))
                if self.work.chunks.get(last).is_some_and(|chunk| chunk.end == start) =>
            {
                if let Some(chunk) = self.work.chunks.get_mut(last) {
                    chunk.end = end;
                }
            }
            chunks => {
                let new = self.work.chunks.len();
                self.work.chunks.push(Chunk { start, end, next: None });
                if let Some(chunk) = chunks.and_then(|(_, last)| self.work.chunks.get_mut(last)) {
                    chunk.next = Some(new);
                }
                progress.chunks = Some((chunks.map_or(new, |(first, _)| first), new));
            }
        }
        Ok(id)
    }

    /// Takes several steps or none: what `steps` adds to the runs named, and the runs it begins or
    /// finds, are gone again if it fails. It records what it wrote only after all is written.
    pub(super) fn atomically<T>(
        &mut self,
        known: &[RunId],
        steps: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let (runs, chunks, events) =
            (self.work.runs.len(), self.work.chunks.len(), self.work.events.len());
        let known = known.iter().filter_map(|run| self.work.by_id.get(run));
        let before: Vec<_> = known.filter_map(|run| self.save(*run)).collect();
        steps(self).inspect_err(|_| {
            for touched in self.work.runs.drain(runs..) {
                self.work.by_id.remove(&touched.id);
                self.work.draft.forget(&touched.id);
                let begins = touched.begins.as_ref();
                if let Some(starts) =
                    begins.and_then(|b| self.work.starts.get_mut(&b.kin.workflow_id))
                {
                    starts.retain(|start| *start < runs);
                }
            }
            for (run, progress, place, chunk) in before {
                if let Some(touched) = self.work.runs.get_mut(run) {
                    (touched.progress, touched.place) = (progress, place);
                }
                let last = progress.chunks.and_then(|(_, last)| self.work.chunks.get_mut(last));
                if let (Some(last), Some(chunk)) = (last, chunk) {
                    *last = chunk;
                }
            }
            self.work.chunks.truncate(chunks);
            self.work.events.resize(events, 0);
        })
    }

    fn save(&self, run: usize) -> Option<(usize, Progress, Place, Option<Chunk>)> {
        let touched = self.work.runs.get(run)?;
        let last = touched.progress.chunks.and_then(|(_, last)| self.work.chunks.get(last));
        Some((run, touched.progress, touched.place, last.copied()))
    }

    /// Who a run is to others, whether it begins here or is in the store.
    pub(super) fn kinship(&self, run: &RunId) -> Result<Kinship> {
        if let Some(begins) = self.touched_by_id(run).and_then(|touched| touched.begins.as_ref()) {
            return Ok(begins.kin.clone());
        }
        let index = self.shared.index.read();
        Kinship::of(&index, run).ok_or(Error::RunNotFound { run: *run })
    }
}

impl Kinship {
    fn of(index: &Index, run: &RunId) -> Option<Self> {
        let number = index.runs.number(run)?;
        let kin = index.kin(number)?;
        let named = |run: RunId| {
            let run = index.runs.get(index.runs.number(&run)?)?;
            Some((Box::from(&*index.workflow_of(run)?.1.id), run.id))
        };
        let chain = index.chains.get(index.runs.get(number)?.chain)?;
        let initiated = chain.parent.and_then(|(parent, place)| {
            let ties = index.runs.get(parent)?.ties.as_deref()?;
            Some(ties.children.get(usize::try_from(place).ok()?)?.initiated)
        });
        Some(Kinship {
            namespace: kin.namespace.into(),
            workflow_id: kin.workflow_id.into(),
            first: kin.first,
            parent: kin.parent.and_then(named).and_then(|(id, run)| Some((id, run, initiated?))),
            root: kin.root.and_then(named),
        })
    }
}

impl From<Illegal> for Error {
    fn from(Illegal { run, kind, refers_to, why }: Illegal) -> Self {
        Error::IllegalEvent { run, kind, refers_to, why }
    }
}
