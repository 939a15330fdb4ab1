//! A store, a run and its history: what is written by one commit, and what is there after reopening.
//!
//! ```text
//! 1 WorkflowExecutionStarted
//! 2 MarkerRecorded "paid"
//! 3 WorkflowExecutionCompleted
//! order-42 is Completed after 3 events
//! ```

use std::error::Error;

use kinlog::{Close, EventKind, NewEvent, NewRun, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;

    // Any number of runs and rows in one commit: all of it or nothing.
    let mut tx = store.begin();
    let order = tx.start(NewRun::new("shop", "order-42", "Order").input(b"{}"))?;
    tx.append(&order, NewEvent::opaque(EventKind::MARKER_RECORDED, b"paid"))?;
    tx.commit()?; // on the device when it returns
    store.close_run(&order, Close::completed(b"ok"))?;
    store.shut_down()?;

    let store = Store::open(dir.path())?;
    for event in &store.history(&order)? {
        let event = event?; // borrowed from the memory map
        match event.payload() {
            b"paid" => println!("{} {} \"paid\"", event.id(), event.kind()),
            _ => println!("{} {}", event.id(), event.kind()),
        }
    }
    let run = store.run(&order)?;
    println!("{} is {} after {} events", run.workflow_id, run.status, store.history(&order)?.len());
    Ok(())
}
