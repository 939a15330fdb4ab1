//! Fields inside fields, named as `workflow_type.name`.

use std::borrow::Cow;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

/// The field that `path` leads to, if messages of this kind have it.
pub(crate) fn resolve(desc: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    match path.split_once('.') {
        None => desc.get_field_by_name(path),
        Some((name, rest)) => match desc.get_field_by_name(name)?.kind() {
            Kind::Message(inner) => resolve(&inner, rest),
            _ => None,
        },
    }
}

/// The value at `path`, if it is there and not the default.
pub(crate) fn find<'m>(message: &'m DynamicMessage, path: &str) -> Option<&'m Value> {
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    if !message.has_field_by_name(name) {
        return None;
    }
    match message.get_field_by_name(name)? {
        Cow::Borrowed(value) if rest.is_empty() => Some(value),
        Cow::Borrowed(Value::Message(inner)) => find(inner, rest),
        _ => None,
    }
}

/// Takes out the value at `path`, and every message that is empty then.
pub(super) fn clear(message: &mut DynamicMessage, path: &str) {
    if find(message, path).is_none() {
        return;
    }
    let Some((name, rest)) = path.split_once('.') else {
        message.clear_field_by_name(path);
        return;
    };
    if let Some(Value::Message(inner)) = message.get_field_by_name_mut(name) {
        clear(inner, rest);
        if is_empty(inner) {
            message.clear_field_by_name(name);
        }
    }
}

/// Sets the value at `path`, in new messages if need be.
pub(crate) fn put(message: &mut DynamicMessage, path: &str, value: Value) {
    match path.split_once('.') {
        // The paths fit the API this crate is built with, which a test makes sure of.
        None => message.try_set_field_by_name(path, value).unwrap_or_default(),
        Some((name, rest)) => {
            if let Some(Value::Message(inner)) = message.get_field_by_name_mut(name) {
                put(inner, rest, value);
            }
        }
    }
}

/// Whether the message would be written as no bytes.
pub(super) fn is_empty(message: &DynamicMessage) -> bool {
    message.fields().next().is_none() && message.unknown_fields().next().is_none()
}
