//! Reads the protobuf form, event by event, so that an error can say where it is.

use prost_reflect::DynamicMessage;
use prost_reflect::prost::bytes::Buf;
use prost_reflect::prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, skip_field,
};

use crate::schema::Schema;
use crate::{ImportError, RecordedEvent};

/// The number of `History.events`.
pub(crate) const EVENTS: u32 = 1;

/// Reads all events of a `History`, in the order they are in.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<RecordedEvent>, ImportError> {
    let schema = Schema::get()?;
    let mut events = Vec::new();
    let mut rest = bytes;
    while rest.has_remaining() {
        let offset = bytes.len() - rest.len();
        let index = events.len();
        let broken = |reason: String| ImportError::Protobuf { index, offset, reason };
        if let Some(event) = next_event(&mut rest).map_err(broken)? {
            let message = DynamicMessage::decode(schema.event.clone(), event)
                .map_err(|error| broken(error.to_string()))?;
            events.push(RecordedEvent::from_message(message, &format!("events[{index}]"))?);
        }
    }
    if events.is_empty() && !bytes.is_empty() {
        let found = "found neither JSON nor protobuf with events".to_owned();
        return Err(ImportError::NotAHistory { at: "the file".to_owned(), found });
    }
    Ok(events)
}

/// Takes the next field off `rest`: an event, or none if it is a field of newer servers.
fn next_event<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, String> {
    let (number, wire) = decode_key(rest).map_err(|error| error.to_string())?;
    if number != EVENTS {
        let skipped = skip_field(wire, number, rest, DecodeContext::default());
        return skipped.map(|()| None).map_err(|error| error.to_string());
    }
    if wire != WireType::LengthDelimited {
        return Err(format!("an event cannot have wire type {wire:?}"));
    }
    let len = decode_varint(rest).map_err(|error| error.to_string())?;
    let split = usize::try_from(len).ok().and_then(|len| rest.split_at_checked(len));
    let Some((event, after)) = split else {
        return Err(format!("cut off: {len} bytes should follow, {} do", rest.len()));
    };
    *rest = after;
    Ok(Some(event))
}
