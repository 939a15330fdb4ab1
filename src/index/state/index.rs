//! Everything that is known about the commits so far.

use std::collections::VecDeque;

use super::chains::{Chain, Chains};
use super::cuts::Cuts;
use super::deferred::Deferred;
use super::duties::{Duties, DutyKey, DutyKind};
use super::layers::Entry;
use super::links::Relation;
use super::listing::{self, Listing};
use super::namespaces::{Namespace, Namespaces, Workflow};
use super::runs::{Run, Runs};
use super::tables::Tables;
use crate::bytes::wide;
use crate::error::Result;
use crate::event::Malformed;
use crate::id::{ChainNumber, Position, RunId, RunNumber, WorkflowNumber};
use crate::index::cold::IndexFile;
use crate::log::format::{BATCH_HEADER_BYTES, Batch, Dropped, OVERHEAD_BYTES};

/// What the bytes of the log are, in sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) commits: u64,
    pub(crate) batches: u64,
    pub(crate) events: u64,
    pub(crate) runs: u64,
    pub(crate) open_runs: u64,
    /// Relations to children, in each of the runs that have or share them.
    pub(crate) relations: u64,
    pub(crate) event_bytes: u64,
    pub(crate) payload_bytes: u64,
    pub(crate) rows_written: u64,
    pub(crate) row_bytes: u64,
    /// Runs of which nothing was kept.
    pub(crate) runs_deleted: u64,
    /// Histories that were deleted, their events and the bytes of these; they are among the sums above.
    pub(crate) histories_deleted: u64,
    pub(crate) events_deleted: u64,
    pub(crate) bytes_deleted: u64,
}

/// Everything known about the commits so far.
#[derive(Default)]
pub(crate) struct Index {
    pub(crate) runs: Runs,
    pub(crate) namespaces: Namespaces,
    pub(crate) chains: Chains,
    pub(crate) duties: Duties,
    pub(crate) tables: Tables,
    pub(crate) listing: Listing,
    pub(crate) totals: Totals,
    pub(crate) deferred: Deferred,
    pub(crate) cuts: Cuts,
    /// Where the last commit taken in ends.
    pub(crate) end: Position,
    /// The last commit taken in.
    pub(crate) last: Position,
    /// The last commit that set the limits of a namespace.
    pub(crate) limits_changed: Position,
    /// What the log held when the layer beneath was frozen.
    pub(crate) frozen_bytes: u64,
    /// The frozen layers in memory, the oldest one first: where each ends, and about how much memory it takes.
    pub(super) frozen_layers: VecDeque<(Position, u64)>,
    /// The bytes of what is kept in memory as a whole, as they were stored last.
    pub(super) resident_bytes: u64,
}

impl Totals {
    /// The bytes of all commits in the log.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.event_bytes + self.row_bytes + self.frame_bytes()
    }

    /// The bytes of the headers and trailers of commits and batches.
    pub(crate) fn frame_bytes(&self) -> u64 {
        self.commits * wide(OVERHEAD_BYTES) + self.batches * wide(BATCH_HEADER_BYTES)
    }

    /// Counts a batch that is not taken in, and returns the bytes that its events take.
    pub(crate) fn add_left_out(
        &mut self,
        batch: &Batch<'_>,
    ) -> std::result::Result<usize, Malformed> {
        let mut bytes = 0;
        for event in batch.raw_events() {
            let (_, raw) = event?;
            bytes += u64::from(raw.size);
            self.payload_bytes += wide(raw.payload.len());
        }
        self.batches += 1;
        self.events += u64::from(batch.count);
        self.event_bytes += bytes;
        usize::try_from(bytes).map_err(|_| Malformed)
    }

    /// Counts a row, which takes `size` bytes of the log.
    pub(crate) fn add_row(&mut self, size: usize) {
        self.rows_written += 1;
        self.row_bytes += wide(size);
    }

    /// Counts what a compaction has dropped: they are what was ever committed.
    pub(crate) fn add_dropped(&mut self, dropped: &Dropped) {
        // What a header says is checked by its checksum alone.
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.commits, dropped.commits);
        add(&mut self.batches, dropped.batches);
        add(&mut self.events, dropped.events);
        add(&mut self.event_bytes, dropped.event_bytes);
        add(&mut self.payload_bytes, dropped.payload_bytes);
        add(&mut self.rows_written, dropped.rows);
        add(&mut self.row_bytes, dropped.row_bytes);
    }

    /// All of them, in the order in which a checkpoint has them.
    pub(super) fn fields(&mut self) -> [&mut u64; 14] {
        let Totals {
            commits,
            batches,
            events,
            runs,
            open_runs,
            relations,
            event_bytes,
            payload_bytes,
            rows_written,
            row_bytes,
            runs_deleted,
            histories_deleted,
            events_deleted,
            bytes_deleted,
        } = self;
        [
            commits,
            batches,
            events,
            runs,
            open_runs,
            relations,
            event_bytes,
            payload_bytes,
            rows_written,
            row_bytes,
            runs_deleted,
            histories_deleted,
            events_deleted,
            bytes_deleted,
        ]
    }
}

impl Index {
    /// An empty log ends behind its header. Any other index ends where its last commit does, wherever the next one will
    /// lie: what is stored follows from the commits alone.
    pub(crate) fn begin_at(&mut self, end: Position) {
        if self.totals.commits == 0 {
            self.end = end;
        }
    }

    /// The bytes of the commits that the hot layer comes from.
    pub(crate) fn hot_log_bytes(&self) -> u64 {
        self.totals.log_bytes() - self.frozen_bytes
    }

    /// About how much memory the hot layer takes.
    pub(crate) fn hot_bytes(&self) -> u64 {
        let entries = self.runs.hot_bytes() + self.namespaces.hot_bytes() + self.chains.hot_bytes();
        wide(entries + self.listing.hot_bytes()) + self.tables.hot_bytes()
    }

    /// Fails once a look-up has met damage in the cold index: what it did not find may be there.
    pub(crate) fn check_cold(&self) -> Result<()> {
        self.runs.cold().check()
    }

    /// How many frozen layers are in memory, and about how much they take.
    pub(crate) fn frozen_layers(&self) -> (usize, u64) {
        (self.frozen_layers.len(), self.frozen_layers.iter().map(|(_, bytes)| bytes).sum())
    }

    /// About how much memory open runs take that are in no layer, with their chains and workflows.
    pub(crate) fn open_bytes(&self) -> u64 {
        self.runs.open_bytes() + self.chains.open_bytes() + self.namespaces.open_bytes()
    }

    /// The bytes of what is kept in memory as a whole, as they were stored last.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.resident_bytes
    }

    /// The files that hold the rest.
    pub(crate) fn files(&self) -> &[std::sync::Arc<IndexFile>] {
        self.runs.cold().files()
    }

    /// The end of the last commit that files have taken in.
    pub(crate) fn files_upto(&self) -> Option<Position> {
        self.files().first().map(|newest| newest.entry.upto)
    }

    /// Where the oldest frozen layer in memory ends.
    pub(crate) fn oldest_layer(&self) -> Option<Position> {
        self.frozen_layers.front().map(|(upto, _)| *upto)
    }

    /// Whether some of it is in files.
    pub(crate) fn has_files(&self) -> bool {
        !self.files().is_empty()
    }

    /// What look-ups have found, if none has met damage.
    pub(crate) fn sure<T>(&self, found: T) -> Result<T> {
        self.check_cold().map(|()| found)
    }

    /// The bytes that a run of a workflow of its own takes in memory once it has closed, and those of a relation to a
    /// child: entries and the slots of maps, without names, waypoints and what the allocator adds.
    pub(crate) const fn entry_bytes() -> (usize, usize) {
        let run = size_of::<Run>() + size_of::<(RunId, RunNumber)>();
        let workflow = size_of::<Workflow>() + size_of::<(std::sync::Arc<str>, WorkflowNumber)>();
        let listed = 2 * listing::ENTRY_BYTES;
        (run + workflow + size_of::<Chain>() + listed, size_of::<Relation>())
    }

    /// Whether a run takes events.
    pub(crate) fn is_open(&self, run: RunNumber) -> bool {
        self.runs.look(run, |run| run.state.latest().status.is_open()) == Some(true)
    }

    /// The next event of a run; 0 if there is no such run.
    pub(crate) fn next_event(&self, run: &RunId) -> u32 {
        let number = self.runs.number(run);
        let state = number.and_then(|number| self.runs.state(number));
        state.map_or(0, |state| state.next_event)
    }

    /// The first run of a chain, which names it. That of imported runs need not be in the store.
    pub(crate) fn first_run(&self, number: ChainNumber, chain: &Chain) -> Option<RunId> {
        let first = RunNumber::from_u32(number.as_u32());
        chain.imported.or_else(|| self.runs.look(first, |run| run.id))
    }

    /// The namespace and the workflow of a run.
    pub(crate) fn workflow_of(&self, run: &Run) -> Option<(&Namespace, Entry<'_, Workflow>)> {
        self.namespaces.workflow_of(run)
    }

    /// Whether a duty is open.
    pub(crate) fn is_due(&self, key: &DutyKey) -> bool {
        self.since_due(key).is_some()
    }

    /// The commit that opened a duty, if it is open.
    pub(crate) fn since_due(&self, key: &DutyKey) -> Option<Position> {
        let links = self.runs.links(key.run)?;
        match key.kind {
            DutyKind::DeliverSignal | DutyKind::DeliverCancel => {
                let sent = links.outgoing.get(&key.event)?;
                sent.since.filter(|_| DutyKind::from(sent.kind) == key.kind)
            }
            kind => {
                let (due, since) = links.relation(key.event)?.duty?;
                (due == kind).then_some(since)
            }
        }
    }
}
