//! One event of a recorded history.

use std::fmt;
use std::sync::OnceLock;

use kinlog::EventKind;
use prost_reflect::{DynamicMessage, FieldDescriptor, MessageDescriptor, ReflectMessage, Value};

use crate::beside::keep_beside;
use crate::encode::encode_message;
use crate::json::kept;
use crate::schema::Schema;
use crate::unknown::{count_unknown, find_unknown};
use crate::{ImportError, Unknown};

const WORKFLOW_TASK_COMPLETED: i32 = 7;
/// The kind of events whose type has no number, or one that is no server's.
pub(crate) const UNNAMED: EventKind = EventKind::from_number(u16::MAX);
/// In nanoseconds.
const SECOND: i32 = 1_000_000_000;

/// One event: a `temporal.api.history.v1.HistoryEvent`.
///
/// It is kept as its protobuf bytes, which are a small part of what the message takes.
pub struct RecordedEvent {
    bytes: Box<[u8]>,
    facts: Facts,
    desc: MessageDescriptor,
    /// Decoded when somebody asks.
    message: OnceLock<DynamicMessage>,
}

/// What is asked of every event.
#[derive(Clone, Copy)]
struct Facts {
    id: i64,
    task_id: i64,
    event_type: i32,
    workflow_task: Option<i64>,
    unknown: u32,
    has_attributes: bool,
}

impl RecordedEvent {
    /// Takes the message as it is; `at` is where it came from.
    pub(crate) fn from_message(
        message: &DynamicMessage,
        at: &str,
        unknown: Unknown,
    ) -> Result<Self, ImportError> {
        let event = Self::from_checked(message);
        let is_kept = match event.event_type() {
            0 => has_unheard_type(message),
            number if is_known_type(number) => true,
            _ if event.kind() != UNNAMED => unknown != Unknown::Refuse,
            _ => unknown == Unknown::Keep,
        };
        if !is_kept {
            return Err(ImportError::UnknownEventType {
                at: format!("{at}.eventType"),
                id: event.id(),
                value: event.event_type().to_string(),
            });
        }
        match find_unknown(message).filter(|_| unknown == Unknown::Refuse) {
            Some(field) => {
                Err(ImportError::UnknownField { at: at.to_owned(), id: event.id(), field })
            }
            None => Ok(event),
        }
    }

    /// Takes a message whose type is known or kept.
    pub(crate) fn from_checked(message: &DynamicMessage) -> Self {
        let facts = Facts::of(message);
        let bytes = encode_message(message).into();
        Self { bytes, facts, desc: message.descriptor(), message: OnceLock::new() }
    }

    /// Keeps encoded fields that stand behind the event in its history.
    pub(crate) fn keep_beside(&mut self, fields: &[u8]) -> Result<(), String> {
        let mut message = self.message().clone();
        keep_beside(&mut message, fields)?;
        *self = Self::from_checked(&message);
        Ok(())
    }

    /// The message itself. It is decoded the first time, and kept from then on.
    #[must_use]
    pub fn message(&self) -> &DynamicMessage {
        self.message.get_or_init(|| {
            let message = DynamicMessage::decode(self.desc.clone(), &*self.bytes);
            // They are the bytes of a message that was read with the same bounds.
            message.unwrap_or_else(|_| DynamicMessage::new(self.desc.clone()))
        })
    }

    /// Gives the message away.
    #[must_use]
    pub fn into_message(self) -> DynamicMessage {
        self.message().clone()
    }

    /// The event's number in its history, 0 if it has none.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.facts.id
    }

    /// The task that wrote the event, 0 if it has none.
    #[must_use]
    pub fn task_id(&self) -> i64 {
        self.facts.task_id
    }

    /// The number of the event's type in Temporal's `EventType`.
    #[must_use]
    pub fn event_type(&self) -> i32 {
        self.facts.event_type
    }

    /// The kind under which kinlog has the event.
    pub(crate) fn kind(&self) -> EventKind {
        let number = u16::try_from(self.event_type()).unwrap_or_default();
        match number {
            1..EventKind::FIRST_CUSTOM => EventKind::from_number(number),
            _ => UNNAMED,
        }
    }

    /// How much of it this version of Temporal's API does not know.
    pub(crate) fn unknown(&self) -> usize {
        usize::try_from(self.facts.unknown).unwrap_or(usize::MAX)
    }

    /// Whether it says anything beyond its type, time and ids.
    pub(crate) fn has_attributes(&self) -> bool {
        self.facts.has_attributes
    }

    /// The event's canonical protobuf bytes: the same event always gives the same bytes.
    #[must_use]
    pub fn to_proto(&self) -> Vec<u8> {
        self.bytes.to_vec()
    }

    /// The same bytes, borrowed.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The id of the completed workflow task whose commands wrote this event.
    ///
    /// The completion belongs to itself; events that no workflow task wrote have none.
    pub(crate) fn workflow_task(&self) -> Option<i64> {
        self.facts.workflow_task
    }
}

impl Facts {
    fn of(message: &DynamicMessage) -> Self {
        let event_type = message.get_field_by_name("event_type");
        let event_type = event_type.and_then(|value| value.as_enum_number()).unwrap_or_default();
        let id = int64(message, "event_id");
        let attributes = || message.fields().filter_map(|(_, value)| value.as_message());
        let mut tasks = attributes().map(|it| int64(it, "workflow_task_completed_event_id"));
        let workflow_task = match event_type {
            WORKFLOW_TASK_COMPLETED => Some(id),
            _ => tasks.find(|id| *id != 0),
        };
        let says = |(field, _): (FieldDescriptor, &Value)| field.containing_oneof().is_some();
        let has_attributes =
            message.fields().any(says) || message.unknown_fields().next().is_some();
        Facts {
            id,
            task_id: int64(message, "task_id"),
            event_type,
            workflow_task,
            unknown: count_unknown(message) + u32::from(!is_known_type(event_type)),
            has_attributes,
        }
    }
}

/// Whether this version of Temporal's API has the type, or there is only a name.
fn is_known_type(event_type: i32) -> bool {
    let known = |schema: &Schema| schema.event_type.get_value(event_type).is_some();
    Schema::get().is_ok_and(known)
}

/// Whether there is a name in the place of the type's number.
pub(crate) fn has_unheard_type(event: &DynamicMessage) -> bool {
    let names = ["eventType", "event_type"];
    let mut kept = event.unknown_fields().filter_map(kept);
    kept.any(|(name, _)| names.contains(&name.as_str()))
}

/// A copy is not decoded.
impl Clone for RecordedEvent {
    fn clone(&self) -> Self {
        let (bytes, desc) = (self.bytes.clone(), self.desc.clone());
        Self { bytes, facts: self.facts, desc, message: OnceLock::new() }
    }
}

/// The time in `event_time`, if nanoseconds since 1970 can say it and nothing else is there.
pub(crate) fn time_nanos(event: &DynamicMessage) -> Option<i64> {
    let time = event.get_field_by_name("event_time")?;
    let time = time.as_message()?;
    let nanos = time.get_field_by_name("nanos")?.as_i32().filter(|it| (0..SECOND).contains(it))?;
    let seconds = int64(time, "seconds").checked_mul(i64::from(SECOND))?;
    let total = seconds.checked_add(i64::from(nanos))?;
    (total != 0 && time.unknown_fields().next().is_none()).then_some(total)
}

/// Sets `event_time` to what [`time_nanos`] said, unless it is there already.
pub(crate) fn put_time(event: &mut DynamicMessage, total: i64) {
    if total == 0 || event.has_field_by_name("event_time") {
        return;
    }
    let (seconds, nanos) = (total.div_euclid(SECOND.into()), total.rem_euclid(SECOND.into()));
    if let Some(Value::Message(time)) = event.get_field_by_name_mut("event_time") {
        time.set_field_by_name("seconds", Value::I64(seconds));
        time.set_field_by_name("nanos", Value::I32(i32::try_from(nanos).unwrap_or_default()));
    }
}

/// Events are equal if they are the same on the wire.
impl PartialEq for RecordedEvent {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// The message as text: its own `Debug` would show the descriptors, without end.
impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordedEvent {{ {} }}", self.message())
    }
}

/// A field's value, 0 where the message has no such field.
fn int64(message: &DynamicMessage, name: &str) -> i64 {
    let Some(field) = message.descriptor().get_field_by_name(name) else { return 0 };
    match message.get_field(&field).as_ref() {
        Value::I64(value) => *value,
        _ => 0,
    }
}
