//! Segments that grow: a small store is small.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use kinlog::{NewRun, Options, Position, RunId, Store, Verdict};
use kinlog_testing::files::copy_files;
use kinlog_testing::steps::marker;

const KIB: u64 = 1 << 10;

fn growing(longest: u64) -> Options {
    Options::new().segment_bytes(u32::try_from(longest).unwrap())
}

/// The lengths of the segments' files.
fn lengths(store: &Store) -> Vec<u64> {
    let path = |number| store.path().join(format!("log/{number:08}.seg"));
    (0..).map_while(|number| Some(fs::metadata(path(number)).ok()?.len())).collect()
}

fn start(store: &Store) -> RunId {
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("n", "w", "T")).unwrap();
    tx.commit().unwrap();
    run
}

fn append(store: &Store, run: &RunId, bytes: usize) {
    store.append(run, marker(&vec![7; bytes])).unwrap();
}

/// Commits until the log is in the segment of this number.
fn reach(store: &Store, run: &RunId, longest: u64, segment: u64) {
    while store.end().as_u64() / longest < segment {
        append(store, run, 20_000);
    }
}

fn blocks(dir: &Path) -> u64 {
    let inside = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let inside: u64 = inside
        .map(
            |path| if path.is_dir() { blocks(&path) } else { fs::metadata(path).unwrap().blocks() },
        )
        .sum();
    inside + fs::metadata(dir).unwrap().blocks()
}

#[test]
fn an_empty_store_takes_little() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("store")).unwrap();
    assert_eq!(lengths(&store), [64 * KIB]);
    let stats = store.stats().unwrap();
    assert_eq!(stats.accounted_bytes(), stats.file_bytes);
    assert!(stats.file_bytes <= 128 * KIB, "{stats:?}");
    store.shut_down().unwrap();
    let taken = 512 * blocks(&dir.path().join("store"));
    assert!(taken <= 256 * KIB, "{taken} bytes");
}

#[test]
fn each_segment_is_four_times_as_long_as_the_one_before_it_until_the_longest() {
    const LONGEST: u64 = 400 * KIB;
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let store = growing(LONGEST).open(at("store")).unwrap();
    let reader = Options::new().read_only(true).open(at("store")).unwrap();
    let run = start(&store);
    for segment in 0..6 {
        reach(&store, &run, LONGEST, segment);
        let stats = store.stats().unwrap();
        assert_eq!(stats.accounted_bytes(), stats.file_bytes, "{stats:?}");
        assert!(reader.refresh().unwrap() || segment == 0);
        assert_eq!(reader.history(&run).unwrap().len(), store.history(&run).unwrap().len());
    }
    let expected = [64, 256, 400, 400, 400, 400].map(|kib| kib * KIB);
    let found = lengths(&store);
    assert_eq!(found[..6], expected);
    assert_eq!(fs::metadata(at("store/RESERVE")).unwrap().len(), LONGEST / 16);
    // A backup takes as much as the store, less the segment that was made ahead.
    let report = store.backup(at("first"), None, |_| ()).unwrap();
    assert_eq!((report.copied, report.bytes), (6, expected.iter().sum()));
    append(&store, &run, 1000);
    let mut done = (0, 0);
    let report =
        store.backup(at("second"), Some(&at("first")), |now| done = (now.bytes, now.total));
    let report = report.unwrap();
    assert_eq!((report.copied, report.linked, report.bytes), (1, 5, LONGEST));
    assert_eq!(done, (expected.iter().sum(), expected.iter().sum()));
    store.verify(|_| ()).unwrap();
    let (events, end) = (store.history(&run).unwrap().len(), store.end());
    let sizes: u64 = lengths(&store).iter().sum();
    store.shut_down().unwrap();
    for name in ["store", "second"] {
        let store = growing(64 * KIB).open(at(name)).unwrap();
        assert_eq!((store.report().verdict, store.report().end), (Verdict::Clean, end), "{name}");
        assert_eq!(store.history(&run).unwrap().len(), events, "{name}");
        let mut last = Position::START;
        let mut tail = store.tail(Position::START);
        while let Some(commit) = tail.try_next().unwrap() {
            assert!(commit.position() > last);
            last = commit.position();
        }
        store.shut_down().unwrap();
    }
    // With no writer, verifying reads every byte of the log, and says so.
    let reader = Options::new().read_only(true).open(at("store")).unwrap();
    let mut last = None;
    reader.verify(|now| last = Some(now)).unwrap();
    let last = last.unwrap();
    assert_eq!(last.bytes, last.total);
    assert!(last.total >= sizes);
}

#[test]
fn a_store_that_is_opened_again_goes_on_growing() {
    const LONGEST: u64 = 1024 * KIB;
    let dir = tempfile::tempdir().unwrap();
    let store = growing(LONGEST).open(dir.path()).unwrap();
    let run = start(&store);
    reach(&store, &run, LONGEST, 1);
    store.shut_down().unwrap();
    let store = Store::open(dir.path()).unwrap();
    reach(&store, &run, LONGEST, 3);
    assert_eq!(lengths(&store)[..4], [64, 256, 1024, 1024].map(|kib| kib * KIB));
}

#[test]
fn a_reserve_that_is_gone_is_made_anew_for_the_longest_segment() {
    const LONGEST: u64 = 1024 * KIB;
    let dir = tempfile::tempdir().unwrap();
    let store = growing(LONGEST).open(dir.path()).unwrap();
    let run = start(&store);
    reach(&store, &run, LONGEST, 2);
    store.shut_down().unwrap();
    let reserve = dir.path().join("RESERVE");
    fs::remove_file(&reserve).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(lengths(&store)[..3], [64, 256, 1024].map(|kib| kib * KIB));
    assert_eq!(fs::metadata(reserve).unwrap().len(), LONGEST / 16);
}

#[test]
fn a_commit_gets_a_segment_that_is_long_enough() {
    const LONGEST: u64 = 4096 * KIB;
    let dir = tempfile::tempdir().unwrap();
    let store = growing(LONGEST).open(dir.path()).unwrap();
    let put = |bytes: usize| {
        let mut tx = store.begin();
        tx.put("t", b"k", &vec![7; bytes])?;
        tx.commit()
    };
    // None is there that would be too short.
    put(100 << 10).unwrap();
    assert_eq!(lengths(&store)[..2], [64, 256].map(|kib| kib * KIB));
    // The next one has 1 MiB, too little for the longest commit there can be.
    const MOST: usize = (LONGEST - 4144) as usize - 10;
    assert!(put(MOST + 1).unwrap_err().to_string().contains("bytes in one commit"));
    put(MOST).unwrap();
    assert_eq!(lengths(&store)[..4], [64, 256, 1024, 4096].map(|kib| kib * KIB));
    store.verify(|_| ()).unwrap();
    store.shut_down().unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.report().verdict, Verdict::Clean);
    assert_eq!(store.get("t", b"k").unwrap().unwrap().len(), MOST);
}

#[test]
fn a_segment_that_is_too_short_for_the_next_commit_is_sealed_empty() {
    const LONGEST: u64 = 1024 * KIB;
    let dir = tempfile::tempdir().unwrap();
    let store = growing(LONGEST).open(dir.path()).unwrap();
    let run = start(&store);
    append(&store, &run, 40_000);
    // More than half of the first segment is used, so the second one is made beside it.
    while lengths(&store).len() < 2 {
        std::thread::yield_now();
    }
    append(&store, &run, 400_000);
    append(&store, &run, 10);
    assert_eq!(lengths(&store)[..3], [64, 256, 1024].map(|kib| kib * KIB));
    let stats = store.stats().unwrap();
    assert_eq!(stats.accounted_bytes(), stats.file_bytes);
    // A seal and nothing else.
    let sealed = fs::read(dir.path().join("log/00000001.seg")).unwrap();
    assert_eq!(sealed[4096 + 16], 2);
    assert!(sealed[4096 + 24..].iter().all(|byte| *byte == 0));
    store.verify(|_| ()).unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.history(&run).unwrap().len(), 4);
    reader.verify(|_| ()).unwrap();
}

#[test]
fn a_killed_writer_s_segments_keep_their_lengths() {
    const LONGEST: u64 = 256 * KIB;
    let dir = tempfile::tempdir().unwrap();
    let (path, killed) = (dir.path().join("store"), dir.path().join("killed"));
    let store = growing(LONGEST).open(&path).unwrap();
    let manifest = fs::read(path.join("MANIFEST")).unwrap();
    let run = start(&store);
    reach(&store, &run, LONGEST, 3);
    let (events, found) = (store.history(&run).unwrap().len(), lengths(&store));
    copy_files(&path, &killed);
    // Neither mark of how far the log was on the device has survived, so all of it is written again.
    fs::write(killed.join("MANIFEST"), manifest).unwrap();
    fs::remove_file(killed.join("LOCK")).unwrap();
    let store = growing(LONGEST).open(&killed).unwrap();
    assert_eq!(store.report().verdict, Verdict::Unclosed);
    assert_eq!(store.history(&run).unwrap().len(), events);
    assert_eq!(lengths(&store)[..4], found[..4]);
    store.verify(|_| ()).unwrap();
}
