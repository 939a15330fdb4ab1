//! An index in layers: what is in memory over what is in files.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use kinlog::admin::IndexFound;
use kinlog::disk::Disk;
use kinlog::retention::{Compaction, Keep};
use kinlog::{Close, Durability, Error, Options, Store};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{directory, small_segments};
use kinlog_testing::steps::{fill, start};

fn set(store: &Store, rows: std::ops::Range<u8>, value: Option<&[u8]>) {
    let mut tx = store.begin();
    for row in rows {
        match value {
            Some(value) => tx.put("rows", &[row], value).unwrap(),
            None => tx.delete("rows", &[row]).unwrap(),
        }
    }
    tx.commit().unwrap();
}

/// The writer's file ends between a row and its deletion, which lie in one layer of the reader's.
#[test]
fn a_reader_that_adopts_the_files_of_the_writer_sees_no_deleted_row() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Options::new().memory_bytes(0).open(dir.path()).unwrap();
    set(&writer, 0..100, Some(b"some"));
    // The layer with these rows is full for the reader, that with the next one is not.
    let reader = Options::new().read_only(true).memory_bytes(4_000).open(dir.path()).unwrap();
    set(&writer, 100..101, Some(b"one more"));
    set(&writer, 100..101, None);
    writer.shut_down().unwrap();
    reader.refresh().unwrap();
    assert_eq!(reader.snapshot().rows("rows", ..).count(), 100);
    reader.verify(|_| ()).unwrap();
}

/// The writer goes on, and writes files, between the reader's look at the log and its look at the index.
#[test]
fn a_reader_adopts_no_files_that_go_further_than_what_it_has_read() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Options::new().memory_bytes(0).open(dir.path()).unwrap();
    set(&writer, 0..100, Some(b"some"));
    let goes_on: Arc<Mutex<Option<Store>>> = Arc::default();
    let disk = {
        let goes_on = goes_on.clone();
        disk_with(move |op, path| {
            if op == Op::Open && path.ends_with("CHECKPOINT") {
                let writer = goes_on.lock().unwrap().take();
                if let Some(writer) = writer {
                    set(&writer, 101..102, Some(b"not seen yet"));
                    set(&writer, 102..103, Some(b"not in a file"));
                    writer.shut_down().unwrap();
                }
            }
            Fate::Done
        })
    };
    let options = Options::new().read_only(true).memory_bytes(4_000).disk(disk);
    let reader = options.open(dir.path()).unwrap();
    set(&writer, 100..101, Some(b"one more"));
    *goes_on.lock().unwrap() = Some(writer);
    reader.refresh().unwrap();
    assert!(goes_on.lock().unwrap().is_none(), "the reader looks at the checkpoint");
    assert_eq!(reader.snapshot().rows("rows", ..).count(), 101);
    reader.verify(|_| ()).unwrap();
    reader.refresh().unwrap();
    assert_eq!(reader.snapshot().rows("rows", ..).count(), 103);
}

/// The index is built anew from a log that lacks what is dead by now, and its file ends before all that the reader has read.
/// The reader stays where it is, as a snapshot sees a run that was erased since.
#[test]
fn a_reader_adopts_no_files_of_a_log_that_was_compacted_as_of_later() {
    let dir = directory();
    let row = |store: &Store, key: &[u8], value: &[u8]| {
        store.transact(|tx| tx.put("rows", key, value)).unwrap();
    };
    let writer = small_segments().open(dir.path()).unwrap();
    start(&writer, "first");
    row(&writer, b"row", b"before");
    fill(&writer);
    let run = start(&writer, "run");
    writer.close_run(&run, Close::completed(b"")).unwrap();
    (0..300u16).for_each(|key| row(&writer, &key.to_le_bytes(), &[7; 100]));
    let reader = Options::new().read_only(true).memory_bytes(0).open(dir.path()).unwrap();
    let snapshot = reader.snapshot();
    writer.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
    assert_eq!(writer.erase().unwrap().runs, 1);
    row(&writer, b"row", b"after");
    fill(&writer);
    let segments = writer.compact(&Compaction::new().dead_percent(60)).unwrap().segments;
    assert_eq!([segments[0].rewritten, segments[1].rewritten], [true, false]);
    writer.shut_down().unwrap();
    assert!(!dir.path().join("index/CHECKPOINT").exists());
    small_segments().memory_bytes(60_000).open(dir.path()).unwrap().shut_down().unwrap();
    assert!(dir.path().join("index/CHECKPOINT").exists());
    let found = |reader: &Store| reader.get("rows", b"row").unwrap();
    for _ in 0..2 {
        assert!(matches!(reader.refresh(), Err(Error::SnapshotHeld { .. })));
        assert_eq!(snapshot.get("rows", b"row").unwrap().unwrap(), *b"before");
        assert_eq!(found(&reader).unwrap(), *b"before");
    }
    drop(snapshot);
    assert!(reader.refresh().unwrap());
    assert_eq!(found(&reader).unwrap(), *b"after");
    reader.verify(|_| ()).unwrap();
}

/// The reader does not find the files when it opens the store, and reads a log that lacks what was dead by then. The files
/// have it, and end before it was erased and deleted.
#[test]
fn a_reader_adopts_no_files_from_before_a_compaction_that_it_has_read() {
    let dir = directory();
    let writer = small_segments().memory_bytes(60_000).open(dir.path()).unwrap();
    let row = |store: &Store, key: &[u8], value: &[u8]| {
        store.transact(|tx| tx.put("rows", key, value)).unwrap();
    };
    start(&writer, "first");
    let run = start(&writer, "run");
    writer.close_run(&run, Close::completed(b"")).unwrap();
    row(&writer, b"row", b"before");
    fill(&writer);
    (0..300u16).for_each(|key| row(&writer, &key.to_le_bytes(), &[7; 100]));
    writer.transact(|tx| tx.delete("rows", b"row")).unwrap();
    writer.transact(|tx| tx.delete_run(&run, Keep::Nothing)).unwrap();
    // Waits for the file.
    writer.shut_down().unwrap();
    let writer = small_segments().open(dir.path()).unwrap();
    assert_eq!(writer.erase().unwrap().runs, 1);
    fill(&writer);
    let segments = writer.compact(&Compaction::new()).unwrap().segments;
    assert!(segments.len() == 1 && segments[0].rewritten);
    let opening = Arc::new(AtomicBool::new(true));
    let disk = {
        let opening = opening.clone();
        disk_with(move |op, path| {
            let is_file = path.extension().is_some_and(|extension| extension == "idx");
            match op == Op::Open && is_file && opening.load(Ordering::SeqCst) {
                true => Fate::Fails(ErrorKind::NotFound),
                false => Fate::Done,
            }
        })
    };
    let options = small_segments().read_only(true).memory_bytes(0).disk(disk);
    let reader = options.open(dir.path()).unwrap();
    assert_ne!(reader.report().index, IndexFound::Used);
    opening.store(false, Ordering::SeqCst);
    for refreshed in [false, true] {
        assert_eq!(reader.refresh().unwrap(), refreshed);
        assert!(matches!(reader.run(&run), Err(Error::RunNotFound { .. })));
        assert_eq!(reader.get("rows", b"row").unwrap(), None);
        reader.verify(|_| ()).unwrap();
        row(&writer, b"next", b"");
    }
}

/// More layers wait than may, so that no other one comes which would be written with them.
#[test]
fn an_index_that_could_not_be_written_is_written_once_there_is_space() {
    const IN_VAIN: usize = 6;
    let dir = tempfile::tempdir().unwrap();
    let attempts = AtomicUsize::new(0);
    let disk = disk_with(move |op, path| {
        let in_index = path.parent().is_some_and(|dir| dir.ends_with("index"));
        match op == Op::Create && in_index && attempts.fetch_add(1, Ordering::SeqCst) < IN_VAIN {
            true => Fate::Fails(ErrorKind::StorageFull),
            false => Fate::Done,
        }
    });
    let store = Options::new().memory_bytes(0).disk(disk).open(dir.path()).unwrap();
    let checkpoint = dir.path().join("index/CHECKPOINT");
    let mut commits = 0u32;
    while !checkpoint.exists() {
        assert!(commits < 1_000_000, "nothing is written any more");
        set(&store, 0..1, Some(&commits.to_le_bytes()));
        store.sync().unwrap();
        commits += 1;
    }
    store.verify(|_| ()).unwrap();
}

#[test]
fn no_checkpoint_covers_what_is_not_on_the_device() {
    let dir = tempfile::tempdir().unwrap();
    let disk =
        disk_with(|op, path| match op == Op::Sync && path.to_string_lossy().contains("/log/") {
            true => Fate::Fails(ErrorKind::Other),
            false => Fate::Done,
        });
    drop(Options::new().open(dir.path()).unwrap());
    let store = Options::new().memory_bytes(0).disk(disk).open(dir.path()).unwrap();
    for row in 0..3 {
        let mut tx = store.begin();
        tx.put("rows", &[row], b"buffered").unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    }
    assert!(store.shut_down().is_err());
    assert!(!dir.path().join("index/CHECKPOINT").exists());
}

type Happens = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A disk on which something happens once before a file of the index is opened, as soon as it is given.
fn before_an_open() -> (Arc<dyn Disk>, Happens) {
    let happens = Happens::default();
    let given = happens.clone();
    let disk = disk_with(move |op, path| {
        if op == Op::Open && path.extension().is_some_and(|it| it == "idx") {
            let once = given.lock().unwrap().take();
            once.into_iter().for_each(|happen| happen());
        }
        Fate::Done
    });
    (disk, happens)
}

/// Two threads refresh a reader: the one that has read an older checkpoint comes last.
#[test]
fn a_reader_does_not_go_back_to_older_files() {
    let dir = directory();
    let writer = Options::new().memory_bytes(0).open(dir.path()).unwrap();
    let (disk, happens) = before_an_open();
    let options = Options::new().read_only(true).memory_bytes(0).disk(disk);
    let reader = Arc::new(options.open(dir.path()).unwrap());
    set(&writer, 0..1, Some(b"first"));
    set(&writer, 1..2, Some(b"second"));
    writer.shut_down().unwrap();
    let (path, other) = (dir.path().to_owned(), reader.clone());
    *happens.lock().unwrap() = Some(Box::new(move || {
        let writer = Options::new().memory_bytes(0).open(path).unwrap();
        set(&writer, 2..3, Some(b"third"));
        set(&writer, 3..4, Some(b"fourth"));
        writer.shut_down().unwrap();
        other.refresh().unwrap();
    }));
    reader.refresh().unwrap();
    assert!(happens.lock().unwrap().is_none());
    assert_eq!(reader.snapshot().rows("rows", ..).count(), 4);
    reader.verify(|_| ()).unwrap();
}

/// The writer goes on, and merges and removes files, between a reader's look at the checkpoint and at these.
#[test]
fn an_opening_that_comes_too_late_for_the_files_of_a_checkpoint_uses_the_next_one() {
    let dir = directory();
    let writer = Options::new().memory_bytes(0).open(dir.path()).unwrap();
    set(&writer, 0..1, Some(b"first"));
    set(&writer, 1..2, Some(b"second"));
    writer.shut_down().unwrap();
    let writer = Options::new().memory_bytes(0).open(dir.path()).unwrap();
    let kept: Arc<Mutex<Option<Store>>> = Arc::default();
    let still_open = kept.clone();
    let (disk, happens) = before_an_open();
    let files = fs::read_dir(dir.path().join("index")).unwrap().map(|entry| entry.unwrap().path());
    let oldest = files.filter(|path| path.extension().is_some_and(|it| it == "idx")).min().unwrap();
    *happens.lock().unwrap() = Some(Box::new(move || {
        while fs::exists(&oldest).unwrap() {
            set(&writer, 2..3, Some(b"more"));
        }
        *still_open.lock().unwrap() = Some(writer);
    }));
    let reader = Options::new().read_only(true).disk(disk).open(dir.path()).unwrap();
    assert!(happens.lock().unwrap().is_none());
    assert_eq!(reader.report().index, IndexFound::Used);
    reader.verify(|_| ()).unwrap();
}

/// Files of the first level are merged while there are newer ones, which a merge before was not: it had failed.
#[test]
fn a_merged_file_takes_the_place_of_what_was_merged_into_it() {
    let dir = directory();
    let (made, failed) = (AtomicUsize::new(0), Arc::new(AtomicBool::new(false)));
    let fails = failed.clone();
    let disk = disk_with(move |op, path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_oldest = op == Op::Create && name.starts_with("000000000000-");
        // The first commits are written, merged with the next ones, and merged once more.
        if is_oldest && made.fetch_add(1, Ordering::SeqCst) == 2 {
            fails.store(true, Ordering::SeqCst);
            return Fate::Fails(ErrorKind::Other);
        }
        Fate::Done
    });
    let writer = Options::new().memory_bytes(0).disk(disk).open(dir.path()).unwrap();
    let mut last = 0u32;
    let mut set_one = || {
        last += 1;
        let row = [last.to_le_bytes()[0] % 32];
        writer.transact(|tx| tx.put("rows", &row, &last.to_le_bytes())).unwrap();
        (row, last)
    };
    while !failed.load(Ordering::SeqCst) {
        set_one();
    }
    // It is merged behind the file of the next layer, which sets rows that it has, too.
    let (row, last) = set_one();
    while writer.stats().unwrap().index.files > 7 {
        thread::yield_now();
    }
    assert_eq!(writer.get("rows", &row).unwrap(), Some(last.to_le_bytes().to_vec()));
    writer.shut_down().unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    reader.verify(|_| ()).unwrap();
}

/// A store whose index has a layer that comes while files are merged, and the store closed again. `checkpoint_fails`: what
/// makes the file of that layer part of the index fails. What happened, in order, from when the layer came on.
fn with_a_layer_beside_a_merge(dir: &Path, checkpoint_fails: bool) -> Vec<&'static str> {
    let (happens, happened) = (Happens::default(), Arc::new(Mutex::new(vec![])));
    let (given, noted) = (happens.clone(), happened.clone());
    let disk = disk_with(move |op, path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The first file that begins there is a layer's, the second one is merged from eight.
        let is_oldest = name.starts_with("000000000000-");
        let mut noted = noted.lock().unwrap();
        match op {
            Op::Create if is_oldest => noted.push("begins there"),
            Op::Sync if is_oldest => noted.push("is there"),
            Op::Rename if name == "CHECKPOINT" => {
                let fails = checkpoint_fails && noted.last() == Some(&"layer");
                noted.push("checkpoint");
                if fails {
                    return Fate::Fails(ErrorKind::StorageFull);
                }
            }
            _ => {}
        }
        // On the thread that merges: what happens commits, which no commit could wait for.
        let merges = is_oldest && noted.iter().filter(|what| **what == "begins there").count() == 2;
        drop(noted);
        if merges {
            let once = given.lock().unwrap().take();
            once.into_iter().for_each(|happen| happen());
        }
        Fate::Done
    });
    let store = Arc::new(Options::new().memory_bytes(0).disk(disk).open(dir).unwrap());
    let (writer, log, (done, came)) = (store.clone(), happened.clone(), mpsc::channel());
    *happens.lock().unwrap() = Some(Box::new(move || {
        // The second commit freezes what the first one has changed.
        set(&writer, 0..1, Some(b"while files"));
        set(&writer, 0..1, Some(b"are merged"));
        log.lock().unwrap().push("layer");
        done.send(writer).unwrap();
    }));
    let mut commits = 0u32;
    while happens.lock().unwrap().is_some() {
        assert!(commits < 1_000_000, "no files are merged");
        set(&store, 1..2, Some(&commits.to_le_bytes()));
        commits += 1;
    }
    drop(came.recv().unwrap());
    // A store that is being closed merges nothing.
    let since = || -> Vec<&str> {
        let happened = happened.lock().unwrap();
        happened.iter().skip_while(|what| **what != "layer").copied().collect()
    };
    while !since().contains(&"is there") {
        thread::yield_now();
    }
    Arc::into_inner(store).unwrap().shut_down().unwrap();
    since()
}

/// A merge may take as long as ten layers take to come: without that, all of them would have to be replayed after a kill.
#[test]
fn a_layer_that_comes_while_files_are_merged_is_written_before_the_merge_ends() {
    let dir = directory();
    let happened = with_a_layer_beside_a_merge(dir.path(), false);
    // One of them: however fast they come, the merge comes to its end.
    assert_eq!(happened[1..3], ["checkpoint", "is there"], "{happened:?}");
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    reader.verify(|_| ()).unwrap();
}

#[test]
fn a_merge_does_not_cover_a_layer_that_could_not_be_written_beside_it() {
    let dir = directory();
    let happened = with_a_layer_beside_a_merge(dir.path(), true);
    assert_eq!(happened[1..4], ["checkpoint", "is there", "checkpoint"]);
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.get("rows", &[0]).unwrap(), Some(b"are merged".to_vec()));
    reader.verify(|_| ()).unwrap();
}

#[test]
fn what_a_writer_left_to_be_merged_is_merged_by_the_next_one() {
    let dir = directory();
    let made = AtomicUsize::new(0);
    let disk = disk_with(move |op, path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The first file that begins there is a layer's; any other one is merged.
        let merges = op == Op::Create && name.starts_with("000000000000-");
        match merges && made.fetch_add(1, Ordering::SeqCst) > 0 {
            true => Fate::Fails(ErrorKind::StorageFull),
            false => Fate::Done,
        }
    });
    let writer = Options::new().memory_bytes(0).disk(disk).open(dir.path()).unwrap();
    let mut last = 0u32;
    while writer.stats().unwrap().index.files < 8 {
        last += 1;
        assert!(last < 1_000_000, "no files are written");
        set(&writer, 0..1, Some(&last.to_le_bytes()));
    }
    writer.shut_down().unwrap();
    let writer = Options::new().open(dir.path()).unwrap();
    assert_eq!(writer.report().index, IndexFound::Used);
    while writer.stats().unwrap().index.files >= 8 {
        thread::yield_now();
    }
    assert_eq!(writer.get("rows", &[0]).unwrap(), Some(last.to_le_bytes().to_vec()));
    writer.shut_down().unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.report().index, IndexFound::Used);
    reader.verify(|_| ()).unwrap();
}
