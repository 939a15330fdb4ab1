//! Between a Temporal event and a kinlog event.
//!
//! What a typed body can hold is moved out of the message into the body, exactly or not at all;
//! the rest of the message, as protobuf, is the kinlog payload. Putting the body back into the
//! payload gives the message again, field for field.

mod body;
mod path;
mod read;
mod run;
mod slot;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use path::{find, put, resolve};
pub(crate) use read::event_of;
pub use run::Run;
pub use write::NewRecord;

/// Written before a payload that lacks fields which its body has: a bit for each.
///
/// Protobuf keeps this field number for itself, so it is in no message; and since it is written
/// as a field, the payload is still a valid `HistoryEvent`.
const ABSENT: u32 = 19_000;

/// The bit of `event_id`; the fields of a body follow in their order.
const EVENT_ID_BIT: u32 = 1;
