//! An engine's own test on a disk that fails: a sync that goes wrong, then a power loss that leaves of
//! every unsynced write some sectors and not others. What was acknowledged is there, and nothing else.
//!
//! ```text
//! 2 events acknowledged
//! the third commit: outcome unknown
//! after the power loss: 2 or 3 events
//! ```

use std::sync::Arc;

use kinlog::{Error, EventKind, NewEvent, NewRun, Options, Result, RunId, Store};
use kinlog_rig::disk::{Errno, Fault, Operation, SimulatedDisk, Survivors, Wrong};

fn main() -> Result<()> {
    let disk = SimulatedDisk::new(42);
    let store = open(&disk)?;
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    tx.commit()?;
    append(&store, &run)?;
    println!("{} events acknowledged", store.history(&run)?.len());

    // From the next one on, each sync leaves some of what it was to write and says EIO.
    let nth = disk.count(Operation::Sync);
    disk.set_faults(vec![Fault {
        operation: Operation::Sync,
        nth,
        times: u64::MAX,
        wrong: Wrong::Half,
        errno: Errno::Eio,
    }]);
    match append(&store, &run) {
        Err(Error::OutcomeUnknown { .. }) => println!("the third commit: outcome unknown"),
        other => panic!("{other:?}"),
    }
    disk.cut_power();
    drop(store);

    let left = disk.content().after_power_loss(Survivors::Sectors(7));
    let store = open(&SimulatedDisk::with(left, 43))?;
    assert!((2..=3).contains(&store.history(&run)?.len()));
    println!("after the power loss: 2 or 3 events");
    Ok(())
}

fn open(disk: &SimulatedDisk) -> Result<Store> {
    Options::new().disk(Arc::new(disk.clone())).open("/store")
}

fn append(store: &Store, run: &RunId) -> Result<()> {
    store.append(run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"step")).map(drop)
}
