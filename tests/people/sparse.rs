//! A copy whose zeros are holes: the space for commits to come is not there.

use kinlog_testing::disk::{Fate, Op, disk_with};
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const PAGE: usize = 4096;

/// As `cp -r --sparse=always` does.
fn copy_sparse(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_sparse(&from, &to);
            continue;
        }
        let (bytes, file) = (fs::read(&from).unwrap(), File::create(&to).unwrap());
        file.set_len(bytes.len() as u64).unwrap();
        for (i, page) in
            bytes.chunks(PAGE).enumerate().filter(|(_, page)| page.iter().any(|b| *b != 0))
        {
            file.write_all_at(page, (i * PAGE) as u64).unwrap();
        }
    }
}

fn allocated(path: &Path) -> (u64, u64) {
    let found = fs::metadata(path).unwrap();
    (found.blocks() * 512, found.len())
}

/// A store with a segment that takes commits and one behind it, sparse.
fn sparse() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (full, copy) = (dir.path().join("full"), dir.path().join("sparse"));
    let store = open(&full);
    put_bytes(&store, "one", 40_000).unwrap();
    store.shut_down().unwrap();
    assert!(full.join("log/00000001.seg").exists(), "the next segment is there");
    copy_sparse(&full, &copy);
    let (there, len) = allocated(&copy.join("log/00000001.seg"));
    assert!(there < len, "the copy is sparse");
    (dir, copy)
}

#[test]
fn a_store_restored_with_holes_has_its_space_when_it_is_open() {
    let (_dir, path) = sparse();
    let store = open(&path);
    for name in ["log/00000000.seg", "log/00000001.seg", "RESERVE"] {
        let (there, len) = allocated(&path.join(name));
        assert!(there >= len, "{name}: {there} of {len}");
    }
    put_bytes(&store, "two", 40_000).unwrap();
    store.shut_down().unwrap();
    let store = open(&path);
    assert_eq!(keys(&store), ["one", "two"]);
    store.verify(|_| ()).unwrap();
}

/// Where there is no space for it, opening says so. A commit that nobody knows the outcome of comes too late.
#[test]
fn a_store_restored_with_holes_onto_a_full_disk_is_refused_with_the_reason() {
    let (_dir, path) = sparse();
    let full = Arc::new(AtomicBool::new(true));
    let is_full = full.clone();
    let disk = disk_with(move |op, path| {
        let grows = op == Op::Write && path.extension().is_some_and(|extension| extension == "seg");
        match grows && is_full.load(Ordering::Relaxed) {
            true => Fate::Fails(ErrorKind::StorageFull),
            false => Fate::Done,
        }
    });
    let options = small_segments().disk(disk);
    match options.open(&path) {
        Err(error @ Error::Io { .. }) => {
            assert!(error.to_string().contains("sparse copy"), "{error}");
            assert!(error.to_string().contains(".seg"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    full.store(false, Ordering::Relaxed);
    let store = options.open(&path).unwrap();
    assert_eq!(store.report().verdict, kinlog::Verdict::Clean);
    assert_eq!(keys(&store), ["one"]);
}

/// A writer that was killed, whose last bytes are in doubt: the space behind them is set aside, and they are
/// put into quarantine as they are.
#[test]
fn remains_are_not_filled_over() {
    let (_dir, path) = sparse();
    let last = path.join("log/00000000.seg");
    let file = File::options().write(true).open(&last).unwrap();
    file.write_all_at(b"what may have been a commit", 60_000).unwrap();
    let store = open(&path);
    let copies = &store.report().quarantined;
    assert_eq!(copies.len(), 1);
    assert!(fs::read(&copies[0]).unwrap().ends_with(b"what may have been a commit"));
}
