//! Fields that JSON names and this version of Temporal's API does not have.
//!
//! They have no number, so they are kept in the message as a field whose number protobuf sets
//! aside: their name and value, as they are written. Other readers skip it.

use prost_reflect::prost::Message;
use prost_reflect::prost::encoding::{WireType, bytes, decode_key};
use prost_reflect::{DynamicMessage, UnknownField};
use serde_json::value::RawValue;

use super::payload::quoted;
use super::raw::compact;

/// The number of a field with `"name":value` in it.
const KEPT: u32 = 19_001;

/// Adds a field to those that are kept with `message`.
pub(super) fn keep(
    message: &mut DynamicMessage,
    name: &str,
    value: &RawValue,
) -> Result<(), String> {
    let mut field = Vec::new();
    let text = format!("{}:{}", quoted(name), compact(value));
    bytes::encode(KEPT, &text.into_bytes(), &mut field);
    message.merge(field.as_slice()).map_err(|error| error.to_string())
}

/// Name and value of a field that was kept; none for any other field.
pub(crate) fn kept(field: &UnknownField) -> Option<(String, String)> {
    if (field.number(), field.wire_type()) != (KEPT, WireType::LengthDelimited) {
        return None;
    }
    let mut encoded = Vec::new();
    field.encode(&mut encoded);
    let mut rest = encoded.as_slice();
    decode_key(&mut rest).ok()?;
    prost_reflect::prost::encoding::decode_varint(&mut rest).ok()?;
    let text = format!("{{{}}}", str::from_utf8(rest).ok()?);
    let raw = RawValue::from_string(text).ok()?;
    match super::raw::fields(&raw)?.as_slice() {
        [(name, value)] => Some((name.clone(), value.get().to_owned())),
        _ => None,
    }
}
