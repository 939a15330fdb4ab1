//! Canonical protobuf: fields by number, map entries by key.
//!
//! `prost-reflect` writes map entries in the order of a hash map, which differs from run to run.

use prost_reflect::prost::Message;
use prost_reflect::prost::encoding::{
    WireType, bytes, encode_key, encode_varint, int32, int64, string,
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, UnknownField, Value};

/// A field of a message: one we know, or one of a newer API, kept as it came.
enum Field<'a> {
    Known(FieldDescriptor, &'a Value),
    Unknown(&'a UnknownField),
}

/// The canonical bytes of `message`.
pub(crate) fn encode_message(message: &DynamicMessage) -> Vec<u8> {
    let known = message.fields().map(|(field, value)| (field.number(), Field::Known(field, value)));
    let unknown = message.unknown_fields().map(|field| (field.number(), Field::Unknown(field)));
    let mut fields: Vec<_> = known.chain(unknown).collect();
    fields.sort_by_key(|(number, _)| *number);

    let mut out = Vec::new();
    for (_, field) in fields {
        match field {
            Field::Known(field, value) => put_field(&field, value, &mut out),
            Field::Unknown(field) => field.encode(&mut out),
        }
    }
    out
}

/// Writes `message` as field `number`.
pub(crate) fn put_message(number: u32, message: &DynamicMessage, out: &mut Vec<u8>) {
    put_encoded(number, &encode_message(message), out);
}

/// Writes an encoded message as field `number`.
pub(crate) fn put_encoded(number: u32, message: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(message.len() as u64, out);
    out.extend_from_slice(message);
}

fn put_field(field: &FieldDescriptor, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Message(message) => put_message(field.number(), message, out),
        Value::List(list) if field.kind().as_message().is_some() => {
            for item in list {
                put_field(field, item, out);
            }
        }
        Value::Map(map) => {
            let mut entries: Vec<(&MapKey, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            for (key, value) in entries {
                put_entry(field, key, value, out);
            }
        }
        Value::String(text) => string::encode(field.number(), text, out),
        Value::Bytes(data) => bytes::encode(field.number(), data, out),
        Value::EnumNumber(number) => int32::encode(field.number(), number, out),
        Value::I64(number) if field.kind() == Kind::Int64 => {
            int64::encode(field.number(), number, out);
        }
        // What is rare has one encoding only, too.
        plain => {
            let mut message = DynamicMessage::new(field.parent_message().clone());
            message.set_field(field, plain.clone());
            out.extend(message.encode_to_vec());
        }
    }
}

/// Writes one map entry, as the message of key and value it is on the wire.
fn put_entry(field: &FieldDescriptor, key: &MapKey, value: &Value, out: &mut Vec<u8>) {
    let kind = field.kind();
    let Some(desc) = kind.as_message() else { return };
    let mut entry = DynamicMessage::new(desc.clone());
    entry.set_field(&desc.map_entry_key_field(), Value::from(key.clone()));
    entry.set_field(&desc.map_entry_value_field(), value.clone());
    put_message(field.number(), &entry, out);
}
