//! The directory of the index: whose files are in it, and what a writer does not touch.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kinlog::admin::IndexFound;
use kinlog::retention::Keep;
use kinlog::{
    Close, Error, NewRun, NextRun, Options, Position, RunId, RunStatus, Store, Transaction, Verdict,
};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{Image, copy_files, directory, small_segments};
use kinlog_testing::steps::start;

/// Everything but the last commit is written into files of the index, as soon as it is durable.
fn cold() -> Options {
    small_segments().memory_bytes(0)
}

/// A store with runs and rows in the index's files, closed.
fn indexed(dir: &Path) {
    let store = cold().open(dir).unwrap();
    for number in 0..20 {
        let mut tx = store.begin();
        tx.start(NewRun::new("shop", &format!("order-{number}"), "Order")).unwrap();
        tx.put("orders", &[number], b"paid").unwrap();
        tx.commit().unwrap();
    }
    store.shut_down().unwrap();
    assert!(!index_files(dir).is_empty());
}

fn index_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir.join("index")) else { return vec![] };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|e| e == "idx")).collect();
    files.sort();
    files
}

#[test]
fn files_in_the_directory_of_the_index_are_the_stores_own_and_others_are_left_alone() {
    let dir = directory();
    indexed(dir.path());
    fs::write(dir.path().join("index/CHECKPOINT.tmp"), b"unfinished").unwrap();
    let reader = cold().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.verify(|_| {}).unwrap().unknown, Vec::<PathBuf>::new());
    let others = ["mine.idx", "notes", "0-1.idx"].map(|name| dir.path().join("index").join(name));
    others.iter().for_each(|path| fs::write(path, b"mine").unwrap());
    let writer = cold().open(dir.path()).unwrap();
    start(&writer, "one more");
    writer.shut_down().unwrap();
    let mut unknown = reader.verify(|_| {}).unwrap().unknown;
    unknown.sort();
    let mut expected = others.to_vec();
    expected.sort();
    assert_eq!(unknown, expected);
}

#[test]
fn a_directory_of_the_index_that_is_a_link_is_not_followed() {
    let dir = directory();
    let (path, elsewhere) = (dir.path().join("store"), dir.path().join("elsewhere"));
    indexed(&path);
    fs::rename(path.join("index"), &elsewhere).unwrap();
    symlink(&elsewhere, path.join("index")).unwrap();
    for read_only in [true, false] {
        let opened = cold().read_only(read_only).open(&path);
        let Err(Error::Io { path: named, .. }) = opened else { panic!("the link was followed") };
        assert_eq!(named, path.join("index"));
    }
}

#[test]
fn nothing_is_written_or_removed_through_a_link_that_came_while_the_store_was_open() {
    let dir = directory();
    let (path, elsewhere) = (dir.path().join("store"), dir.path().join("elsewhere"));
    indexed(&path);
    let store = cold().open(&path).unwrap();
    rest(&store);
    fs::rename(path.join("index"), dir.path().join("away")).unwrap();
    copy_files(&dir.path().join("away"), &elsewhere);
    // A file that no checkpoint names.
    fs::write(elsewhere.join("000000000000-000000000001.idx"), b"mine").unwrap();
    let before = Image::read(&elsewhere);
    symlink(&elsewhere, path.join("index")).unwrap();
    for number in 0..10 {
        start(&store, &format!("more-{number}"));
    }
    store.shut_down().unwrap();
    Image::read(&elsewhere).assert_same(&before, "what the link led to");
    fs::remove_file(path.join("index")).unwrap();
    cold().open(&path).unwrap().verify(|_| {}).unwrap();
}

#[test]
fn no_index_is_written_into_a_store_that_took_the_place_of_the_open_one() {
    let dir = directory();
    let (path, other) = (dir.path().join("store"), dir.path().join("other"));
    indexed(&path);
    indexed(&other);
    let before = Image::read(&other);
    let store = cold().open(&path).unwrap();
    rest(&store);
    fs::rename(&path, dir.path().join("moved")).unwrap();
    fs::rename(&other, &path).unwrap();
    for number in 0..10 {
        // Refused as soon as the writer has noticed.
        let _ = store.transact(|tx| tx.start(NewRun::new("shop", &format!("m-{number}"), "Order")));
    }
    let _ = store.shut_down();
    Image::read(&path).assert_same(&before, "the store that took the place");
}

#[test]
fn a_reader_takes_no_index_from_a_store_that_took_the_place_of_the_open_one() {
    let dir = directory();
    let (path, other) = (dir.path().join("store"), dir.path().join("other"));
    // It writes no index, and the reader looks for files to take its own layers out of memory.
    let writer = small_segments().open(&path).unwrap();
    let reader = cold().read_only(true).open(&path).unwrap();
    let runs: Vec<_> = (0..60).map(|number| start(&writer, &format!("mine-{number}"))).collect();
    reader.refresh().unwrap();
    writer.shut_down().unwrap();
    indexed(&other);
    fs::rename(&path, dir.path().join("moved")).unwrap();
    fs::rename(&other, &path).unwrap();
    let _ = reader.refresh();
    for run in &runs {
        assert_eq!(reader.run(run).unwrap().id, *run);
    }
}

/// Damages the first row of the table `orders` in the files of the index: nothing that a replay looks at.
fn damage_row(dir: &Path) {
    let row = b"\0\x06orders\x01";
    let mut found = 0;
    for path in index_files(dir) {
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(row.len()).position(|window| window == row) {
            *bytes.get_mut(at + 3).unwrap() ^= 1;
            fs::write(&path, bytes).unwrap();
            found += 1;
        }
    }
    assert!(found > 0, "the row is in no file");
}

#[test]
fn verify_finds_each_kind_of_damage_to_the_index() {
    let dir = directory();
    indexed(dir.path());
    let whole = Image::read(dir.path());
    let files = index_files(dir.path());
    let oldest = files.first().unwrap().strip_prefix(dir.path()).unwrap().to_owned();
    let newest = files.last().unwrap().strip_prefix(dir.path()).unwrap().to_owned();
    type Inflict<'a> = Box<dyn Fn(&Path) + 'a>;
    let flip = |name: PathBuf, at: fn(usize) -> usize| -> Inflict<'_> {
        Box::new(move |dir| {
            let mut bytes = fs::read(dir.join(&name)).unwrap();
            let at = at(bytes.len());
            bytes[at] ^= 1;
            fs::write(dir.join(&name), bytes).unwrap();
        })
    };
    let damages: [(&str, Inflict<'_>); 8] = [
        ("an entry", flip(oldest.clone(), |_| 3)),
        ("a byte in the middle", flip(newest.clone(), |len| len / 2)),
        ("a footer", flip(newest.clone(), |len| len - 1)),
        ("a checkpoint", flip("index/CHECKPOINT".into(), |len| len / 2)),
        ("the end of a checkpoint", flip("index/CHECKPOINT".into(), |len| len - 1)),
        ("a file that is missing", Box::new(|dir| fs::remove_file(dir.join(&oldest)).unwrap())),
        (
            "a file that was cut",
            Box::new(|dir| {
                let bytes = fs::read(dir.join(&newest)).unwrap();
                fs::write(dir.join(&newest), &bytes[..bytes.len() - 1]).unwrap();
            }),
        ),
        (
            "a file in the place of another",
            Box::new(|dir| {
                fs::copy(dir.join(&oldest), dir.join(&newest)).unwrap();
            }),
        ),
    ];
    for (what, inflict) in damages {
        let dir = directory();
        whole.write(dir.path());
        cold().read_only(true).open(dir.path()).unwrap().verify(|_| {}).unwrap();
        inflict(dir.path());
        let reader = cold().read_only(true).open(dir.path()).unwrap();
        let verified = reader.verify(|_| {});
        let Err(error @ Error::DamagedIndex(_)) = verified else { panic!("{what}: {verified:?}") };
        assert!(error.to_string().contains("delete its directory `index`"), "{error}");
        drop(reader);
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        cold().read_only(true).open(dir.path()).unwrap().verify(|_| {}).unwrap();
    }
}

#[test]
fn damage_that_a_writer_meets_stops_it_and_the_next_opening_builds_the_index_anew() {
    let dir = directory();
    indexed(dir.path());
    // So much that a writer writes it into the index at its end: the next opening replays nothing, and meets nothing.
    let store = Options::new().open(dir.path()).unwrap();
    for _ in 0..30 {
        store.transact(|tx| tx.put("large", b"", &[7; 50_000])).unwrap();
    }
    store.shut_down().unwrap();
    damage_row(dir.path());
    let store = cold().open(dir.path()).unwrap();
    let read = store.snapshot().get("orders", &[1]).map(|row| row.map(<[u8]>::to_vec));
    let damaged = |error: &Error| matches!(error, Error::DamagedIndex(_));
    let refused = store.transact(|tx| tx.start(NewRun::new("shop", "one more", "Order")));
    let refused = refused.map(|_| ()).unwrap_err();
    assert!(damaged(&refused), "{refused}");
    assert_eq!(refused.retry(), kinlog::error::Retry::AfterReopening);
    let end = store.end();
    let again = store.transact(|tx| tx.put("orders", b"x", b"y")).map(|_| ()).unwrap_err();
    assert!(damaged(&again) && store.end() == end, "{again}");
    // Before it is shut down: a process may end without that.
    while fs::exists(dir.path().join("index/CHECKPOINT")).unwrap() {
        std::thread::yield_now();
    }
    store.shut_down().unwrap();
    let _ = read;
    let store = cold().open(dir.path()).unwrap();
    assert_eq!(store.snapshot().get("orders", &[1]).unwrap(), Some(b"paid".as_slice()));
    start(&store, "one more");
    store.verify(|_| {}).unwrap();
}

fn found(options: &Options, dir: &Path) -> (IndexFound, u64) {
    let store = options.clone().read_only(true).open(dir).unwrap();
    let report = store.report();
    let replayed_all = report.replayed_from == Position::START;
    assert_eq!(replayed_all, report.index != IndexFound::Used, "{report:?}");
    assert_eq!(report.verdict, Verdict::Clean);
    assert!(report.replayed <= report.commits && report.commits >= 20, "{report:?}");
    (report.index, report.replayed)
}

#[test]
fn an_opening_says_what_there_was_of_an_index_and_what_it_replayed() {
    let dir = directory();
    let (path, other) = (dir.path().join("store"), dir.path().join("other"));
    indexed(&path);
    indexed(&other);
    let (used, commits) = found(&cold(), &path);
    assert_eq!(used, IndexFound::Used);
    assert!(commits < 20, "{commits} commits were replayed");
    assert_eq!(found(&cold().check_log(true), &path), (IndexFound::Ignored, 20));
    // One of another store.
    fs::rename(path.join("index"), dir.path().join("away")).unwrap();
    assert_eq!(found(&cold(), &path), (IndexFound::Absent, 20));
    copy_files(&other.join("index"), &path.join("index"));
    assert_eq!(found(&cold(), &path), (IndexFound::Unusable, 20));
    fs::write(path.join("index/CHECKPOINT"), b"no checkpoint").unwrap();
    assert_eq!(found(&cold(), &path), (IndexFound::Unusable, 20));
}

#[test]
fn deletions_are_among_what_the_files_of_the_index_say() {
    let dir = directory();
    indexed(dir.path());
    let store = cold().open(dir.path()).unwrap();
    let [kept, gone, first] = ["kept", "gone", "first"].map(|name| start(&store, name));
    let next = |tx: &mut Transaction<'_>| tx.continue_as_new(&first, NextRun::new("Order"));
    let last = store.transact(next).unwrap().0;
    for run in [kept, gone, last] {
        store.close_run(&run, Close::completed(b"done")).unwrap();
    }
    let delete = |tx: &mut Transaction<'_>| {
        tx.delete_run(&kept, Keep::Outcome)?;
        tx.delete_run(&first, Keep::Nothing)?;
        tx.delete_run(&gone, Keep::Nothing)
    };
    store.transact(delete).unwrap();
    store.shut_down().unwrap();
    // Each opening writes more of it.
    let covered = (1..50).any(|since| {
        let store = cold().open(dir.path()).unwrap();
        start(&store, &format!("later-{since}"));
        store.shut_down().unwrap();
        let (used, replayed) = found(&cold(), dir.path());
        used == IndexFound::Used && replayed <= since
    });
    assert!(covered, "the files of the index end before the deletions");
    let store = cold().open(dir.path()).unwrap();
    assert_eq!(store.run(&kept).unwrap().deleted, Some(Keep::Outcome));
    assert_eq!(store.outcome(&kept).unwrap().unwrap(), b"done");
    assert!(matches!(store.history(&kept), Err(Error::RunDeleted { .. })));
    assert!(matches!(store.run(&gone), Err(Error::RunDeleted { .. })));
    assert_eq!(store.current_run("shop", "gone").unwrap(), None);
    // It is the last one of its chain, of which nothing else is left.
    store.transact(|tx| tx.delete_run(&last, Keep::Nothing)).unwrap();
    assert_eq!(store.stats().unwrap().deleted_runs, 3);
    store.verify(|_| {}).unwrap();
}

#[test]
fn damage_that_an_index_covers_is_found_by_a_check_at_opening_or_by_verify() {
    let dir = directory();
    indexed(dir.path());
    let segment = dir.path().join("log/00000000.seg");
    let mut bytes = fs::read(&segment).unwrap();
    // In the first commit.
    bytes[4096 + 60] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let checked = cold().check_log(true).open(dir.path());
    assert!(matches!(checked, Err(Error::Corrupt(_))), "{checked:?}");
    for read_only in [true, false] {
        let store = cold().read_only(read_only).open(dir.path()).unwrap();
        assert_eq!(store.report().index, IndexFound::Used);
        let verified = store.verify(|_| {});
        let Err(Error::Corrupt(found)) = verified else { panic!("{verified:?}") };
        assert_eq!(found.path, segment);
    }
}

/// Commits until nothing of the index is being written, nor removed.
fn rest(store: &Store) {
    let newest = index_files(store.path()).pop();
    commit_until(store, "the index is at rest", |index| {
        let files = index_files(store.path());
        // Eight of a level are merged, and then removed.
        let merged = files.len() < 8 && files.len() as u64 == index.files;
        index.waiting_layers == 0 && files.last() != newest.as_ref() && merged
    });
}

/// Commits until the store says so.
fn commit_until(
    store: &Store,
    what: &str,
    mut is_so: impl FnMut(&kinlog::admin::IndexStats) -> bool,
) {
    for number in 0..10_000u32 {
        // The thread that writes the index has time for it before the next commit.
        for _ in 0..50 {
            let stats = store.stats().unwrap();
            assert_eq!(stats.accounted_bytes(), stats.file_bytes, "{stats:?}");
            if is_so(&stats.index) {
                return;
            }
            std::thread::yield_now();
        }
        store.transact(|tx| tx.put("rows", &number.to_le_bytes(), b"row")).unwrap();
    }
    panic!("never: {what}");
}

#[test]
fn every_byte_of_the_index_is_accounted_for_and_so_are_its_layers() {
    let dir = directory();
    let store = cold().open(dir.path()).unwrap();
    let empty = store.stats().unwrap();
    assert_eq!((empty.index_bytes, empty.index.files, empty.index.frozen_layers), (0, 0, 0));
    let snapshot = store.snapshot();
    commit_until(&store, "a layer is held back", |index| {
        index.files > 3 && index.frozen_layers > index.waiting_layers
    });
    let held = store.stats().unwrap().index;
    assert_eq!(held.oldest_reader, Some(snapshot.end()));
    assert!(held.frozen_bytes > 0 && held.resident_bytes > 0, "{held:?}");
    drop(snapshot);
    commit_until(&store, "no layer is held back", |index| {
        index.frozen_layers <= index.waiting_layers + 1 && index.oldest_reader.is_none()
    });
    store.shut_down().unwrap();
    let reader = cold().read_only(true).open(dir.path()).unwrap();
    let stats = reader.stats().unwrap();
    let len = |path: &PathBuf| fs::metadata(path).unwrap().len();
    let files = index_files(dir.path());
    let mapped: u64 = files.iter().map(len).sum();
    assert_eq!((stats.index.files, stats.index.mapped_bytes), (files.len() as u64, mapped));
    assert_eq!(stats.index.list_bytes, 0, "there are no runs");
    assert_eq!(stats.index_bytes, mapped + len(&dir.path().join("index/CHECKPOINT")));
}

#[test]
fn open_runs_stay_in_memory_within_an_eighth_of_it() {
    let dir = directory();
    let memory = 256 << 10;
    let store = small_segments().memory_bytes(memory).open(dir.path()).unwrap();
    let mut runs = vec![];
    let mut most = 0;
    for round in 0..40 {
        runs.extend(start_many(&store, round));
        commit_until(&store, "the layers are in files", |index| {
            most = most.max(index.open_bytes);
            assert!(index.open_bytes <= memory / 8, "{index:?}");
            index.waiting_layers == 0
        });
    }
    assert!(most > memory / 64, "{most} B of open runs stayed");
    for run in &runs {
        store.close_run(run, Close::completed(b"")).unwrap();
    }
    assert!(runs.iter().all(|run| store.run(run).unwrap().status == RunStatus::Completed));
    commit_until(&store, "closed runs are left to the files", |index| index.open_bytes < most / 2);
    store.verify(|_| ()).unwrap();
}

/// A hundred runs, open.
fn start_many(store: &Store, round: u32) -> Vec<RunId> {
    let start = |tx: &mut Transaction<'_>| {
        let ids = (0..100).map(|n| format!("order-{round}-{n}"));
        ids.map(|id| tx.start(NewRun::new("shop", &id, "Order"))).collect()
    };
    store.transact(start).unwrap().0
}

#[test]
fn a_failure_to_write_the_index_is_told_and_stops_no_commit() {
    let dir = directory();
    let fails = Arc::new(AtomicBool::new(true));
    let failing = fails.clone();
    let disk = disk_with(move |op, path| {
        let index = op == Op::Sync && path.extension().is_some_and(|it| it == "idx");
        if index && failing.load(Ordering::SeqCst) {
            Fate::Fails(ErrorKind::Other)
        } else {
            Fate::Done
        }
    });
    let store = cold().disk(disk).open(dir.path()).unwrap();
    commit_until(&store, "an error is told", |index| index.last_error.is_some());
    let failed = store.stats().unwrap().index;
    assert!(failed.last_error.unwrap().contains(".idx") && failed.files == 0);
    assert!(failed.waiting_layers > 0);
    commit_until(&store, "four layers wait", |index| index.waiting_layers == 4);
    store.transact(|tx| tx.put("rows", b"one", b"more")).unwrap();
    fails.store(false, Ordering::SeqCst);
    store.shut_down().unwrap();
    assert!(cold().open(dir.path()).unwrap().verify(|_| {}).is_ok());
}

#[test]
fn files_of_the_index_take_no_descriptors() {
    let dir = directory();
    let disk = Arc::new(kinlog::disk::FileSystem::new());
    let store = cold().disk(disk).open(dir.path()).unwrap();
    let open = || {
        let names = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|it| fs::read_link(it.unwrap().path()).ok());
        let index = dir.path().join("index");
        names.filter(|path| path.starts_with(&index)).count()
    };
    commit_until(&store, "there are files", |index| index.files > 5);
    let reader = cold().read_only(true).open(dir.path()).unwrap();
    assert_eq!(reader.report().index, IndexFound::Used);
    // One that is being written, and one that is being looked at.
    store.shut_down().unwrap();
    assert_eq!(open(), 0);
}

#[test]
fn backups_have_no_index_and_may_be_based_on_a_store_that_has_one() {
    let dir = directory();
    let [path, index, first, second, saved] =
        ["store", "index", "first", "second", "saved"].map(|name| dir.path().join(name));
    indexed(&path);
    copy_files(&path.join("index"), &index);
    let store = cold().open(&path).unwrap();
    store.backup(&first, None, |_| {}).unwrap();
    assert!(!first.join("index").exists());
    assert_eq!(found(&cold(), &first).0, IndexFound::Absent);
    // Opened once for writing, with nothing committed, and a file put there by hand: it has an index.
    copy_files(&index, &first.join("index"));
    assert_eq!(found(&cold(), &first).0, IndexFound::Used);
    let run = start(&store, "later");
    let report = store.backup(&second, Some(&first), |_| {}).unwrap();
    assert_eq!(report.end, store.end());
    assert!(!second.join("index").exists());
    let restored = cold().open(&second).unwrap();
    assert_eq!(restored.history(&run).unwrap().len(), 1);
    restored.verify(|_| {}).unwrap();
    drop((store, restored));
    // What is saved of a damaged log owes nothing to the index.
    let options = cold();
    let report = kinlog::salvage::salvage(&second, &saved, &options, |_| {}).unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(cold().open(&saved).unwrap().stats().unwrap().runs, 21);
}

#[test]
fn a_store_of_format_2_gets_an_index_and_keeps_it() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v2");
    let dir = directory();
    copy_files(&golden, dir.path());
    let options = Options::new().memory_bytes(0);
    let before = options.clone().read_only(true).open(dir.path()).unwrap().stats().unwrap();
    let store = options.open(dir.path()).unwrap();
    let run = start(&store, "one more");
    store.shut_down().unwrap();
    assert_eq!(found(&options, dir.path()).0, IndexFound::Used);
    let store = options.open(dir.path()).unwrap();
    assert_eq!(store.stats().unwrap().runs, before.runs + 1);
    assert_eq!(store.history(&run).unwrap().len(), 1);
    store.verify(|_| {}).unwrap();
}

#[test]
fn damage_is_told_by_the_read_that_meets_it_and_is_never_an_answer() {
    use kinlog::{NewChild, RunId};
    let dir = directory();
    let store = cold().open(dir.path()).unwrap();
    let mut tx = store.begin();
    let parent = tx.start(NewRun::new("shop", "parent", "Order")).unwrap();
    for number in 0..150 {
        tx.start(NewRun::new("shop", &format!("between-{number}"), "Order")).unwrap();
    }
    // In other blocks than the parent.
    let child = tx.spawn_child(&parent, NewChild::new("child", "Order")).unwrap().run;
    tx.commit().unwrap();
    rest(&store);
    store.shut_down().unwrap();
    let whole = Image::read(dir.path());
    type Read = fn(&Store, &RunId, &RunId) -> Result<String, Error>;
    let reads: [(&str, Read); 8] = [
        ("children", |store, parent, _| {
            let children = store.children(parent)?.collect::<Result<Vec<_>, _>>()?;
            Ok(format!("{children:?}"))
        }),
        ("tree", |store, parent, _| {
            let nodes = store.tree(parent)?.collect::<Result<Vec<_>, _>>()?;
            Ok(format!("{nodes:?}"))
        }),
        ("parent", |store, _, child| Ok(format!("{:?}", store.parent(child)?))),
        ("root", |store, _, child| Ok(format!("{:?}", store.root(child)?))),
        ("chain", |store, _, child| Ok(format!("{:?}", store.chain(child)?))),
        ("chain_size", |store, _, child| Ok(format!("{:?}", store.chain_size(child)?))),
        ("run", |store, parent, _| Ok(format!("{:?}", store.run(parent)?))),
        ("event_by_key", |store, parent, _| Ok(format!("{:?}", store.event_by_key(parent, 7)?))),
    ];
    let oldest = index_files(dir.path()).first().unwrap().file_name().unwrap().to_owned();
    let right = cold().read_only(true).open(dir.path()).unwrap();
    let right = reads.map(|(_, read)| read(&right, &parent, &child).unwrap());
    let len = fs::metadata(dir.path().join("index").join(&oldest)).unwrap().len() as usize;
    let mut told = 0;
    for block in 0..len / 4096 {
        let dir = directory();
        whole.write(dir.path());
        let path = dir.path().join("index").join(&oldest);
        let mut bytes = fs::read(&path).unwrap();
        bytes[block * 4096 + 100] ^= 1;
        fs::write(&path, bytes).unwrap();
        for ((what, read), right) in reads.iter().zip(&right) {
            let reader = cold().read_only(true).open(dir.path()).unwrap();
            match read(&reader, &parent, &child) {
                Ok(found) => assert_eq!(found, *right, "{what}, block {block}"),
                Err(Error::DamagedIndex(_)) => told += 1,
                Err(error) => panic!("{what}, block {block}: {error}"),
            }
        }
    }
    assert!(told > reads.len());
}

/// Nobody is told to do that, but it must not lose anything.
#[test]
fn an_index_that_is_deleted_while_the_store_is_open_is_missed_by_nobody() {
    let dir = directory();
    let writer = cold().open(dir.path()).unwrap();
    let mut runs = vec![];
    // So few that no files are merged: the first one is read as long as the store is open.
    let mut start_two = |writer: &Store| {
        runs.extend(["a", "b"].map(|id| start(writer, &format!("{id}-{}", runs.len()))));
        while writer.stats().unwrap().index.waiting_layers > 0 {
            std::thread::yield_now();
        }
        runs.clone()
    };
    let all = |store: &Store, runs: &[kinlog::RunId]| {
        let snapshot = store.snapshot();
        let found = snapshot.runs(kinlog::RunFilter::all()).map(|run| run.unwrap().id);
        assert_eq!(found.collect::<Vec<_>>(), runs);
        runs.iter().for_each(|run| assert_eq!(store.run(run).unwrap().id, *run));
    };
    let runs = start_two(&writer);
    let reader = cold().read_only(true).open(dir.path()).unwrap();
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    [&writer, &reader].into_iter().for_each(|store| all(store, &runs));
    let runs = start_two(&writer);
    reader.refresh().unwrap();
    [&writer, &reader].into_iter().for_each(|store| all(store, &runs));
    // What the writer has written since names files that are gone.
    let verified = reader.verify(|_| {});
    let Err(error @ Error::DamagedIndex(_)) = verified else { panic!("{verified:?}") };
    assert!(error.to_string().contains("the file is missing"), "{error}");
    let late = cold().read_only(true).open(dir.path()).unwrap();
    assert_eq!(late.report().index, IndexFound::Unusable);
    all(&late, &runs);
    writer.shut_down().unwrap();
    let writer = cold().open(dir.path()).unwrap();
    assert_eq!(writer.report().index, IndexFound::Unusable);
    let runs = start_two(&writer);
    all(&writer, &runs);
    writer.verify(|_| {}).unwrap();
    writer.shut_down().unwrap();
    let late = cold().open(dir.path()).unwrap();
    assert_eq!(late.report().index, IndexFound::Used);
    all(&late, &runs);
}
