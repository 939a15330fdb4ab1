//! Brings an event's JSON into the one form proto3 JSON prescribes.
//!
//! Enums become numbers here, because `prost-reflect` would either refuse the old short names
//! or, told to be lenient, silently take every unknown name for 0.

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use crate::ImportError;
use crate::legacy::short_name_number;
use crate::shorthand::spell_out;

/// Where in the document we are, and in which event.
pub(crate) struct Place {
    pub(crate) at: String,
    pub(crate) id: i64,
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
}

/// Normalises the JSON of one message. Fields that are null or unknown are left out.
pub(crate) fn message(
    desc: &MessageDescriptor,
    value: Value,
    place: &mut Place,
) -> Result<Value, ImportError> {
    if desc.package_name() == "google.protobuf" {
        // Times and durations are texts of their own.
        return Ok(value);
    }
    let Value::Object(fields) = spell_out(desc, value) else {
        let reason = format!("expected an object, a message {}", desc.name());
        return Err(ImportError::Field { at: place.at.clone(), id: place.id, reason });
    };
    let mut out = Map::new();
    for (key, value) in fields {
        let Some(field) = find_field(desc, &key).filter(|_| !value.is_null()) else { continue };
        let value = place.within(&format!(".{key}"), |place| any(&field, value, place))?;
        out.insert(field.json_name().to_owned(), value);
    }
    Ok(Value::Object(out))
}

fn find_field(desc: &MessageDescriptor, key: &str) -> Option<FieldDescriptor> {
    desc.get_field_by_json_name(key).or_else(|| desc.get_field_by_name(key))
}

/// Normalises a field: a map, a list or a single value.
fn any(field: &FieldDescriptor, value: Value, place: &mut Place) -> Result<Value, ImportError> {
    match value {
        Value::Object(entries) if field.is_map() => {
            let Kind::Message(entry) = field.kind() else { return Ok(Value::Object(entries)) };
            let kind = entry.map_entry_value_field().kind();
            let normalised = entries.into_iter().map(|(key, value)| {
                let value = place.within(&format!("[{key:?}]"), |at| single(&kind, value, at))?;
                Ok((key, value))
            });
            normalised.collect::<Result<Map<_, _>, _>>().map(Value::Object)
        }
        Value::Array(items) if field.is_list() => {
            let kind = field.kind();
            let normalised = items.into_iter().enumerate().map(|(index, item)| {
                place.within(&format!("[{index}]"), |place| single(&kind, item, place))
            });
            normalised.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        other if field.is_map() || field.is_list() => Ok(other),
        other => single(&field.kind(), other, place),
    }
}

fn single(kind: &Kind, value: Value, place: &mut Place) -> Result<Value, ImportError> {
    match kind {
        Kind::Message(desc) => message(desc, value, place),
        Kind::Enum(desc) => number(desc, &value, place).map(Value::from),
        _ => Ok(value),
    }
}

/// The number of an enum value in any of its spellings.
fn number(desc: &EnumDescriptor, value: &Value, place: &Place) -> Result<i32, ImportError> {
    let number = match value {
        Value::String(name) => match desc.get_value_by_name(name) {
            Some(exact) => Some(exact.number()),
            None => short_name_number(desc, name),
        },
        Value::Number(number) => number.as_i64().and_then(|it| i32::try_from(it).ok()),
        _ => None,
    };
    number.ok_or_else(|| {
        let (at, id, value) = (place.at.clone(), place.id, value.to_string());
        match desc.name() {
            "EventType" => ImportError::UnknownEventType { at, id, value },
            name => ImportError::UnknownEnumValue { at, id, value, name: name.to_owned() },
        }
    })
}
