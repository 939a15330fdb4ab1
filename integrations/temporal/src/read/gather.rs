//! Finds the events in JSON, whatever it wraps them in, while it is read.

use std::fmt;
use std::io::BufRead;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::source::own_error;
use super::split::Histories;
use super::{Stop, Unknown};
use crate::ImportError;
use crate::json::{RawEvent, cadence_trait, read_event, strip_place};

/// What stands for a history in an object: its events, a history, or the batches of an archive.
const WRAPPERS: [&str; 3] = ["events", "history", "body"];
const OF_EVENTS: [&str; 4] = ["eventId", "event_id", "eventType", "event_type"];

/// Reads the JSON documents in `input`, of which there may be one a line.
pub(super) fn read(
    input: impl BufRead,
    unknown: Unknown,
    histories: &mut Histories<'_>,
) -> Result<(), Stop> {
    let mut json = serde_json::Deserializer::from_reader(input);
    let mut reading = Reading { histories, unknown, at: String::new(), stop: None };
    for document in 1.. {
        if document > 1 {
            if json.end().is_ok() {
                break;
            }
            reading.at = format!("document {document}");
        }
        reading.histories.begin_part();
        let read = Value { reading: &mut reading, is_item: true }.deserialize(&mut json);
        match (reading.stop.take(), read) {
            (Some(stop), _) => return Err(stop),
            (None, Err(error)) => return Err(json_error(error).into()),
            (None, Ok(_)) => {}
        }
    }
    Ok(())
}

fn json_error(error: serde_json::Error) -> ImportError {
    if error.is_io() {
        return own_error(error.into());
    }
    let (line, column, reason) = (error.line(), error.column(), strip_place(&error));
    ImportError::Json { line, column, reason }
}

/// Where the reading is, and where events go.
struct Reading<'r, 'e> {
    histories: &'r mut Histories<'e>,
    unknown: Unknown,
    at: String,
    /// Why it ended, if not because of the JSON itself.
    stop: Option<Stop>,
}

impl Reading<'_, '_> {
    /// Ends the reading for a reason of its own.
    fn stop<E: de::Error>(&mut self, stop: impl Into<Stop>) -> E {
        self.stop = Some(stop.into());
        E::custom("ended")
    }

    fn not_a_history<E: de::Error>(&mut self, found: &str) -> E {
        let at = if self.at.is_empty() { "the document".to_owned() } else { self.at.clone() };
        let found = found.chars().take(200).collect();
        self.stop(ImportError::NotAHistory { at, found })
    }

    fn event<E: de::Error>(&mut self, fields: Vec<(String, Box<RawValue>)>) -> Result<(), E> {
        let at = if self.at.is_empty() { "the document".to_owned() } else { self.at.clone() };
        let event = RawEvent { at, fields };
        if let Some(reason) = cadence_trait(&event) {
            return Err(self.stop(ImportError::Cadence { at: event.at, reason }));
        }
        let event = read_event(&event, self.unknown).map_err(|error| self.stop(error))?;
        self.histories.add(event).map_err(|stop| self.stop(stop))
    }
}

/// A value in which there are events; says whether there is anything.
struct Value<'v, 'r, 'e> {
    reading: &'v mut Reading<'r, 'e>,
    /// It stands in a list, or on a line, where there may be an event without anything around it.
    is_item: bool,
}

impl<'r, 'e> Value<'_, 'r, 'e> {
    fn within(&mut self, step: &str, is_item: bool) -> (usize, Value<'_, 'r, 'e>) {
        let len = self.reading.at.len();
        self.reading.at.push_str(step);
        (len, Value { reading: self.reading, is_item })
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a history")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<bool, A::Error> {
        self.reading.histories.begin_part();
        for index in 0.. {
            let (len, item) = self.within(&format!("[{index}]"), true);
            let found = items.next_element_seed(item)?;
            self.reading.at.truncate(len);
            match found {
                None => break,
                Some(true) => {}
                Some(false) => return Err(self.reading.not_a_history("found null")),
            }
        }
        self.reading.histories.begin_part();
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
        let mut wrapper: Option<String> = None;
        while let Some(key) = map.next_key::<String>()? {
            let is_twice = fields.iter().any(|(other, _)| *other == key);
            if is_twice || wrapper.as_ref() == Some(&key) {
                let found = format!("the key {key:?} is there twice");
                return Err(self.reading.not_a_history(&found));
            }
            if !WRAPPERS.contains(&key.as_str()) {
                fields.push((key, map.next_value()?));
                continue;
            }
            let found = self.inside(&key, &mut map)?;
            if let (true, Some(other)) = (found, &wrapper) {
                let found = format!("found both {other:?} and {key:?}");
                return Err(self.reading.not_a_history(&found));
            }
            wrapper = wrapper.or(found.then_some(key));
        }
        if wrapper.is_none() {
            self.object(fields)?;
        }
        Ok(true)
    }

    fn visit_unit<E: de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: de::Error>(self, found: bool) -> Result<bool, E> {
        Err(self.reading.not_a_history(&format!("found {found}")))
    }

    fn visit_i64<E: de::Error>(self, found: i64) -> Result<bool, E> {
        Err(self.reading.not_a_history(&format!("found {found}")))
    }

    fn visit_u64<E: de::Error>(self, found: u64) -> Result<bool, E> {
        Err(self.reading.not_a_history(&format!("found {found}")))
    }

    fn visit_f64<E: de::Error>(self, found: f64) -> Result<bool, E> {
        Err(self.reading.not_a_history(&format!("found {found}")))
    }

    fn visit_str<E: de::Error>(self, found: &str) -> Result<bool, E> {
        Err(self.reading.not_a_history(&format!("found {found:?}")))
    }
}

impl Value<'_, '_, '_> {
    /// Reads the history that an object has under `key`.
    fn inside<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error> {
        let dot = if self.reading.at.is_empty() { "" } else { "." };
        let (len, value) = self.within(&format!("{dot}{key}"), false);
        let found = map.next_value_seed(value)?;
        self.reading.at.truncate(len);
        Ok(found)
    }

    /// Reads an object that names no history: it is an event, or has a list of whatever name.
    fn object<E: de::Error>(&mut self, mut fields: Vec<(String, Box<RawValue>)>) -> Result<(), E> {
        let is_event = fields.iter().any(|(key, _)| OF_EVENTS.contains(&key.as_str()));
        if is_event && self.is_item {
            return self.reading.event(fields);
        }
        let found = match fields.as_slice() {
            [] => "the object is empty".to_owned(),
            [(_, list)] if list.get().starts_with('[') => {
                let (key, list) = fields.swap_remove(0);
                let dot = if self.reading.at.is_empty() { "" } else { "." };
                let (len, value) = self.within(&format!("{dot}{key}"), false);
                let read = value.deserialize(&mut serde_json::Deserializer::from_str(list.get()));
                self.reading.at.truncate(len);
                return read.map(|_| ()).map_err(E::custom);
            }
            fields => {
                let keys = fields.iter().map(|(key, _)| format!("{key:?}"));
                format!("found an object of {}", keys.collect::<Vec<_>>().join(", "))
            }
        };
        Err(self.reading.not_a_history(&found))
    }
}
