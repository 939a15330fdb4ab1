//! Where the server's transactions began and ended.

use std::ops::Range;

use crate::{History, RecordedEvent};

const WORKFLOW_TASK_STARTED: i32 = 6;
const WORKFLOW_TASK_FAILED: i32 = 9;

/// Splits a history into the batches in which the server wrote it.
///
/// A history does not record its batches. They are found by the task ids, which the server
/// counts up within one transaction, and by what the server never writes in one transaction:
/// commands of two workflow tasks, and a workflow task's beginning with its end.
#[must_use]
pub fn batches(history: &History) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let mut start = 0;
    let events = history.events();
    for (index, pair) in (1..).zip(events.windows(2)) {
        if let [previous, event] = pair
            && begins_batch(previous, event)
        {
            batches.push(start..index);
            start = index;
        }
    }
    if start < events.len() {
        batches.push(start..events.len());
    }
    batches
}

/// Whether `event` cannot have been written together with the event before it.
fn begins_batch(previous: &RecordedEvent, event: &RecordedEvent) -> bool {
    !follows(previous.task_id(), event.task_id())
        || previous.workflow_task() != event.workflow_task()
        || (WORKFLOW_TASK_STARTED..=WORKFLOW_TASK_FAILED).contains(&event.event_type())
        || previous.event_type() == WORKFLOW_TASK_STARTED
}

fn follows(previous: i64, id: i64) -> bool {
    previous != 0 && id != 0 && previous.checked_add(1) == Some(id)
}
