//! Payloads in shorthand: plain JSON where a `Payload` message is expected.
//!
//! Temporal's SDKs and UI write `"payloads": [5]` for a payload of the JSON text `5`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::MessageDescriptor;
use serde_json::{Map, Value, json};

const PAYLOAD: &str = "temporal.api.common.v1.Payload";
const PAYLOADS: &str = "temporal.api.common.v1.Payloads";
const MESSAGE_TYPE: &str = "_protoMessageType";
const DECODED: &str = "encodingDecoded";

/// Spells a payload or list of payloads out, and leaves everything else alone.
pub(crate) fn spell_out(desc: &MessageDescriptor, value: Value) -> Value {
    match (desc.full_name(), value) {
        (PAYLOAD, value) if !is_payload(desc, &value) => payload_of(value),
        (PAYLOAD, Value::Object(fields)) => Value::Object(encode_again(fields)),
        (PAYLOADS, Value::Array(payloads)) => json!({ "payloads": payloads }),
        (_, value) => value,
    }
}

/// Whether nothing but the fields of a payload is there.
fn is_payload(desc: &MessageDescriptor, value: &Value) -> bool {
    let known = |key: &String| {
        desc.get_field_by_json_name(key).or_else(|| desc.get_field_by_name(key)).is_some()
    };
    value.as_object().is_some_and(|fields| fields.keys().all(known))
}

fn payload_of(value: Value) -> Value {
    match value {
        Value::Null => payload(&[("encoding", "binary/null")], None),
        Value::Object(mut fields) => match fields.remove(MESSAGE_TYPE) {
            Some(Value::String(name)) => {
                let metadata = [("encoding", "json/protobuf"), ("messageType", name.as_str())];
                payload(&metadata, Some(Value::Object(fields)))
            }
            other => {
                fields.extend(other.map(|value| (MESSAGE_TYPE.to_owned(), value)));
                payload(&[("encoding", "json/plain")], Some(Value::Object(fields)))
            }
        },
        plain => payload(&[("encoding", "json/plain")], Some(plain)),
    }
}

/// Encodes the data of a payload that Temporal's UI decoded to show it, which it notes down.
fn encode_again(mut fields: Map<String, Value>) -> Map<String, Value> {
    let is_decoded = fields.get("metadata").is_some_and(|metadata| {
        let noted = metadata.get(DECODED).and_then(Value::as_str).unwrap_or_default();
        noted.starts_with("json/") && metadata.get("encoding") == Some(&base64(noted))
    });
    if let Some(data) = fields.get_mut("data").filter(|_| is_decoded) {
        *data = base64(&data.to_string());
    }
    fields
}

fn base64(text: &str) -> Value {
    Value::String(STANDARD.encode(text))
}

fn payload(metadata: &[(&str, &str)], data: Option<Value>) -> Value {
    let metadata: Map<String, Value> =
        metadata.iter().map(|(key, text)| ((*key).to_owned(), base64(text))).collect();
    match data {
        Some(data) => json!({ "metadata": metadata, "data": base64(&data.to_string()) }),
        None => json!({ "metadata": metadata }),
    }
}
