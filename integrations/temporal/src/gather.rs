//! Finds the events in a JSON document, whatever it wraps them in.

use serde_json::{Map, Value};

use crate::ImportError;

/// An event as it is in the document.
pub(crate) struct RawEvent {
    /// Where it is, such as `history.events[3]`.
    pub(crate) at: String,
    pub(crate) fields: Map<String, Value>,
}

/// All events in `document`, in the order they are in.
pub(crate) fn gather(document: Value) -> Result<Vec<RawEvent>, ImportError> {
    let mut events = Vec::new();
    gather_into(document, String::new(), &mut events)?;
    Ok(events)
}

fn gather_into(value: Value, at: String, out: &mut Vec<RawEvent>) -> Result<(), ImportError> {
    match value {
        Value::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                gather_into(item, format!("{at}[{index}]"), out)?;
            }
            Ok(())
        }
        Value::Object(fields) if at.ends_with(']') && is_event(&fields) => {
            out.push(RawEvent { at, fields });
            Ok(())
        }
        Value::Object(fields) => {
            let (key, value) = unwrap(fields).map_err(|found| not_a_history(&at, found))?;
            let at = if at.is_empty() { key } else { format!("{at}.{key}") };
            gather_into(value, at, out)
        }
        other => Err(not_a_history(&at, format!("found {other}"))),
    }
}

fn is_event(fields: &Map<String, Value>) -> bool {
    ["eventId", "event_id", "eventType", "event_type"].iter().any(|key| fields.contains_key(*key))
}

/// Takes the history out of the object around it: by name, else by being the one list there.
fn unwrap(mut fields: Map<String, Value>) -> Result<(String, Value), String> {
    for key in ["events", "history"] {
        match fields.remove(key) {
            None | Some(Value::Null) => {}
            Some(value) => return Ok((key.to_owned(), value)),
        }
    }
    let keys: Vec<String> = fields.keys().map(|key| format!("{key:?}")).collect();
    let mut lists = fields.into_iter().filter(|(_, value)| value.is_array());
    match (lists.next(), lists.next()) {
        (Some(list), None) if keys.len() == 1 => Ok(list),
        _ if keys.is_empty() => Err("the object is empty".to_owned()),
        _ => Err(format!("found an object of {}", keys.join(", "))),
    }
}

fn not_a_history(at: &str, found: String) -> ImportError {
    let at = if at.is_empty() { "the document".to_owned() } else { at.to_owned() };
    let found = found.chars().take(200).collect();
    ImportError::NotAHistory { at, found }
}
