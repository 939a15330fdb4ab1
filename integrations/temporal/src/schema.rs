//! The descriptors of Temporal's history messages.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, MessageDescriptor};

use crate::SchemaError;

static DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/history.desc"));

static SCHEMA: LazyLock<Result<Schema, SchemaError>> = LazyLock::new(Schema::load);

/// The descriptors a reader needs at hand; the rest hangs off them.
pub(crate) struct Schema {
    pub(crate) event: MessageDescriptor,
    pub(crate) event_type: EnumDescriptor,
    attributes: HashMap<i32, FieldDescriptor>,
}

impl Schema {
    /// The one schema of this process.
    ///
    /// It fails only if the crate was built against an API without these messages.
    pub(crate) fn get() -> Result<&'static Schema, SchemaError> {
        SCHEMA.as_ref().map_err(Clone::clone)
    }

    /// The field in which events of this type have what they say.
    pub(crate) fn attributes(&self, event_type: i32) -> Option<&FieldDescriptor> {
        self.attributes.get(&event_type)
    }

    fn load() -> Result<Schema, SchemaError> {
        let pool =
            DescriptorPool::decode(DESCRIPTORS).map_err(|error| SchemaError(error.to_string()))?;
        let event = pool
            .get_message_by_name("temporal.api.history.v1.HistoryEvent")
            .ok_or_else(|| SchemaError("no message HistoryEvent".to_owned()))?;
        let event_type = pool
            .get_enum_by_name("temporal.api.enums.v1.EventType")
            .ok_or_else(|| SchemaError("no enum EventType".to_owned()))?;
        let attributes = attributes(&event, &event_type);
        Ok(Schema { event, event_type, attributes })
    }
}

/// `EVENT_TYPE_TIMER_FIRED` says what it says in `timer_fired_event_attributes`.
fn attributes(event: &MessageDescriptor, types: &EnumDescriptor) -> HashMap<i32, FieldDescriptor> {
    let fields = types.values().filter_map(|value| {
        let name = value.name().strip_prefix("EVENT_TYPE_")?.to_ascii_lowercase();
        let field = event.get_field_by_name(&format!("{name}_event_attributes"))?;
        Some((value.number(), field))
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::Schema;

    #[test]
    fn every_type_has_attributes() {
        let schema = Schema::get().unwrap();
        for value in schema.event_type.values().filter(|value| value.number() != 0) {
            assert!(schema.attributes(value.number()).is_some(), "{}", value.name());
        }
    }
}
