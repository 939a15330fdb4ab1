//! From messages to proto3 JSON, indented, with its keys in the order of the alphabet.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, Value};

use super::keep::kept;
use super::payload::{is_payload, quoted};
use crate::{ExportError, RecordedEvent};

const PAYLOAD: &str = "temporal.api.common.v1.Payload";
const STEP: &str = "  ";

/// Writes events as a document.
pub(crate) fn write(events: &[RecordedEvent]) -> Result<String, ExportError> {
    let mut out = Writer { out: String::new(), indent: 0, id: 0 };
    let events = events.iter().map(Part::Event).collect();
    out.object(vec![("events".to_owned(), Part::List(events))])?;
    Ok(out.out)
}

/// What is still to be written.
enum Part<'m> {
    /// JSON, as it is.
    Raw(String),
    Event(&'m RecordedEvent),
    Message(&'m DynamicMessage),
    List(Vec<Part<'m>>),
    Object(Vec<(String, Part<'m>)>),
}

struct Writer {
    out: String,
    indent: usize,
    /// The event that is written, for errors.
    id: i64,
}

impl Writer {
    fn part(&mut self, part: Part<'_>) -> Result<(), ExportError> {
        match part {
            Part::Raw(text) => self.out.push_str(&text),
            Part::Event(event) => {
                self.id = event.id();
                // A copy: what is decoded of it goes with it.
                self.message(event.clone().message())?;
            }
            Part::Message(message) => self.message(message)?,
            Part::List(parts) => self.among('[', ']', parts, Self::part)?,
            Part::Object(fields) => self.object(fields)?,
        }
        Ok(())
    }

    fn message(&mut self, message: &DynamicMessage) -> Result<(), ExportError> {
        let desc = message.descriptor();
        let unnamed = message.unknown_fields().find(|field| kept(field).is_none());
        if let Some(field) = unnamed {
            return Err(ExportError::Unnamed { id: self.id, field: field.number() });
        }
        if desc.package_name() == "google.protobuf" {
            self.out.push_str(&serde_json::to_string(message)?);
            return Ok(());
        }
        let mut fields: Vec<(String, Part<'_>)> = message
            .fields()
            .map(|(field, value)| (field.json_name().to_owned(), part_of(&field.kind(), value)))
            .collect();
        let kept = message.unknown_fields().filter_map(kept);
        fields.extend(kept.map(|(name, value)| (name, Part::Raw(value))));
        if desc.full_name() == PAYLOAD && !is_payload(message) {
            // As an object of all its fields it is taken for nothing but a payload.
            for (name, empty) in [("metadata", "{}"), ("data", "\"\""), ("externalPayloads", "[]")]
            {
                if fields.iter().all(|(it, _)| it != name) {
                    fields.push((name.to_owned(), Part::Raw(empty.to_owned())));
                }
            }
        }
        self.object(fields)
    }

    fn object(&mut self, mut fields: Vec<(String, Part<'_>)>) -> Result<(), ExportError> {
        fields.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.among('{', '}', fields, |it, (name, part)| {
            it.out.push_str(&quoted(&name));
            it.out.push_str(": ");
            it.part(part)
        })
    }

    /// Writes `items`, a line each.
    fn among<T>(
        &mut self,
        open: char,
        close: char,
        items: Vec<T>,
        write: impl Fn(&mut Self, T) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        self.out.push(open);
        let none = items.is_empty();
        self.indent += 1;
        for (index, item) in items.into_iter().enumerate() {
            self.out.push_str(if index == 0 { "\n" } else { ",\n" });
            self.out.extend(std::iter::repeat_n(STEP, self.indent));
            write(self, item)?;
        }
        self.indent -= 1;
        if !none {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(STEP, self.indent));
        }
        self.out.push(close);
        Ok(())
    }
}

fn part_of<'m>(kind: &Kind, value: &'m Value) -> Part<'m> {
    match value {
        Value::Message(message) => Part::Message(message),
        Value::List(items) => Part::List(items.iter().map(|it| part_of(kind, it)).collect()),
        Value::Map(map) => {
            let kind = kind.as_message().map(|entry| entry.map_entry_value_field().kind());
            let entries = map
                .iter()
                .filter_map(|(key, value)| Some((key_text(key), part_of(kind.as_ref()?, value))));
            Part::Object(entries.collect())
        }
        scalar => Part::Raw(scalar_text(kind, scalar)),
    }
}

fn scalar_text(kind: &Kind, value: &Value) -> String {
    let float = |number: f64| match number {
        _ if number.is_nan() => "\"NaN\"".to_owned(),
        f64::INFINITY => "\"Infinity\"".to_owned(),
        f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
        _ => serde_json::Value::from(number).to_string(),
    };
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::I32(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        // More digits than a number of JavaScript has.
        Value::I64(number) => format!("\"{number}\""),
        Value::U64(number) => format!("\"{number}\""),
        Value::F32(number) => float(f64::from(*number)),
        Value::F64(number) => float(*number),
        Value::String(text) => quoted(text),
        Value::Bytes(bytes) => format!("\"{}\"", STANDARD.encode(bytes)),
        Value::EnumNumber(number) => {
            let named = kind.as_enum().and_then(|desc| desc.get_value(*number));
            named.map_or(number.to_string(), |value| quoted(value.name()))
        }
        Value::Message(_) | Value::List(_) | Value::Map(_) => String::new(),
    }
}

fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}
