//! Statistics: counts, and what every byte of the store's files is used for.

use std::io::ErrorKind::NotFound;

use crate::bytes::wide;
use crate::disk::OpenMode;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::index::persist::unmerged;
use crate::index::{Index, Size};
use crate::log::format::{
    BATCH_HEADER_BYTES, Compacted, Dropped, OVERHEAD_BYTES, SEGMENT_HEADER_BYTES, segment_number,
};
use crate::store::read::Consumer;
use crate::store::shared::Store;

/// Counts and sizes of a store. The sizes add up to [`Stats::file_bytes`], to the byte.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Runs, without those of which nothing was kept.
    pub runs: u64,
    /// Runs that were deleted and of which nothing was kept, without those that were erased.
    pub deleted_runs: u64,
    /// The histories that were deleted, of these runs and of those whose outcome was kept. Their events are in the log
    /// until a compaction; those that a reset made two runs share count for each.
    pub deleted_histories: Size,
    /// Open runs.
    pub open_runs: u64,
    /// Relations to children, in any state: as many as [`Store::children`](crate::Store::children) lists over all
    /// runs. One that runs share by a reset counts for each of them.
    pub relations: u64,
    /// Bytes of memory of the index per run in its hot layer: its entry and those of one chain and one workflow, without names and
    /// the allocator's overhead.
    pub index_bytes_per_run: u64,
    /// Bytes of memory of the index per relation to a child, of runs in its hot layer.
    pub index_bytes_per_relation: u64,
    /// Commits, ever.
    pub commits: u64,
    /// Events of all runs, ever.
    pub events: u64,
    /// Bytes of the engine's payloads, which are part of `event_bytes`. This and the following are bytes in files.
    pub payload_bytes: u64,
    /// Bytes of events, with headers, typed heads and padding: the sum of all runs' bytes.
    pub event_bytes: u64,
    /// Bytes of frame and batch headers and of trailers.
    pub frame_bytes: u64,
    /// Bytes of rows put into tables and of deletions, including superseded ones.
    pub row_bytes: u64,
    /// Bytes of segment headers.
    pub header_bytes: u64,
    /// Bytes of the tables of segments that were [compacted](crate::Store::compact), which say where the rest of them was.
    pub piece_bytes: u64,
    /// Bytes at the ends of full segments: seals, and the space after them.
    pub tail_bytes: u64,
    /// Bytes that are allocated for future commits.
    pub free_bytes: u64,
    /// Bytes of the manifest, the lock record and the reserve file.
    pub administration_bytes: u64,
    /// Bytes of the files in the directory of the index.
    pub index_bytes: u64,
    /// Bytes of the copies in quarantine.
    pub quarantine_bytes: u64,
    /// The total length of all files.
    pub file_bytes: u64,
    /// Segments that were compacted.
    pub compacted_segments: u64,
    /// Bytes of events, rows and frames that compactions have dropped; they are in no other number here.
    pub dropped_bytes: u64,
    /// Segments that were packed ([`Compaction::pack`](crate::retention::Compaction), with the cargo feature `zstd`).
    pub packed_segments: u64,
    /// Bytes of events and of frame and batch headers that are packed, as they count above.
    pub unpacked_bytes: u64,
    /// What they take in the files. `packed_bytes / unpacked_bytes` is the ratio.
    pub packed_bytes: u64,
    /// Bytes of segments as they were before a compaction, which readers hold still: the device has them back once the
    /// oldest snapshots, histories and views of commits are dropped. They are not in `file_bytes`.
    pub held_bytes: u64,
    /// The tables in the order of their names, those without a row among them if they had one, as in [`Snapshot::tables`](crate::Snapshot::tables);
    /// kinlog's own begin with `kinlog.`.
    pub tables: Vec<TableSize>,
    /// The named consumers of the log, in the order of their names, as of the last published commit. The slowest one says from where on
    /// [`Store::compact`] leaves the log as it is.
    pub consumers: Vec<Consumer>,
    /// What the thread for [maintenance](crate::Options::maintenance) has done since the store was opened.
    pub maintenance: MaintenanceStats,
    /// Where the index is, in memory and on disk.
    pub index: IndexStats,
}

/// Where the index is: layers in memory over files that are read through maps.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct IndexStats {
    /// About how many bytes of memory the hot layer takes: what has changed since the last freeze.
    pub hot_bytes: u64,
    /// Frozen layers in memory: those to be written, and those that readers of former positions need.
    pub frozen_layers: u64,
    /// About how many bytes of memory they take.
    pub frozen_bytes: u64,
    /// About how many bytes of memory open runs take that no layer has: they stay in memory though files have them, within
    /// an eighth of [`Options::memory_bytes`](crate::Options::memory_bytes).
    pub open_bytes: u64,
    /// How many frozen layers wait to be written into files.
    pub waiting_layers: u64,
    /// The oldest position that a reader holds, if that is before the end; frozen layers from there on stay in memory.
    pub oldest_reader: Option<Position>,
    /// Bytes of what is kept in memory as a whole, as it was stored last: namespaces, workflow types with their open
    /// runs, duties, tables without rows. In memory it takes a few times as much.
    pub resident_bytes: u64,
    /// Files in use, the checkpoint not counted.
    pub files: u64,
    /// How many of them wait to be merged, which may make others wait. Each file makes look-ups slower. At 0 the index is as
    /// quick and as small as it gets.
    pub unmerged_files: u64,
    /// Bytes of those files, which are mapped. The system keeps in memory what of them is read, filters first.
    pub mapped_bytes: u64,
    /// How many of those bytes are the lists of runs by when they started and closed.
    pub list_bytes: u64,
    /// What the last attempt to write or merge files failed with, if no later one succeeded. The log is not affected; the
    /// index grows in memory, and the next opening replays more.
    pub last_error: Option<String>,
}

/// What the thread for [maintenance](crate::Options::maintenance) has done; zeros if there is none.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct MaintenanceStats {
    /// Rounds that are over, those that failed among them.
    pub rounds: u64,
    /// Runs that expired, of which nothing was kept.
    pub runs: u64,
    /// Runs whose histories expired, and whose outcome was kept.
    pub outcomes: u64,
    /// Bytes by which files became shorter.
    pub freed_bytes: u64,
    /// What the last round failed with, if it did; what it had done before that is done.
    pub last_error: Option<String>,
}

/// What a table holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TableSize {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// The bytes of their keys and values; what superseded and deleted rows take in the log is not among them.
    pub bytes: u64,
}

impl Stats {
    /// The bytes of the log that are in use: everything but free space, administration, index and quarantine.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        let commits = self.event_bytes + self.frame_bytes + self.row_bytes;
        let unpacked = commits + self.header_bytes + self.piece_bytes + self.tail_bytes;
        (unpacked + self.packed_bytes).saturating_sub(self.unpacked_bytes)
    }

    /// Leaves out what a segment has no more.
    fn leave_out(&mut self, compacted: &Compacted) {
        let Dropped { commits, batches, event_bytes, payload_bytes, row_bytes, .. } =
            compacted.dropped;
        let frames = commits * wide(OVERHEAD_BYTES) + batches * wide(BATCH_HEADER_BYTES);
        self.compacted_segments += 1;
        self.piece_bytes += wide(compacted.table().len());
        self.packed_segments += u64::from(compacted.packed.is_some());
        self.unpacked_bytes += compacted.packed_data_bytes();
        self.packed_bytes += compacted.packed_file_bytes();
        self.dropped_bytes += event_bytes + row_bytes + frames;
        // Commits that came since the counts were taken have been compacted already in no case.
        self.event_bytes = self.event_bytes.saturating_sub(event_bytes);
        self.payload_bytes = self.payload_bytes.saturating_sub(payload_bytes);
        self.row_bytes = self.row_bytes.saturating_sub(row_bytes);
        self.frame_bytes = self.frame_bytes.saturating_sub(frames);
    }

    /// The sum of all parts; equal to [`Stats::file_bytes`].
    #[must_use]
    pub fn accounted_bytes(&self) -> u64 {
        let beside = self.administration_bytes + self.index_bytes + self.quarantine_bytes;
        self.log_bytes() + self.free_bytes + beside
    }
}

impl Store {
    /// Counts and sizes, as of the last commit, published or in flight. Reads the length of every file.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be measured; as [`Store::consumers`].
    pub fn stats(&self) -> Result<Stats> {
        self.shared.here()?;
        let mut stats = Stats { consumers: self.consumers()?, ..Stats::default() };
        stats.maintenance = self.maintenance_stats();
        let end = self.count(&mut stats);
        let view = self.shared.published.view();
        let known = |number: u32| view.segments().get(usize::try_from(number).ok()?);
        for compacted in view.segments().iter().filter_map(|it| it.header.compacted) {
            stats.leave_out(&compacted);
        }
        stats.held_bytes = self.shared.published.held().into_iter().map(|(_, bytes)| bytes).sum();
        let (last, offset) = self.shared.published.identity.locate(end);
        let paths = &self.shared.paths;
        let mut full_bytes = 0;
        for name in self.names(&paths.log())? {
            let number = segment_number(&name);
            let bytes = match number.and_then(known) {
                Some(segment) => Ok(wide(segment.header.stored_len())),
                None => self.measure(&paths.log().join(&name)),
            };
            let bytes = match bytes {
                // The segment that was being prepared was renamed meanwhile.
                Err(Error::Io { source, .. }) if number.is_none() && source.kind() == NotFound => {
                    return self.stats();
                }
                measured => measured?,
            };
            stats.file_bytes += bytes;
            let used = match number {
                Some(number) if number < last => {
                    full_bytes += bytes;
                    bytes
                }
                Some(number) if number == last => wide(offset),
                Some(_) => wide(SEGMENT_HEADER_BYTES),
                // A segment that is being prepared.
                None => 0,
            };
            stats.header_bytes += number.map_or(0, |_| wide(SEGMENT_HEADER_BYTES));
            stats.free_bytes += bytes.saturating_sub(used);
        }
        // Bytes before the end of the log that are neither headers nor commits are the tails of full segments.
        let headers = (u64::from(last) + 1) * wide(SEGMENT_HEADER_BYTES);
        let commits = stats.event_bytes + stats.frame_bytes + stats.row_bytes;
        let known = headers + stats.piece_bytes + stats.packed_bytes + commits;
        let unpacked = full_bytes + stats.unpacked_bytes + wide(offset);
        stats.tail_bytes = unpacked.saturating_sub(known);
        for path in [paths.manifest(), paths.lock_record(), paths.reserve()] {
            stats.administration_bytes += self.measure_if_there(&path)?;
        }
        stats.file_bytes += stats.administration_bytes;
        for name in self.names(&paths.quarantine()).unwrap_or_default() {
            stats.quarantine_bytes += self.measure(&paths.quarantine().join(name))?;
        }
        for name in self.names(&paths.index()).unwrap_or_default() {
            // It may have been replaced meanwhile.
            stats.index_bytes += self.measure_if_there(&paths.index().join(name))?;
        }
        stats.file_bytes += stats.index_bytes + stats.quarantine_bytes;
        Ok(stats)
    }

    /// Fills in the counts of the index; returns the end of the log that they refer to.
    fn count(&self, stats: &mut Stats) -> crate::id::Position {
        let index = self.shared.index.read();
        let totals = index.totals;
        stats.runs = totals.runs - totals.runs_deleted;
        stats.deleted_runs = totals.runs_deleted;
        stats.deleted_histories = Size {
            runs: totals.histories_deleted,
            events: totals.events_deleted,
            bytes: totals.bytes_deleted,
        };
        stats.open_runs = totals.open_runs;
        stats.relations = totals.relations;
        let (run, relation) = Index::entry_bytes();
        stats.index_bytes_per_run = wide(run);
        stats.index_bytes_per_relation = wide(relation);
        stats.commits = totals.commits;
        stats.events = totals.events;
        stats.payload_bytes = totals.payload_bytes;
        stats.event_bytes = totals.event_bytes;
        stats.row_bytes = totals.row_bytes;
        stats.frame_bytes = totals.frame_bytes();
        let tables = index.tables.sizes();
        stats.tables = tables
            .map(|(name, rows, bytes)| TableSize { name: name.to_string(), rows, bytes })
            .collect();
        stats.tables.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        stats.index = self.index_stats(&index);
        // The log may go on in another segment than the last commit is in.
        index.end.max(self.end())
    }

    fn index_stats(&self, index: &Index) -> IndexStats {
        let (layers, frozen_bytes) = index.frozen_layers();
        let (waiting, error) = self.shared.freezer.waiting();
        let published = self.end();
        let oldest = self.shared.pins.oldest(|| published);
        let files = index.files();
        IndexStats {
            hot_bytes: index.hot_bytes(),
            frozen_layers: wide(layers),
            frozen_bytes,
            open_bytes: index.open_bytes(),
            waiting_layers: wide(waiting),
            oldest_reader: Some(oldest).filter(|oldest| *oldest < published),
            resident_bytes: index.resident_bytes(),
            files: wide(files.len()),
            unmerged_files: wide(unmerged(index.runs.cold())),
            mapped_bytes: files.iter().map(|file| file.entry.len).sum(),
            list_bytes: files.iter().map(|file| file.list_bytes()).sum(),
            last_error: error.map(|error| error.to_string()),
        }
    }

    fn maintenance_stats(&self) -> MaintenanceStats {
        let done = self.shared.rounds.done();
        MaintenanceStats {
            rounds: done.rounds,
            runs: done.runs,
            outcomes: done.outcomes,
            freed_bytes: done.freed_bytes,
            last_error: done.last.err().map(|error| error.to_string()),
        }
    }

    fn names(&self, dir: &std::path::Path) -> Result<Vec<String>> {
        self.shared.disk.list(dir).map_err(|e| Error::io("list", dir, e))
    }

    fn measure_if_there(&self, path: &std::path::Path) -> Result<u64> {
        match self.measure(path) {
            Err(Error::Io { source, .. }) if source.kind() == NotFound => Ok(0),
            measured => measured,
        }
    }

    fn measure(&self, path: &std::path::Path) -> Result<u64> {
        let open = self.shared.disk.open(path, OpenMode::Read);
        open.and_then(|file| file.size()).map_err(|e| Error::io("measure", path, e))
    }
}
