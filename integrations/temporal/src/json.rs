//! Reads and writes the JSON form.

use prost_reflect::DynamicMessage;
use serde_json::{Map, Value};

use crate::gather::{RawEvent, gather};
use crate::legacy::cadence_trait;
use crate::normalise::{self, Place};
use crate::schema::Schema;
use crate::{ExportError, ImportError, RecordedEvent};

const BOM: &str = "\u{feff}";

/// Whether the first byte that is no space opens an object or a list.
///
/// A protobuf history begins with a line feed and the length of its first event, which may
/// look like a brace, but the key of the event's first field follows: a control character.
pub(crate) fn looks_like_json(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(BOM.as_bytes()).unwrap_or(bytes);
    match bytes.trim_ascii_start() {
        [b'{' | b'[', next, ..] => !next.is_ascii_control() || next.is_ascii_whitespace(),
        [b'{' | b'['] => true,
        _ => false,
    }
}

/// Reads all events of a JSON document, in the order they are in.
pub(crate) fn read(text: &str) -> Result<Vec<RecordedEvent>, ImportError> {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    let document = serde_json::from_str(text).map_err(|error| ImportError::Json {
        line: error.line(),
        column: error.column(),
        reason: without_place(&error),
    })?;
    let events = gather(document)?;
    if let Some((event, reason)) = events.iter().find_map(|it| Some((it, cadence_trait(it)?))) {
        return Err(ImportError::Cadence { at: event.at.clone(), reason });
    }
    events.into_iter().map(read_event).collect()
}

/// What the parser says, without the line and column we tell ourselves.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

fn read_event(event: RawEvent) -> Result<RecordedEvent, ImportError> {
    let schema = Schema::get()?;
    let mut place = Place { id: id_of(&event.fields), at: event.at };
    let value = normalise::message(&schema.event, Value::Object(event.fields), &mut place)?;
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(value, &mut track);
    let options = Default::default();
    let message = DynamicMessage::deserialize_with_options(schema.event.clone(), tracked, &options);
    match message {
        Ok(message) => RecordedEvent::from_message(message, &place.at),
        Err(error) => {
            let at = format!("{}.{}", place.at, track.path());
            Err(ImportError::Field { at, id: place.id, reason: error.to_string() })
        }
    }
}

/// The event's id before anything is checked, only to name the event in errors.
fn id_of(fields: &Map<String, Value>) -> i64 {
    match fields.get("eventId").or_else(|| fields.get("event_id")) {
        Some(Value::String(text)) => text.parse().unwrap_or_default(),
        Some(value) => value.as_i64().unwrap_or_default(),
        None => 0,
    }
}

/// Writes events as an indented document.
pub(crate) fn write(events: &[RecordedEvent]) -> Result<String, ExportError> {
    let events = events.iter().map(|event| serde_json::to_value(event.message()));
    let events = events.collect::<Result<Vec<_>, _>>()?;
    let mut document = Value::Object(Map::from_iter([("events".to_owned(), events.into())]));
    // Maps come in the order of a hash map otherwise.
    document.sort_all_objects();
    Ok(serde_json::to_string_pretty(&document)?)
}
