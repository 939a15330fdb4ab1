//! What is said about an event.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kinlog::{Event, RunId};
use serde::Serialize;

use super::body::Fields;
use super::payload::preview;
use crate::ui;

/// What every event of a run would repeat.
const IN_THE_HEADER: [&str; 13] = [
    "run_id",
    "first_run_id",
    "continued_run_id",
    "namespace",
    "workflow_id",
    "workflow_type",
    "parent_workflow_id",
    "parent_run_id",
    "parent_initiated_event_id",
    "root_workflow_id",
    "root_run_id",
    "imported",
    "attempt",
];

/// An event, for programs.
#[derive(Serialize)]
pub(super) struct Line {
    run_id: String,
    id: u32,
    kind: String,
    kind_number: u16,
    version: u8,
    time: Option<String>,
    time_unix_nanos: i64,
    size: u32,
    payload_bytes: usize,
    payload: String,
    body: Fields,
}

impl Line {
    pub(super) fn of(run: &RunId, event: &Event<'_>) -> Self {
        Line {
            run_id: run.to_string(),
            id: event.id(),
            kind: event.kind().to_string(),
            kind_number: event.kind().number(),
            version: event.version(),
            time: ui::rfc3339(event.time()),
            time_unix_nanos: event.time().unix_nanos(),
            size: event.size(),
            payload_bytes: event.payload().len(),
            payload: STANDARD.encode(event.payload()),
            body: Fields::of(&event.body()),
        }
    }
}

/// The fields that say something, and a look at the payload.
pub(super) fn what(event: &Event<'_>) -> String {
    let starts = event.id() == 1;
    let all = Fields::of(&event.body());
    let telling = all.telling().filter(|(name, _)| !(starts && IN_THE_HEADER.contains(name)));
    let mut parts: Vec<String> = telling
        .map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let value = ui::plain(&value);
            format!("{}{value}", ui::dim(format!("{}=", short(name))))
        })
        .collect();
    let preview = preview(event.payload());
    if !preview.is_empty() {
        parts.push(ui::dim(preview).to_string());
    }
    parts.join(" ")
}

/// Field names, as short as they can be said.
fn short(name: &str) -> &str {
    match name {
        "workflow_task_completed_event_id" => "task",
        other => other.strip_suffix("_event_id").unwrap_or(other),
    }
}
