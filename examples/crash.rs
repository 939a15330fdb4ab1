//! A crash: a process dies in the midst of its work, another one goes on from what was committed.
//!
//! ```text
//! the process died
//! the store says: Unclosed
//! order-42 has 4 events, the last one is "step 3"
//! 2 children were told
//! ```

use std::error::Error;
use std::process::Command;

use kinlog::{Close, EventKind, NewChild, NewEvent, NewRun, Store};

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(dir) = std::env::args().nth(1) {
        return work_and_die(&dir);
    }
    let dir = tempfile::tempdir()?;
    let program = std::env::current_exe()?;
    let died = Command::new(program).arg(dir.path()).status()?;
    assert!(!died.success());
    println!("the process died");

    let store = Store::open(dir.path())?;
    println!("the store says: {:?}", store.report().verdict);
    let order = store.current_run("shop", "order-42")?.ok_or("it was committed")?;
    let history = store.history(&order)?;
    let last = history.rev().next().transpose()?.ok_or("it has events")?;
    let said = String::from_utf8_lossy(last.payload()).into_owned();
    println!("order-42 has {} events, the last one is {said:?}", history.len());
    // The parent closed before the crash: its children are still due.
    println!("{} children were told", store.settle_all()?.duties);
    Ok(())
}

fn work_and_die(dir: &str) -> Result<(), Box<dyn Error>> {
    let store = Store::open(dir)?;
    let mut tx = store.begin();
    let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    let parent = tx.start(NewRun::new("shop", "batch-7", "Batch"))?;
    for child in ["a", "b"] {
        tx.spawn_child(&parent, NewChild::new(child, "Part"))?;
    }
    tx.commit()?;
    for step in 1..=3 {
        let said = format!("step {step}");
        store.append(&order, NewEvent::opaque(EventKind::MARKER_RECORDED, said.as_bytes()))?;
    }
    store.close_run(&parent, Close::completed(b""))?;
    let mut tx = store.begin();
    tx.append(&order, NewEvent::opaque(EventKind::MARKER_RECORDED, b"never committed"))?;
    // No destructor runs, nothing is written behind.
    std::process::exit(9)
}
