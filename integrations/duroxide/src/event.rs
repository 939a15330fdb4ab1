//! duroxide's events as payloads of kinlog's.
//!
//! What a run says anyway is not said again: instance, execution and time. The rest is a JSON array of id, kind,
//! source and version, of which the last ones are left out where they say nothing. An event that says something
//! else than its run is a JSON object, whole.

use duroxide::{Event, EventKind};
use kinlog::Timestamp;
use serde::de::IgnoredAny;

use crate::clock;
use crate::error::Result;

/// An event of an execution: what is written, and when it happened.
pub(crate) struct Encoded {
    pub(crate) id: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) time: Timestamp,
}

/// What an event says that its run does not.
#[derive(serde::Deserialize)]
struct Said<Kind = EventKind> {
    id: u64,
    kind: Kind,
    #[serde(default)]
    source: Option<u64>,
    #[serde(default)]
    version: Option<String>,
}

/// The version of duroxide that is left out. It belongs to the format, and never changes.
const VERSION: &str = "0.1.32";

/// Encodes an event of an execution.
pub(crate) fn encode(event: &Event, instance: &str, execution: u64) -> Result<Encoded> {
    let fits = event.instance_id == instance && event.execution_id == execution;
    let time = clock::timestamp(event.timestamp_ms);
    let (id, kind, source) = (event.event_id, &event.kind, event.source_event_id);
    let payload = match event.duroxide_version.as_str() {
        _ if time.is_none() || !fits => serde_json::to_vec(event)?,
        VERSION if source.is_none() => serde_json::to_vec(&(id, kind))?,
        VERSION => serde_json::to_vec(&(id, kind, source))?,
        version => serde_json::to_vec(&(id, kind, source, version))?,
    };
    Ok(Encoded { id: event.event_id, payload, time: time.unwrap_or_default() })
}

/// Decodes an event; `None` if it is one of kinlog's own.
pub(crate) fn decode(
    event: &kinlog::Event<'_>,
    instance: &str,
    execution: u64,
) -> Result<Option<Event>> {
    match event.payload() {
        [] => Ok(None),
        whole @ [b'{', ..] => Ok(Some(serde_json::from_slice(whole)?)),
        payload => {
            let said: Said = serde_json::from_slice(payload)?;
            Ok(Some(Event {
                event_id: said.id,
                source_event_id: said.source,
                instance_id: instance.to_owned(),
                execution_id: execution,
                timestamp_ms: clock::millis(event.time()),
                duroxide_version: said.version.unwrap_or_else(|| VERSION.to_owned()),
                kind: said.kind,
            }))
        }
    }
}

/// The id of an event, without decoding the rest; `None` if there is none or if it cannot be read.
pub(crate) fn id(payload: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Whole {
        event_id: u64,
    }
    match payload {
        [b'{', ..] => serde_json::from_slice::<Whole>(payload).ok().map(|whole| whole.event_id),
        _ => serde_json::from_slice::<Said<IgnoredAny>>(payload).ok().map(|said| said.id),
    }
}
