//! What holds in every snapshot while others write.

use kinlog::{RunFilter, RunStatus, Store};

use crate::board::Board;
use crate::take::NAMESPACE;
use crate::threads::turn;

/// How often a snapshot is looked at where a scheduler would let a reader look for ever.
const LOOKS: usize = if cfg!(shuttle) { 2 } else { usize::MAX };

/// Looks at snapshots until the writers have ended.
pub(crate) fn watch(store: &Store, workflows: &[&str], board: &Board) -> Result<(), String> {
    for _ in 0..LOOKS {
        if board.has_ended() {
            break;
        }
        look(store, workflows)?;
        turn();
    }
    Ok(())
}

/// A workflow id has at most one open run.
pub(crate) fn look(store: &Store, workflows: &[&str]) -> Result<(), String> {
    let snapshot = store.snapshot();
    for workflow in workflows {
        let open = RunFilter::all().namespace(NAMESPACE).workflow_id(*workflow);
        let open: Vec<_> =
            snapshot.runs(open.status(RunStatus::Running)).map(Result::unwrap).collect();
        if open.len() > 1 {
            let ids: Vec<_> = open.iter().map(|info| info.id).collect();
            return Err(format!("{workflow} has {} open runs: {ids:?}", ids.len()));
        }
    }
    Ok(())
}
