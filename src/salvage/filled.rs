//! Deleted runs of which a compaction dropped events. Nobody reads their histories, but other runs refer to them. So they are
//! kept, with a filler for each event that is missing: a marker without record and payload, of which no rule asks anything.

use std::borrow::Cow;
use std::collections::HashSet;

use super::runs::Kept;
use crate::bytes::{put, wide};
use crate::error::Result;
use crate::event::{Buffer, Effect, Event, EventKind, NewEvent, RawEvent, encode};
use crate::id::{RunId, Timestamp};
use crate::index::{Index, RunLinks};
use crate::log::format::{Batch, Identity, OVERHEAD_BYTES, write_batch_header};
use crate::store::CommitImport;

/// The kind of a filler.
const FILLER: EventKind = EventKind::MARKER_RECORDED;
/// What a filler takes, and every event at least.
const FILLER_BYTES: u32 = 16;
/// Most fillers in one commit: it must fit into a segment.
const COMMIT_FILLERS_MAX: u16 = 1024;

/// The deleted runs of which something may be missing and whose end is there.
#[derive(Default)]
pub(super) struct Filled(Option<Known>);

struct Known {
    runs: HashSet<RunId>,
    identity: Identity,
    /// The numbers of the segments that were compacted.
    compacted: HashSet<u32>,
}

impl Filled {
    pub(super) fn new(runs: HashSet<RunId>, identity: Identity, compacted: HashSet<u32>) -> Self {
        Filled(Some(Known { runs, identity, compacted }))
    }

    pub(super) fn has(&self, run: &RunId) -> bool {
        self.0.as_ref().is_some_and(|known| known.runs.contains(run))
    }

    /// Whether a batch of a run may follow on what is kept of the run: at once, or after events that a compaction dropped.
    pub(super) fn follows(&self, run: &RunId, kept: &Kept, batch: &Batch<'_>) -> bool {
        let Some(known) = self.0.as_ref().filter(|known| known.runs.contains(run)) else {
            return false;
        };
        if batch.first_event <= kept.next_event {
            return batch.first_event == kept.next_event && batch.previous == kept.last_batch;
        }
        let missing = batch.first_event - kept.next_event;
        let dropped = known.compacted.contains(&known.identity.locate(batch.previous).0);
        dropped
            && batch.previous > kept.last_batch
            && can_be_in(batch.run_bytes.saturating_sub(kept.bytes), missing)
    }
}

/// Whether so many events can have taken so many bytes.
fn can_be_in(bytes: u32, events: u32) -> bool {
    u64::from(events) * u64::from(FILLER_BYTES) <= u64::from(bytes)
}

/// Appends fillers to a run up to a batch of it; the bytes of the commits. They go into commits of their own: that in which a
/// reset takes the place of a run has a single event of the run.
pub(super) fn fill(import: &mut CommitImport<'_>, run: &RunId, batch: &Batch<'_>) -> Result<u64> {
    let first = batch.raw_events().next().and_then(std::result::Result::ok);
    let time = first.map(|(_, raw)| raw.time).unwrap_or_default();
    let (mut payload, mut bytes) = (Buffer::new(), 0);
    loop {
        payload.clear();
        let written = write_fillers(&mut payload, &import.index(), run, batch.first_event, time);
        // If they are refused, the batch is, too.
        if written.is_none() || import.append(&payload, 1)?.is_err() {
            return Ok(bytes);
        }
        bytes += wide(payload.len() + OVERHEAD_BYTES);
    }
}

/// Writes the next batch of fillers of a run, if its next event is not `end`.
fn write_fillers(
    payload: &mut Buffer,
    index: &Index,
    run: &RunId,
    end: u32,
    time: Timestamp,
) -> Option<()> {
    let number = index.runs.number(run)?;
    let state = *index.runs.get(number)?.state.latest();
    let missing = end.checked_sub(state.next_event).filter(|missing| *missing > 0)?;
    let count = u16::try_from(missing).unwrap_or(u16::MAX).min(COMMIT_FILLERS_MAX);
    let bytes = state.bytes.checked_add(u32::from(count) * FILLER_BYTES)?;
    write_batch_header(payload, number, state.next_event, count, state.last_batch, bytes);
    let filler = NewEvent::opaque(FILLER, &[]);
    (0..count).try_for_each(|_| encode(&filler, time, payload).map(|_| ())).ok()
}

/// The events of a batch, with fillers for those without which rules would lack something, or that lack something by them: of
/// which a compaction left kind and time, and which end or answer one that is a filler here.
pub(super) fn with_fillers<'a>(
    index: &Index,
    run: &RunId,
    batch: &Batch<'_>,
    events: &'a [u8],
) -> Cow<'a, [u8]> {
    let known = index.runs.number(run);
    let links = known.and_then(|number| index.runs.links(number));
    let awaits = |event: u32| {
        let of = |links: &RunLinks| {
            links.activities.contains(&event) || links.outgoing.contains_key(&event)
        };
        links.as_deref().is_some_and(of)
    };
    let (mut events, mut offset) = (Cow::Borrowed(events), 0);
    let mut replaced = HashSet::new();
    for (id, raw) in batch.raw_events().map_while(Result::ok) {
        let lacks = |event: u32| match event < batch.first_event {
            true => known.is_some() && !awaits(event),
            false => replaced.contains(&event),
        };
        if is_replaced(&raw) || answered(id, raw).is_some_and(lacks) {
            // Without a record, whatever it holds is its payload.
            let [kind, more] = FILLER.number().to_le_bytes();
            put(events.to_mut(), offset, &[kind, more, 0, 0]);
            replaced.insert(id);
        }
        offset += usize::try_from(raw.size).unwrap_or(usize::MAX);
    }
    events
}

/// The event that one ends or answers: an activity, or a request to another run.
fn answered(id: u32, raw: RawEvent<'_>) -> Option<u32> {
    match Event::check(id, raw).ok()?.body().effect() {
        Effect::ActivityEnded(ended) => Some(ended.scheduled_event_id),
        Effect::RequestAnswered(_, answer) => Some(answer.initiated_event_id),
        _ => None,
    }
}

/// A closing event closes without a record, too, and a request to cancel asks.
fn is_replaced(raw: &RawEvent<'_>) -> bool {
    let says_enough =
        raw.kind.is_closing() || raw.kind == EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED;
    raw.is_opaque() && raw.size == FILLER_BYTES && raw.kind.is_ruled() && !says_enough
}

/// The bytes of a run with so many more.
pub(super) fn run_bytes(before: u64, events: &[u8]) -> Option<u32> {
    u32::try_from(before + wide(events.len())).ok()
}
