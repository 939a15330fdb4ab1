//! One event of a recorded history.

use std::fmt;

use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use crate::ImportError;
use crate::encode::encode_message;
use crate::schema::Schema;

const WORKFLOW_TASK_COMPLETED: i32 = 7;
/// In nanoseconds.
const SECOND: i32 = 1_000_000_000;

/// One event: a `temporal.api.history.v1.HistoryEvent`.
#[derive(Clone)]
pub struct RecordedEvent {
    message: DynamicMessage,
}

impl RecordedEvent {
    /// Takes the message as it is; `at` is where it came from.
    pub(crate) fn from_message(message: DynamicMessage, at: &str) -> Result<Self, ImportError> {
        let event = Self { message };
        match event.type_name()? {
            Some(_) if event.event_type() != 0 => Ok(event),
            _ => Err(ImportError::UnknownEventType {
                at: format!("{at}.eventType"),
                id: event.id(),
                value: event.event_type().to_string(),
            }),
        }
    }

    /// Takes a message whose type is known.
    pub(crate) fn from_checked(message: DynamicMessage) -> Self {
        Self { message }
    }

    /// The message itself.
    #[must_use]
    pub fn message(&self) -> &DynamicMessage {
        &self.message
    }

    /// Gives the message away.
    #[must_use]
    pub fn into_message(self) -> DynamicMessage {
        self.message
    }

    /// The event's number in its history, 0 if it has none.
    #[must_use]
    pub fn id(&self) -> i64 {
        int64(&self.message, "event_id")
    }

    /// The task that wrote the event, 0 if it has none.
    #[must_use]
    pub fn task_id(&self) -> i64 {
        int64(&self.message, "task_id")
    }

    /// The number of the event's type in Temporal's `EventType`.
    #[must_use]
    pub fn event_type(&self) -> i32 {
        let value = self.message.get_field_by_name("event_type");
        value.and_then(|value| value.as_enum_number()).unwrap_or_default()
    }

    /// The name of the event's type, such as `EVENT_TYPE_TIMER_STARTED`.
    fn type_name(&self) -> Result<Option<String>, ImportError> {
        let value = Schema::get()?.event_type.get_value(self.event_type());
        Ok(value.map(|value| value.name().to_owned()))
    }

    /// The event's canonical protobuf bytes: the same event always gives the same bytes.
    #[must_use]
    pub fn to_proto(&self) -> Vec<u8> {
        encode_message(&self.message)
    }

    /// The id of the completed workflow task whose commands wrote this event.
    ///
    /// The completion belongs to itself; events that no workflow task wrote have none.
    pub(crate) fn workflow_task(&self) -> Option<i64> {
        if self.event_type() == WORKFLOW_TASK_COMPLETED {
            return Some(self.id());
        }
        let attributes = self.message.fields().filter_map(|(_, value)| value.as_message());
        attributes.map(|it| int64(it, "workflow_task_completed_event_id")).find(|id| *id != 0)
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

/// Events are equal if they are the same on the wire. Messages compare what was set in them,
/// also to the default, which cannot be told from what was not.
impl PartialEq for RecordedEvent {
    fn eq(&self, other: &Self) -> bool {
        self.to_proto() == other.to_proto()
    }
}

/// The message as text: its own `Debug` would show the descriptors, without end.
impl fmt::Debug for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordedEvent {{ {} }}", self.message)
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
