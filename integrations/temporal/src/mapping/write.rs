//! From a Temporal event to a kinlog event.

use kinlog::{Body, EventKind, NewEvent, Timestamp};
use prost_reflect::prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use super::body::{Visit, empty, visit};
use super::path::{clear, find, is_empty, resolve};
use super::slot::Slot;
use super::{ABSENT, EVENT_ID_BIT, Run};
use crate::encode::encode_message;
use crate::event::{UNNAMED, time_nanos};
use crate::schema::Schema;
use crate::{ImportError, RecordedEvent};

/// A Temporal event, ready to be appended.
///
/// It borrows the texts of its body from the event; the payload is its own.
#[derive(Debug, Clone)]
pub struct NewRecord<'a> {
    body: Body<'a>,
    pub(super) time: Timestamp,
    pub(super) payload: Vec<u8>,
}

impl<'a> NewRecord<'a> {
    /// Takes apart the event that becomes number `id` of `run`.
    pub fn new(event: &'a RecordedEvent, id: u32, run: Run<'a>) -> Result<Self, ImportError> {
        let mut rest = event.message().clone();
        if event.kind() != UNNAMED {
            rest.clear_field_by_name("event_type");
        }
        let mut absent = 0;
        if event.id() == i64::from(id) {
            rest.clear_field_by_name("event_id");
        } else if event.id() == 0 {
            absent |= EVENT_ID_BIT;
        }
        let nanos = time_nanos(event.message());
        if nanos.is_some() {
            rest.clear_field_by_name("event_time");
        }
        let mut body = prepared(event.kind(), run);
        absent |= move_attributes(event, &mut body, &mut rest)?;
        let time = Timestamp::from_unix_nanos(nanos.unwrap_or_default());
        Ok(Self { body, time, payload: payload(absent, &rest) })
    }

    /// The kinlog event.
    #[must_use]
    pub fn event(&self) -> NewEvent<'_> {
        NewEvent::new(self.body).payload(&self.payload).at(self.time)
    }

    /// When it happened: 1970 if the event does not say.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The kinlog payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What it says.
    #[must_use]
    pub fn body(&self) -> &Body<'a> {
        &self.body
    }
}

/// The body before the message is read. Only a run's start says more than its message does.
fn prepared<'m>(kind: EventKind, run: Run<'m>) -> Body<'m> {
    let mut body = empty(kind);
    if let Body::WorkflowExecutionStarted(started) = &mut body {
        started.namespace = run.namespace;
        started.workflow_id = run.workflow_id;
        started.run_id = run.run_id;
        started.imported = true;
    }
    body
}

/// Moves what `body` can hold out of `rest`; returns the bits of what it holds beyond that.
fn move_attributes<'m>(
    event: &'m RecordedEvent,
    body: &mut Body<'m>,
    rest: &mut DynamicMessage,
) -> Result<u32, ImportError> {
    let Some(field) = Schema::get()?.attributes(event.event_type()) else { return Ok(0) };
    let Some(desc) = field.kind().as_message().cloned() else { return Ok(0) };
    let name = field.name();
    if let Some(Value::Message(inner)) = find(event.message(), name)
        && let Some(Value::Message(remains)) = rest.get_field_by_name_mut(name)
    {
        visit(body, &mut Take { from: inner, remains });
        if is_empty(remains) && !is_empty(inner) {
            rest.clear_field_by_name(name);
        }
    }
    if let Body::WorkflowExecutionStarted(started) = body
        && started.first_run_id.is_nil()
    {
        started.first_run_id = started.run_id;
    }
    let none = DynamicMessage::new(desc);
    let from = find(event.message(), name).and_then(Value::as_message).unwrap_or(&none);
    let mut count = Count { from, bit: EVENT_ID_BIT, absent: 0 };
    visit(&mut body.clone(), &mut count);
    Ok(count.absent)
}

/// Fills a body; what is filled in already is left alone.
struct Take<'m, 'r> {
    from: &'m DynamicMessage,
    remains: &'r mut DynamicMessage,
}

impl<'m> Visit<'m> for Take<'m, '_> {
    fn visit<S: Slot<'m>>(&mut self, path: &'static str, slot: &mut S) {
        let Some(found) = find(self.from, path).and_then(S::take) else { return };
        if *slot == S::default() {
            *slot = found;
        }
        if *slot == found {
            clear(self.remains, path);
        }
    }
}

/// Notes what a body has and the message does not.
struct Count<'r> {
    from: &'r DynamicMessage,
    bit: u32,
    absent: u32,
}

impl<'m> Visit<'m> for Count<'_> {
    fn visit<S: Slot<'m>>(&mut self, path: &'static str, slot: &mut S) {
        self.bit <<= 1;
        let field = resolve(&self.from.descriptor(), path);
        let has_value = field.is_some_and(|field| slot.value(&field.kind()).is_some());
        if has_value && find(self.from, path).is_none() {
            self.absent |= self.bit;
        }
    }
}

fn payload(absent: u32, rest: &DynamicMessage) -> Vec<u8> {
    let mut out = Vec::new();
    // A message may have such a field itself, which is then the second one.
    let has_one = rest.unknown_fields().any(|field| field.number() == ABSENT);
    if absent != 0 || has_one {
        encode_key(ABSENT, WireType::Varint, &mut out);
        encode_varint(u64::from(absent), &mut out);
    }
    out.extend(encode_message(rest));
    out
}
