//! What a message says by itself.

use std::sync::Arc;

use duroxide::providers::WorkItem;

use crate::error::Result;
use crate::tables::{INBOX, WORK};

/// Instance, execution, id and number of an activity that is to be done.
pub(crate) type Job = (Arc<str>, u64, u64, u64);

/// The instance that a message goes to, or that asks for an activity.
pub(crate) fn instance(item: &WorkItem) -> &str {
    match item {
        WorkItem::ActivityExecute { instance, .. }
        | WorkItem::StartOrchestration { instance, .. }
        | WorkItem::ActivityCompleted { instance, .. }
        | WorkItem::ActivityFailed { instance, .. }
        | WorkItem::TimerFired { instance, .. }
        | WorkItem::ExternalRaised { instance, .. }
        | WorkItem::CancelInstance { instance, .. }
        | WorkItem::ContinueAsNew { instance, .. }
        | WorkItem::QueueMessage { instance, .. }
        | WorkItem::SubOrchCompleted { parent_instance: instance, .. }
        | WorkItem::SubOrchFailed { parent_instance: instance, .. } => instance,
    }
}

/// Where the message is a row.
pub(crate) fn table(item: &WorkItem) -> &'static str {
    match item {
        WorkItem::ActivityExecute { .. } => WORK,
        _ => INBOX,
    }
}

/// A message as a row: JSON. The two that come most often are arrays of what they say.
pub(crate) fn encode(item: &WorkItem) -> Result<Vec<u8>> {
    Ok(match item {
        WorkItem::ActivityExecute { instance, execution_id, id, name, input, session_id, tag }
            if session_id.is_none() && tag.is_none() =>
        {
            serde_json::to_vec(&(instance, execution_id, id, name, input))?
        }
        WorkItem::ActivityCompleted { instance, execution_id, id, result } => {
            serde_json::to_vec(&(instance, execution_id, id, result))?
        }
        item => serde_json::to_vec(item)?,
    })
}

/// A message from a row of this table.
pub(crate) fn decode(table: &str, row: &[u8]) -> Result<WorkItem> {
    if !row.starts_with(b"[") {
        return Ok(serde_json::from_slice(row)?);
    }
    if table == WORK {
        let (instance, execution_id, id, name, input) = serde_json::from_slice(row)?;
        let (session_id, tag) = (None, None);
        return Ok(WorkItem::ActivityExecute {
            instance,
            execution_id,
            id,
            name,
            input,
            session_id,
            tag,
        });
    }
    let (instance, execution_id, id, result) = serde_json::from_slice(row)?;
    Ok(WorkItem::ActivityCompleted { instance, execution_id, id, result })
}

/// When a message can be seen by what it says; 0 for at once.
pub(crate) fn visible_at(item: &WorkItem) -> u64 {
    match item {
        WorkItem::TimerFired { fire_at_ms, .. } => *fire_at_ms,
        _ => 0,
    }
}

/// The orchestration and its version, if the message begins one.
pub(crate) fn begins(item: &WorkItem) -> Option<(&str, Option<&str>)> {
    match item {
        WorkItem::StartOrchestration { orchestration, version, .. }
        | WorkItem::ContinueAsNew { orchestration, version, .. } => {
            Some((orchestration, version.as_deref()))
        }
        _ => None,
    }
}

/// The tag and the session of an activity.
pub(crate) fn routing(item: &WorkItem) -> (Option<&str>, Option<&str>) {
    match item {
        WorkItem::ActivityExecute { tag, session_id, .. } => {
            (tag.as_deref(), session_id.as_deref())
        }
        _ => (None, None),
    }
}
