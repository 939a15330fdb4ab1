//! duroxide's events as payloads of kinlog's.
//!
//! What a run says anyway is not said again: instance, execution and time. The rest is a JSON array. An event that
//! says something else than its run is a JSON object, whole.

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

/// Encodes an event of an execution.
pub(crate) fn encode(event: &Event, instance: &str, execution: u64) -> Result<Encoded> {
    let fits = event.instance_id == instance && event.execution_id == execution;
    let time = clock::timestamp(event.timestamp_ms);
    let payload = match time.is_some() && fits {
        true => {
            let head = (event.event_id, event.source_event_id, &event.duroxide_version);
            serde_json::to_vec(&(head.0, head.1, head.2, &event.kind))?
        }
        false => serde_json::to_vec(event)?,
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
            let (event_id, source_event_id, duroxide_version, kind): (_, _, _, EventKind) =
                serde_json::from_slice(payload)?;
            Ok(Some(Event {
                event_id,
                source_event_id,
                instance_id: instance.to_owned(),
                execution_id: execution,
                timestamp_ms: clock::millis(event.time()),
                duroxide_version,
                kind,
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
        _ => {
            type Head = (u64, IgnoredAny, IgnoredAny, IgnoredAny);
            serde_json::from_slice::<Head>(payload).ok().map(|head| head.0)
        }
    }
}
