//! Fields that stand beside the events of a history: a newer server's, of which nothing is known.
//!
//! A store has events only, so they are kept in the event before them, as a field whose number
//! protobuf sets aside, and taken out again when the history is written.

use prost_reflect::prost::Message;
use prost_reflect::prost::encoding::{bytes, decode_key, decode_varint};
use prost_reflect::{DynamicMessage, UnknownField};

/// The number of a field with encoded fields in it.
const BESIDE: u32 = 19_002;

/// Keeps encoded fields in the event before them.
pub(crate) fn keep_beside(event: &mut DynamicMessage, fields: &[u8]) -> Result<(), String> {
    let mut field = Vec::new();
    bytes::encode(BESIDE, &fields.to_vec(), &mut field);
    event.merge(field.as_slice()).map_err(|error| error.to_string())
}

/// Takes the fields that are kept in an event out of it; none if there are none.
pub(crate) fn take_beside(event: &DynamicMessage) -> Option<(DynamicMessage, Vec<u8>)> {
    event.unknown_fields().find(|field| field.number() == BESIDE)?;
    let mut event = event.clone();
    let (mut beside, mut others) = (Vec::new(), Vec::new());
    for field in event.take_unknown_fields() {
        match (field.number() == BESIDE).then(|| content(&field)).flatten() {
            Some(content) => beside.extend(content),
            None => field.encode(&mut others),
        }
    }
    event.merge(others.as_slice()).ok()?;
    Some((event, beside))
}

fn content(field: &UnknownField) -> Option<Vec<u8>> {
    let mut encoded = Vec::new();
    field.encode(&mut encoded);
    let mut rest = encoded.as_slice();
    decode_key(&mut rest).ok()?;
    decode_varint(&mut rest).ok()?;
    Some(rest.to_vec())
}
