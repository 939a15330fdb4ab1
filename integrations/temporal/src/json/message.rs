//! From JSON to messages, in all the spellings that servers have had.

use std::collections::HashSet;

use prost_reflect::prost::Message;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use serde_json::value::RawValue;

use super::RawEvent;
use super::keep::keep;
use super::legacy::{attributes_of_ui, enum_number, find_field};
use super::payload::{self, Payload};
use super::raw::{check, fields, is_null, items, string, strip_place};
use super::scalar;
use crate::schema::Schema;
use crate::{ImportError, RecordedEvent, Unknown};

const PAYLOAD: &str = "temporal.api.common.v1.Payload";
const PAYLOADS: &str = "temporal.api.common.v1.Payloads";
/// Messages of nothing but a map, which some tools leave out around its entries.
const MAPS: [&str; 3] = [
    "temporal.api.common.v1.Header",
    "temporal.api.common.v1.Memo",
    "temporal.api.common.v1.SearchAttributes",
];

/// So many messages in each other can be decoded again, even if each is in a map.
const DEPTH_SURE: usize = 40;

/// Reads an event.
pub(crate) fn read_event(event: &RawEvent, unknown: Unknown) -> Result<RecordedEvent, ImportError> {
    let schema = Schema::get()?;
    let mut place = Place { at: event.at.clone(), id: event.id(), unknown, depth: 0, deepest: 0 };
    let mut fields = Vec::with_capacity(event.fields.len());
    for (key, value) in &event.fields {
        place.within(&format!(".{key}"), |place| check(value).map_err(|it| place.wrong(it)))?;
        fields.push((key.clone(), &**value));
    }
    attributes_of_ui(schema, &mut fields);
    let mut message = DynamicMessage::new(schema.event.clone());
    place.fill(&mut message, &fields)?;
    if place.deepest > DEPTH_SURE {
        let read = DynamicMessage::decode(schema.event.clone(), &*message.encode_to_vec());
        read.map_err(|error| place.wrong(error.to_string()))?;
    }
    RecordedEvent::from_message(&message, &event.at, unknown)
}

/// Where in the document we are, and in which event.
struct Place {
    at: String,
    id: i64,
    unknown: Unknown,
    /// How deep in messages, and how deep at most so far.
    depth: usize,
    deepest: usize,
}

impl Place {
    /// Runs `inner` one step further down.
    fn within<T>(&mut self, step: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let len = self.at.len();
        self.at.push_str(step);
        let result = inner(self);
        self.at.truncate(len);
        result
    }

    fn wrong(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Field { at: self.at.clone(), id: self.id, reason: reason.into() }
    }

    /// Reads one message.
    fn message(
        &mut self,
        desc: &MessageDescriptor,
        raw: &RawValue,
    ) -> Result<DynamicMessage, ImportError> {
        if desc.package_name() == "google.protobuf" {
            // Times and durations are texts of their own.
            let mut from = serde_json::Deserializer::from_str(raw.get());
            return DynamicMessage::deserialize(desc.clone(), &mut from)
                .map_err(|error| self.wrong(strip_place(&error)));
        }
        let mut message = DynamicMessage::new(desc.clone());
        if desc.full_name() == PAYLOAD {
            let payload = payload::read(raw).map_err(|reason| self.wrong(reason))?;
            return self.payload(message, payload);
        }
        if desc.full_name() == PAYLOADS && raw.get().starts_with('[') {
            self.fill(&mut message, &[("payloads".to_owned(), raw)])?;
            return Ok(message);
        }
        let expected = || self.wrong(format!("expected an object, a message {}", desc.name()));
        let fields = fields(raw).ok_or_else(expected)?;
        match map_without_name(desc, &fields) {
            Some(map) => self.fill(&mut message, &[(map.json_name().to_owned(), raw)])?,
            None => self.fill(&mut message, &fields)?,
        }
        Ok(message)
    }

    fn payload(
        &mut self,
        mut message: DynamicMessage,
        payload: Payload<'_>,
    ) -> Result<DynamicMessage, ImportError> {
        let metadata = payload.metadata.into_iter();
        let metadata =
            metadata.map(|(key, value)| (MapKey::String(key), Value::Bytes(value.into())));
        let metadata = Value::Map(metadata.collect());
        // They are there, or every event with a payload is refused.
        let fits = message.try_set_field_by_name("metadata", metadata);
        let fits =
            fits.and(message.try_set_field_by_name("data", Value::Bytes(payload.data.into())));
        fits.map_err(|error| self.wrong(error.to_string()))?;
        if let Some(external) = payload.external {
            self.fill(&mut message, &[("externalPayloads".to_owned(), external)])?;
        }
        Ok(message)
    }

    /// Sets the fields of a message. Those that are null say nothing.
    fn fill(
        &mut self,
        message: &mut DynamicMessage,
        fields: &[(String, &RawValue)],
    ) -> Result<(), ImportError> {
        let desc = prost_reflect::ReflectMessage::descriptor(message);
        let (mut seen, mut unknown) = (HashSet::new(), Vec::new());
        for (key, raw) in fields.iter().filter(|(_, raw)| !is_null(raw)) {
            let Some(field) = find_field(&desc, key) else {
                if self.unknown == Unknown::Refuse {
                    let (at, id, field) = (self.at.clone(), self.id, key.clone());
                    return Err(ImportError::UnknownField { at, id, field });
                }
                unknown.push((key, raw));
                continue;
            };
            let rival = match field.containing_oneof() {
                Some(one) => one.fields().find(|other| message.has_field(other)),
                None => None,
            };
            let rival = rival.map(|rival| rival.json_name().to_owned());
            let twice = (!seen.insert(field.number())).then(|| key.clone());
            if let Some(other) = rival.or(twice) {
                return Err(self.wrong(format!("{key:?} stands beside {other:?}: one is too many")));
            }
            match self.within(&format!(".{key}"), |place| place.any(&field, raw)) {
                Ok(value) => message.set_field(&field, value),
                Err(
                    ImportError::UnknownEventType { .. } | ImportError::UnknownEnumValue { .. },
                ) if self.unknown == Unknown::Keep => {
                    unknown.push((key, raw));
                }
                Err(error) => return Err(error),
            }
        }
        // In the order in which they are written again.
        unknown.sort_by_key(|(key, _)| *key);
        unknown
            .into_iter()
            .try_for_each(|(key, raw)| keep(message, key, raw))
            .map_err(|reason| self.wrong(reason))
    }

    /// Reads a field: a map, a list or a single value.
    fn any(&mut self, field: &FieldDescriptor, raw: &RawValue) -> Result<Value, ImportError> {
        let kind = field.kind();
        if let (true, Kind::Message(entry)) = (field.is_map(), &kind) {
            let (key_kind, kind) =
                (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
            let entries = fields(raw).ok_or_else(|| self.wrong("expected an object"))?;
            let entries = entries.into_iter().map(|(key, raw)| {
                self.within(&format!("[{key:?}]"), |place| {
                    let value = place.single(&kind, raw)?;
                    Ok((scalar::key(&key_kind, key).map_err(|it| place.wrong(it))?, value))
                })
            });
            return entries.collect::<Result<_, _>>().map(Value::Map);
        }
        if field.is_list() {
            let items = items(raw).ok_or_else(|| self.wrong("expected a list"))?;
            let items = items.into_iter().enumerate();
            let items = items.map(|(index, raw)| {
                self.within(&format!("[{index}]"), |place| place.single(&kind, raw))
            });
            return items.collect::<Result<_, _>>().map(Value::List);
        }
        self.single(&kind, raw)
    }

    fn single(&mut self, kind: &Kind, raw: &RawValue) -> Result<Value, ImportError> {
        match kind {
            Kind::Message(desc) => {
                self.depth += 1;
                self.deepest = self.deepest.max(self.depth);
                let message = self.message(desc, raw).map(Value::Message);
                self.depth -= 1;
                message
            }
            Kind::Enum(desc) => self.number(desc, raw).map(Value::EnumNumber),
            _ => scalar::read(kind, raw).map_err(|reason| self.wrong(reason)),
        }
    }

    /// The number of an enum value in any of its spellings.
    fn number(&self, desc: &EnumDescriptor, raw: &RawValue) -> Result<i32, ImportError> {
        let number = match string(raw) {
            Some(name) => enum_number(desc, &name),
            None => raw.get().parse().ok(),
        };
        number.ok_or_else(|| {
            let (at, id, value) = (self.at.clone(), self.id, raw.get().to_owned());
            match desc.name() {
                "EventType" => ImportError::UnknownEventType { at, id, value },
                name => ImportError::UnknownEnumValue { at, id, value, name: name.to_owned() },
            }
        })
    }
}

/// The map whose entries stand in the place of the message around it.
fn map_without_name(
    desc: &MessageDescriptor,
    fields: &[(String, &RawValue)],
) -> Option<FieldDescriptor> {
    let named = fields.iter().any(|(key, _)| find_field(desc, key).is_some());
    let bare = MAPS.contains(&desc.full_name()) && !named && !fields.is_empty();
    desc.fields().find(|field| bare && field.is_map())
}
