//! A saga: each step leaves an event, and where one fails, what was done is undone in reverse, as the
//! history tells it.
//!
//! ```text
//! did: reserve flight
//! did: reserve hotel
//! failed: charge card
//! undid: reserve hotel
//! undid: reserve flight
//! trip-7 is Failed
//! ```

use std::error::Error;

use kinlog::{Close, EventKind, NewEvent, NewRun, RunId, Store};

const DID: EventKind = EventKind::from_number(1024);
const UNDID: EventKind = EventKind::from_number(1025);

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;
    let mut tx = store.begin();
    let trip = tx.start(NewRun::new("travel", "trip-7", "Trip"))?;
    tx.commit()?;

    for step in ["reserve flight", "reserve hotel", "charge card"] {
        if step == "charge card" {
            println!("failed: {step}");
            compensate(&store, &trip)?;
            store.close_run(&trip, Close::failed(step.as_bytes()))?;
            break;
        }
        store.append(&trip, NewEvent::opaque(DID, step.as_bytes()))?;
        println!("did: {step}");
    }
    println!("trip-7 is {}", store.run(&trip)?.status);
    Ok(())
}

/// Undoes what was done and not undone yet: after a crash in between, another call goes on.
fn compensate(store: &Store, run: &RunId) -> kinlog::Result<()> {
    let mut open: Vec<Vec<u8>> = vec![];
    for event in &store.history(run)? {
        let event = event?;
        match event.kind() {
            DID => open.push(event.payload().to_vec()),
            UNDID => drop(open.pop()),
            _ => {}
        }
    }
    while let Some(step) = open.pop() {
        println!("undid: {}", String::from_utf8_lossy(&step));
        store.append(run, NewEvent::opaque(UNDID, &step))?;
    }
    Ok(())
}
