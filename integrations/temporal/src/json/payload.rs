//! Payloads in all the forms in which Temporal's tools write them.
//!
//! What stands where a payload is expected is one of these, tried in this order:
//!
//! 1. A payload in **text**, as Temporal's UI saves it: an object of nothing but a payload's fields
//!    whose metadata names its encoding by a media type, such as `json/plain`. All metadata is text
//!    then, and the data is JSON, which is encoded again as it is written. (The base64 of a media
//!    type has no slash in it, so the two are never confused.)
//! 2. A payload in **base64**, as servers and SDKs write it: metadata and data both. An older UI
//!    put the note `encodingDecoded` beside the encoding, and left the data in base64 or decoded
//!    it: a string that is the base64 of JSON was left.
//! 3. **Plain JSON**, for a payload of just that JSON text, as SDKs write it.
//!
//! An object whose metadata names an encoding in either way is meant to be a payload, and refused
//! if the rest of it does not read as one. Without that it is a payload if it has metadata and data
//! and all of it is base64, which is the rule of Temporal's own reader.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, MapKey};
use serde_json::value::RawValue;

use super::raw::{compact, fields, is_null, string};
use super::scalar::base64;

const MESSAGE_TYPE: &str = "_protoMessageType";
const NOTE: &str = "encodingDecoded";
const NOTHING: &str = "binary/null";

/// What a payload consists of.
#[derive(Default)]
pub(super) struct Payload<'a> {
    pub(super) metadata: Vec<(String, Vec<u8>)>,
    pub(super) data: Vec<u8>,
    pub(super) external: Option<&'a RawValue>,
}

/// Reads the value of a payload.
pub(super) fn read(raw: &RawValue) -> Result<Payload<'_>, String> {
    let Some(fields) = fields(raw) else { return Ok(plain(raw)) };
    match Parts::of(&fields) {
        Some(parts) => Ok(parts.payload()?.unwrap_or_else(|| plain(raw))),
        None => Ok(message(&fields).unwrap_or_else(|| plain(raw))),
    }
}

/// A payload of the JSON text itself.
fn plain(raw: &RawValue) -> Payload<'_> {
    match is_null(raw) {
        true => made("encoding", NOTHING, ""),
        false => made("encoding", "json/plain", &compact(raw)),
    }
}

/// A payload of a protobuf message as JSON, which names its type beside its own fields.
fn message<'a>(fields: &[(String, &'a RawValue)]) -> Option<Payload<'a>> {
    let name = fields.iter().find(|(key, _)| key == MESSAGE_TYPE);
    let name = name.and_then(|(_, name)| string(name)).filter(|name| !name.is_empty())?;
    let rest = fields.iter().filter(|(key, _)| key != MESSAGE_TYPE);
    let rest = rest.map(|(key, value)| format!("{}:{}", quoted(key), compact(value)));
    let data = format!("{{{}}}", rest.collect::<Vec<_>>().join(","));
    let mut payload = made("encoding", "json/protobuf", &data);
    payload.metadata.push(("messageType".to_owned(), name.into_bytes()));
    Some(payload)
}

/// `text` as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn made<'a>(key: &str, value: &str, data: &str) -> Payload<'a> {
    let metadata = vec![(key.to_owned(), value.as_bytes().to_vec())];
    Payload { metadata, data: data.as_bytes().to_vec(), external: None }
}

/// An object of nothing but the fields of a payload.
#[derive(Default)]
struct Parts<'a> {
    metadata: Option<Vec<(String, &'a RawValue)>>,
    data: Option<&'a RawValue>,
    external: Option<&'a RawValue>,
}

impl<'a> Parts<'a> {
    fn of(fields: &[(String, &'a RawValue)]) -> Option<Self> {
        let mut parts = Parts::default();
        for (key, value) in fields {
            match key.as_str() {
                "metadata" => parts.metadata = Some(self::fields(value)?),
                "data" => parts.data = Some(*value),
                "externalPayloads" | "external_payloads" => parts.external = Some(*value),
                _ => return None,
            }
        }
        parts.metadata.is_some().then_some(parts)
    }

    /// The payload, if it is one.
    fn payload(&self) -> Result<Option<Payload<'a>>, String> {
        let text = self.text("encoding").unwrap_or_default();
        if is_media_type(&text) {
            return self.of_text(&text).map(Some);
        }
        let encoding = base64(&text).and_then(|it| String::from_utf8(it).ok());
        let payload = self.of_base64(encoding.as_deref().unwrap_or_default());
        if encoding.as_deref().is_some_and(is_media_type) {
            return payload.map(Some);
        }
        // Nobody else names all three fields; it is how this crate writes a payload without metadata.
        let explicit = self.data.is_some() && self.external.is_some();
        let reads = |it: &Payload<'_>| explicit || !it.metadata.is_empty() && !it.data.is_empty();
        Ok(payload.ok().filter(reads).filter(|_| explicit || self.is_padded()))
    }

    fn text(&self, key: &str) -> Option<String> {
        let mut metadata = self.metadata.iter().flatten();
        metadata.find(|(it, _)| it == key).and_then(|(_, value)| string(value))
    }

    fn of_text(&self, encoding: &str) -> Result<Payload<'a>, String> {
        let mut payload = Payload { external: self.external, ..Payload::default() };
        for (key, value) in self.metadata.iter().flatten() {
            let text = string(value).ok_or(format!("the metadata {key:?} is not text"))?;
            if key != NOTE || text != encoding {
                payload.metadata.push((key.clone(), text.into_bytes()));
            }
        }
        payload.data = self.json(encoding)?;
        Ok(payload)
    }

    fn of_base64(&self, encoding: &str) -> Result<Payload<'a>, String> {
        let mut payload = Payload { external: self.external, ..Payload::default() };
        let noted = self.text(NOTE).is_some_and(|note| note == encoding);
        for (key, value) in self.metadata.iter().flatten().filter(|(key, _)| !noted || key != NOTE)
        {
            let bytes = string(value).and_then(|text| base64(&text));
            let bytes = bytes.ok_or(format!("the metadata {key:?} is not base64"))?;
            payload.metadata.push((key.clone(), bytes));
        }
        let Some(data) = self.data.filter(|data| !is_null(data)) else { return Ok(payload) };
        let bytes = string(data).and_then(|text| base64(&text));
        let is_json = |bytes: &Vec<u8>| serde_json::from_slice::<&RawValue>(bytes).is_ok();
        payload.data = match bytes {
            Some(bytes) if !noted || !encoding.starts_with("json/") || is_json(&bytes) => bytes,
            _ if noted => self.json(encoding)?,
            _ => return Err(format!("the data of a {encoding} payload is not base64")),
        };
        Ok(payload)
    }

    /// The data of a payload whose data was decoded: JSON, as it is written.
    fn json(&self, encoding: &str) -> Result<Vec<u8>, String> {
        let Some(data) = self.data else { return Ok(vec![]) };
        let is_string = string(data);
        if encoding == NOTHING && (is_null(data) || is_string.as_deref() == Some("")) {
            return Ok(vec![]);
        }
        // The UI decodes what reads as JSON, whatever its encoding; what does not stays in base64.
        let in_doubt =
            !encoding.starts_with("json/") && is_string.is_some_and(|it| base64(&it).is_some());
        if encoding == NOTHING || in_doubt {
            return Err(format!("the data of a {encoding} payload may be text or base64"));
        }
        Ok(compact(data).into_bytes())
    }

    /// Whether all of it is base64 as every known tool writes it, which words hardly ever are.
    fn is_padded(&self) -> bool {
        let values = self.metadata.iter().flatten().map(|(_, value)| value).chain(&self.data);
        values.filter_map(|value| string(value)).all(|text| STANDARD.decode(text).is_ok())
    }
}

/// Whether `text` is such as `json/plain`.
fn is_media_type(text: &str) -> bool {
    // Some tools encode a line feed with it.
    let text = text.trim_ascii_end();
    let is_word = |word: &str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|it| it.is_ascii_alphabetic())
            && letters.all(|it| it.is_ascii_alphanumeric() || ".+-_".contains(it))
    };
    text.split_once('/').is_some_and(|(kind, name)| is_word(kind) && is_word(name))
}

/// Whether a payload reads as one when it is written in base64.
pub(super) fn is_payload(message: &DynamicMessage) -> bool {
    let metadata = message.get_field_by_name("metadata");
    let metadata = metadata.as_ref().and_then(|it| it.as_map());
    let encoding = metadata.and_then(|it| it.get(&MapKey::String("encoding".to_owned())));
    let encoding = encoding.and_then(|it| str::from_utf8(it.as_bytes()?).ok());
    let has_data = message.has_field_by_name("data");
    encoding.is_some_and(is_media_type) || has_data && metadata.is_some_and(|it| !it.is_empty())
}
