//! The chain of a child as a snapshot sees it.

use super::chain_runs::ChainRuns;
use super::parent::parent_of;
use super::run_info::{RunInfo, info, info_of};
use super::snapshot::Snapshot;
use crate::error::Result;
use crate::id::{ChainNumber, RunId, RunNumber};
use crate::index::{ChildRef, RunState, RunStatus, Size};

/// A chain that has a run.
pub(super) struct ChildChain {
    pub(super) number: ChainNumber,
    /// Its runs of which something was kept, if there are any.
    pub(super) kept: Option<ChainRuns>,
    /// The last of them.
    pub(super) current: Option<RunInfo>,
    /// How it ended, if it did.
    pub(super) ended: Option<RunStatus>,
    /// The total size of its runs, of deleted ones as it was.
    pub(super) size: Size,
    /// The run that has it as its child, and the Initiated event there.
    pub(super) held: Option<(RunId, u32)>,
}

/// A child as its parent's record has it.
pub(super) struct Held {
    pub(super) at: ChildRef,
    /// The parent, which the snapshot sees, and its Initiated event.
    pub(super) by: (RunId, u32),
    /// The first run of the child's chain.
    pub(super) child: RunNumber,
}

impl ChildChain {
    /// The first run of a child's chain that was started in this store, and the chain.
    pub(super) fn of_child(
        snapshot: &Snapshot,
        held: &Held,
    ) -> Result<(Option<RunId>, Option<Self>)> {
        let (first, number) = {
            let index = snapshot.index();
            let Some(run) = index.sure(index.runs.get(held.child))? else {
                return Ok((None, None));
            };
            let Some(chain) = index.sure(index.chains.get(run.chain))? else {
                return Ok((None, None));
            };
            let first = index.first_run(run.chain, &chain);
            // Most chains have one run and one parent, and lose neither: then all is known by now.
            let is_plain = chain.runs() == [held.child] && chain.parent == Some(held.at);
            if is_plain && chain.deleted == 0 && chain.erased.is_none() {
                let end = snapshot.end();
                let found = index.runs.state_at(&run, end).map(|state| ChildChain {
                    number: run.chain,
                    kept: Some(ChainRuns::one(held.child)),
                    current: info_of(&index, (held.child, &run), &chain, Some(held.by), end),
                    ended: how_ended(&state),
                    size: state.whole_size(),
                    held: Some(held.by),
                });
                return index.sure((first, found));
            }
            (index.sure(first)?, run.chain)
        };
        Ok((first, Self::of(snapshot, number)?))
    }

    /// A chain; `None` if the snapshot sees no run of it.
    pub(super) fn of(snapshot: &Snapshot, number: ChainNumber) -> Result<Option<Self>> {
        let runs = ChainRuns::of(snapshot, number)?;
        if runs.len() == 0 {
            return Ok(None);
        }
        let kept = Some(runs.clone().kept(snapshot)?).filter(|kept| kept.len() > 0);
        let held = parent_of(snapshot, number)?;
        let (current, ended) = last_run(snapshot, &runs, kept.as_ref())?;
        let size = size_of(snapshot, number, &runs)?;
        Ok(Some(ChildChain { number, kept, current, ended, size, held }))
    }
}

/// The total size of a chain's runs, deleted and erased ones as they were. Some may be erased meanwhile (optimistic).
fn size_of(snapshot: &Snapshot, number: ChainNumber, runs: &ChainRuns) -> Result<Size> {
    let erased = || snapshot.look(|index| Some(*index.chains.get(number)?.erased.as_deref()?));
    let mut before = erased()?;
    loop {
        // Without those that are erased by now.
        let size = runs.size(snapshot)?;
        let after = erased()?;
        if before == after {
            return Ok(size.plus(before.unwrap_or_default()));
        }
        before = after;
    }
}

/// The last of a chain's runs of which something was kept, and how the chain ended if it did.
fn last_run(
    snapshot: &Snapshot,
    runs: &ChainRuns,
    kept: Option<&ChainRuns>,
) -> Result<(Option<RunInfo>, Option<RunStatus>)> {
    let index = snapshot.index();
    let Some(last) = runs.last() else { return Ok((None, None)) };
    let run_state = index.runs.get(last).and_then(|run| index.runs.state_at(&run, snapshot.end()));
    let ended = run_state.as_ref().and_then(how_ended);
    let kept = kept.and_then(ChainRuns::last);
    index.sure((kept.and_then(|last| info(&index, last, snapshot.end())), ended))
}

/// How a chain ended whose last run stands so, if it did.
fn how_ended(last: &RunState) -> Option<RunStatus> {
    // An imported run may be continued by one that is not in the store.
    (!last.status.is_open() && !last.continued).then_some(last.status)
}
