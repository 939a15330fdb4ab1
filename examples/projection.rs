//! A projection: a named consumer reads commits in order from where it stopped, and its position moves in the same
//! transaction as what it has counted.
//!
//! ```text
//! 3 runs started, 1 closed
//! 4 runs started, 1 closed
//! ```

use std::error::Error;

use kinlog::{Close, NewRun, Position, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;

    for id in ["a", "b", "c"] {
        let mut tx = store.begin();
        tx.start(NewRun::new("shop", id, "Order"))?;
        tx.commit()?;
    }
    let run = store.current_run("shop", "b")?.ok_or("it was started")?;
    store.close_run(&run, Close::completed(b""))?;
    catch_up(&store)?;

    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "d", "Order"))?;
    tx.commit()?;
    catch_up(&store)?;
    Ok(())
}

/// Takes in what was committed since the last call, in whichever process that was.
fn catch_up(store: &Store) -> kinlog::Result<()> {
    let mut tail = store.tail(store.consumer("projection")?.unwrap_or(Position::START));
    let (mut started, mut closed) = (counter(store, b"started")?, counter(store, b"closed")?);
    while let Some(commit) = tail.try_next()? {
        for batch in commit.batches() {
            for event in batch?.events() {
                let event = event?;
                started += u64::from(event.id() == 1);
                closed += u64::from(event.kind().is_closing());
            }
        }
    }
    let mut tx = store.begin();
    tx.put("projection", b"started", &started.to_le_bytes())?;
    tx.put("projection", b"closed", &closed.to_le_bytes())?;
    tx.advance_consumer("projection", tail.position())?;
    tx.commit()?;
    println!("{started} runs started, {closed} closed");
    Ok(())
}

fn counter(store: &Store, key: &[u8]) -> kinlog::Result<u64> {
    let value = store.get("projection", key)?;
    Ok(value.and_then(|v| v.try_into().ok()).map_or(0, u64::from_le_bytes))
}
