//! Runs by number and by id: where each ends, what it adds up to, how it stands.

use std::sync::Arc;

use super::frozen::Retired;
use super::ids::Ids;
use super::impossible::{Impossible, Must};
use super::known_ids::KnownIds;
use super::layers::{Entry, Here, Layer, Layers};
use super::links::{ChildRef, OutgoingRequest, Relation, RunLinks};
use super::read_cache::ReadCache;
use super::record::{links_in, relation_in};
use super::status::RunStatus;
use super::undo::{Latest, UndoQueue};
use super::waypoints::Waypoints;
use crate::event::RawEvent;
use crate::id::{
    ChainNumber, ChildSlot, Position, RunId, RunNumber, Timestamp, TypeNumber, WorkflowNumber,
};
use crate::index::cold::{Cold, Family};
use crate::log::format::Batch;
use crate::retention::Keep;
use crate::sorted::hash;

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    /// The number of its namespace.
    pub(crate) namespace: u32,
    /// The number of its workflow.
    pub(crate) workflow: WorkflowNumber,
    /// The workflow's run that came before it in the log.
    pub(crate) older: Option<RunNumber>,
    /// The number of its workflow type.
    pub(crate) workflow_type: TypeNumber,
    /// Of its start or its reset.
    pub(crate) request_id: Option<Arc<str>>,
    /// How many times its chain was tried when it began, itself included, as its Started event says.
    pub(crate) attempt: u32,
    /// The number of its chain.
    pub(crate) chain: ChainNumber,
    /// It happened elsewhere and was imported.
    pub(crate) imported: bool,
    /// The first batch of its own.
    pub(crate) first_batch: Position,
    pub(crate) started_at: Timestamp,
    pub(crate) state: Latest<RunState>,
    pub(crate) waypoints: Waypoints,
    pub(crate) fork: Option<Box<Fork>>,
    /// To be read by [`Runs::links`]: of a run that is cold, they are left where they are.
    pub(in crate::index) links: Option<Box<RunLinks>>,
}

impl Run {
    /// Whether it takes events, or something must still happen for its children.
    pub(crate) fn is_open(&self) -> bool {
        let is_due = |links: &RunLinks| links.children.iter().any(|child| child.duty.is_some());
        self.state.latest().status.is_open() || self.links.as_deref().is_some_and(is_due)
    }

    /// What the cold index finds it by.
    pub(crate) fn hash(id: &RunId) -> u64 {
        hash(id.as_bytes())
    }
}

/// Where a run that a reset made leaves the run that it is based on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fork {
    /// The base run.
    pub(crate) base: RunNumber,
    /// The last event that they share.
    pub(crate) shared: u32,
}

/// How far a run has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RunState {
    pub(crate) last_batch: Position,
    pub(crate) next_event: u32,
    /// What its events take in the log.
    pub(crate) bytes: u32,
    pub(crate) status: RunStatus,
    /// The event that asked it to cancel; 0 for none.
    pub(crate) cancel_requested: u32,
    /// A reset made another run take over.
    pub(crate) replaced: bool,
    /// Its closing event names the run that follows.
    pub(crate) continued: bool,
    pub(crate) closed_at: Option<Timestamp>,
    /// It was deleted, and this was kept.
    pub(crate) deleted: Option<Keep>,
}

impl RunState {
    /// How far a run is after `batch`, which ends with the event `last`.
    pub(crate) fn after(batch: &Batch<'_>, last: &RawEvent<'_>) -> Self {
        RunState {
            last_batch: batch.position,
            next_event: batch.next_event(),
            bytes: batch.run_bytes,
            status: RunStatus::after(last.kind),
            cancel_requested: 0,
            replaced: false,
            continued: false,
            closed_at: last.kind.is_closing().then_some(last.time),
            deleted: None,
        }
    }

    /// What it has more than `before`, or than no run; `None` if that is less.
    pub(crate) fn growth(&self, before: Option<&RunState>) -> Option<Size> {
        let (events, bytes) = before.map_or((1, 0), |before| (before.next_event, before.bytes));
        Some(Size {
            runs: before.is_none().into(),
            events: self.next_event.checked_sub(events)?.into(),
            bytes: self.bytes.checked_sub(bytes)?.into(),
        })
    }
}

/// What a number of runs add up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Size {
    /// How many runs.
    pub runs: u64,
    /// Their events.
    pub events: u64,
    /// The bytes of their events in the log: the sum of [`Event::size`](crate::Event::size).
    /// What a reset made two runs share counts in both.
    pub bytes: u64,
}

impl RunState {
    /// The run's size, also if it was deleted.
    pub(crate) fn whole_size(&self) -> Size {
        Size { runs: 1, events: (self.next_event - 1).into(), bytes: self.bytes.into() }
    }

    /// What of the run's size counts in sums: what is kept of it.
    pub(crate) fn kept_size(&self) -> Size {
        match self.deleted {
            None => self.whole_size(),
            Some(Keep::Outcome) => Size { runs: 1, ..Size::default() },
            Some(Keep::Nothing) => Size::default(),
        }
    }
}

impl std::ops::AddAssign for Size {
    fn add_assign(&mut self, other: Size) {
        self.runs += other.runs;
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

impl Size {
    /// Whether it is no more than `other` in any way.
    pub(crate) fn is_within(&self, other: &Size) -> bool {
        self.runs <= other.runs && self.events <= other.events && self.bytes <= other.bytes
    }

    /// The higher number of each of both.
    pub(crate) fn most(self, other: Size) -> Size {
        Size {
            runs: self.runs.max(other.runs),
            events: self.events.max(other.events),
            bytes: self.bytes.max(other.bytes),
        }
    }

    /// With `other`.
    pub(crate) fn plus(mut self, other: Size) -> Size {
        self += other;
        self
    }

    /// What is left without `other`; `None` if that is more.
    pub(crate) fn less(self, other: Size) -> Option<Size> {
        Some(Size {
            runs: self.runs.checked_sub(other.runs)?,
            events: self.events.checked_sub(other.events)?,
            bytes: self.bytes.checked_sub(other.bytes)?,
        })
    }
}

/// The links of how many cold runs are kept decoded, and how large these may be: whoever lists the children of a run or
/// settles its duties asks for its links many times.
const LINKS_SLOTS: usize = 4;
const LINKS_BYTES_MAX: usize = 1 << 20;

/// All runs.
#[derive(Default)]
pub(crate) struct Runs {
    layers: Layers<Run>,
    links_read: ReadCache<RunLinks>,
    known_ids: KnownIds,
    by_id: Ids<RunId, RunNumber>,
    undo_queue: UndoQueue<RunState>,
}

impl Runs {
    /// The place behind the last one's number.
    pub(super) fn next_index(&self) -> usize {
        self.layers.next()
    }

    /// The number of the next one; `None` if there can be no more.
    pub(crate) fn next(&self) -> Option<RunNumber> {
        RunNumber::from_index(self.layers.next()).filter(|next| *next != RunNumber::NONE)
    }

    /// The first number from `number` on that may be that of a run.
    pub(crate) fn following(&self, number: RunNumber) -> Option<RunNumber> {
        RunNumber::from_index(self.layers.following(number.as_index())?)
    }

    /// All runs in the order of their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RunNumber, Entry<'_, Run>)> {
        self.layers.iter().filter_map(|(at, run)| Some((RunNumber::from_index(at)?, run)))
    }

    #[inline]
    pub(crate) fn get(&self, number: RunNumber) -> Option<Entry<'_, Run>> {
        self.layers.get(number.as_index())
    }

    /// What a run has to do with others.
    pub(crate) fn links(&self, number: RunNumber) -> Option<Entry<'_, RunLinks>> {
        match self.layers.here(number.as_index()) {
            Here::Entry(run) => return run.links.as_deref().map(Entry::Here),
            Here::Erased => return None,
            Here::Nothing => {}
        }
        if let Some(links) = self.links_read.peek(number.as_u32()) {
            return Some(Entry::Decoded(links));
        }
        let run = self.layers.cold_bytes(number.as_index())?;
        let links = links_in(run);
        if links.is_none() {
            self.cold().note_malformed(Family::Runs, number.as_u32());
        }
        let links = Arc::new(links??);
        if run.len() <= LINKS_BYTES_MAX {
            self.links_read.keep(number.as_u32(), &links);
        }
        Some(Entry::Decoded(links))
    }

    /// What a look at a run comes to. For small answers it costs less than [`Runs::get`].
    #[inline]
    pub(crate) fn look<T>(&self, number: RunNumber, at: impl FnOnce(&Run) -> T) -> Option<T> {
        self.layers.look(number.as_index(), at)
    }

    /// How far a run has come by now.
    pub(crate) fn state(&self, number: RunNumber) -> Option<RunState> {
        self.look(number, |run| *run.state.latest())
    }

    /// A relation. Of a run that is cold, no other one is decoded.
    pub(crate) fn relation(&self, at: ChildRef) -> Option<Entry<'_, Relation>> {
        match self.layers.here(at.parent.as_index()) {
            Here::Entry(run) => return run.links.as_deref()?.child(at.slot).map(Entry::Here),
            Here::Erased => return None,
            Here::Nothing => {}
        }
        let relation = match self.links_read.peek(at.parent.as_u32()) {
            Some(links) => links.child(at.slot).cloned(),
            None => relation_in(self.layers.cold_bytes(at.parent.as_index())?, at.slot),
        };
        // Whoever knows a slot knows of a relation.
        if relation.is_none() && self.links(at.parent)?.child(at.slot).is_some() {
            self.cold().note_malformed(Family::Runs, at.parent.as_u32());
        }
        relation.map(Arc::new).map(Entry::Decoded)
    }

    /// The relation that an event of a run initiated, and its slot.
    pub(crate) fn relation_of(
        &self,
        run: RunNumber,
        initiated: u32,
    ) -> Option<(ChildSlot, Entry<'_, Relation>)> {
        match self.links(run)? {
            Entry::Here(links) => {
                let slot = links.find(initiated)?;
                Some((slot, Entry::Here(links.child(slot)?)))
            }
            Entry::Decoded(links) => {
                let slot = links.find(initiated)?;
                Some((slot, Entry::Decoded(Arc::new(links.child(slot)?.clone()))))
            }
        }
    }

    /// The signal or cancel request that an event of a run initiated, if it has no answer there.
    pub(crate) fn request(&self, run: RunNumber, initiated: u32) -> Option<OutgoingRequest> {
        self.links(run)?.outgoing.get(&initiated).copied()
    }

    pub(crate) fn number(&self, id: &RunId) -> Option<RunNumber> {
        match self.by_id.get(id) {
            Some(number) => Some(number).filter(|number| *number != RunNumber::NONE),
            None if self.layers.cold().is_empty() => None,
            None => self.cold_number(id),
        }
    }

    fn cold_number(&self, id: &RunId) -> Option<RunNumber> {
        let hash = Run::hash(id);
        let known = self.known_ids.get(hash).map(RunNumber::from_u32);
        let known = known.filter(|known| self.look(*known, |run| run.id == *id) == Some(true));
        known.or_else(|| {
            let mut numbers = self.layers.cold().numbers(Family::RunIds, hash);
            let found = numbers.find_map(|number| {
                let run = self.layers.get_known(crate::bytes::in_memory(number))?;
                (run.id == *id).then_some(number)
            })?;
            self.known_ids.keep(hash, found);
            Some(RunNumber::from_u32(found))
        })
    }

    /// About how much memory the hot layer takes, but for links.
    pub(super) fn hot_bytes(&self) -> usize {
        self.layers.hot_len() * (size_of::<Run>() + 2 * size_of::<(RunId, RunNumber)>())
    }

    pub(crate) fn cold(&self) -> &Arc<Cold> {
        self.layers.cold()
    }

    /// Freezes what has changed as of all commits before `upto`, and begins a new one.
    pub(super) fn freeze(&mut self, upto: Position) -> Arc<Layer<Run>> {
        self.by_id.freeze(upto);
        self.layers.freeze(upto)
    }

    /// Goes on with `cold`.
    pub(super) fn adopt(&mut self, cold: &Arc<Cold>) {
        self.layers.adopt(cold);
        self.links_read = ReadCache::new(LINKS_SLOTS);
        self.known_ids.begin();
    }

    /// The frozen layers up to `upto`.
    pub(super) fn frozen_upto(&self, upto: Position) -> impl Iterator<Item = &Arc<Layer<Run>>> {
        self.layers.frozen_upto(upto)
    }

    /// Takes out the frozen layers up to `upto`, which the cold index holds; see [`Layers::thin`].
    pub(super) fn thin(&mut self, upto: Position, open_max: u64, out: &mut Vec<Retired>) {
        self.by_id.thin(upto, out);
        for (number, left) in self.layers.frozen_upto(upto).flat_map(|layer| layer.open()) {
            self.known_ids.keep(Run::hash(&left.entry.id), *number);
        }
        self.layers.thin(upto, open_max, out);
    }

    /// About how much memory open runs take that are in no layer.
    pub(super) fn open_bytes(&self) -> u64 {
        self.layers.open_bytes()
    }

    /// Begins with runs of numbers below `next`, all of them in `cold`.
    pub(super) fn of_cold(cold: &Arc<Cold>, next: usize) -> Self {
        let (layers, links_read) = (Layers::of_cold(cold, next), ReadCache::new(LINKS_SLOTS));
        let mut runs = Runs { layers, links_read, ..Runs::default() };
        runs.known_ids.begin();
        runs
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: RunNumber) -> Option<&mut Run> {
        self.layers.get_mut(number.as_index())
    }

    /// How far a run had come for a reader at `at`; `None` if it began later.
    pub(crate) fn state_at(&self, run: &Run, at: Position) -> Option<RunState> {
        self.undo_queue.at(&run.state, at).copied()
    }

    /// Takes a run on to `state` from `commit` on.
    pub(crate) fn extend(
        &mut self,
        number: RunNumber,
        commit: Position,
        state: RunState,
    ) -> Result<(), Impossible> {
        let run = self.layers.get_mut(number.as_index());
        let run = run.must("a batch extends a run that is not there")?;
        self.undo_queue.replace(&mut run.state, commit, state);
        Ok(())
    }

    /// Drops what runs were before commits that every reader from `oldest` on sees.
    pub(crate) fn forget(&mut self, oldest: Position) {
        self.undo_queue.forget(oldest);
    }

    /// Takes a run out.
    pub(crate) fn erase(&mut self, number: RunNumber, id: &RunId) {
        self.by_id.insert(*id, RunNumber::NONE);
        self.layers.erase(number.as_index(), Some(Run::hash(id)));
    }

    /// Leaves out the numbers up to that of a run that was erased.
    pub(crate) fn skip(&mut self, number: RunNumber) {
        self.layers.skip(number.as_index() + 1);
    }

    /// Adds a run, whose number is behind all before.
    pub(crate) fn put(&mut self, number: RunNumber, run: Run) {
        self.by_id.insert(run.id, number);
        self.layers.put(number.as_index(), run);
    }
}
