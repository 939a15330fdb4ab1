//! Imports the commits of the source into the new store: whole where possible, otherwise the batches and rows
//! that do not depend on what is lost.
//!
//! A commit depends only on earlier commits and on itself, so one pass in the order of the source is enough.
//! A batch that does not continue its run as it is in the new store cuts the run; a run that is cut takes no
//! later batch, except that a deleted run goes on after events that a compaction dropped (`filled`). What the
//! rules of the index then refuse is cut as well, until nothing more is refused.

use std::collections::HashMap;

use super::child_sizes::ChildSizes;
use super::filled::{fill, run_bytes, with_fillers};
use super::kept_batch::{KeptBatch, Origin, assemble, drop_orphans};
use super::parts::{origin_of, parse};
use super::runs::{BATCH_MISSING, Kept, SourceRun, SourceRuns};
use super::survey::Findings;
use crate::bytes::wide;
use crate::error::Result;
use crate::event::{Buffer, Malformed};
use crate::id::{Position, RunId, RunNumber};
use crate::index::{
    DELETED_TABLE, Deletion, ERASED_TABLE, EVENT_KEYS_TABLE, Erasure, Refusal, event_of_row,
};
use crate::log::format::{BATCH_HEADER_BYTES, Batch, Frame, OVERHEAD_BYTES, Part, Parts, Put};
use crate::retention::Keep;
use crate::store::{CONSUMERS_TABLE, CommitImport};

const NO_SENSE: &str = "what it says makes no sense without what is lost";
const BASE_LOST: &str = "the run whose events it shares lost some of them";

/// Imports commits of the source into the new store.
pub(super) struct Rescue<'s> {
    pub(super) import: CommitImport<'s>,
    pub(super) runs: SourceRuns,
    pub(super) counts: Counts,
    /// What the first pass has found, where there was one.
    pub(super) found: Findings,
    child_sizes: ChildSizes,
    /// The payload of the commit that is tried.
    payload: Buffer,
}

/// Counts of commits and their content, by outcome.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) whole: u64,
    pub(super) partial: u64,
    pub(super) dropped: u64,
    pub(super) events: u64,
    pub(super) rows: u64,
    pub(super) rows_dropped: u64,
    pub(super) bytes: u64,
}

/// The parts of a commit of the source that are to be kept.
struct Parsed<'a> {
    batches: Vec<KeptBatch<'a>>,
    rows: Vec<&'a [u8]>,
    /// Something was left out.
    partial: bool,
}

/// How a batch is appended and the bytes of its run before it, or why it is not.
type Admitted<'a> = Result<(Origin<'a>, u64), &'static str>;

/// The part of a commit that caused a refusal.
enum Blamed {
    Batch(usize),
    Rows,
    Nothing,
}

impl<'s> Rescue<'s> {
    pub(super) fn new(import: CommitImport<'s>) -> Self {
        let (runs, counts, found) = (SourceRuns::default(), Counts::default(), Findings::default());
        let (child_sizes, payload) = (ChildSizes::default(), Buffer::new());
        Rescue { import, runs, counts, found, child_sizes, payload }
    }

    /// Imports what can be kept of a commit. `Malformed` if it cannot be parsed, and nothing of it was imported.
    pub(super) fn commit(&mut self, frame: &Frame<'_>) -> Result<Result<(), Malformed>> {
        let Ok(parts) = parse(frame) else { return Ok(Err(Malformed)) };
        let mut commit = Parsed { batches: vec![], rows: vec![], partial: false };
        let mut erased = vec![];
        for (part, bytes) in parts {
            match part {
                Part::Batch(batch) if self.found.left_out.has_number(batch.run) => {}
                Part::Batch(batch) => self.admit(&mut commit, batch, bytes)?,
                Part::Put(row) if self.child_sizes.take(&row) => {}
                Part::Put(row) if self.is_left_out(&row) => {
                    let erasure = Erasure::of(&row).ok().flatten();
                    erased.extend(erasure.iter().flat_map(Erasure::runs));
                }
                Part::Put(_) => commit.rows.push(bytes),
            }
        }
        // Those that the first pass has found are not there.
        self.import.erase(&self.runs.ids(erased.into_iter()))?;
        if !commit.partial && commit.batches.is_empty() && commit.rows.is_empty() {
            return Ok(Ok(()));
        }
        self.found.bridges.span(&mut commit.batches, &self.import.index());
        self.append(&mut commit)?;
        Ok(Ok(()))
    }

    /// Whether a row deletes a run that is left out, or is the key of one of its events; erases runs; or is of a consumer,
    /// whose position means nothing in the new store.
    fn is_left_out(&self, row: &Put<'_>) -> bool {
        if [ERASED_TABLE, CONSUMERS_TABLE].contains(&row.table) {
            return true;
        }
        let Some((at, value)) = row.value else { return false };
        let deleted = Deletion::of(row).ok().flatten().map(|deletion| deletion.run);
        let keyed = (row.table == EVENT_KEYS_TABLE).then(|| event_of_row(row.key, value));
        let keyed = keyed.flatten().map(|(run, _)| run);
        deleted.or(keyed).is_some_and(|run| self.found.left_out.has(&run, at))
    }

    /// Adds a batch to the parts to be kept, if it continues its run as it is in the new store.
    fn admit<'a>(
        &mut self,
        commit: &mut Parsed<'a>,
        batch: Batch<'a>,
        bytes: &'a [u8],
    ) -> Result<()> {
        let events = bytes.get(BATCH_HEADER_BYTES..).unwrap_or_default();
        let known = self.runs.get(batch.run).map(SourceRun::open);
        let (id, origin) = match known {
            Some(open) => match open.filter(|(id, kept)| self.goes_on(id, kept, &batch, events)) {
                Some((id, _)) => (id, self.continuation(&id, &batch)?),
                None => (RunId::NIL, Err(BATCH_MISSING)),
            },
            None => self.new_run(&batch)?,
        };
        let kept = origin.and_then(|(origin, before)| self.kept(batch, events, id, origin, before));
        match kept {
            Ok(kept) => commit.batches.push(kept),
            Err(why) => {
                let name = match origin_of(&batch) {
                    Some(origin) if known.is_none() => Some(origin.name()),
                    _ => None,
                };
                self.runs.cut(&batch, name, why);
                commit.partial = true;
            }
        }
        Ok(())
    }

    /// A batch to be kept of a run that has so many bytes before it.
    fn kept<'a>(
        &self,
        batch: Batch<'a>,
        events: &'a [u8],
        id: RunId,
        origin: Origin<'a>,
        before: u64,
    ) -> Result<KeptBatch<'a>, &'static str> {
        let is_filled = self.found.filled.has(&id);
        let run_bytes = run_bytes(before, events);
        let run_bytes = run_bytes.filter(|bytes| is_filled || *bytes == batch.run_bytes);
        let why = if matches!(origin, Origin::Resets { .. }) { BASE_LOST } else { NO_SENSE };
        let run_bytes = run_bytes.ok_or(why)?;
        let events = match is_filled {
            true => with_fillers(&self.import.index(), &id, &batch, events),
            false => events.into(),
        };
        let Batch { first_event, count, .. } = batch;
        Ok(KeptBatch { source: Some(batch), id, first_event, count, events, run_bytes, origin })
    }

    /// Whether a batch is the next one of a run of which so much is kept.
    fn goes_on(&self, id: &RunId, kept: &Kept, batch: &Batch<'_>, events: &[u8]) -> bool {
        continues(kept, batch, events) || self.found.filled.follows(id, kept, batch)
    }

    /// Where the next batch of a run is appended in the new store, and the bytes of the run before it.
    fn continuation(&mut self, id: &RunId, batch: &Batch<'_>) -> Result<Admitted<'static>> {
        if self.found.filled.has(id) {
            self.counts.bytes += fill(&mut self.import, id, batch)?;
        }
        let index = self.import.index();
        let number = index.runs.number(id);
        let found = number.and_then(|number| Some((number, index.runs.get(number)?)));
        let Some((number, run)) = found else { return Ok(Err(BATCH_MISSING)) };
        let state = run.state.latest();
        let origin = Origin::Continues { number, previous: state.last_batch };
        Ok(Ok((origin, state.bytes.into())))
    }

    /// How a batch creates a run, if no earlier batch of the run was found.
    fn new_run<'a>(&mut self, batch: &Batch<'a>) -> Result<(RunId, Admitted<'a>)> {
        let Some(origin) = origin_of(batch) else {
            return Ok((RunId::NIL, Err(BATCH_MISSING)));
        };
        let id = origin.id();
        self.child_sizes.begin(&id);
        let Origin::Resets { reset, .. } = origin else {
            return Ok((id, Ok((origin, 0))));
        };
        let (base, shared) = (reset.base_run_id, batch.first_event - 1);
        if self.next_event(&base).is_none_or(|next| next <= shared) {
            return Ok((id, Err(BASE_LOST)));
        }
        let (previous, before) = self.import.locate(&base, shared)?;
        Ok((id, Ok((Origin::Resets { reset, previous }, before))))
    }

    /// The id of the next event of a run in the new store.
    fn next_event(&self, id: &RunId) -> Option<u32> {
        let index = self.import.index();
        index.runs.get(index.runs.number(id)?).map(|run| run.state.latest().next_event)
    }

    /// Appends what the rules accept, and cuts the runs of what they refuse.
    fn append(&mut self, commit: &mut Parsed<'_>) -> Result<()> {
        // In the order of their numbers in the new store; new runs come last.
        commit.batches.sort_by_key(|kept| kept.origin.number().unwrap_or(RunNumber::NONE));
        loop {
            for (kept, why) in drop_orphans(&mut commit.batches) {
                self.leave_out(commit, &kept, why);
            }
            if commit.partial {
                self.drop_keys(commit);
            }
            if commit.batches.is_empty() && commit.rows.is_empty() {
                self.counts.dropped += 1;
                return Ok(());
            }
            let mut count = self.assemble(&commit.batches, &commit.rows);
            if self.payload.len() > self.import.payload_bytes_max() {
                // Without the batches of erased runs, a commit takes no more than it did.
                commit.batches.retain(|kept| kept.source.is_some());
                count = self.assemble(&commit.batches, &commit.rows);
            }
            let Err(refusal) = self.import.append(&self.payload, count)? else {
                self.count(commit);
                return self.erase_bridges(commit);
            };
            match self.blame(commit, refusal) {
                Blamed::Batch(at) => {
                    let kept = commit.batches.remove(at);
                    let why = match refusal {
                        Refusal::Illegal(illegal) => illegal.why,
                        Refusal::Malformed => NO_SENSE,
                    };
                    self.leave_out(commit, &kept, why);
                }
                Blamed::Rows => self.drop_rows(commit),
                Blamed::Nothing => {
                    for kept in std::mem::take(&mut commit.batches) {
                        self.leave_out(commit, &kept, NO_SENSE);
                    }
                    self.drop_rows(commit);
                }
            }
        }
    }

    /// Leaves out a batch, and with it all later ones of its run.
    fn leave_out(&mut self, commit: &mut Parsed<'_>, kept: &KeptBatch<'_>, why: &'static str) {
        let is_new = kept.origin.number().is_none();
        if let Some(batch) = kept.source {
            self.runs.cut(&batch, is_new.then(|| kept.origin.name()), why);
        }
        commit.partial = true;
    }

    /// Finds the part of the commit that caused a refusal.
    fn blame(&mut self, commit: &Parsed<'_>, refusal: Refusal) -> Blamed {
        let batches = &commit.batches;
        if let Refusal::Illegal(illegal) = refusal {
            let at = batches.iter().position(|kept| kept.id == illegal.run);
            return at.map_or(Blamed::Nothing, Blamed::Batch);
        }
        // The check goes from batch to batch, so a prefix is malformed exactly if it holds the first malformed
        // batch: a binary search finds that.
        let (mut sound, mut unsound) = (0, batches.len() + 1);
        while sound + 1 < unsound {
            let middle = sound.midpoint(unsound);
            let count = self.assemble(batches.get(..middle).unwrap_or_default(), &[]);
            match self.import.check(&self.payload, count) {
                Err(Refusal::Malformed) => unsound = middle,
                _ => sound = middle,
            }
        }
        if sound < batches.len() { Blamed::Batch(sound) } else { Blamed::Rows }
    }

    /// Drops the keys of events that are left out: other events of their runs may get their ids.
    fn drop_keys(&mut self, commit: &mut Parsed<'_>) {
        let events = commit.batches.iter().map(|kept| (kept.id, kept.event_ids()));
        let kept: HashMap<_, _> = events.collect();
        let before = commit.rows.len();
        commit.rows.retain(|row| {
            let named = keyed_event(row);
            named.is_none_or(|(run, event)| kept.get(&run).is_some_and(|ids| ids.contains(&event)))
        });
        self.counts.rows_dropped += wide(before - commit.rows.len());
    }

    /// Drops the rows that are malformed by themselves; all rows if none is.
    fn drop_rows(&mut self, commit: &mut Parsed<'_>) {
        let before = commit.rows.len();
        // The last run of a chain is deleted with those before it.
        let mut deletions = vec![];
        commit.rows.retain(|row| {
            let kept = deletions.len();
            deletions.extend_from_slice(row);
            let sound = self.import.check(&deletions, 0).is_ok();
            if !(sound && is_deletion(row)) {
                deletions.truncate(kept);
            }
            sound
        });
        if commit.rows.len() == before {
            commit.rows.clear();
        }
        self.counts.rows_dropped += wide(before - commit.rows.len());
        commit.partial = true;
    }

    /// Writes the payload of a commit; returns its number of batches.
    fn assemble(&mut self, batches: &[KeptBatch<'_>], rows: &[&[u8]]) -> u16 {
        let next_new = self.import.index().runs.next().unwrap_or(RunNumber::NONE);
        assemble(&mut self.payload, batches, rows, next_new);
        // Hardly more than the source's commit had; a wrong count is refused.
        u16::try_from(batches.len()).unwrap_or(u16::MAX)
    }

    /// Counts a commit that is in the new store.
    fn count(&mut self, commit: &Parsed<'_>) {
        for (batch, id) in commit.batches.iter().filter_map(|kept| Some((kept.source?, kept.id))) {
            self.runs.keep(&batch, id);
            self.counts.events += u64::from(batch.count);
        }
        self.counts.rows += wide(commit.rows.len());
        self.counts.bytes += wide(self.payload.len() + OVERHEAD_BYTES);
        let count = if commit.partial { &mut self.counts.partial } else { &mut self.counts.whole };
        *count += 1;
    }

    /// Erases the runs that were erased in the source and that the new store has up to a run which is kept in this commit.
    fn erase_bridges(&mut self, commit: &Parsed<'_>) -> Result<()> {
        for kept in &commit.batches {
            if let Some(bridge) = self.found.bridges.note_kept(kept) {
                self.import.delete(&bridge.first, Keep::Nothing)?;
                self.import.delete(&bridge.last, Keep::Nothing)?;
                self.import.erase(&[bridge.first, bridge.last])?;
            }
        }
        Ok(())
    }

    /// Ends what nobody may go on with: chains whose erased runs lead to a run that was refused, and deleted runs that lack
    /// events, which are open without the rest of them.
    pub(super) fn finish(&mut self) -> Result<()> {
        for bridge in self.found.bridges.take_open() {
            self.end(&bridge.last)?;
            self.import.delete(&bridge.first, Keep::Nothing)?;
        }
        for run in self.runs.parts() {
            if self.found.filled.has(&run) {
                self.end(&run)?;
                self.import.delete(&run, Keep::Nothing)?;
            }
        }
        let filled = self.runs.whole().filter(|(run, _)| self.found.filled.has(run));
        std::mem::take(&mut self.child_sizes).say(&mut self.import, filled)
    }

    /// Terminates a run, if it is open, and deletes it but for its outcome.
    fn end(&mut self, run: &RunId) -> Result<()> {
        if self.import.is_open(run) {
            self.import.terminate(run, "what followed is lost")?;
        }
        self.import.delete(run, Keep::Outcome)
    }
}

/// Whether a row deletes a run.
fn is_deletion(row: &[u8]) -> bool {
    let part = Parts::new(row, Position::START, 0).next().and_then(Result::ok);
    matches!(part, Some((Part::Put(row), _)) if row.table == DELETED_TABLE)
}

/// The run and the event whose key a row is, if it is one.
fn keyed_event(row: &[u8]) -> Option<(RunId, u32)> {
    let (part, _) = Parts::new(row, Position::START, 0).next()?.ok()?;
    let Part::Put(row) = part else { return None };
    (row.table == EVENT_KEYS_TABLE).then(|| event_of_row(row.key, row.value?.1)).flatten()
}

/// Whether a batch is the next one of a run, by its first event, its link and the run's size.
fn continues(kept: &Kept, batch: &Batch<'_>, events: &[u8]) -> bool {
    batch.first_event == kept.next_event
        && batch.previous == kept.last_batch
        && u64::from(kept.bytes) + wide(events.len()) == u64::from(batch.run_bytes)
}
