//! Timers: rows in the order of the time when they are due, taken by several threads, each fired once.
//!
//! ```text
//! 100 timers, 60 of them due
//! 60 fired, 40 left
//! ```

#![allow(clippy::big_endian_bytes)]

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};

use kinlog::{EventKind, NewEvent, NewRun, RunId, Store};

const TIMER_FIRED: EventKind = EventKind::TIMER_FIRED;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;

    let mut tx = store.begin();
    let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    for due in 1..=100_u64 {
        // Big-endian: the order of the keys is the order in time.
        tx.put("timers", &due.to_be_bytes(), order.as_bytes())?;
    }
    tx.commit()?;
    println!("100 timers, 60 of them due");

    let fired = AtomicU32::new(0);
    let fire_all = || -> kinlog::Result<()> {
        while fire(&store, 60)? {
            fired.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(fire_all)).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })?;
    let left = store.snapshot().rows("timers", ..).count();
    println!("{} fired, {left} left", fired.load(Ordering::Relaxed));
    Ok(())
}

/// Fires the first timer that is due by `now`. Whoever reads the same one begins again.
fn fire(store: &Store, now: u64) -> kinlog::Result<bool> {
    let after = (now + 1).to_be_bytes();
    let (fired, _) = store.transact(|tx| {
        let Some(timer) = tx.rows("timers", ..after.as_slice()).next().transpose()? else {
            return Ok(false);
        };
        let run = timer.value.first_chunk().copied().map(RunId::from_bytes).unwrap_or(RunId::NIL);
        tx.append(&run, NewEvent::opaque(TIMER_FIRED, &timer.key))?;
        tx.delete("timers", &timer.key)?;
        Ok(true)
    })?;
    Ok(fired)
}
