//! A parent closes: each child meets its close policy, and a crash in between loses none of it.
//!
//! ```text
//! ApplyClosePolicy for ship-42: Terminate
//! ApplyClosePolicy for mail-42: RequestCancel
//! ship-42 Terminated
//! mail-42 Running, asked to cancel
//! audit-42 Running
//! ```

use std::error::Error;

use kinlog::{Close, DutyFilter, NewChild, NewRun, ParentClosePolicy, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(dir.path())?;

    let mut tx = store.begin();
    let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
    for (id, policy) in [
        ("ship-42", ParentClosePolicy::Terminate),
        ("mail-42", ParentClosePolicy::RequestCancel),
        ("audit-42", ParentClosePolicy::Abandon),
    ] {
        tx.spawn_child(&order, NewChild::new(id, "Child").on_parent_close(policy))?;
    }
    tx.commit()?;

    // The close is one commit; what must follow is due from then on, also after a crash.
    store.close_run(&order, Close::completed(b"ok"))?;
    for duty in store.duties(DutyFilter::all()) {
        let duty = duty?;
        let child = store.run(&duty.child().ok_or("no child")?)?;
        let policy = duty.close_policy().ok_or("no policy")?;
        println!("{} for {}: {policy:?}", duty.kind(), child.workflow_id);
    }
    store.settle_all()?;

    for child in store.snapshot().children(&order)? {
        let child = child?;
        let run = child.current.ok_or("it was started")?;
        let asked = if run.cancel_requested { ", asked to cancel" } else { "" };
        println!("{} {}{asked}", child.workflow_id, run.status);
    }
    Ok(())
}
