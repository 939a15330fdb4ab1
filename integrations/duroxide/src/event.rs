//! duroxide's events as payloads of kinlog's.
//!
//! What a run says anyway is not said again: instance, execution and time. The rest is the version of duroxide,
//! the event's id, the id that it refers to, and the kind as JSON. An event that says something else than its
//! run is kept as JSON, whole.

use duroxide::{Event, EventKind};
use kinlog::Timestamp;

use crate::clock;

/// The first byte of an event kept whole; the length of a version is shorter.
const WHOLE: u8 = b'{';

/// An event of an execution: what is written, and when it happened.
pub(crate) struct Encoded {
    pub(crate) id: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) time: Timestamp,
}

/// Encodes an event of an execution.
pub(crate) fn encode(
    event: &Event,
    instance: &str,
    execution: u64,
) -> Result<Encoded, serde_json::Error> {
    let id = event.event_id;
    let version = event.duroxide_version.as_bytes();
    let length = u8::try_from(version.len()).ok().filter(|length| *length < WHOLE);
    let fits = event.instance_id == instance && event.execution_id == execution;
    match (length, clock::timestamp(event.timestamp_ms)) {
        (Some(length), Some(time)) if fits => {
            let mut payload = vec![length];
            payload.extend_from_slice(version);
            put_number(&mut payload, id);
            put_number(&mut payload, event.source_event_id.map_or(0, |id| id.saturating_add(1)));
            serde_json::to_writer(&mut payload, &event.kind)?;
            Ok(Encoded { id, payload, time })
        }
        (_, time) => {
            let time = time.unwrap_or_default();
            Ok(Encoded { id, payload: serde_json::to_vec(event)?, time })
        }
    }
}

/// Decodes an event; `None` if there is none, as where kinlog wrote an event of its own. What is wrong, in words.
pub(crate) fn decode(
    event: &kinlog::Event<'_>,
    instance: &str,
    execution: u64,
) -> Option<Result<Event, String>> {
    let payload = event.payload();
    if payload.is_empty() {
        return None;
    }
    if payload.starts_with(&[WHOLE]) {
        return Some(serde_json::from_slice(payload).map_err(|e| e.to_string()));
    }
    let Some((head, kind)) = head(payload) else {
        return Some(Err("the event has no head".to_owned()));
    };
    let kind = serde_json::from_slice::<EventKind>(kind).map_err(|e| e.to_string());
    Some(kind.map(|kind| Event {
        event_id: head.id,
        source_event_id: head.source,
        instance_id: instance.to_owned(),
        execution_id: execution,
        timestamp_ms: clock::of(event.time()),
        duroxide_version: head.version.to_owned(),
        kind,
    }))
}

/// The id of an event, without decoding the rest; `None` if there is none or if it cannot be read.
pub(crate) fn id(payload: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Whole {
        event_id: u64,
    }
    match payload.first()? {
        &WHOLE => serde_json::from_slice::<Whole>(payload).ok().map(|event| event.event_id),
        _ => Some(head(payload)?.0.id),
    }
}

struct Head<'a> {
    version: &'a str,
    id: u64,
    source: Option<u64>,
}

/// The head, and the kind as JSON.
fn head(payload: &[u8]) -> Option<(Head<'_>, &[u8])> {
    let (length, rest) = payload.split_first()?;
    let (version, rest) = rest.split_at_checked(usize::from(*length))?;
    let (id, rest) = take_number(rest)?;
    let (source, rest) = take_number(rest)?;
    let version = std::str::from_utf8(version).ok()?;
    Some((Head { version, id, source: source.checked_sub(1) }, rest))
}

/// Seven bits a byte, the lowest ones first; the eighth says that more follow.
fn put_number(buffer: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        buffer.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    buffer.push(number as u8);
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let last = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)?;
    let (number, rest) = bytes.split_at_checked(last + 1)?;
    let number = number.iter().rev().fold(0_u64, |sum, byte| sum << 7 | u64::from(byte & 0x7f));
    Some((number, rest))
}
