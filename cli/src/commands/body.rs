//! The typed fields of an event, by name.

use kinlog::Body;
use kinlog::event::FieldValue;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Fields in their order.
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// The typed fields of a body; none where the payload says everything.
    pub(super) fn of(body: &Body<'_>) -> Self {
        let fields = body.fields().into_iter();
        Fields(fields.map(|(name, field)| (name, value(field))).collect())
    }

    /// The fields that say something.
    pub(super) fn telling(&self) -> impl Iterator<Item = &(&'static str, Value)> {
        self.0.iter().filter(|(_, value)| {
            let empty = value.as_array().is_some_and(Vec::is_empty);
            let nothing = value.is_null()
                || value == 0
                || value == false
                || value == ""
                || value == "Unspecified";
            !(nothing || empty)
        })
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

fn value(field: FieldValue<'_>) -> Value {
    match field {
        FieldValue::Number(number) => number.into(),
        FieldValue::Flag(flag) => flag.into(),
        FieldValue::Text(text) => text.into(),
        FieldValue::Run(run) => run.map(|run| run.to_string()).into(),
        FieldValue::Events(ids) => ids.iter().collect(),
        FieldValue::Choice(name) => name.into(),
        other => format!("{other:?}").into(),
    }
}
