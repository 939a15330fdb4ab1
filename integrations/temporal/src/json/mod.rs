//! The JSON form of events.

mod keep;
mod legacy;
mod message;
mod payload;
mod raw;
mod scalar;
mod write;

pub(crate) use keep::kept;
pub(crate) use legacy::cadence_trait;
pub(crate) use message::read_event;
pub(crate) use raw::strip_place;
pub(crate) use write::write;

use serde_json::value::RawValue;

/// An event as it is in the document.
pub(crate) struct RawEvent {
    /// Where it is, such as `history.events[3]`.
    pub(crate) at: String,
    /// Its fields, in their order.
    pub(crate) fields: Vec<(String, Box<RawValue>)>,
}

impl RawEvent {
    /// The value of the first field with one of these names.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&str> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(key, _)| names.contains(&key.as_str()));
        found.map(|(_, value)| value.get())
    }

    /// The event's id before anything is checked, only to name the event in errors.
    pub(crate) fn id(&self) -> i64 {
        let text = self.get(&["eventId", "event_id"]).unwrap_or_default();
        text.trim_matches('"').parse().unwrap_or_default()
    }
}
