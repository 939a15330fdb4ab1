//! Commits made by hand, for tests: written as they lie in the log, without a transaction.

use super::Store;
use super::lineage::Lineage;
use crate::bytes::wide;
use crate::event::{
    self, Body, Buffer, ChildInitiated, ChildStarted, EventIds, EventKind, NewEvent,
    ParentClosePolicy, Reset, Started, Terminated,
};
use crate::id::{Position, RunId, Timestamp};
use crate::index::Payload;
use crate::log::Durability;
use crate::log::batch::write_batch_header;
use crate::log::frame::{HEADER_BYTES, TRAILER_BYTES};

/// The events that a commit adds to a run.
pub(super) enum Step<'a> {
    Add(RunId, Vec<Body<'a>>),
    Begin(Vec<Body<'a>>),
    Reset(RunId, u32, Vec<Body<'a>>),
}

pub(super) fn id(n: u8) -> RunId {
    RunId::from_bytes([n; 16])
}

pub(super) fn marker<'a>() -> Body<'a> {
    Body::opaque(EventKind::MARKER_RECORDED)
}

pub(super) fn started<'a>(run: RunId, workflow_id: &'a str) -> Started<'a> {
    Started { run_id: run, first_run_id: run, namespace: "shop", workflow_id, ..Default::default() }
}

pub(super) fn begin<'a>(run: RunId, workflow_id: &'a str) -> Body<'a> {
    Body::WorkflowExecutionStarted(started(run, workflow_id))
}

pub(super) fn initiated<'a>(workflow_id: &'a str) -> Body<'a> {
    Body::StartChildWorkflowExecutionInitiated(ChildInitiated {
        workflow_id,
        workflow_type: "Shipping",
        close_policy: ParentClosePolicy::Terminate,
        ..Default::default()
    })
}

pub(super) fn child_started<'a>(run: RunId, initiated_event_id: u32) -> Body<'a> {
    Body::ChildWorkflowExecutionStarted(ChildStarted { run_id: run, initiated_event_id })
}

pub(super) fn child_of<'a>(
    run: RunId,
    workflow_id: &'a str,
    parent: RunId,
    initiated: u32,
) -> Body<'a> {
    Body::WorkflowExecutionStarted(Started {
        parent_run_id: Some(parent),
        parent_workflow_id: "order",
        parent_initiated_event_id: initiated,
        root_run_id: Some(parent),
        ..started(run, workflow_id)
    })
}

pub(super) fn terminated<'a>(by_reset: Option<RunId>) -> Body<'a> {
    Body::WorkflowExecutionTerminated(Terminated { reason: "", reset_run_id: by_reset })
}

pub(super) fn reset<'a>(run: RunId, base: RunId) -> Body<'a> {
    Body::WorkflowReset(Reset {
        run_id: run,
        base_run_id: base,
        reason: "",
        request_id: "",
        open_activities: EventIds::default(),
    })
}

pub(super) fn commit(store: &Store, steps: &[Step<'_>]) -> Position {
    let mut payload = Buffer::new();
    let mut next_new = store.shared.index.read().runs.len();
    for step in steps {
        let latest = |run: &RunId| {
            let index = store.shared.index.read();
            let number = index.runs.number(run).unwrap();
            let lineage = Lineage::of(&index, number, store.end()).unwrap();
            (number, lineage)
        };
        let (run, first, previous, before, bodies) = match step {
            Step::Add(run, bodies) => {
                let (number, lineage) = latest(run);
                let extent = lineage.extent;
                (number, extent.next_event, extent.last_batch, u64::from(extent.bytes), bodies)
            }
            Step::Begin(bodies) => (next_new, 1, Position::START, 0, bodies),
            Step::Reset(base, shared, bodies) => {
                let (_, lineage) = latest(base);
                let view = store.shared.published.view();
                let mut back = lineage.back();
                let previous = loop {
                    let (batch, _) = back.step(&lineage, &view).unwrap().unwrap();
                    if batch.first_event <= *shared {
                        break batch.position;
                    }
                };
                (
                    next_new,
                    shared + 1,
                    previous,
                    lineage.place_of(&view, *shared).unwrap().1,
                    bodies,
                )
            }
        };
        next_new += u32::from(run == next_new);
        let mut events = Buffer::new();
        for body in bodies {
            let time = Timestamp::from_unix_nanos(i64::from(next_new));
            event::encode(&NewEvent::new(*body), time, &mut events).unwrap();
        }
        let bytes = u32::try_from(before + wide(events.len())).unwrap();
        let count = u16::try_from(bodies.len()).unwrap();
        write_batch_header(&mut payload, run, first, count, previous, bytes);
        payload.extend_from_slice(&events);
    }
    let writer = store.shared.writer().unwrap();
    let batches = u16::try_from(steps.len()).unwrap();
    let appended =
        writer.append(payload.len(), batches, Durability::Buffered, |position, buffer| {
            let mut index = store.shared.index.write();
            buffer.extend_from_slice(&payload);
            let payload = Payload {
                bytes: &payload,
                position,
                batches,
                commit: Position::from_u64(position.as_u64() - wide(HEADER_BYTES)),
                end: position.plus(wide(payload.len() + TRAILER_BYTES)),
            };
            index.check(payload).unwrap();
            index.apply(payload, store.shared.pins.oldest(|| store.shared.published.end()));
            Ok(())
        });
    let ((), span) = appended.unwrap();
    writer.wait(span, Durability::Buffered).unwrap();
    span.start
}
