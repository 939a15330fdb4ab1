//! A reader that opens a store while a writer does.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex};

use kinlog::disk::Disk;
use kinlog::{Store, Verdict};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::small_segments;

fn put(store: &Store, key: &[u8]) -> kinlog::Result<kinlog::Commit> {
    let mut tx = store.begin();
    tx.put("rows", key, &[1; 500]).unwrap();
    tx.commit()
}

fn rows(store: &Store) -> usize {
    store.snapshot().rows("rows", ..).count()
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "seg")
}

/// A disk on which something happens before the log is read for the first time.
fn interrupted(what: impl FnOnce() + Send + 'static) -> Arc<dyn Disk> {
    let once = Mutex::new(Some(what));
    disk_with(move |op, path| {
        let what =
            if op == Op::Read && is_segment(path) { once.lock().unwrap().take() } else { None };
        what.into_iter().for_each(|what| what());
        Fate::Done
    })
}

/// A closed store with a row, and one that opens for reading only and is interrupted before it
/// reads the log, after it has looked for a writer and found none.
fn reader(dir: &Path, what: impl FnOnce() + Send + 'static) -> kinlog::Result<Store> {
    let store = small_segments().open(dir).unwrap();
    put(&store, b"before").unwrap();
    store.shut_down().unwrap();
    small_segments().disk(interrupted(what)).read_only(true).open(dir)
}

#[test]
fn commits_of_a_writer_that_came_meanwhile_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = (dir.path().to_owned(), Arc::new(Mutex::new(None)));
    let kept = writer.clone();
    let reader = reader(dir.path(), move || {
        let store = small_segments().open(path).unwrap();
        put(&store, b"meanwhile").unwrap();
        *kept.lock().unwrap() = Some(store);
    });
    let reader = reader.unwrap();
    assert_eq!((reader.report().verdict, rows(&reader)), (Verdict::Live, 2));
    put(writer.lock().unwrap().as_ref().unwrap(), b"after").unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(rows(&reader), 3);
}

#[test]
fn half_a_commit_of_a_writer_that_came_meanwhile_is_not_taken_for_a_torn_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, writer) = (dir.path().to_owned(), Arc::new(Mutex::new(None)));
    let kept = writer.clone();
    let reader = reader(dir.path(), move || {
        let half = disk_with(|op, path| match op {
            Op::Write if is_segment(path) => Fate::Partly(500, ErrorKind::Other),
            _ => Fate::Done,
        });
        let store = small_segments().disk(half).open(path).unwrap();
        put(&store, b"meanwhile").unwrap_err();
        *kept.lock().unwrap() = Some(store);
    });
    let reader = reader.unwrap();
    assert_eq!((reader.report().verdict, rows(&reader)), (Verdict::Live, 1));
    assert_eq!(reader.report().removed_bytes, 0);
}

/// The lock is free again when the reader asks a second time.
#[test]
fn commits_of_a_writer_that_came_and_went_meanwhile_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let reader = reader(dir.path(), move || {
        let store = small_segments().open(path).unwrap();
        put(&store, b"meanwhile").unwrap();
        store.shut_down().unwrap();
    });
    let reader = reader.unwrap();
    assert_eq!((reader.report().verdict, rows(&reader)), (Verdict::Clean, 2));
}

/// Until a writer that opens the store has said in which epoch it writes and from where on, what its
/// predecessor has published counts for nothing: a power loss may have taken it.
#[test]
fn the_word_of_the_last_writer_is_not_believed_while_the_next_one_opens() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    put(&store, b"kept").unwrap();
    store.shut_down().unwrap();
    let log = dir.path().join("log/00000000.seg");
    let before = std::fs::read(&log).unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let manifest = std::fs::read(dir.path().join("MANIFEST")).unwrap();
    put(&store, b"lost").unwrap();
    store.shut_down().unwrap();
    // The lock file speaks of a commit that the device never got. Only its word is left; with the
    // durable mark this would be damage.
    std::fs::write(&log, before).unwrap();
    std::fs::write(dir.path().join("MANIFEST"), manifest).unwrap();
    let lock = dir.path().join("LOCK");
    let word = std::fs::read(&lock).unwrap();
    std::fs::write(&lock, &word[..24]).unwrap();

    let path = dir.path().to_owned();
    let seen = Arc::new(Mutex::new(None));
    let kept = seen.clone();
    let disk = interrupted(move || {
        let reader = small_segments().read_only(true).open(path).unwrap();
        assert!(!reader.refresh().unwrap());
        *kept.lock().unwrap() = Some(reader);
    });
    let writer = small_segments().disk(disk).open(dir.path()).unwrap();
    let reader = seen.lock().unwrap().take().unwrap();
    assert_eq!((reader.report().verdict, rows(&reader)), (Verdict::Live, 1));
    // From then on there is news.
    put(&writer, b"next").unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(rows(&reader), 2);
}
