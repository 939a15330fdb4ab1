//! A recorded history and its two wire forms.

use std::slice;

use crate::encode::put_message;
use crate::{ExportError, ImportError, RecordedEvent, json, proto};

/// A recorded history: the events of one workflow run, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    events: Vec<RecordedEvent>,
}

impl History {
    /// Reads a `temporal.api.history.v1.History`.
    pub fn from_proto(bytes: &[u8]) -> Result<Self, ImportError> {
        Self::in_order(proto::read(bytes)?)
    }

    /// Reads JSON in any of the forms Temporal's tools write.
    ///
    /// These are `{"events": […]}`, the same as the value of `history`, a bare list of events
    /// and lists of all of these, which are read as one history. Enums are understood in their
    /// full and in their old short spelling and as numbers, payloads also in shorthand.
    /// Unknown fields are ignored, as Temporal's SDKs do; unknown enum values are errors.
    pub fn from_json(text: &str) -> Result<Self, ImportError> {
        Self::in_order(json::read(text)?)
    }

    /// Reads protobuf or JSON, whichever the bytes are.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ImportError> {
        if bytes.is_empty() {
            return Err(ImportError::Empty);
        }
        if !json::looks_like_json(bytes) {
            return Self::from_proto(bytes);
        }
        match str::from_utf8(bytes) {
            Ok(text) => Self::from_json(text),
            Err(error) => Err(ImportError::NotUtf8 { offset: error.valid_up_to() }),
        }
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

    /// Writes a `temporal.api.history.v1.History`.
    ///
    /// The same history always gives the same bytes: fields by number, map entries by key.
    #[must_use]
    pub fn to_proto(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for event in &self.events {
            put_message(proto::EVENTS, event.message(), &mut out);
        }
        out
    }

    /// Writes proto3 JSON, indented: `{"events": […]}`.
    ///
    /// JSON has no place for protobuf fields this crate's API version does not know.
    pub fn to_json(&self) -> Result<String, ExportError> {
        json::write(&self.events)
    }

    /// Turns a list that is newest first around and refuses one in no order.
    fn in_order(mut events: Vec<RecordedEvent>) -> Result<Self, ImportError> {
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
