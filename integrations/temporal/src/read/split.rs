//! Which events make one history, where an input has several.

use std::ops::ControlFlow;

use super::Stop;
use crate::{History, RecordedEvent};

const STARTED: i32 = 1;

/// Puts events together to histories.
///
/// An input consists of parts: documents, pages of one history, histories in a list. A part begins
/// a history of its own if it begins with a run's first event, or if the history before it, newest
/// event first, has come to its first.
pub(super) struct Histories<'e> {
    events: Vec<RecordedEvent>,
    begins_part: bool,
    each: &'e mut dyn FnMut(History) -> ControlFlow<()>,
}

impl<'e> Histories<'e> {
    pub(super) fn new(each: &'e mut dyn FnMut(History) -> ControlFlow<()>) -> Self {
        Histories { events: Vec::new(), begins_part: true, each }
    }

    /// What follows is another part of the input.
    pub(super) fn begin_part(&mut self) {
        self.begins_part = true;
    }

    pub(super) fn add(&mut self, event: RecordedEvent) -> Result<(), Stop> {
        let begins_part = std::mem::take(&mut self.begins_part);
        let is_complete = match self.events.as_slice() {
            [.., previous, last] if previous.id() > last.id() => last.event_type() == STARTED,
            _ => false,
        };
        if begins_part && !self.events.is_empty() && (is_complete || event.event_type() == STARTED)
        {
            self.finish()?;
        }
        self.events.push(event);
        Ok(())
    }

    /// The latest event of the history that is not complete.
    pub(super) fn latest(&mut self) -> Option<&mut RecordedEvent> {
        self.events.last_mut()
    }

    /// The history is complete.
    pub(super) fn finish(&mut self) -> Result<(), Stop> {
        if self.events.is_empty() {
            return Ok(());
        }
        let history = History::in_order(std::mem::take(&mut self.events))?;
        match (self.each)(history) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Asked),
        }
    }
}
