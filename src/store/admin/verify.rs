//! Verification: reads every frame, event and file again, and compares the index with one built anew.

use std::path::PathBuf;

use super::verify_index::StoredIndex;
use crate::bytes::wide;
use crate::error::{Corruption, Error, Result};
use crate::event::Malformed;
use crate::id::{RunId, RunNumber};
use crate::index::cold::unknown_files;
use crate::index::{Contradiction, Index};
use crate::log::files::View;
use crate::log::format::{Compacted, Frame, Paths, SegmentHeader};
use crate::log::open::{Files, Replay, Verdict, reread};
use crate::store::read::{Snapshot, info};
use crate::store::shared::Store;

/// Bytes between two calls of `progress`.
const PROGRESS_BYTES: u64 = 1 << 20;

/// Progress of a verification. It reads the log first, including the free space if there is no writer, then the
/// histories of all runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Bytes that were verified.
    pub bytes: u64,
    /// Bytes to be verified in total, as far as known.
    pub total: u64,
    /// Commits verified.
    pub commits: u64,
}

/// What a verification read. An error in the log is returned as such, so a report says that the log is sound;
/// it lists what an opening would repair, and other files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Commits whose checksums, contents and order were verified.
    pub commits: u64,
    /// Events that were decoded.
    pub events: u64,
    /// Runs whose histories were read and compared with their sizes.
    pub runs: u64,
    /// Bytes of commits.
    pub bytes: u64,
    /// Segments whose header was checked, including those without a commit.
    pub segments: u32,
    /// Bytes after the last commit, and after the seals of full segments, that are proven to be no acknowledged
    /// commit: a torn tail. The next opening for writing moves them into quarantine. Beside a writer, only those
    /// after seals are counted.
    pub unfinished_bytes: u64,
    /// Bytes after the last commit that may have been an acknowledged one, and those after seals. 0 beside a
    /// writer.
    pub doubtful_bytes: u64,
    /// One of the manifest's two slots is not valid. Nothing is lost, as the other one is; the next opening for
    /// writing rewrites both.
    pub manifest_damaged: bool,
    /// Copies of bytes that openings removed, in the directory `quarantine`.
    pub quarantined: Vec<PathBuf>,
    /// Files and directories in the store's directory that are not the store's; they are not touched.
    pub unknown: Vec<PathBuf>,
}

impl VerifyReport {
    /// Whether it is proven that every acknowledged commit is there. Not if the last bytes are
    /// [`Verdict::Ambiguous`].
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.doubtful_bytes == 0
    }
}

impl Store {
    /// Checks every byte of the store as of now, while writers go on, by the rules of an opening: both slots of
    /// the manifest, the header of every segment, every frame, and the zeros after the seals of full segments. If
    /// the store is open for reading only and no process writes it, also the zeros after the end of the log. What
    /// an opening refuses is an error here; what it repairs is in the report.
    /// Decodes every event, builds the index anew, compares it with the one in use, reads every history and
    /// compares it with the run's size. Proves the trees: one parent per child, no cycles, counts and open duties
    /// as computed from the histories. `progress` is called from time to time, and must not compact, erase or verify the
    /// same store: one of these waits for the other.
    ///
    /// Checks every byte of the index's files, and compares all that they say with the log up to the commit after which
    /// they were written. Relations, duties and rows are compared with those in use only if nothing is committed
    /// meanwhile. Not checked are
    /// `LOCK`, which is ignored if it is damaged, `RESERVE`, unfinished files (`*.tmp`), and the files in
    /// quarantine. An error that a CRC-32 misses, one random error in 2^32, is not found.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for the first error that is found; if the log is sound,
    /// [`Error::DamagedIndex`] for one in the index's files;
    /// [`Error::UnsupportedFormat`] for a page of another version; [`Error::Io`]; [`Error::Compacted`] in a store that is
    /// open for reading only, if the writer has compacted what was still to be read: open it anew.
    pub fn verify(&self, mut progress: impl FnMut(VerifyProgress)) -> Result<VerifyReport> {
        self.shared.here()?;
        // What is read must not lack what is dead only after the snapshot.
        let _alone = self.shared.compacting.lock();
        // Before the snapshot, which then has every commit that is in it.
        let stored = self.stored_index();
        let snapshot = self.snapshot();
        let view = snapshot.view();
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        let Files { quarantined, mut unknown } = reread::files(disk, paths)?;
        unknown.extend(unknown_files(disk, paths)?);
        unknown.sort_unstable();
        let mut report = VerifyReport { quarantined, unknown, ..Default::default() };
        let mut meter = Meter::new(self.bytes_to_verify(&snapshot)?, &mut progress);
        let fresh = self.verify_log(view, &mut report, &mut meter, stored)?;
        fresh.prove().map_err(|contradiction| contradicted(view, &contradiction))?;
        let compared = self
            .verify_links(&snapshot, &fresh)
            .and_then(|()| self.verify_tables(&snapshot, &fresh))
            .and_then(|()| self.verify_lists(&snapshot, &fresh))
            .and_then(|()| verify_namespaces(&snapshot, &fresh))
            .and_then(|()| verify_runs(&snapshot, &fresh, &mut report, &mut meter));
        compared.map_err(|error| self.of_index_in_use(error))?;
        meter.report();
        Ok(report)
    }

    /// Whether there is no writer, and was none since the opening, so that bytes after the end are not in flight.
    fn is_quiet(&self) -> Result<bool> {
        let reads = self.shared.writer.is_none() && self.report.verdict != Verdict::Live;
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        Ok(reads && reread::is_quiet(disk, paths, self.report.epoch)?)
    }

    /// Reads the log again, and compares what it results in with what was `stored`; returns the index at its end.
    fn verify_log(
        &self,
        view: &View,
        report: &mut VerifyReport,
        meter: &mut Meter<'_>,
        mut stored: Result<Option<StoredIndex>>,
    ) -> Result<Index> {
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        loop {
            let (epoch, quiet) = (reread::epoch(disk, paths)?, self.is_quiet()?);
            let index = Index::default();
            let mut fresh =
                Fresh { index, commits: 0, bytes: 0, meter, paths, stored: &mut stored };
            let limit = (!quiet).then_some(view.end);
            let found = reread::reread(disk, paths, view, limit, &mut fresh);
            let Fresh { mut index, commits, bytes, .. } = fresh;
            index.begin_at(view.end);
            // A writer that came meanwhile may have written what reads as damage: start again.
            if reread::epoch(disk, paths)? != epoch || quiet != self.is_quiet()? {
                continue;
            }
            // Damage of the log matters more than that of an index.
            let found = found?;
            stored?;
            (report.commits, report.bytes, report.segments) = (commits, bytes, found.segments);
            report.manifest_damaged = found.manifest_damaged;
            if let Some(tail) = found.tail {
                let (unfinished, doubtful) =
                    if tail.torn { (tail.bytes(), 0) } else { (0, tail.bytes()) };
                (report.unfinished_bytes, report.doubtful_bytes) = (unfinished, doubtful);
            }
            meter.reach(log_bytes(view, quiet));
            return Ok(index);
        }
    }

    fn bytes_to_verify(&self, snapshot: &Snapshot) -> Result<u64> {
        let view = snapshot.view();
        let log = log_bytes(view, self.is_quiet()?);
        let index = snapshot.index();
        let namespaces = &index.namespaces;
        let sizes = namespaces.iter().filter_map(|it| namespaces.size_at(it, view.end));
        Ok(log + sizes.map(|size| size.bytes).sum::<u64>())
    }

    /// Compares relations, chains, duties and open runs with those in use, unless something was committed since.
    fn verify_links(&self, snapshot: &Snapshot, fresh: &Index) -> Result<()> {
        let view = snapshot.view();
        let index = snapshot.index();
        if index.last != fresh.last {
            return Ok(());
        }
        let differs = fresh
            .runs
            .iter()
            .find(|(number, _)| fresh.runs.links(*number) != index.runs.links(*number));
        if differs.is_some()
            || !fresh.chains.iter().eq(index.chains.iter())
            || fresh.duties != index.duties
            || fresh.open_runs() != index.open_runs()
        {
            let run = differs.map(|(_, run)| run.id);
            let what = "relations, chains, duties or open runs differ from the log";
            let error = mismatch(view, what, 0, 0);
            return Err(run.map_or(error.clone(), |run| of_run(error, run)));
        }
        Ok(())
    }
}

/// The bytes of the log that a verification reads: those up to the end, and if there is no writer, the
/// free space too.
fn log_bytes(view: &View, quiet: bool) -> u64 {
    if quiet {
        return view.file_bytes_before(u32::MAX);
    }
    let (last, offset) = view.identity.locate(view.end);
    view.file_bytes_before(last) + wide(offset)
}

/// An index that is built anew.
struct Fresh<'a, 'm> {
    index: Index,
    commits: u64,
    bytes: u64,
    meter: &'a mut Meter<'m>,
    paths: &'a Paths,
    /// The index as it is stored, until the commit after which it was; or what is wrong with it.
    stored: &'a mut Result<Option<StoredIndex>>,
}

impl Replay for Fresh<'_, '_> {
    fn commit(&mut self, frame: &Frame<'_>) -> Result<(), Malformed> {
        self.index.commit(frame)?;
        if let Ok(Some(stored)) = &self.stored
            && stored.is_after(frame)
        {
            *self.stored = stored.compare(&self.index, self.paths).map(|()| None);
        }
        self.commits += 1;
        self.bytes += wide(frame.header.frame_bytes());
        self.meter.now.commits = self.commits;
        self.meter.reach(self.bytes);
        Ok(())
    }

    fn compacted(&mut self, segment: &SegmentHeader, compacted: &Compacted, left_out: bool) {
        self.index.begin_compacted(segment, compacted, left_out);
        if let Ok(Some(stored)) = &self.stored
            && stored.is_before(compacted.as_of)
        {
            // The log does not say any more what the index was before that.
            *self.stored = Ok(None);
        }
    }

    fn is_whole(&self) -> bool {
        self.index.is_whole()
    }

    fn run_ids(&self, numbers: &[RunNumber]) -> Vec<RunId> {
        self.index.run_ids(numbers)
    }
}

/// Reads the history of every run, and compares it with the index.
fn verify_runs(
    snapshot: &Snapshot,
    fresh: &Index,
    report: &mut VerifyReport,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let view = snapshot.view();
    for (number, _) in fresh.runs.iter() {
        let found = info(&snapshot.index(), number, snapshot.end());
        let expected = info(fresh, number, snapshot.end());
        let (Some(expected), Some(found)) = (expected, found) else {
            return Err(mismatch(view, "a run is missing from the index", 1, 0));
        };
        if expected != found {
            let (expected, found) = (expected.bytes, found.bytes);
            return Err(mismatch(view, "the index differs from the log", expected, found));
        }
        if expected.deleted.is_some() {
            continue;
        }
        let history = snapshot.history(&expected.id)?;
        let (mut events, mut bytes) = (0u32, 0u64);
        for event in &history {
            let size = u64::from(event?.size());
            events += 1;
            bytes += size;
            meter.add(size);
        }
        if (events, bytes) != (expected.events, expected.bytes) {
            let what = "a run does not add up to its size";
            let error = mismatch(view, what, expected.bytes, bytes);
            return Err(of_run(error, expected.id));
        }
        report.events += u64::from(events);
        report.runs += 1;
    }
    Ok(())
}

/// Reports progress at intervals of [`PROGRESS_BYTES`].
struct Meter<'a> {
    now: VerifyProgress,
    reported: u64,
    progress: &'a mut dyn FnMut(VerifyProgress),
}

impl<'a> Meter<'a> {
    fn new(total: u64, progress: &'a mut dyn FnMut(VerifyProgress)) -> Self {
        Meter { now: VerifyProgress { total, ..Default::default() }, reported: 0, progress }
    }

    /// So many bytes of the log were verified. Headers and what follows seals are counted at its end.
    fn reach(&mut self, bytes: u64) {
        self.add(bytes.saturating_sub(self.now.bytes));
    }

    fn add(&mut self, bytes: u64) {
        self.now.bytes += bytes;
        if self.now.bytes - self.reported >= PROGRESS_BYTES {
            self.report();
        }
    }

    fn report(&mut self) {
        self.reported = self.now.bytes;
        (self.progress)(self.now);
    }
}

fn verify_namespaces(snapshot: &Snapshot, fresh: &Index) -> Result<()> {
    fresh.namespaces.iter().try_for_each(|namespace| {
        let expected = *namespace.size.latest();
        let found = snapshot.namespace_size(&namespace.name);
        if expected == found {
            return Ok(());
        }
        let what = "the size of a namespace differs from the log";
        Err(mismatch(snapshot.view(), what, expected.bytes, found.bytes))
    })
}

fn contradicted(view: &View, found: &Contradiction) -> Error {
    of_run(mismatch(view, found.what, found.expected, found.found), found.run)
}

fn of_run(error: Error, run: RunId) -> Error {
    match error {
        Error::Corrupt(corruption) if !run.is_nil() => {
            Error::Corrupt(Box::new(Corruption { runs: vec![run], ..*corruption }))
        }
        other => other,
    }
}

fn mismatch(view: &View, what: &'static str, expected: u64, found: u64) -> Error {
    view.corrupt(view.end, what, expected, found)
}

#[cfg(test)]
mod tests {
    use crate::index::DAMAGES;
    use crate::store::Options;
    use crate::store::tx::{NewChild, NewRun};

    #[test]
    fn an_index_that_differs_from_the_log_is_found_out() {
        for (damage, inflict) in DAMAGES {
            let dir = tempfile::tempdir().unwrap();
            let store = Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap();
            let mut tx = store.begin();
            let parent = tx.start(NewRun::new("shop", "order", "Order")).unwrap();
            tx.spawn_child(&parent, NewChild::new("ship", "Shipping")).unwrap();
            tx.initiate_child(&parent, NewChild::new("late", "Shipping")).unwrap();
            tx.commit().unwrap();
            store.verify(|_| ()).unwrap();
            let proof = {
                let mut index = store.shared.index.write();
                inflict(&mut index);
                index.prove()
            };
            assert!(proof.is_err(), "{damage} is proven");
            assert!(store.verify(|_| ()).is_err(), "{damage} is verified");
        }
    }
}
