//! A recorded history and its two wire forms.

use std::slice;

use crate::beside::take_beside;
use crate::encode::{put_encoded, put_message};
use crate::read::{EVENTS, read_one, read_one_proto};
use crate::{ExportError, ImportError, RecordedEvent, Unknown, json};

/// A recorded history: the events of one workflow run, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    events: Vec<RecordedEvent>,
}

impl History {
    /// Reads a `temporal.api.history.v1.History`.
    ///
    /// Fields and event types of a newer server are kept, as they are with the default of
    /// [`Unknown`].
    pub fn from_proto(bytes: &[u8]) -> Result<Self, ImportError> {
        read_one_proto(bytes, Unknown::default())
    }

    /// Reads JSON in any of the forms Temporal's tools write.
    ///
    /// Fields that are not known are kept, names of event types and enum values that are not are
    /// errors, as with the default of [`Unknown`].
    pub fn from_json(text: &str) -> Result<Self, ImportError> {
        read_one(text.as_bytes(), Unknown::default())
    }

    /// Reads the one history in `bytes`, as [`read_histories`](crate::read_histories) does.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ImportError> {
        read_one(bytes, Unknown::default())
    }

    /// The events, oldest first.
    #[must_use]
    pub fn events(&self) -> &[RecordedEvent] {
        &self.events
    }

    /// Gives the events away.
    #[must_use]
    pub fn into_events(self) -> Vec<RecordedEvent> {
        self.events
    }

    /// How many fields, event types and enum values in it this version of Temporal's API does not
    /// know. They are kept.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.events.iter().map(RecordedEvent::unknown).sum()
    }

    /// Writes a `temporal.api.history.v1.History`.
    ///
    /// The same history always gives the same bytes: fields by number, map entries by key.
    #[must_use]
    pub fn to_proto(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for event in &self.events {
            // What may have something beside it is rare, and decoded.
            let beside = match event.unknown() {
                0 => None,
                _ => take_beside(event.clone().message()),
            };
            match beside {
                None => put_encoded(EVENTS, event.bytes(), &mut out),
                Some((event, beside)) => {
                    put_message(EVENTS, &event, &mut out);
                    out.extend(beside);
                }
            }
        }
        out
    }

    /// Writes proto3 JSON, indented: `{"events": […]}`.
    ///
    /// What was kept of JSON is written as it was read.
    ///
    /// # Errors
    /// [`ExportError::Unnamed`] for a protobuf field that this crate's API version does not know,
    /// and for which JSON has no name; [`ExportError::Json`] for a value without a JSON form.
    pub fn to_json(&self) -> Result<String, ExportError> {
        json::write(&self.events)
    }

    /// Turns a list that is newest first around and refuses one in no order.
    pub(crate) fn in_order(mut events: Vec<RecordedEvent>) -> Result<Self, ImportError> {
        if let [first, second, ..] = events.as_slice()
            && first.id() > second.id()
        {
            events.reverse();
        }
        let ids = || events.iter().map(RecordedEvent::id);
        match ids().zip(ids().skip(1)).find(|(previous, id)| previous >= id) {
            Some((previous, id)) => Err(ImportError::OutOfOrder { previous, id }),
            None => Ok(Self { events }),
        }
    }
}

/// The events are taken in the order given.
impl FromIterator<RecordedEvent> for History {
    fn from_iter<I: IntoIterator<Item = RecordedEvent>>(events: I) -> Self {
        Self { events: events.into_iter().collect() }
    }
}

impl<'a> IntoIterator for &'a History {
    type Item = &'a RecordedEvent;
    type IntoIter = slice::Iter<'a, RecordedEvent>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.iter()
    }
}
