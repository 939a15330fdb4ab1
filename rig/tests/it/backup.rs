//! A backup is on the device when it returns: a power loss right afterwards takes nothing of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinlog::disk::{Disk, OpenMode};
use kinlog::{Durability, Options, Store, Verdict};
use kinlog_rig::disk::{SimulatedDisk, Survivors};

fn options(disk: &SimulatedDisk) -> Options {
    Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone()))
}

fn fill(store: &Store, commits: u16) {
    for _ in 0..commits {
        let mut tx = store.begin();
        tx.put("rows", &store.end().as_u64().to_be_bytes(), &[1; 9_000]).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    }
}

/// What a plain copy does: it leaves it to the system when its bytes reach the device.
fn copy_files(disk: &SimulatedDisk, from: &str, to: &str) {
    let content = disk.content();
    let moved = |path: &Path| Some(Path::new(to).join(path.strip_prefix(from).ok()?));
    disk.create_dir(&Path::new(to).join("log")).unwrap();
    let files: Vec<(PathBuf, Vec<u8>)> =
        content.files().filter_map(|(path, bytes)| Some((moved(path)?, bytes.to_vec()))).collect();
    for (path, bytes) in files {
        let file = disk.open(&path, OpenMode::Create).unwrap();
        file.write_at(&bytes, 0).unwrap();
    }
}

/// The power goes now; the backup in `dir` is a closed store with so many rows.
fn check_after_power_loss(disk: &SimulatedDisk, dir: &str, rows: usize) {
    let content = disk.content().after_power_loss(Survivors::Nothing);
    let store = options(&SimulatedDisk::with(content, 9)).read_only(true).open(dir).unwrap();
    assert_eq!(store.report().verdict, Verdict::Clean);
    assert_eq!(store.snapshot().rows("rows", ..).count(), rows);
    assert!(store.verify(|_| {}).unwrap().is_sound());
}

#[test]
fn a_whole_backup_outlasts_a_power_loss() {
    let disk = SimulatedDisk::new(1);
    let store = options(&disk).open("/data/store").unwrap();
    fill(&store, 16);
    store.backup("/backups/one", None, |_| {}).unwrap();
    check_after_power_loss(&disk, "/backups/one", 16);
}

#[test]
fn segments_that_are_shared_with_a_copy_that_nobody_synced_outlast_a_power_loss() {
    let disk = SimulatedDisk::new(2);
    let store = options(&disk).open("/data/store").unwrap();
    fill(&store, 16);
    store.backup("/backups/one", None, |_| {}).unwrap();
    copy_files(&disk, "/backups/one", "/backups/copy");
    fill(&store, 8);
    let base = Path::new("/backups/copy");
    let report = store.backup("/backups/two", Some(base), |_| {}).unwrap();
    assert!(report.linked >= 2 && report.copied >= 2, "{report:?}");
    check_after_power_loss(&disk, "/backups/two", 24);
    check_after_power_loss(&disk, "/backups/one", 16);
}
