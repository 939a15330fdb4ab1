//! Full segments on their way to the device while the log goes on: two syncs are under way, and the power goes, or
//! an operation fails, at any moment.

use std::sync::Arc;

use kinlog::{Durability, Error, Options, Position, Result, Store};
use kinlog_rig::disk::{Errno, Fault, Operation, SimulatedDisk, Survivors, Wrong};

const COMMITS: u8 = 36;

fn open(disk: &SimulatedDisk) -> Result<Store> {
    Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone())).open("/data/store")
}

/// Commits over several segments, few of them synced; how many are then on the device, and how far the
/// store said that the log was.
fn fill(disk: &SimulatedDisk) -> (u8, Position) {
    let Ok(store) = open(disk) else { return (0, Position::START) };
    let mut synced = 0;
    for key in 0..COMMITS {
        let mut tx = store.begin();
        tx.put("rows", &[key], &[7; 9_000]).unwrap();
        let durability = if key % 8 == 7 { Durability::Sync } else { Durability::Buffered };
        match (tx.commit_with(durability), durability) {
            (Ok(_), Durability::Sync) => synced = key + 1,
            (Ok(_), Durability::Buffered) => {}
            (Err(_), _) => break,
        }
    }
    (synced, store.durable_end().unwrap())
}

/// What is left holds the first so many rows, or more.
fn check(disk: &SimulatedDisk, survivors: Survivors, least: u8, end: Position, what: &str) {
    let content = disk.content().after_power_loss(survivors);
    let store = match open(&SimulatedDisk::with(content, 1)) {
        Ok(store) => store,
        Err(Error::NotAStore { .. }) if least == 0 => return,
        Err(error) => panic!("{what}: {error}"),
    };
    let keys: Vec<_> = store.snapshot().rows("rows", ..).map(|row| row.unwrap().key[0]).collect();
    assert!(keys.iter().copied().eq(0..keys.len() as u8), "{what}: {keys:?}");
    assert!(keys.len() >= usize::from(least), "{what}: {} of {least}", keys.len());
    assert!(store.end() >= end, "{what}: {} and {end}", store.end());
}

#[test]
fn a_power_loss_at_any_operation_loses_nothing_that_was_synced() {
    let whole = SimulatedDisk::new(1);
    fill(&whole);
    for nth in 0..whole.count(Operation::Any) {
        let disk = SimulatedDisk::new(nth);
        disk.cut_power_at(nth);
        let (synced, durable) = fill(&disk);
        for survivors in [Survivors::Nothing, Survivors::Sectors(nth), Survivors::Everything] {
            check(&disk, survivors, synced, durable, &format!("operation {nth}, {survivors:?}"));
        }
    }
}

#[test]
fn a_sync_that_fails_is_never_taken_for_success() {
    let whole = SimulatedDisk::new(1);
    fill(&whole);
    for nth in 0..whole.count(Operation::Sync) {
        let disk = SimulatedDisk::new(nth);
        let (operation, wrong, errno) = (Operation::Sync, Wrong::Half, Errno::Eio);
        disk.set_faults(vec![Fault { operation, nth, times: 1, wrong, errno }]);
        let (synced, durable) = fill(&disk);
        let what = format!("sync {nth}");
        check(&disk, Survivors::Nothing, synced, durable, &what);
        // As programs see it, whatever the device has.
        check(&disk, Survivors::Everything, synced, durable, &what);
    }
}
