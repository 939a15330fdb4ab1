//! Messages as rows.

use duroxide::providers::WorkItem;

use crate::error::{Result, invalid};

/// Whom a message is for; `None` for an activity.
pub(crate) fn instance_of(item: &WorkItem) -> Option<&str> {
    match item {
        WorkItem::ActivityExecute { .. } => None,
        WorkItem::StartOrchestration { instance, .. }
        | WorkItem::ActivityCompleted { instance, .. }
        | WorkItem::ActivityFailed { instance, .. }
        | WorkItem::TimerFired { instance, .. }
        | WorkItem::ExternalRaised { instance, .. }
        | WorkItem::CancelInstance { instance, .. }
        | WorkItem::ContinueAsNew { instance, .. }
        | WorkItem::QueueMessage { instance, .. } => Some(instance),
        WorkItem::SubOrchCompleted { parent_instance, .. }
        | WorkItem::SubOrchFailed { parent_instance, .. } => Some(parent_instance),
    }
}

/// What a message means for an instance that does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// The instance begins.
    Start,
    /// Nobody will ever take it.
    Nothing,
    /// It waits for the instance to begin.
    Wait,
}

impl Means {
    pub(crate) fn of(item: &WorkItem) -> Self {
        match item {
            WorkItem::StartOrchestration { .. } | WorkItem::ContinueAsNew { .. } => Means::Start,
            WorkItem::QueueMessage { .. } => Means::Nothing,
            _ => Means::Wait,
        }
    }

    /// What both together mean: one that begins it is enough, and one that waits keeps the others.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Means::Start, _) | (_, Means::Start) => Means::Start,
            (Means::Wait, _) | (_, Means::Wait) => Means::Wait,
            _ => Means::Nothing,
        }
    }
}

/// When a message can be seen by itself; 0 for at once.
pub(crate) fn visible_at(item: &WorkItem) -> u64 {
    match item {
        WorkItem::TimerFired { fire_at_ms, .. } => *fire_at_ms,
        _ => 0,
    }
}

/// A message as a row: JSON, and before it, where the message itself does not say so, when it can be seen.
pub(crate) fn encode(operation: &'static str, item: &WorkItem, visible: u64) -> Result<Vec<u8>> {
    let mut row = match visible == visible_at(item) {
        true => vec![],
        false => format!("@{visible} ").into_bytes(),
    };
    serde_json::to_writer(&mut row, item).map_err(|e| invalid(operation, e.to_string()))?;
    Ok(row)
}

/// A message and when it can be seen.
pub(crate) fn decode(operation: &'static str, row: &[u8]) -> Result<(WorkItem, u64)> {
    let unreadable = |what: &str| invalid(operation, format!("the row of a message: {what}"));
    let (visible, json) = match row.strip_prefix(b"@") {
        None => (None, row),
        Some(rest) => {
            let space = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
            let (time, json) = rest.split_at(space);
            let time = std::str::from_utf8(time).ok().and_then(|time| time.parse().ok());
            (Some(time.ok_or_else(|| unreadable("its time"))?), json)
        }
    };
    let item: WorkItem = serde_json::from_slice(json).map_err(|e| unreadable(&e.to_string()))?;
    let visible = visible.unwrap_or_else(|| visible_at(&item));
    Ok((item, visible))
}
