//! One salvage, held against what the undamaged store says must come of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use kinlog::salvage::{CutRun, SalvageReport, UnknownRun};
use kinlog::{RunFilter, RunId, Store, Verdict};
use kinlog_testing::files::{Image, directory, segment_name, small_segments};

use super::original::{Commit, Original, Place, events};

/// Which frames were damaged: those of whose bytes, the segment's salt among them, one is not as
/// it was.
pub(crate) fn differs(original: &Original, image: &Image, place: &Place) -> bool {
    let name = segment_name(place.segment);
    [48..64, place.start..place.end].into_iter().any(|range| {
        let now = image.0.get(&name).and_then(|bytes| bytes.get(range.clone()));
        now != Some(&original.image.0[&name][range])
    })
}

/// Salvages a damaged image and checks all that must hold. The frames that differ are lost.
pub(crate) fn examine(original: &Original, image: &Image, what: &str) -> SalvageReport {
    examine_with(original, image, |place| differs(original, image, place), what)
}

/// As [`examine`], where other things than the bytes of a frame say that it is lost.
pub(crate) fn examine_with(
    original: &Original,
    image: &Image,
    lost: impl Fn(&Place) -> bool,
    what: &str,
) -> SalvageReport {
    let dir = directory();
    let (src, dst) = (dir.path().join("src"), dir.path().join("dst"));
    image.write(&src);
    let report = kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ());
    Image::read(&src).assert_same(image, what);
    let report = report.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(!dir.path().join("dst.partial").exists(), "{what}");
    let expected = Expected::of(original, lost);
    check_store(original, &expected, &dst, &report, what);
    expected.check_report(&report, what);
    check_ranges(&expected, &report, &src, what);
    report
}

/// What must come of a salvage.
struct Expected<'o> {
    original: &'o Original,
    /// By commit: its frame is whole.
    found: Vec<bool>,
    /// By commit and batch.
    kept: Vec<Vec<bool>>,
}

impl<'o> Expected<'o> {
    fn of(original: &'o Original, lost: impl Fn(&Place) -> bool) -> Self {
        let commits = &original.commits;
        let found: Vec<bool> = commits.iter().map(|commit| !lost(&commit.place)).collect();
        let kept = commits.iter().zip(&found);
        let mut kept: Vec<Vec<bool>> =
            kept.map(|(commit, found)| vec![*found; commit.batches.len()]).collect();
        loop {
            let mut changed = false;
            for (i, commit) in commits.iter().enumerate() {
                for (j, batch) in commit.batches.iter().enumerate() {
                    if kept[i][j] && batch.needs.iter().any(|(i, j)| !kept[*i][*j]) {
                        kept[i][j] = false;
                        changed = true;
                    }
                }
            }
            if !changed {
                return Expected { original, found, kept };
            }
        }
    }

    fn commits(&self) -> impl Iterator<Item = (&'o Commit, bool, &[bool])> {
        let commits = self.original.commits.iter().zip(&self.found).zip(&self.kept);
        commits.map(|((commit, found), kept)| (commit, *found, kept.as_slice()))
    }

    /// How many events of each run come back.
    fn lengths(&self) -> BTreeMap<RunId, u32> {
        let mut lengths = BTreeMap::new();
        for (commit, _, kept) in self.commits() {
            let batches = commit.batches.iter().zip(kept).filter(|(_, kept)| **kept);
            lengths.extend(batches.map(|(batch, _)| (batch.run, batch.last)));
        }
        lengths
    }

    fn rows(&self) -> BTreeMap<(&str, &[u8]), &[u8]> {
        let mut rows = BTreeMap::new();
        for (commit, ..) in self.commits().filter(|(_, found, _)| *found) {
            for (table, key, value) in &commit.rows {
                match value {
                    Some(value) => rows.insert((table.as_str(), key.as_slice()), value.as_slice()),
                    None => rows.remove(&(table.as_str(), key.as_slice())),
                };
            }
        }
        rows
    }

    fn check_report(&self, report: &SalvageReport, what: &str) {
        let mut counts = [0; 3];
        let (mut events, mut rows) = (0, 0);
        for (commit, _, kept) in self.commits().filter(|(_, found, _)| *found) {
            let all = kept.iter().all(|kept| *kept);
            let none = !kept.contains(&true) && commit.rows.is_empty();
            counts[if all { 0 } else { 1 + usize::from(none) }] += 1;
            let batches = commit.batches.iter().zip(kept).filter(|(_, kept)| **kept);
            events += batches.map(|(b, _)| u64::from(b.last - b.first + 1)).sum::<u64>();
            rows += commit.rows.len() as u64;
        }
        let found = [report.commits_whole, report.commits_partial, report.commits_dropped];
        assert_eq!(found, counts, "{what}: commits whole, in part, dropped");
        assert_eq!((report.events_kept, report.rows_kept), (events, rows), "{what}");
        assert_eq!(report.rows_dropped, 0, "{what}");
        let (cut, unknown) = self.cut();
        let lengths = self.lengths();
        let parts = cut.keys().filter(|run| lengths.contains_key(run)).count();
        assert_eq!(report.runs_whole, (lengths.len() - parts) as u64, "{what}: runs whole");
        let say = |run: &CutRun| (run.id, (run.events_kept, run.first_lost, run.events_lost));
        assert_eq!(report.runs_cut.iter().map(say).collect::<HashMap<_, _>>(), cut, "{what}");
        assert_eq!(report.runs_cut.len(), cut.len(), "{what}");
        let say = |run: &UnknownRun| (run.first_found, run.last_found);
        let found: BTreeSet<_> = report.runs_unknown.iter().map(say).collect();
        assert_eq!(found, unknown, "{what}: unknown runs");
        let lost = self.found.contains(&false);
        assert!(!(lost && report.is_complete()), "{what}: {report:?}");
    }

    /// For runs that are known to be cut: events kept, first lost, and how many up to the last one
    /// that was found. For others: the first and the last event found.
    #[allow(clippy::type_complexity)]
    fn cut(&self) -> (HashMap<RunId, (u32, u32, u32)>, BTreeSet<(u32, u32)>) {
        let (mut left, mut begun) = (BTreeMap::new(), BTreeMap::new());
        for (commit, _, kept) in self.commits().filter(|(_, found, _)| *found) {
            for (batch, kept) in commit.batches.iter().zip(kept) {
                if batch.begins {
                    begun.insert(batch.run, batch.first);
                }
                if !kept {
                    let range = left.entry(batch.run).or_insert((batch.first, batch.last));
                    range.1 = batch.last;
                }
            }
        }
        let lengths = self.lengths();
        let (mut cut, mut unknown) = (HashMap::new(), BTreeSet::new());
        for (run, (first, last)) in left {
            match (lengths.get(&run), begun.get(&run)) {
                (Some(kept), _) => {
                    cut.insert(run, (*kept, kept + 1, last - kept));
                }
                (None, Some(first)) => {
                    cut.insert(run, (0, *first, last + 1 - first));
                }
                (None, None) => {
                    unknown.insert((first, last));
                }
            }
        }
        (cut, unknown)
    }
}

/// The new store opens clean, verifies, and holds what it must and nothing else.
fn check_store(
    original: &Original,
    expected: &Expected<'_>,
    dst: &Path,
    report: &SalvageReport,
    what: &str,
) {
    let store = small_segments().create(false).open(dst).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(store.report().verdict, Verdict::Clean, "{what}");
    store.verify(|_| ()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = histories(&store);
    let lengths = expected.lengths();
    for run in original.histories.keys() {
        let expected = lengths.get(run).copied().unwrap_or_default();
        let found = found.get(run).map_or(0, Vec::len);
        let cut = report.runs_cut.iter().find(|cut| cut.id == *run);
        assert_eq!(found, expected as usize, "{what}: events of run {run}, {cut:?}");
    }
    for (run, events) in &found {
        let whole = &original.histories[run];
        assert_eq!(*events, whole[..events.len()], "{what}: run {run}");
    }
    let snapshot = store.snapshot();
    let mut rows = BTreeMap::new();
    for table in ["timers", "queue", "kinlog.namespaces"] {
        for row in snapshot.rows(table, ..) {
            let row = row.unwrap();
            rows.insert((table, row.key), row.value);
        }
    }
    assert_eq!(rows, expected.rows(), "{what}: rows");
}

pub(crate) fn histories(store: &Store) -> BTreeMap<RunId, Vec<String>> {
    let snapshot = store.snapshot();
    let runs = snapshot.runs(RunFilter::all()).map(Result::unwrap);
    runs.map(|run| (run.id, events(&snapshot.history(&run.id).unwrap()))).collect()
}

/// Every lost frame is listed, and no frame that was found is.
fn check_ranges(expected: &Expected<'_>, report: &SalvageReport, src: &Path, what: &str) {
    for (commit, found, _) in expected.commits() {
        let Place { segment, start, end } = commit.place;
        let missing = &report.missing_segments;
        let missing = missing.iter().any(|range| range.contains(&(segment as u32)));
        let path = src.join(segment_name(segment));
        let ranges = report.lost.iter().filter(|lost| lost.path == path);
        let (start, end) = (start as u64, end as u64);
        let touched = ranges.clone().any(|lost| lost.from < end && start < lost.to);
        let covered = ranges.clone().any(|lost| lost.from <= start && end <= lost.to);
        let place = commit.place;
        if found {
            assert!(!touched && !missing, "{what}: {place:?} was found: {report:?}");
        } else {
            assert!(covered || missing, "{what}: {place:?} is lost: {report:?}");
        }
    }
}
