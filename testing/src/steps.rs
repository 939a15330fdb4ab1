//! Short words for what many tests do.

use kinlog::event::Started;
use kinlog::{EventKind, NewEvent, NewRun, RunId, Store};

/// An event that relates to nothing.
#[must_use]
pub fn marker(payload: &[u8]) -> NewEvent<'_> {
    NewEvent::opaque(EventKind::MARKER_RECORDED, payload)
}

/// Starts a run of the workflow in the namespace `shop`, in a commit of its own.
pub fn start(store: &Store, workflow_id: &str) -> RunId {
    let mut tx = store.begin();
    let run = tx.start(NewRun::new("shop", workflow_id, "Order")).unwrap();
    tx.commit().unwrap();
    run
}

/// The first event of a run that was recorded elsewhere, alone in its chain and without parent: for
/// [`NewRun::imported`], with other fields where they matter.
#[must_use]
pub fn recorded<'a>(run_id: RunId, workflow_id: &'a str) -> Started<'a> {
    Started { run_id, first_run_id: run_id, namespace: "shop", workflow_id, ..Started::default() }
}
