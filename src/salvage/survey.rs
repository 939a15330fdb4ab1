//! The first pass over a source of which something was compacted: what was deleted and erased there, and how runs end.
//!
//! A commit is written as a whole and lost as a whole. So where one lacks a run that another run in it continues, or that
//! continues one, a compaction dropped that run: it was erased.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::bridges::{Bridge, Bridges};
use super::filled::Filled;
use super::kept_batch::Origin;
use super::left_out::LeftOut;
use super::parts::{origin_of, parse};
use super::report::LeftOutRun;
use crate::event::Event;
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Deletion, Erasure};
use crate::log::format::{Batch, Frame, Identity, Part};
use crate::retention::Keep;

/// What becomes of the runs of a source that was compacted.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) filled: Filled,
    pub(super) left_out: LeftOut,
    pub(super) bridges: Bridges,
}

/// Goes through the source once.
pub(super) struct Survey {
    identity: Identity,
    /// The numbers of the segments that were compacted.
    compacted: HashSet<u32>,
    runs: HashMap<RunNumber, Surveyed>,
    /// The last run of each id so far: that of one that was erased may be used again.
    numbers: HashMap<RunId, RunNumber>,
    deleted: HashMap<RunNumber, Keep>,
    erased: HashSet<RunNumber>,
    /// Runs that continue in the same commit, with those that follow.
    continued: Vec<(RunNumber, RunNumber)>,
    /// Runs that name one as the next that does not begin in the same commit.
    leave: Vec<(RunNumber, RunId)>,
    /// Runs that continue one which does not close in the same commit.
    arrive: Vec<(RunNumber, RunId)>,
}

/// A run of the source.
#[derive(Default)]
struct Surveyed {
    id: RunId,
    /// The first run of its chain; nil if that is not known, for imported runs, and for those that a reset made: of a chain
    /// with one, no part is erased.
    chain: RunId,
    /// Where its first batch is.
    begun: Position,
    /// The run whose events it shares, for one that a reset made.
    base: Option<RunNumber>,
    /// Something of it is in a compacted segment, or was.
    compacted: bool,
    closed: bool,
}

impl Survey {
    pub(super) fn new(identity: Identity, compacted: HashSet<u32>) -> Self {
        Survey {
            identity,
            compacted,
            runs: HashMap::new(),
            numbers: HashMap::new(),
            deleted: HashMap::new(),
            erased: HashSet::new(),
            continued: vec![],
            leave: vec![],
            arrive: vec![],
        }
    }

    pub(super) fn commit(&mut self, frame: &Frame<'_>) {
        // By the id of the run that follows.
        let mut closing = HashMap::new();
        let mut begun = vec![];
        for (part, _) in parse(frame).unwrap_or_default() {
            match part {
                Part::Batch(batch) => {
                    begun.extend(self.begin(&batch));
                    closing.extend(self.close(&batch).map(|next| (next, batch.run)));
                }
                Part::Put(row) => {
                    let erasure = Erasure::of(&row).ok().flatten();
                    self.erased.extend(erasure.iter().flat_map(Erasure::runs));
                    let deletion = Deletion::of(&row).ok().flatten();
                    let deleted = |it: Deletion| Some((*self.numbers.get(&it.run)?, it.keep));
                    self.deleted.extend(deletion.and_then(deleted));
                }
            }
        }
        for (number, id, before) in begun {
            match closing.remove(&id) {
                Some(run) => {
                    // The batch that began it may be missing.
                    self.runs.entry(run).or_default().id = before;
                    self.numbers.entry(before).or_insert(run);
                    self.continued.push((run, number));
                }
                None => self.arrive.push((number, before)),
            }
        }
        self.leave.extend(closing.into_iter().map(|(next, run)| (run, next)));
    }

    /// Takes in where a batch lies, and how its run begins. If it continues another one: its number, its id and that one.
    fn begin(&mut self, batch: &Batch<'_>) -> Option<(RunNumber, RunId, RunId)> {
        let compacted = self.is_compacted(batch.position) || self.is_compacted(batch.previous);
        let is_known = self.runs.contains_key(&batch.run);
        let run = self.runs.entry(batch.run).or_default();
        run.compacted |= compacted;
        let origin = origin_of(batch).filter(|_| !is_known)?;
        (run.id, run.begun) = (origin.id(), batch.position);
        self.numbers.insert(run.id, batch.run);
        if let Origin::Resets { reset, .. } = origin {
            run.base = self.numbers.get(&reset.base_run_id).copied();
        }
        let Origin::Starts(started) = origin else { return None };
        if started.imported {
            return None;
        }
        run.chain = started.first_run_id;
        Some((batch.run, run.id, started.continued_run_id?))
    }

    /// Takes in whether a batch closes its run. The run that follows.
    fn close(&mut self, batch: &Batch<'_>) -> Option<RunId> {
        let (id, last) = batch.raw_events().last()?.ok()?;
        if !last.kind.is_closing() {
            return None;
        }
        let run = self.runs.get_mut(&batch.run)?;
        run.closed = true;
        Event::check(id, last).ok()?.body().next_run()
    }

    fn is_compacted(&self, position: Position) -> bool {
        position > Position::START && self.compacted.contains(&self.identity.locate(position).0)
    }

    pub(super) fn finish(mut self) -> Findings {
        let bridges = self.bridges();
        self.spread();
        let (mut filled, mut left_out, mut kept) =
            (HashSet::new(), BTreeMap::new(), HashMap::new());
        for (number, run) in self.runs.iter().filter(|(number, _)| !self.erased.contains(number)) {
            let deleted = self.deleted.get(number).filter(|_| run.compacted);
            if let Some(of_it) = deleted.filter(|_| !run.closed) {
                left_out.insert(*number, LeftOutRun { id: run.id, kept: *of_it });
                continue;
            }
            kept.insert(run.id, run.begun);
            filled.extend(deleted.map(|_| run.id));
        }
        Findings {
            filled: Filled::new(filled, self.identity, self.compacted),
            bridges,
            left_out: LeftOut { runs: left_out, erased: self.erased, kept: Some(kept) },
        }
    }

    /// What a run lacks, those lack that share its events.
    fn spread(&mut self) {
        let mut forks: Vec<_> =
            self.runs.iter().filter_map(|(number, run)| Some((*number, run.base?))).collect();
        // A base run comes first.
        forks.sort_unstable();
        for (number, base) in forks {
            let compacted = self.runs.get(&base).is_some_and(|base| base.compacted);
            if let Some(run) = self.runs.get_mut(&number) {
                run.compacted |= compacted;
            }
        }
    }

    /// Where chains lack erased runs between two that are kept.
    fn bridges(&mut self) -> Bridges {
        for (run, next) in std::mem::take(&mut self.continued) {
            let id = |number| self.runs.get(&number).map(|run| run.id).unwrap_or_default();
            match (self.erased.contains(&run), self.erased.contains(&next)) {
                (false, true) => self.leave.push((run, id(next))),
                (true, false) => self.arrive.push((next, id(run))),
                _ => {}
            }
        }
        let chain = |number: &RunNumber| self.runs.get(number).map(|run| run.chain);
        let is_kept = |(number, _): &&(RunNumber, RunId)| !self.erased.contains(number);
        let mut leave = BTreeMap::new();
        for (number, next) in self.leave.iter().filter(is_kept) {
            let chain = chain(number).filter(|chain| !chain.is_nil());
            leave.extend(chain.map(|chain| ((chain, *number), Some(*next))));
        }
        self.arrive.sort_unstable();
        let mut bridges = Bridges::default();
        for (number, last) in self.arrive.iter().filter(is_kept) {
            let Some(chain) = chain(number) else { continue };
            let before = leave.range_mut((chain, RunNumber::from_u32(0))..(chain, *number));
            // Each leads to one run: between them and a later one, another end was lost.
            let found = before.last().and_then(|((_, run), first)| Some((*run, first.take()?)));
            if let Some((run, first)) = found {
                bridges.add(run, *number, Bridge { first, last: *last });
            }
        }
        bridges
    }
}
