//! Backups that fail or are cut short at every step.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use kinlog::disk::Disk;
use kinlog::{Error, Options};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::directory;

use super::*;

/// A source of a few segments, closed.
fn source() -> (tempfile::TempDir, Digest) {
    let builder = Builder::new();
    fill(&builder, 10);
    let commits = digest(&builder.store);
    let Builder { dir, store, .. } = builder;
    store.shut_down().unwrap();
    (dir, commits)
}

fn read_only(disk: Arc<dyn Disk>) -> Options {
    small_segments().disk(disk).read_only(true)
}

/// Operation number `n` of a backup fails, or everything from there on does. Whether it was
/// reached.
fn cut_at(n: usize, for_good: bool, kind: io::ErrorKind, base: bool) -> bool {
    let (source, commits) = source();
    let dir = directory();
    let (to, base) = (dir.path().join("to"), base.then(|| dir.path().join("base")));
    if let Some(base) = &base {
        let store = small_segments().read_only(true).open(source.path()).unwrap();
        store.backup(base, None, |_| {}).unwrap();
    }
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let counted = left.clone();
    let disk = disk_with(move |op, _| {
        let left = counted.load(Ordering::Relaxed);
        counted.store(left.saturating_sub(1), Ordering::Relaxed);
        match (left, op) {
            (0, Op::Write) if for_good => Fate::Partly(500, kind),
            (0, _) => {
                counted.store(if for_good { 0 } else { usize::MAX }, Ordering::Relaxed);
                Fate::Fails(kind)
            }
            _ => Fate::Done,
        }
    });
    let store = read_only(disk).open(source.path()).unwrap();
    left.store(n, Ordering::Relaxed);
    let result = store.backup(&to, base.as_deref(), |_| {});
    let reached = result.is_err() || left.load(Ordering::Relaxed) > usize::MAX / 2;
    left.store(usize::MAX, Ordering::Relaxed);
    let what = format!("operation {n}, for good: {for_good}");
    match (result, small_segments().read_only(true).open(&to)) {
        (Ok(_), _) => check(&to, &commits),
        (Err(_), Err(Error::NotAStore { unfinished, .. })) => {
            // A writer says the same, and leaves it as it is.
            if unfinished {
                let writer = small_segments().open(&to);
                assert!(
                    matches!(writer, Err(Error::NotAStore { unfinished: true, .. })),
                    "{writer:?}"
                );
            }
            // What is left is no store, and no obstacle.
            let again = small_segments().read_only(true).open(source.path()).unwrap();
            again.backup(&to, base.as_deref(), |_| {}).unwrap_or_else(|e| panic!("{what}: {e}"));
            check(&to, &commits);
        }
        // The name of the manifest is there, and only its sync failed.
        (Err(_), Ok(_)) => check(&to, &commits),
        (Err(error), Err(opened)) => panic!("{what}: {error}, and then {opened}"),
    }
    if let Some(base) = base {
        check(&base, &commits);
    }
    reached
}

#[test]
fn a_backup_that_is_cut_short_anywhere_is_no_store_and_no_obstacle() {
    for base in [false, true] {
        let steps = (0..).take_while(|n| cut_at(*n, true, io::ErrorKind::Other, base)).count();
        assert!(steps > 25, "{steps}");
    }
}

#[test]
fn a_backup_in_which_anything_fails_once_is_whole_or_none() {
    let steps = (0..).take_while(|n| cut_at(*n, false, io::ErrorKind::StorageFull, false)).count();
    assert!(steps > 25, "{steps}");
}

/// What a power loss would need to find: content before names, names before the manifest's.
#[test]
fn everything_is_synced_before_the_manifest_gets_its_name() {
    let (source, commits) = source();
    let dir = directory();
    let to = dir.path().join("in/a/new/place");
    let log = Arc::new(Mutex::new(Vec::<(Op, PathBuf)>::new()));
    let seen = log.clone();
    let disk = disk_with(move |op, path| {
        seen.lock().unwrap().push((op, path.to_owned()));
        Fate::Done
    });
    let store = read_only(disk).open(source.path()).unwrap();
    log.lock().unwrap().clear();
    store.backup(&to, None, |_| {}).unwrap();
    check(&to, &commits);
    let log = log.lock().unwrap().clone();
    let last = |op, path: &Path| {
        let found = log.iter().rposition(|(o, p)| *o == op && p == path);
        found.unwrap_or_else(|| panic!("no {op:?} of {}", path.display()))
    };
    let first = |op, path: &Path| log.iter().position(|(o, p)| *o == op && p == path).unwrap();
    let (staged, manifest) = (to.join("MANIFEST.tmp"), to.join("MANIFEST"));
    let named = last(Op::Rename, &manifest);
    let segments = std::fs::read_dir(to.join("log")).unwrap().count();
    assert!(segments > 1);
    for number in 0..segments {
        let segment = to.join(segment_name(number));
        assert!(last(Op::Write, &segment) < last(Op::Sync, &segment));
        assert!(last(Op::Sync, &segment) < named);
        assert!(first(Op::Create, &segment) < last(Op::SyncDir, &to.join("log")));
        // The mark of an unfinished backup is there before what it marks.
        let marked = last(Op::Sync, &staged)..first(Op::Create, &segment);
        assert!(log[marked].contains(&(Op::SyncDir, to.clone())));
    }
    assert!(last(Op::Write, &staged) < last(Op::Sync, &staged));
    assert!(last(Op::SyncDir, &to.join("log")) < named);
    assert!(named < last(Op::SyncDir, &to));
    // The way to it lasts as well.
    for parent in
        to.ancestors().skip(1).take_while(|parent| *parent != dir.path().parent().unwrap())
    {
        assert!(last(Op::SyncDir, parent) < named, "{}", parent.display());
    }
    let written =
        log.iter().filter(|(op, path)| *op == Op::Write && path.starts_with(source.path()));
    assert_eq!(written.count(), 0, "the store is only read");
}
