//! The parts of a commit as they are found, with what each says of its run.

use super::kept_batch::Origin;
use crate::event::{Body, Malformed};
use crate::log::format::{Batch, Frame, Part, Parts};

/// The parts of a commit, each with its bytes. No run has two batches.
pub(super) fn parse<'a>(frame: &Frame<'a>) -> Result<Vec<(Part<'a>, &'a [u8])>, Malformed> {
    let (mut parts, mut last) = (vec![], None);
    let mut rest = Parts::of(frame);
    while let Some(part) = rest.next() {
        let (part, size) = part?;
        let end = rest.position().as_u64() - frame.payload_position().as_u64();
        let end = usize::try_from(end).map_err(|_| Malformed)?;
        if let Part::Batch(batch) = &part
            && last.replace(batch.run).is_some_and(|last| last >= batch.run)
        {
            return Err(Malformed);
        }
        parts.push((part, frame.payload.get(end - size..end).ok_or(Malformed)?));
    }
    Ok(parts)
}

/// How a batch creates a run, if it can be the first one of its run.
pub(super) fn origin_of<'a>(batch: &Batch<'a>) -> Option<Origin<'a>> {
    let first = batch.events().next()?.ok()?;
    match first.body() {
        Body::WorkflowExecutionStarted(started) if batch.first_event == 1 => {
            Some(Origin::Starts(started))
        }
        Body::WorkflowReset(reset) if batch.first_event > 1 => {
            Some(Origin::Resets { reset, previous: batch.previous })
        }
        _ => None,
    }
}
