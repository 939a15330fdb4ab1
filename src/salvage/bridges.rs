//! Chains of which runs in the middle were erased. A run of the new store cannot continue one that is not there. So where the
//! source lacks runs between two, the new store gets the first one and the last one of them, and erases them as the source did.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::kept_batch::{KeptBatch, Origin};
use crate::event::{Body, Buffer, ContinuedAsNew, Malformed, NewEvent, Started, encode};
use crate::id::{RunId, RunNumber, Timestamp};
use crate::index::{Ancestry, Index};
use crate::log::format::Batch;

/// The first and the last one of the erased runs between two runs of a chain; they may be the same.
#[derive(Clone, Copy)]
pub(super) struct Bridge {
    pub(super) first: RunId,
    pub(super) last: RunId,
}

/// Where runs were erased between two of a chain.
#[derive(Default)]
pub(super) struct Bridges {
    /// By the run before, as the source numbers it.
    after: HashMap<RunNumber, Bridge>,
    /// By the run behind.
    before: HashMap<RunNumber, Bridge>,
    /// Those that are begun and not ended, by their last runs.
    open: BTreeMap<RunId, Bridge>,
}

/// The names of the runs of a chain, and what it comes from.
struct Names<'i> {
    of: Ancestry<'i>,
    workflow_type: Cow<'i, str>,
}

impl Bridges {
    pub(super) fn add(&mut self, before: RunNumber, behind: RunNumber, bridge: Bridge) {
        self.after.insert(before, bridge);
        self.before.insert(behind, bridge);
    }

    /// Adds to the batches of a commit, in the order of the source, those of the erased runs that follow a run which closes in
    /// it, and those that end the ones before a run which begins in it.
    pub(super) fn span<'a>(&self, batches: &mut Vec<KeptBatch<'a>>, index: &Index) {
        let is_end = |kept: &KeptBatch<'_>| {
            let ends = |batch: Batch<'_>| {
                self.after.contains_key(&batch.run) || self.before.contains_key(&batch.run)
            };
            kept.source.is_some_and(ends)
        };
        if !batches.iter().any(is_end) {
            return;
        }
        let mut spanned = Vec::with_capacity(batches.len() + 2);
        for kept in batches.drain(..) {
            if let Some(bridge) = self.led_to(&kept) {
                // Without it, the run has none before it.
                _ = arrive(bridge, &kept, &mut spanned, index);
            }
            let leaving = self.left_for(&kept);
            spanned.push(kept);
            if let Some((bridge, time)) = leaving {
                spanned.extend(leave(bridge, time, spanned.last(), index).into_iter().flatten());
            }
        }
        *batches = spanned;
    }

    /// Takes in that a commit with a batch is in the new store. The erased runs that are complete with it.
    pub(super) fn note_kept(&mut self, kept: &KeptBatch<'_>) -> Option<Bridge> {
        if let Some((bridge, _)) = self.left_for(kept) {
            self.open.insert(bridge.last, bridge);
        }
        let bridge = self.led_to(kept)?;
        self.open.remove(&bridge.last)
    }

    /// Those that are begun and lead to no run, because that was refused.
    pub(super) fn take_open(&mut self) -> impl Iterator<Item = Bridge> + use<> {
        std::mem::take(&mut self.open).into_values()
    }

    /// The bridge after the run of a batch that closes it, and when that was.
    fn left_for(&self, kept: &KeptBatch<'_>) -> Option<(Bridge, Timestamp)> {
        let batch = kept.source?;
        let bridge = self.after.get(&batch.run)?;
        let last = batch.events().last()?.ok()?;
        (last.body().next_run() == Some(bridge.first)).then_some((*bridge, last.time()))
    }

    /// The bridge before a run that begins with a batch.
    fn led_to(&self, kept: &KeptBatch<'_>) -> Option<Bridge> {
        let begins = matches!(kept.origin, Origin::Starts(_));
        let bridge = kept.source.and_then(|batch| self.before.get(&batch.run));
        bridge.copied().filter(|_| begins)
    }
}

/// The batches that begin a bridge behind the run of a batch.
fn leave<'a>(
    bridge: Bridge,
    time: Timestamp,
    before: Option<&KeptBatch<'_>>,
    index: &Index,
) -> Option<Vec<KeptBatch<'a>>> {
    let before = before?;
    let names = Names::of(before, index)?;
    let Bridge { first, last } = bridge;
    let mut begun = vec![begin(&names, first, before.id, time).ok()?];
    if first != last {
        go_on(begun.last_mut()?, last, time).ok()?;
        begun.push(begin(&names, last, first, time).ok()?);
    }
    Some(begun)
}

/// Has the last run of a bridge continue as the run of a batch. It is among the batches before, or was begun earlier.
fn arrive<'a>(
    bridge: Bridge,
    next: &KeptBatch<'a>,
    batches: &mut Vec<KeptBatch<'a>>,
    index: &Index,
) -> Option<()> {
    let time = next.source?.events().next()?.ok()?.time();
    if let Some(last) = batches.iter_mut().find(|kept| kept.id == bridge.last) {
        return go_on(last, next.id, time).ok();
    }
    let number = index.runs.number(&bridge.last)?;
    let state = *index.runs.get(number)?.state.latest();
    let mut closing = KeptBatch {
        source: None,
        id: bridge.last,
        first_event: state.next_event,
        count: 0,
        events: Cow::Owned(vec![]),
        run_bytes: state.bytes,
        origin: Origin::Continues { number, previous: state.last_batch },
    };
    go_on(&mut closing, next.id, time).ok()?;
    batches.push(closing);
    Some(())
}

/// The batch that begins a run of a bridge.
fn begin<'a>(
    names: &Names<'_>,
    run: RunId,
    continued: RunId,
    time: Timestamp,
) -> Result<KeptBatch<'a>, Malformed> {
    let started = Started {
        run_id: run,
        first_run_id: names.of.first,
        continued_run_id: Some(continued),
        namespace: names.of.namespace,
        workflow_id: &names.of.workflow_id,
        // That of the run before: a run that is erased is not the first one of its type.
        workflow_type: &names.workflow_type,
        parent_run_id: names.of.parent,
        root_run_id: names.of.root,
        ..Started::default()
    };
    let mut begun = KeptBatch {
        source: None,
        id: run,
        first_event: 1,
        count: 0,
        events: Cow::Owned(vec![]),
        run_bytes: 0,
        origin: Origin::Bridges { run, continued },
    };
    append(&mut begun, Body::WorkflowExecutionStarted(started), time)?;
    Ok(begun)
}

/// Appends to a batch that its run continues as another one.
fn go_on(kept: &mut KeptBatch<'_>, next: RunId, time: Timestamp) -> Result<(), Malformed> {
    let continued = ContinuedAsNew { new_run_id: Some(next), ..ContinuedAsNew::default() };
    append(kept, Body::WorkflowExecutionContinuedAsNew(continued), time)
}

fn append(kept: &mut KeptBatch<'_>, body: Body<'_>, time: Timestamp) -> Result<(), Malformed> {
    let mut event = Buffer::new();
    let bytes = encode(&NewEvent::new(body), time, &mut event)?;
    kept.events.to_mut().extend_from_slice(&event);
    kept.count += 1;
    kept.run_bytes = kept.run_bytes.checked_add(bytes).ok_or(Malformed)?;
    Ok(())
}

impl<'i> Names<'i> {
    /// Those of the run of a batch, which the index may not know yet.
    fn of(kept: &KeptBatch<'i>, index: &'i Index) -> Option<Self> {
        let number = match &kept.origin {
            Origin::Starts(started) => {
                let of = Ancestry {
                    namespace: started.namespace,
                    workflow_id: started.workflow_id.into(),
                    first: started.first_run_id,
                    parent: started.parent_run_id,
                    root: started.root_run_id,
                };
                return Some(Names { of, workflow_type: started.workflow_type.into() });
            }
            Origin::Resets { reset, .. } => index.runs.number(&reset.base_run_id)?,
            Origin::Continues { number, .. } => *number,
            Origin::Bridges { .. } => return None,
        };
        let workflow_type = index.runs.look(number, |run| run.workflow_type)?;
        let workflow_type = index.namespaces.types.get(workflow_type)?.name.as_ref().into();
        Some(Names { of: index.ancestry(number)?, workflow_type })
    }
}
