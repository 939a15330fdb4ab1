//! Proving that the store is what it says: every frame, every event, every sum, anew.

use std::path::PathBuf;

use super::run::info;
use super::{Snapshot, Store};
use crate::bytes::wide;
use crate::error::{Corruption, Error, Result};
use crate::id::{Position, RunId};
use crate::index::{Contradiction, Index};
use crate::log::audit::{self, Files};
use crate::log::frame::OVERHEAD_BYTES;
use crate::log::{Replay, SEGMENT_HEADER_BYTES, Verdict, View};

/// How often progress is told of, in bytes.
const TELL_BYTES: u64 = 1 << 20;

/// How far a verification has come. The log is read first, then the histories of all runs, then
/// the free space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct VerifyProgress {
    /// Bytes that were read and found right.
    pub bytes: u64,
    /// Bytes to be read in all, as far as it is known.
    pub total: u64,
    /// Commits verified.
    pub commits: u64,
}

/// What a verification looked at; that it returned at all says that everything in the log was
/// right. What else there is to say about the store is here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Commits whose checks, contents and order were verified.
    pub commits: u64,
    /// Events that were decoded.
    pub events: u64,
    /// Runs whose histories were read back and added up.
    pub runs: u64,
    /// Bytes of commits.
    pub bytes: u64,
    /// Segments whose header was checked; those without a commit count, too.
    pub segments: u32,
    /// Bytes beyond the last commit that are proven to be none: the next opening for writing puts
    /// them into quarantine. 0 if a writer lives.
    pub unfinished_bytes: u64,
    /// Bytes beyond the last commit that may have been one that was acknowledged. 0 if a writer
    /// lives.
    pub doubtful_bytes: u64,
    /// Copies of bytes that openings removed, in `quarantine/`.
    pub quarantined: Vec<PathBuf>,
    /// Files and directories among the store's own that it knows nothing of, and leaves alone.
    pub unknown: Vec<PathBuf>,
}

impl VerifyReport {
    /// Whether it is proven that every commit which was ever acknowledged is there. It is not where
    /// the last bytes are in doubt, which [`Verdict::Ambiguous`] describes.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.doubtful_bytes == 0
    }
}

impl Store {
    /// Checks every byte of the store as of now, beside whoever writes: both slots of the manifest,
    /// the header of every segment, every frame, and the zeros behind full segments; if the store
    /// is open for reading only and no process writes it, the zeros beyond the end, too. Decodes
    /// every event, builds the index anew from nothing and compares it with the one in use, reads
    /// every run back and adds up its sizes. Proves the trees: one parent each, no run below
    /// itself, counts and open duties computed again from the histories. `progress` is called now
    /// and then.
    ///
    /// Relations and duties in use are compared if nothing is committed meanwhile. Not looked into
    /// are files without content that counts: `LOCK`, which vouches for nothing if it is damaged,
    /// `RESERVE`, files in the making (`*.tmp`), and what is in quarantine. What a CRC-32 does not
    /// find, one random error in 2^32, is not found.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for the first thing that is not as it should be;
    /// [`Error::UnsupportedFormat`] for a page of another version; [`Error::Io`].
    pub fn verify(&self, mut progress: impl FnMut(VerifyProgress)) -> Result<VerifyReport> {
        let snapshot = self.snapshot();
        let view = snapshot.view();
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        audit::manifest(disk, paths, view)?;
        let segments = audit::headers(disk, paths, view)?;
        let Files { quarantined, unknown } = audit::files(disk, paths)?;
        let mut report = VerifyReport { segments, quarantined, unknown, ..Default::default() };
        let quiet = self.is_quiet()?;
        let mut meter = Meter::new(self.bytes_to_verify(&snapshot, segments, quiet), &mut progress);
        let fresh = verify_log(view, &mut report, &mut meter)?;
        fresh.prove().map_err(|contradiction| contradicted(view, &contradiction))?;
        self.verify_ties(&snapshot, &fresh)?;
        verify_namespaces(&snapshot, &fresh)?;
        verify_runs(&snapshot, &fresh, &mut report, &mut meter)?;
        if quiet {
            self.verify_space(view, &mut report, &mut meter)?;
        }
        meter.tell();
        Ok(report)
    }

    /// Whether what lies beyond the end is nobody's: no writer lives, or came since the opening.
    fn is_quiet(&self) -> Result<bool> {
        let reads = self.shared.writer.is_none() && self.report.verdict != Verdict::Live;
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        Ok(reads && audit::is_quiet(disk, paths, self.report.epoch)?)
    }

    fn bytes_to_verify(&self, snapshot: &Snapshot, segments: u32, quiet: bool) -> u64 {
        let segment_bytes = u64::from(snapshot.view().identity.segment_bytes);
        let log = match quiet {
            true => u64::from(segments) * segment_bytes,
            false => snapshot.end().as_u64(),
        };
        let index = snapshot.index();
        let sizes = index.namespaces.iter().filter_map(|it| it.size.at(snapshot.end()));
        log + sizes.map(|size| size.bytes).sum::<u64>()
    }

    /// The space for commits to come must be zero.
    fn verify_space(
        &self,
        view: &View,
        report: &mut VerifyReport,
        meter: &mut Meter<'_>,
    ) -> Result<()> {
        let (disk, paths) = (self.shared.disk.as_ref(), &self.shared.paths);
        let remains =
            audit::remains(disk, paths, view, report.segments, &mut |more| meter.add(more))?;
        if remains > 0 && self.is_quiet()? {
            match self.report.verdict {
                Verdict::Torn => report.unfinished_bytes = remains,
                _ => report.doubtful_bytes = remains,
            }
        }
        Ok(())
    }

    /// Compares relations, chains and duties with those in use, if nothing was committed since.
    fn verify_ties(&self, snapshot: &Snapshot, fresh: &Index) -> Result<()> {
        let view = snapshot.view();
        let index = snapshot.index();
        if index.end != view.end {
            return Ok(());
        }
        let differs = (0..fresh.runs.len()).find(|number| {
            let runs = fresh.runs.get(*number).zip(index.runs.get(*number));
            runs.is_none_or(|(expected, found)| expected.ties != found.ties)
        });
        if differs.is_some() || fresh.chains != index.chains || fresh.duties != index.duties {
            let run = differs.and_then(|number| fresh.runs.get(number)).map(|run| run.id);
            let what = "relations, chains or duties differ from the log";
            let error = mismatch(view, what, 0, 0);
            return Err(run.map_or(error.clone(), |run| of_run(error, run)));
        }
        Ok(())
    }
}

/// Reads the log from its first byte to its last, and what it comes to.
fn verify_log(view: &View, report: &mut VerifyReport, meter: &mut Meter<'_>) -> Result<Index> {
    let mut fresh = Index::default();
    let (mut at, mut epoch) = (view.identity.first_frame(0), 0);
    let mut frames = view.frames(Position::START);
    while let Some(frame) = frames.next().transpose()? {
        at = verify_tails(view, at, frame.position)?;
        if frame.header.epoch < epoch {
            let what = "a frame is older than what comes before it";
            let (expected, found) = (epoch.into(), frame.header.epoch.into());
            return Err(view.corrupt(at, what, expected, found));
        }
        epoch = frame.header.epoch;
        fresh.commit(&frame).map_err(|_| view.corrupt(at, "a commit makes no sense", 0, 0))?;
        at = frame.end();
        report.commits += 1;
        report.bytes += wide(frame.header.frame_bytes());
        meter.now.commits += 1;
        meter.reach(at);
    }
    verify_tails(view, at, view.end)?;
    meter.reach(view.end);
    Ok(fresh)
}

/// Where `next` is in a later segment than `at`, a frame seals the segments between: what lies
/// behind it must be zero.
fn verify_tails(view: &View, mut at: Position, next: Position) -> Result<Position> {
    let (last, _) = view.identity.locate(next);
    loop {
        let (number, _) = view.identity.locate(at);
        if number == last {
            return Ok(at);
        }
        let tail = at.plus(wide(OVERHEAD_BYTES));
        let first = view.identity.first_frame(number + 1);
        let end = first.as_u64() - wide(SEGMENT_HEADER_BYTES);
        let len = usize::try_from(end.saturating_sub(tail.as_u64())).unwrap_or(usize::MAX);
        let bytes = view.bytes(tail, len)?;
        if let Some(dirty) = bytes.iter().position(|byte| *byte != 0) {
            let found = bytes.get(dirty).copied().unwrap_or_default();
            let what = "bytes behind the end of a full segment";
            return Err(view.corrupt(tail.plus(wide(dirty)), what, 0, found.into()));
        }
        at = first;
    }
}

/// Reads every run back and adds it up.
fn verify_runs(
    snapshot: &Snapshot,
    fresh: &Index,
    report: &mut VerifyReport,
    meter: &mut Meter<'_>,
) -> Result<()> {
    let view = snapshot.view();
    for number in 0..fresh.runs.len() {
        let found = info(&snapshot.index(), number, snapshot.end());
        let expected = info(fresh, number, snapshot.end());
        let (Some(expected), Some(found)) = (expected, found) else {
            return Err(mismatch(view, "a run is missing from the index", 1, 0));
        };
        if expected != found {
            let (expected, found) = (expected.bytes, found.bytes);
            return Err(mismatch(view, "the index differs from the log", expected, found));
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

/// Tells of progress, not too often.
struct Meter<'a> {
    now: VerifyProgress,
    told: u64,
    progress: &'a mut dyn FnMut(VerifyProgress),
}

impl<'a> Meter<'a> {
    fn new(total: u64, progress: &'a mut dyn FnMut(VerifyProgress)) -> Self {
        Meter { now: VerifyProgress { total, ..Default::default() }, told: 0, progress }
    }

    /// The log was verified up to here.
    fn reach(&mut self, end: Position) {
        self.add(end.as_u64().saturating_sub(self.now.bytes));
    }

    fn add(&mut self, bytes: u64) {
        self.now.bytes += bytes;
        if self.now.bytes - self.told >= TELL_BYTES {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told = self.now.bytes;
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
    use crate::{NewChild, NewRun, Options};

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
