//! What the manifest says of the log, at rest, after a closing, and after writes that failed: no more
//! than is on the device, and never nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinlog::{Durability, Error, Options, Position, Result, Store, Verdict};
use kinlog_rig::disk::{Content, Errno, Fault, Operation, SimulatedDisk, Survivors, Wrong};

const STORE: &str = "/data/store";
const SLOT: usize = 4096;

fn open(disk: &SimulatedDisk) -> Result<Store> {
    Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone())).open(STORE)
}

fn reopen(content: Content) -> Store {
    open(&SimulatedDisk::with(content, 9)).unwrap()
}

fn path(name: &str) -> PathBuf {
    Path::new(STORE).join(name)
}

fn put(store: &Store, key: &[u8], durability: Durability) -> Position {
    let mut tx = store.begin();
    tx.put("rows", key, &[7; 3_000]).unwrap();
    tx.commit_with(durability).unwrap().position()
}

fn rows(store: &Store) -> usize {
    store.snapshot().rows("rows", ..).count()
}

/// A store with one commit that is on the device and one that is not.
fn half_synced(disk: &SimulatedDisk) -> (Store, Position) {
    let store = open(disk).unwrap();
    put(&store, b"synced", Durability::Sync);
    let buffered = put(&store, b"buffered", Durability::Buffered);
    (store, buffered)
}

/// The next sync fails, and forgets part of what it should have written if it is to.
fn fail_next_sync(disk: &SimulatedDisk, wrong: Wrong) {
    let nth = disk.count(Operation::Sync);
    disk.set_faults(vec![Fault {
        operation: Operation::Sync,
        nth,
        times: 1,
        wrong,
        errno: Errno::Eio,
    }]);
}

#[test]
fn a_store_at_rest_vouches_for_what_is_on_the_device_and_for_no_more() {
    let disk = SimulatedDisk::new(1);
    let (store, buffered) = half_synced(&disk);
    let before = disk.count(Operation::Sync);
    store.rest().unwrap();
    assert_eq!(disk.count(Operation::Sync), before + 1, "the manifest alone is synced");
    let content = disk.content();
    disk.cut_power();
    drop(store);
    let mark = |slot: &[u8]| u64::from_le_bytes(slot[56..64].try_into().unwrap());
    let marks = content.file(&path("MANIFEST")).unwrap().chunks(SLOT).map(mark).max();
    assert_eq!(marks, Some(buffered.as_u64()));
    let store = reopen(content.after_power_loss(Survivors::Nothing));
    assert_eq!((store.report().verdict, rows(&store)), (Verdict::Unclosed, 1));
    let store = reopen(content);
    assert_eq!((store.report().verdict, rows(&store)), (Verdict::Unclosed, 2));
}

#[test]
fn what_was_marked_at_rest_is_damage_when_it_is_missing() {
    let disk = SimulatedDisk::new(2);
    let (store, buffered) = half_synced(&disk);
    store.sync().unwrap();
    store.rest().unwrap();
    let mut content = disk.content().after_power_loss(Survivors::Nothing);
    disk.cut_power();
    drop(store);
    // Without the lock file, in which the same is noted.
    content.remove_file(&path("LOCK"));
    let segment = path("log/00000000.seg");
    let mut bytes = content.file(&segment).unwrap().to_vec();
    bytes[buffered.as_u64() as usize..].fill(0);
    content.put_file(&segment, bytes);
    match open(&SimulatedDisk::with(content, 3)) {
        Err(Error::Corrupt(found)) => assert_eq!(found.offset, buffered.as_u64()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_whose_last_sync_failed_is_not_marked_as_closed() {
    for (seed, wrong) in [(3, Wrong::Nothing), (4, Wrong::Half), (5, Wrong::Half)] {
        let disk = SimulatedDisk::new(seed);
        let (store, buffered) = half_synced(&disk);
        fail_next_sync(&disk, wrong);
        assert!(matches!(store.shut_down(), Err(Error::OutcomeUnknown { .. })));
        let content = disk.content();
        // Whatever the device has of it.
        let store = reopen(content.after_power_loss(Survivors::Nothing));
        assert_ne!(store.report().verdict, Verdict::Clean);
        assert!((1..=2).contains(&rows(&store)));
        let store = reopen(content.clone());
        assert_eq!((store.report().verdict, rows(&store)), (Verdict::Unclosed, 2));
        // That the commit was never acknowledged as synced does not prove that it was torn.
        let mut content = content;
        let segment = path("log/00000000.seg");
        let mut bytes = content.file(&segment).unwrap().to_vec();
        bytes[buffered.as_u64() as usize + 1_000] ^= 1;
        content.put_file(&segment, bytes);
        let store = reopen(content);
        assert_eq!((store.report().verdict, rows(&store)), (Verdict::Ambiguous, 1));
    }
}

/// What a process read of a slot may be in memory only, as the write that failed was another's. A slot
/// that is written when the power goes is unreadable afterwards; then the other one must not be.
#[test]
fn opening_after_a_manifest_write_that_failed_leaves_a_whole_slot_at_every_moment() {
    let disk = SimulatedDisk::new(6);
    open(&disk).unwrap().shut_down().unwrap();
    let store = open(&disk).unwrap();
    put(&store, b"synced", Durability::Sync);
    let manifest = path("MANIFEST");
    let before = disk.content().file(&manifest).unwrap().to_vec();
    fail_next_sync(&disk, Wrong::Half);
    store.rest().unwrap_err();
    let mut content = disk.content();
    disk.cut_power();
    drop(store);
    let failed = written(&before, content.file(&manifest).unwrap());
    assert_eq!(failed.len(), 1);
    content.spoil_device(&manifest, failed[0]..failed[0] + 512);

    for at in 0.. {
        let disk = SimulatedDisk::with(content.clone(), at);
        disk.cut_power_at(at);
        let opened = open(&disk);
        let mut left = disk.content();
        let (was, is) = (disk_before(&content, at), left.file(&manifest).unwrap().to_vec());
        for slot in written(&was, &is) {
            left.spoil_device(&manifest, slot..slot + 512);
        }
        let store = open(&SimulatedDisk::with(left.after_power_loss(Survivors::Nothing), at));
        let store = store.unwrap_or_else(|error| panic!("operation {at}: {error}"));
        assert_eq!(rows(&store), 1, "operation {at}");
        if opened.is_ok() {
            break;
        }
    }
}

/// The manifest as programs see it when the power goes at the operation before this one.
fn disk_before(content: &Content, at: u64) -> Vec<u8> {
    let manifest = path("MANIFEST");
    let Some(before) = at.checked_sub(1) else {
        return content.file(&manifest).unwrap().to_vec();
    };
    let disk = SimulatedDisk::with(content.clone(), at);
    disk.cut_power_at(before);
    let _ = open(&disk);
    disk.content().file(&manifest).unwrap().to_vec()
}

/// Where the slots begin that are different.
fn written(before: &[u8], after: &[u8]) -> Vec<usize> {
    [0, SLOT].into_iter().filter(|at| before[*at..*at + SLOT] != after[*at..*at + SLOT]).collect()
}
