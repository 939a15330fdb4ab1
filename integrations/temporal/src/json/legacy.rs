//! What older servers, the old web UI and Temporal's predecessor wrote differently.

use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor};
use serde_json::value::RawValue;

use super::RawEvent;
use crate::schema::Schema;

/// The beginnings of names that were renamed: then, and now.
const RENAMED: [(&str, &str); 3] = [
    ("UPDATE_REQUESTED_EVENT_ORIGIN_", "UPDATE_ADMITTED_EVENT_ORIGIN_"),
    (
        "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_REQUESTED",
        "EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ADMITTED",
    ),
    ("workflowExecutionUpdateRequested", "workflowExecutionUpdateAdmitted"),
];

/// The name of today for one that earlier servers wrote.
fn renamed(name: &str) -> Option<String> {
    RENAMED.iter().find_map(|(then, now)| Some(format!("{now}{}", name.strip_prefix(then)?)))
}

/// The field of this name, in either of its spellings or as it was called earlier.
pub(super) fn find_field(desc: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    let by_name =
        |name: &str| desc.get_field_by_json_name(name).or_else(|| desc.get_field_by_name(name));
    by_name(name).or_else(|| by_name(&renamed(name)?))
}

/// The number of an enum value by its name: as it is today, as earlier servers wrote it, or in
/// short, as those before 1.23 did.
pub(super) fn enum_number(desc: &EnumDescriptor, name: &str) -> Option<i32> {
    let by_name = |name: &str| desc.get_value_by_name(name).map(|value| value.number());
    by_name(name).or_else(|| by_name(&renamed(name)?)).or_else(|| short_name_number(desc, name))
}

/// `TimerStarted` for `EVENT_TYPE_TIMER_STARTED`.
fn short_name_number(desc: &EnumDescriptor, name: &str) -> Option<i32> {
    let zero = desc.get_value(0)?;
    let prefix = zero.name().strip_suffix("UNSPECIFIED")?;
    let mut values = desc.values();
    let value =
        values.find(|it| it.name().strip_prefix(prefix).is_some_and(|it| camel(it) == name));
    value.map(|it| it.number())
}

/// `TIMER_STARTED` as `TimerStarted`.
fn camel(screaming: &str) -> String {
    let mut out = String::with_capacity(screaming.len());
    for word in screaming.split('_') {
        let mut letters = word.chars();
        out.extend(letters.next());
        out.extend(letters.map(|it| it.to_ascii_lowercase()));
    }
    out
}

/// Names the attributes of an event, which Temporal's old web UI calls its `details`.
pub(super) fn attributes_of_ui(schema: &Schema, fields: &mut [(String, &RawValue)]) {
    let has_attributes = |(key, value): &(String, &RawValue)| {
        let field = find_field(&schema.event, key);
        value.get() != "null" && field.is_some_and(|it| it.containing_oneof().is_some())
    };
    if fields.iter().any(has_attributes) {
        return;
    }
    let kind = fields.iter().find(|(key, _)| key == "eventType" || key == "event_type");
    let number = kind.and_then(|(_, kind)| match super::raw::string(kind) {
        Some(name) => enum_number(&schema.event_type, &name),
        None => kind.get().parse().ok(),
    });
    let attributes = number.and_then(|number| schema.attributes(number));
    let details = fields.iter_mut().find(|(key, _)| key == "details");
    if let (Some(attributes), Some((key, _))) = (attributes, details) {
        attributes.json_name().clone_into(key);
    }
}

/// What gives an event away as one of Cadence, if anything does.
///
/// Temporal renamed the decision tasks and made the time a text when it left Cadence.
/// Its own histories from before that are the same and are refused as well.
pub(crate) fn cadence_trait(event: &RawEvent) -> Option<String> {
    let is_decision =
        |name: &str| name.to_ascii_lowercase().replace('_', "").contains("decisiontask");
    if let Some(kind) =
        event.get(&["eventType"]).filter(|kind| kind.starts_with('"') && is_decision(kind))
    {
        return Some(format!("its type is {}", kind.trim_matches('"')));
    }
    if let Some((key, _)) = event.fields.iter().find(|(key, _)| is_decision(key)) {
        return Some(format!("it has {key}"));
    }
    let timed = event.get(&["eventTime", "event_time"]).is_some();
    match event.get(&["timestamp"]) {
        Some(time) if !timed => Some(format!("it has timestamp {time} instead of eventTime")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::camel;

    #[test]
    fn short_names() {
        assert_eq!(camel("WORKFLOW_EXECUTION_STARTED"), "WorkflowExecutionStarted");
        assert_eq!(camel("RPS"), "Rps");
    }
}
