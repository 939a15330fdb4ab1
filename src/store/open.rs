//! Opening a store: loads what there is of the index, opens the log, and replays what the index lacks.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::id::Position;
use crate::index::cold::{Cold, checkpoint_bytes};
use crate::index::{Index, IndexLock};
use crate::log::open::{
    Covered, IndexFound, OpenReport, Opened, Opening, Verdict, manifest_before, open,
    raced_with_writer, release_reserve,
};
use crate::recorder::{OPEN_SECONDS, span};
use crate::retention::Maintenance;
use crate::store::indexing::{Freezer, FreezingReplay, Loaded, load};
use crate::store::maintenance::{start, start_maintaining};
use crate::store::pending::Workspaces;
use crate::store::shared::{Clock, NewConsumers, Pins, Rounds, Shared, Store};
use crate::sync::Mutex;

/// How often a store is opened for reading only before it is told that a compaction was ahead of it each time.
const OVERTAKEN_MAX: u32 = 32;

impl Store {
    pub(crate) fn open_with(
        opening: Opening,
        clock: Option<Clock>,
        recheck_commits: bool,
        memory_bytes: u64,
        maintenance: Option<Maintenance>,
    ) -> Result<Self> {
        let began = opening.recording.now();
        let _span = span::open(&opening.paths.root);
        let manifest_before = manifest_before(&opening);
        let mut built = Built::new(&opening, memory_bytes);
        let mut opened = built.open(&opening);
        // What a compaction is ahead of, it has been for a whole pass: the next attempt most often begins behind it.
        for _ in 1..OVERTAKEN_MAX {
            if !matches!(opened, Err(Error::Compacted { .. })) {
                break;
            }
            built = Built::new(&opening, memory_bytes);
            opened = built.open(&opening);
        }
        let raced = raced_with_writer(&opening, manifest_before, &opened)?;
        let full = opened.as_ref().is_err_and(|error| release_reserve(&opening, error));
        // Tried once more: with a writer's commits complete, or with the space of the reserve file.
        if raced || full {
            built = Built::new(&opening, memory_bytes);
            opened = built.open(&opening);
        }
        let opened = opened?;
        let Built { mut index, freezer, cold, found, loaded_upto, .. } = built;
        index.begin_at(opened.published.end());
        let (writer, background) = opened.writing.unzip();
        if let Some(writer) = &writer {
            writer.tell_durable(writer.durable());
        }
        let opener = opened.opener;
        let commits = index.totals.commits;
        let report =
            OpenReport { commits, index: found, replayed_from: loaded_upto, ..opened.report };
        opening.recording.observe_since(&OPEN_SECONDS, &[], began);
        let shared = Shared {
            disk: opening.disk,
            clock,
            paths: opening.paths,
            location: opened.location,
            published: opened.published,
            writer,
            writer_epoch_min: report
                .epoch
                .saturating_add(u32::from(report.verdict != Verdict::Live)),
            index: IndexLock::new(index, opener.clone()),
            pins: Arc::new(Pins::new(opener.clone())),
            freezer,
            opener,
            workspaces: Workspaces::default(),
            recording: opening.recording,
            swept: Mutex::default(),
            compacting: Mutex::default(),
            new_consumers: NewConsumers::default(),
            rounds: Rounds::default(),
            recheck_commits,
        };
        let background = Mutex::new(background);
        let shared = Arc::new(shared);
        let writes = shared.writer.is_some();
        let indexing = writes.then(|| start(&shared, cold)).transpose()?;
        let (indexing, maintaining) = (Mutex::new(indexing), Mutex::default());
        let store = Store { shared, maintaining, indexing, background, report };
        if let Some(maintenance) = maintenance.filter(|_| writes) {
            *store.maintaining.lock() = Some(start_maintaining(&store, maintenance)?);
        }
        Ok(store)
    }
}

/// The index as it is built at opening: what was loaded of it, and what was replayed.
struct Built {
    index: Index,
    freezer: Freezer,
    cold: Arc<Cold>,
    covered: Option<Covered>,
    /// The end of the last commit in what was loaded.
    loaded_upto: Position,
    found: IndexFound,
    memory_bytes: u64,
}

impl Built {
    /// What there is of the index on disk.
    fn new(opening: &Opening, memory_bytes: u64) -> Self {
        let (disk, paths) = (opening.disk.as_ref(), &opening.paths);
        let mut built = Built::nothing(memory_bytes);
        if opening.check_log {
            built.found = IndexFound::Ignored;
        } else if let Some(Loaded { index, cold, covered }) = load(disk, paths) {
            (built.loaded_upto, built.found) = (index.end, IndexFound::Used);
            (built.index, built.cold, built.covered) = (index, cold, Some(covered));
        } else if !matches!(checkpoint_bytes(disk, paths), Ok(None)) {
            built.found = IndexFound::Unusable;
        }
        built
    }

    fn nothing(memory_bytes: u64) -> Self {
        let (index, cold) = (Index::default(), Arc::default());
        let (loaded_upto, found) = (Position::START, IndexFound::Absent);
        let freezer = Freezer::new(memory_bytes);
        Built { index, freezer, cold, covered: None, loaded_upto, found, memory_bytes }
    }

    /// Opens the log, and replays what the index lacks.
    fn open(&mut self, opening: &Opening) -> Result<Opened> {
        if let Some(covered) = self.covered {
            let opened = open(opening, Some(&covered), &mut self.replay(opening));
            if self.index.check_cold().is_ok()
                && let Some(opened) = opened?
            {
                return Ok(opened);
            }
        }
        // It is the index of another log, or of more than there is of this one, or it is damaged.
        let unusable = self.covered.is_some();
        let found = if unusable { IndexFound::Unusable } else { self.found };
        *self = Built { found, ..Built::nothing(self.memory_bytes) };
        let never = || Error::internal("a log that is read from its start does not fit");
        open(opening, None, &mut self.replay(opening))?.ok_or_else(never)
    }

    fn replay(&mut self, opening: &Opening) -> FreezingReplay<'_> {
        if opening.read_only {
            self.index.tables.keep_deletions();
        }
        FreezingReplay { index: &mut self.index, freezer: &self.freezer, oldest: None, held: None }
    }
}
