//! From a kinlog event back to a Temporal event.

use kinlog::{Body, Event, EventKind, Timestamp};
use prost_reflect::prost::encoding::{WireType, decode_key, decode_varint};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};

use super::body::{Visit, visit};
use super::path::{find, put, resolve};
use super::slot::Slot;
use super::{ABSENT, EVENT_ID_BIT};
use crate::event::{UNNAMED, has_unheard_type, put_time};
use crate::schema::Schema;
use crate::{ExportError, RecordedEvent};

impl RecordedEvent {
    /// Puts together the Temporal event that was written as `event`.
    pub fn from_kinlog(event: &Event<'_>) -> Result<Self, ExportError> {
        let body = event.body();
        if let Body::Opaque(_) = body
            && event.version() != 0
        {
            let (kind, version) = (event.kind(), event.version());
            return Err(ExportError::UnknownVersion { id: event.id(), kind, version });
        }
        join(&body, event.id(), event.time(), event.payload())
    }
}

/// Puts together the event that was taken apart into these.
pub(super) fn join(
    body: &Body<'_>,
    id: u32,
    time: Timestamp,
    payload: &[u8],
) -> Result<RecordedEvent, ExportError> {
    let message = event_of(body, id, time, payload)?;
    let event = RecordedEvent::from_checked(&message);
    // Others may use this kind as well.
    let is_ours = event.kind() != UNNAMED || event.event_type() != 0 || has_unheard_type(&message);
    is_ours.then_some(event).ok_or(ExportError::UnknownKind { id, kind: body.kind() })
}

/// The message that a body and the rest of it make.
pub(crate) fn event_of(
    body: &Body<'_>,
    id: u32,
    time: Timestamp,
    payload: &[u8],
) -> Result<DynamicMessage, ExportError> {
    let schema = Schema::get()?;
    let kind = i32::from(body.kind().number());
    if kind == 0 || (body.kind().number() >= EventKind::FIRST_CUSTOM && body.kind() != UNNAMED) {
        return Err(ExportError::UnknownKind { id, kind: body.kind() });
    }
    let (absent, rest) = split(payload);
    let mut message = DynamicMessage::decode(schema.event.clone(), rest)
        .map_err(|error| ExportError::Payload { id, reason: error.to_string() })?;
    if body.kind() != UNNAMED {
        put(&mut message, "event_type", Value::EnumNumber(kind));
    }
    if absent & EVENT_ID_BIT == 0 && find(&message, "event_id").is_none() {
        put(&mut message, "event_id", Value::I64(i64::from(id)));
    }
    put_time(&mut message, time.unix_nanos());
    if let Some(attributes) = schema.attributes(kind) {
        let mut back = PutBack { message: &mut message, attributes, bit: EVENT_ID_BIT, absent };
        visit(&mut body.clone(), &mut back);
        if let Body::WorkflowReset(_) = body {
            put_reset_cause(&mut message, attributes);
        }
    }
    Ok(message)
}

/// Says that the workflow task failed because of a reset, unless the payload says why.
fn put_reset_cause(message: &mut DynamicMessage, attributes: &FieldDescriptor) {
    let path = format!("{}.cause", attributes.name());
    let Some(Kind::Enum(causes)) = resolve(&message.descriptor(), &path).map(|it| it.kind()) else {
        return;
    };
    let reset = causes.get_value_by_name("WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW");
    if let Some(reset) = reset.filter(|_| find(message, &path).is_none()) {
        put(message, &path, Value::EnumNumber(reset.number()));
    }
}

/// Reads what a payload lacks off its front.
fn split(payload: &[u8]) -> (u32, &[u8]) {
    let mut rest = payload;
    if let Ok((ABSENT, WireType::Varint)) = decode_key(&mut rest)
        && let Ok(absent) = decode_varint(&mut rest)
        && let Ok(absent) = u32::try_from(absent)
    {
        return (absent, rest);
    }
    (0, payload)
}

/// Puts the fields of a body back, but for those the payload has itself.
struct PutBack<'r> {
    message: &'r mut DynamicMessage,
    attributes: &'r FieldDescriptor,
    bit: u32,
    absent: u32,
}

impl<'m> Visit<'m> for PutBack<'_> {
    fn visit<S: Slot<'m>>(&mut self, path: &'static str, slot: &mut S) {
        self.bit <<= 1;
        let path = format!("{}.{path}", self.attributes.name());
        if self.absent & self.bit != 0 || find(self.message, &path).is_some() {
            return;
        }
        let field = resolve(&self.message.descriptor(), &path);
        if let Some(value) = field.and_then(|field| slot.value(&field.kind())) {
            put(self.message, &path, value);
        }
    }
}
