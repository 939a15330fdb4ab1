//! Timers: rows in the order of the time when they are due, taken by several threads, each fired once.
//!
//! ```text
//! 100 timers, 60 of them due
//! 60 fired, 40 left
//! ```

use std::sync::atomic::{AtomicU32, Ordering};

use kinlog::{EventKind, NewEvent, NewRun, Result, RunId, Store};

const TIMER_FIRED: EventKind = EventKind::TIMER_FIRED;

fn main() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
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
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while fire(&store, 60).expect("the store works") {
                    fired.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let left = store.snapshot().rows("timers", ..).count();
    println!("{} fired, {left} left", fired.into_inner());
    Ok(())
}

/// Fires the first timer that is due by `now`. Whoever reads the same one begins again.
fn fire(store: &Store, now: u64) -> Result<bool> {
    let after = (now + 1).to_be_bytes();
    let (fired, _) = store.transact(|tx| {
        let Some(timer) = tx.rows("timers", ..after.as_slice()).next().transpose()? else {
            return Ok(false);
        };
        let run = RunId::from_bytes(timer.value[..16].try_into().expect("the id of a run"));
        tx.append(&run, NewEvent::opaque(TIMER_FIRED, &timer.key))?;
        tx.delete("timers", &timer.key)?;
        Ok(true)
    })?;
    Ok(fired)
}
