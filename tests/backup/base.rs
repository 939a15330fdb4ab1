//! Incremental backups: what is shared, and with what.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use kinlog::Error;
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{Image, directory};
use tempfile::TempDir;

use super::*;

/// A store, and a backup of it that is several commits and a segment old.
struct Grown {
    builder: Builder,
    dir: TempDir,
    base: PathBuf,
    /// Full segments of the base.
    full: u32,
    /// Its commits.
    old: Digest,
}

impl Grown {
    fn new() -> Self {
        let builder = Builder::new();
        fill(&builder, 17);
        let dir = directory();
        let base = dir.path().join("base");
        let report = builder.store.backup(&base, None, |_| {}).unwrap();
        let old = digest(&builder.store);
        fill_more(&builder);
        Grown { builder, dir, base, full: report.copied - 1, old }
    }

    fn to(&self) -> PathBuf {
        self.dir.path().join("to")
    }

    fn backup(&self) -> kinlog::Result<kinlog::admin::BackupReport> {
        self.builder.store.backup(self.to(), Some(&self.base), |_| {})
    }

    /// The segments with commits; an open store marks its manifest and prepares the next segment
    /// when it likes.
    fn written(&self) -> Image {
        let last = self.builder.store.end().as_u64() as usize / SEGMENT;
        let mut image = Image::read_but_lock(self.builder.dir.path());
        image.0.retain(|name, _| (0..=last).any(|number| *name == segment_name(number)));
        image
    }

    /// The base is refused with these words, and the store and the base are as they were.
    fn refused(&self, says: &str) {
        let (store, base) = (self.written(), Image::read_but_lock(&self.base));
        match self.backup() {
            Err(Error::NotABase { path, why }) => {
                assert!(why.contains(says), "{why}");
                assert_eq!(path, self.base);
            }
            other => panic!("{other:?}"),
        }
        let opened = small_segments().read_only(true).open(self.to());
        assert!(matches!(opened, Err(Error::NotAStore { .. })), "{opened:?}");
        self.written().assert_same(&store, "the store");
        Image::read_but_lock(&self.base).assert_same(&base, "the base");
        // Without it, the backup is made, over what that attempt left.
        self.builder.store.backup(self.to(), None, |_| {}).unwrap();
        check(&self.to(), &digest(&self.builder.store));
    }
}

fn inode(dir: &Path, segment: u32) -> u64 {
    fs::metadata(dir.join(segment_name(segment as usize))).unwrap().ino()
}

fn change(path: &Path, offset: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[offset] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn full_segments_are_shared_and_the_rest_is_copied() {
    let grown = Grown::new();
    assert!(grown.full >= 2);
    let report = grown.backup().unwrap();
    assert_eq!(report.linked, grown.full);
    assert_eq!(report.bytes, u64::from(report.copied) * SEGMENT as u64);
    for segment in 0..report.linked + report.copied - 1 {
        let shared = segment < grown.full;
        let base = fs::exists(grown.base.join(segment_name(segment as usize))).unwrap();
        assert_eq!(base && inode(&grown.base, segment) == inode(&grown.to(), segment), shared);
        // A file that the store has, too, would be no backup.
        assert_ne!(inode(grown.builder.dir.path(), segment), inode(&grown.to(), segment));
    }
    let commits = digest(&grown.builder.store);
    assert_eq!(report.commits, commits.len() as u64);
    check(&grown.to(), &commits);
    check(&grown.base, &grown.old);
}

#[test]
fn backups_that_share_segments_do_not_touch_each_other() {
    let grown = Grown::new();
    grown.backup().unwrap();
    let commits = digest(&grown.builder.store);
    // Killed while they write, damaged behind a seal, healed: whatever happens to one of them.
    for (changed, other) in [(grown.to(), grown.base.clone()), (grown.base.clone(), grown.to())] {
        let kept = digest(&small_segments().read_only(true).open(&other).unwrap());
        for _ in 0..2 {
            let store = small_segments().open(&changed).unwrap();
            (0..12).for_each(|_| commit(&store));
            let killed = fs::read(changed.join("MANIFEST")).unwrap();
            store.shut_down().unwrap();
            fs::write(changed.join("MANIFEST"), killed).unwrap();
            change(&changed.join(segment_name(0)), SEGMENT - 1);
            let healed = small_segments().open(&changed).unwrap();
            assert!(healed.report().removed_bytes > 0);
            healed.verify(|_| {}).unwrap();
            healed.shut_down().unwrap();
        }
        let store = small_segments().read_only(true).open(&other).unwrap();
        assert!(digest(&store) == kept);
        assert!(store.verify(|_| {}).unwrap().is_sound());
    }
    fs::remove_dir_all(&grown.base).unwrap();
    let store = small_segments().read_only(true).open(grown.to()).unwrap();
    assert!(digest(&store)[..commits.len()] == commits);
    assert!(store.verify(|_| {}).unwrap().is_sound());
}

#[test]
fn a_chain_of_backups_shares_what_the_one_before_has() {
    let grown = Grown::new();
    let mut base = grown.base.clone();
    for i in 0..3 {
        let to = grown.dir.path().join(format!("next {i}"));
        let before = fs::read_dir(base.join("log")).unwrap().count() as u32 - 1;
        let report = grown.builder.store.backup(&to, Some(&base), |_| {}).unwrap();
        assert_eq!(report.linked, before);
        check(&to, &digest(&grown.builder.store));
        fill_more(&grown.builder);
        base = to;
    }
}

/// Restored elsewhere by a plain copy, and opened since: it is a backup all the same.
#[test]
fn a_copy_of_a_backup_is_a_base_too() {
    let mut grown = Grown::new();
    let copy = grown.dir.path().join("copy");
    copy_files(&grown.base, &copy);
    drop(small_segments().open(&copy).unwrap());
    grown.base = copy;
    assert_eq!(grown.backup().unwrap().linked, grown.full);
    check(&grown.to(), &digest(&grown.builder.store));
}

#[test]
fn where_the_disk_cannot_link_segments_are_copied() {
    let grown = Grown::new();
    let disk = disk_with(|op, _| match op {
        Op::Link => Fate::Fails(ErrorKind::Unsupported),
        _ => Fate::Done,
    });
    let store = small_segments().disk(disk).read_only(true).open(grown.builder.dir.path()).unwrap();
    let report = store.backup(grown.to(), Some(&grown.base), |_| {}).unwrap();
    assert_eq!(report.linked, 0);
    check(&grown.to(), &digest(&grown.builder.store));
}

#[test]
fn a_base_of_another_store_is_refused() {
    let mut grown = Grown::new();
    let other = Builder::new();
    fill(&other, 17);
    grown.base = grown.dir.path().join("other");
    other.store.backup(&grown.base, None, |_| {}).unwrap();
    grown.refused("another store");
}

#[test]
fn a_base_that_has_gone_its_own_way_is_refused() {
    let grown = Grown::new();
    let store = small_segments().open(&grown.base).unwrap();
    commit(&store);
    let killed = fs::read(grown.base.join("MANIFEST")).unwrap();
    drop(store);
    grown.refused("commits that the store does not have");
    fs::write(grown.base.join("MANIFEST"), killed).unwrap();
    fs::remove_dir_all(grown.to()).unwrap();
    grown.refused("not closed");
}

/// Full segments too are compared, not only the last one.
#[test]
fn a_base_whose_full_segments_are_others_is_refused() {
    let grown = Grown::new();
    let store = small_segments().open(&grown.base).unwrap();
    let (base, full) = (grown.base.clone(), grown.full);
    while store.end().as_u64() < (u64::from(full) + 1) * SEGMENT as u64 {
        let mut tx = store.begin();
        tx.put("own", b"way", &[1; 9000]).unwrap();
        tx.commit().unwrap();
    }
    store.shut_down().unwrap();
    // The segment that it went its own way in is full, and those behind it are as the store's.
    let spare = base.join(segment_name(full as usize + 1));
    fs::copy(grown.builder.dir.path().join(segment_name(full as usize + 1)), spare).unwrap();
    grown.refused("commits that the store does not have");
}

#[test]
fn a_base_that_is_ahead_of_the_store_is_refused() {
    let mut grown = Grown::new();
    grown.base = grown.dir.path().join("ahead");
    let reader = small_segments().read_only(true).open(grown.builder.dir.path()).unwrap();
    fill_more(&grown.builder);
    grown.builder.store.backup(&grown.base, None, |_| {}).unwrap();
    let result = reader.backup(grown.to(), Some(&grown.base), |_| {});
    let why = match result {
        Err(Error::NotABase { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert!(why.contains("more than the store"), "{why}");
    assert!(!grown.to().exists(), "nothing was made");
}

#[test]
fn a_base_that_is_damaged_is_named() {
    for (segment, offset, at) in [(0, 4100, PAGE), (1, 100, 72), (2, 6000, PAGE), (0, 9, 0)] {
        let grown = Grown::new();
        let path = grown.base.join(segment_name(segment));
        change(&path, offset);
        match grown.backup() {
            Err(Error::Corrupt(found)) => {
                assert_eq!((&found.path, found.offset), (&path, at as u64), "{found}");
            }
            other => panic!("{other:?}"),
        }
        check_not_a_store(&grown.to());
    }
    // Where nothing belongs, damage is not shared either.
    let grown = Grown::new();
    change(&grown.base.join(segment_name(0)), SEGMENT - 1);
    assert_eq!(grown.backup().unwrap().linked, grown.full - 1);
    check(&grown.to(), &digest(&grown.builder.store));
}

/// Linking to files of the store itself would let damage to it damage its backups.
#[test]
fn the_store_itself_is_no_base_by_whatever_path_or_name() {
    let dir = directory();
    let (path, copy) = (dir.path().join("store"), dir.path().join("linked"));
    let store = small_segments().open(&path).unwrap();
    for i in 0..10 {
        let mut tx = store.begin();
        tx.put("rows", &[i], &[i; 30_000]).unwrap();
        tx.commit().unwrap();
    }
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let refused = |store: &Store, base: &Path| {
        let to = dir.path().join("backup");
        let backup = store.backup(&to, Some(base), |_| {});
        assert!(matches!(&backup, Err(Error::NotABase { path, .. }) if path == base), "{backup:?}");
        assert!(!to.exists());
    };
    refused(&store, &path);
    refused(&store, &link);
    store.shut_down().unwrap();
    let store = small_segments().read_only(true).open(&path).unwrap();
    refused(&store, &path);
    refused(&store, &link);
    // As `cp -al` does.
    fs::create_dir_all(copy.join("log")).unwrap();
    fs::copy(path.join("MANIFEST"), copy.join("MANIFEST")).unwrap();
    for entry in fs::read_dir(path.join("log")).unwrap() {
        let name = entry.unwrap().file_name();
        fs::hard_link(path.join("log").join(&name), copy.join("log").join(&name)).unwrap();
    }
    refused(&store, &copy);
}

#[test]
fn a_base_that_a_process_writes_is_refused() {
    let grown = Grown::new();
    let restored = grown.dir.path().join("restored");
    copy_files(&grown.base, &restored);
    let writer = small_segments().open(&restored).unwrap();
    writer.shut_down().unwrap();
    let lock = fs::File::open(&restored).unwrap();
    lock.try_lock().unwrap();
    let backup = grown.builder.store.backup(grown.to(), Some(&restored), |_| {});
    assert!(
        matches!(&backup, Err(Error::NotABase { why, .. }) if why.contains("writes")),
        "{backup:?}"
    );
}

#[test]
fn a_base_that_is_no_store_is_refused() {
    let mut grown = Grown::new();
    grown.base = grown.dir.path().join("none");
    assert!(matches!(grown.backup(), Err(Error::NotAStore { path, .. }) if path == grown.base));
    assert!(!grown.to().exists() && !grown.base.exists());
}

fn check_not_a_store(dir: &Path) {
    let opened = small_segments().read_only(true).open(dir);
    assert!(matches!(opened, Err(Error::NotAStore { .. })), "{opened:?}");
}
