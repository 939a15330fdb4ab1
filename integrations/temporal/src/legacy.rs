//! What older servers and Temporal's predecessor wrote differently.

use prost_reflect::EnumDescriptor;
use serde_json::Value;

use crate::gather::RawEvent;

/// The number of an enum value by its short name: `TimerStarted` for
/// `EVENT_TYPE_TIMER_STARTED`, as servers before 1.23 wrote it.
pub(crate) fn short_name_number(desc: &EnumDescriptor, name: &str) -> Option<i32> {
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

/// What gives an event away as one of Cadence, if anything does.
///
/// Temporal renamed the decision tasks and made the time a text when it left Cadence.
/// Its own histories from before that are the same and are refused as well.
pub(crate) fn cadence_trait(event: &RawEvent) -> Option<String> {
    let is_decision =
        |name: &str| name.to_ascii_lowercase().replace('_', "").contains("decisiontask");
    if let Some(Value::String(kind)) = event.fields.get("eventType")
        && is_decision(kind)
    {
        return Some(format!("its type is {kind}"));
    }
    if let Some(key) = event.fields.keys().find(|key| is_decision(key)) {
        return Some(format!("it has {key}"));
    }
    let timed = ["eventTime", "event_time"].iter().any(|key| event.fields.contains_key(*key));
    match event.fields.get("timestamp") {
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
