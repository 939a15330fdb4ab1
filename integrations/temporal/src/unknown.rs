//! What messages have that this version of Temporal's API does not know.

use prost_reflect::{DynamicMessage, Value};

use crate::json::kept;

/// How many fields of the message, and of those in it, are not known.
pub(crate) fn count_unknown(message: &DynamicMessage) -> u32 {
    let own = u32::try_from(message.unknown_fields().count()).unwrap_or(u32::MAX);
    inner(message).into_iter().map(count_unknown).fold(own, u32::saturating_add)
}

/// The name or number of the first one.
pub(crate) fn find_unknown(message: &DynamicMessage) -> Option<String> {
    let own = message.unknown_fields().next();
    let own = own.map(|field| match kept(field) {
        Some((name, _)) => name,
        None => format!("number {}", field.number()),
    });
    own.or_else(|| inner(message).into_iter().find_map(find_unknown))
}

/// The messages in a message.
fn inner(message: &DynamicMessage) -> Vec<&DynamicMessage> {
    let mut found = Vec::new();
    for (_, value) in message.fields() {
        match value {
            Value::Message(inner) => found.push(inner),
            Value::List(items) => found.extend(items.iter().filter_map(Value::as_message)),
            Value::Map(map) => found.extend(map.values().filter_map(Value::as_message)),
            _ => {}
        }
    }
    found
}
