//! Messages leave a workflow exactly as often as its history says: a row is written with the event that
//! asks for it, and deleted once the message is out.
//!
//! ```text
//! sending "invoice for order-1"
//! sending "invoice for order-2"
//! 0 messages left
//! ```

use std::error::Error;

use kinlog::{EventKind, NewEvent, NewRun, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;

    for id in ["order-1", "order-2"] {
        let mut tx = store.begin();
        let order = tx.start(NewRun::new("shop", id, "Order"))?;
        tx.append(&order, NewEvent::opaque(EventKind::MARKER_RECORDED, b"invoiced"))?;
        // Both are there or neither is.
        tx.put("outbox", id.as_bytes(), format!("invoice for {id}").as_bytes())?;
        tx.commit()?;
    }

    while let Some((key, message)) = first(&store)? {
        println!("sending {:?}", String::from_utf8_lossy(&message));
        // A crash here sends it again: whoever receives it tells repetitions by the key.
        store.transact(|tx| tx.delete("outbox", &key))?;
    }
    println!("{} messages left", store.snapshot().rows("outbox", ..).count());
    Ok(())
}

fn first(store: &Store) -> kinlog::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let snapshot = store.snapshot();
    let row = snapshot.rows("outbox", ..).next().transpose()?;
    Ok(row.map(|row| (row.key.to_vec(), row.value.to_vec())))
}
