//! Writes a run that lives in a store as a history of Temporal's, for Temporal's tools.

use std::collections::HashMap;

use kinlog::{Body, Event, EventKind, RunId};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage, Value};

use crate::mapping::{event_of, find, put};
use crate::schema::Schema;
use crate::{ExportError, History, RecordedEvent};

/// Names that Temporal repeats where kinlog names the event that says them.
#[derive(Default)]
struct Said {
    task_queue: String,
    workflow_type: String,
    /// By the event that begins it: a child, a signal, or a cancel request.
    begun: HashMap<u32, Begun>,
    /// The last workflow task: the events that scheduled and started it.
    task: (u32, u32),
}

/// What an event began.
#[derive(Clone, Default)]
struct Begun {
    workflow_id: String,
    workflow_type: String,
    run_id: Option<RunId>,
}

/// Puts together a Temporal history of a run that an engine wrote itself, whatever its payloads are.
///
/// Temporal's web UI shows it, its CLI reads it, and its SDKs replay it if the engine wrote workflow
/// tasks (kinds 5 to 7) as a Temporal server does. A payload becomes what the event is about: input,
/// result, details or the message of a failure. It is `json/plain` if it is JSON and `binary/plain`
/// otherwise. What kinlog does not keep, such as timeouts, is not there. An event of a kind of the engine's own
/// (from [`EventKind::FIRST_CUSTOM`] on) becomes a marker of its kind's name; so does one of Temporal's kinds for
/// which kinlog has no typed body, as only the engine knows what it says. Those of workflow tasks are kept.
///
/// A run that was recorded from elsewhere is for [`export`](crate::export), which gives back exactly what it was.
///
/// # Errors
/// [`ExportError::Store`] if the run cannot be read, [`ExportError::UnknownVersion`] for what a newer
/// kinlog wrote.
pub fn export_live(history: &kinlog::History) -> Result<History, ExportError> {
    let mut said = Said::default();
    history.iter().map(|event| live_event(&event?, &mut said)).collect()
}

fn live_event(event: &Event<'_>, said: &mut Said) -> Result<RecordedEvent, ExportError> {
    said.learn(event);
    let body = match event.body() {
        Body::Opaque(_) if event.version() != 0 => {
            let (id, kind, version) = (event.id(), event.kind(), event.version());
            return Err(ExportError::UnknownVersion { id, kind, version });
        }
        Body::Opaque(kind) if kind != EventKind::WORKFLOW_TASK_SCHEDULED => {
            Body::opaque(EventKind::MARKER_RECORDED)
        }
        body => body,
    };
    let mut message = event_of(&body, event.id(), event.time(), &[])?;
    let schema = Schema::get()?;
    if let Some(field) = schema.attributes(i32::from(body.kind().number())) {
        let attributes = field.name();
        if !message.has_field(field) {
            // Tools want them, also where they say nothing.
            message.set_field(field, Value::default_value_for_field(field));
        }
        if let Body::Opaque(_) = event.body() {
            said.put_opaque(&mut message, attributes, event);
        }
        said.put_names(&mut message, attributes, &body);
        put_payload(&mut message, field, event);
    }
    Ok(RecordedEvent::from_checked(&message))
}

impl Said {
    /// Keeps what later events refer to.
    fn learn(&mut self, event: &Event<'_>) {
        match event.body() {
            Body::WorkflowExecutionStarted(b) => {
                self.task_queue = b.task_queue.to_owned();
                self.workflow_type = b.workflow_type.to_owned();
            }
            Body::StartChildWorkflowExecutionInitiated(b) => {
                let workflow_id = b.workflow_id.to_owned();
                let workflow_type = b.workflow_type.to_owned();
                self.begun.insert(event.id(), Begun { workflow_id, workflow_type, run_id: None });
            }
            Body::SignalExternalWorkflowExecutionInitiated(b)
            | Body::RequestCancelExternalWorkflowExecutionInitiated(b) => {
                let workflow_id = b.workflow_id.to_owned();
                let begun = Begun { workflow_id, run_id: b.run_id, ..Default::default() };
                self.begun.insert(event.id(), begun);
            }
            Body::WorkflowTaskStarted(b) => self.task = (b.scheduled_event_id, event.id()),
            _ => {}
        }
    }

    /// Adds the names that Temporal repeats.
    fn put_names(&self, message: &mut DynamicMessage, attributes: &str, body: &Body<'_>) {
        if let Body::WorkflowExecutionStarted(started) = body {
            let first = Value::I32(i32::try_from(started.attempt.max(1)).unwrap_or_default());
            put(message, &format!("{attributes}.attempt"), first);
        }
        if let Body::WorkflowReset(_) = body {
            let (scheduled, started) = self.task;
            put(message, &format!("{attributes}.scheduled_event_id"), Value::I64(scheduled.into()));
            put(message, &format!("{attributes}.started_event_id"), Value::I64(started.into()));
        }
        let mut text = |path: &str, text: &str| put_text(message, attributes, path, text);
        match body {
            Body::WorkflowExecutionContinuedAsNew(_) => {
                text("workflow_type.name", &self.workflow_type);
                text("task_queue.name", &self.task_queue);
            }
            Body::Opaque(EventKind::WORKFLOW_TASK_SCHEDULED) | Body::ActivityTaskScheduled(_) => {
                text("task_queue.name", &self.task_queue);
            }
            _ => {}
        }
        let Some(begun) = body.answers().and_then(|event| self.begun.get(&event)) else { return };
        let run_id = begun.run_id.map(|run| run.to_string()).unwrap_or_default();
        if let Body::StartChildWorkflowExecutionFailed(_) = body {
            text("workflow_id", &begun.workflow_id);
        } else {
            text("workflow_execution.workflow_id", &begun.workflow_id);
            text("workflow_execution.run_id", &run_id);
        }
        text("workflow_type.name", &begun.workflow_type);
    }

    /// Says what kind of event is shown as a marker.
    fn put_opaque(&self, message: &mut DynamicMessage, attributes: &str, event: &Event<'_>) {
        if event.kind() != EventKind::WORKFLOW_TASK_SCHEDULED {
            put_text(message, attributes, "marker_name", &event.kind().to_string());
        }
    }
}

/// Sets a text, unless there is none to set, or no field for it, or it is set already.
fn put_text(message: &mut DynamicMessage, attributes: &str, path: &str, text: &str) {
    let path = format!("{attributes}.{path}");
    if !text.is_empty() && find(message, &path).is_none() {
        put(message, &path, Value::String(text.to_owned()));
    }
}

/// Where a payload goes in the attributes of an event.
enum Place {
    /// A list of payloads.
    Payloads(&'static str),
    /// The message of a failure.
    Failure,
    /// A map of lists of payloads.
    Details,
}

fn place(body: &Body<'_>) -> Option<Place> {
    Some(match body.kind().number() {
        _ if matches!(body, Body::Opaque(EventKind::WORKFLOW_TASK_SCHEDULED)) => return None,
        _ if matches!(body, Body::Opaque(_)) => Place::Details,
        1 | 10 | 26 | 29 | 37 => Place::Payloads("input"),
        2 | 12 | 32 => Place::Payloads("result"),
        16 | 21 | 27 | 34 => Place::Payloads("details"),
        3 | 13 | 33 => Place::Failure,
        _ => return None,
    })
}

/// Puts a payload where events of this kind have theirs.
fn put_payload(message: &mut DynamicMessage, attributes: &FieldDescriptor, event: &Event<'_>) {
    let (payload, name) = (event.payload(), attributes.name());
    match place(&event.body()) {
        // A failure without a message is one all the same.
        Some(Place::Failure) => {
            let text = String::from_utf8_lossy(payload);
            put_text(message, name, "failure.message", &text);
            put_text(message, name, "failure.application_failure_info.type", "kinlog");
        }
        Some(Place::Payloads(field)) if !payload.is_empty() => {
            let path = format!("{name}.{field}");
            if let Some(payloads) = payloads(message, &path, payload) {
                put(message, &path, payloads);
            }
        }
        Some(Place::Details) if !payload.is_empty() => put_details(message, attributes, payload),
        _ => {}
    }
}

/// Puts a payload among the details of a marker.
fn put_details(message: &mut DynamicMessage, attributes: &FieldDescriptor, payload: &[u8]) {
    let kind = attributes.kind();
    let details = kind.as_message().and_then(|desc| desc.get_field_by_name("details"));
    let Some(Kind::Message(entry)) = details.map(|field| field.kind()) else { return };
    let Kind::Message(list) = entry.map_entry_value_field().kind() else { return };
    let Some(payloads) = one_payload(DynamicMessage::new(list), payload) else { return };
    let map = [(MapKey::String("payload".to_owned()), payloads)].into_iter().collect();
    put(message, &format!("{}.details", attributes.name()), Value::Map(map));
}

/// The list of one payload for the field at `path`.
fn payloads(message: &DynamicMessage, path: &str, payload: &[u8]) -> Option<Value> {
    let field = crate::mapping::resolve(&message.descriptor(), path)?;
    let Kind::Message(desc) = field.kind() else { return None };
    one_payload(DynamicMessage::new(desc), payload)
}

fn one_payload(mut list: DynamicMessage, bytes: &[u8]) -> Option<Value> {
    let field = list.descriptor().get_field_by_name("payloads")?;
    let Kind::Message(desc) = field.kind() else { return None };
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    let encoding = if is_json { "json/plain" } else { "binary/plain" };
    let key = MapKey::String("encoding".to_owned());
    let metadata = [(key, Value::Bytes(encoding.as_bytes().to_vec().into()))];
    let mut payload = DynamicMessage::new(desc);
    payload.try_set_field_by_name("metadata", Value::Map(metadata.into_iter().collect())).ok()?;
    payload.try_set_field_by_name("data", Value::Bytes(bytes.to_vec().into())).ok()?;
    list.set_field(&field, Value::List(vec![Value::Message(payload)]));
    Some(Value::Message(list))
}
