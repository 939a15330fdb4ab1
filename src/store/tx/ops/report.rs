//! Telling a parent how a child ended.

use super::child_events::{closing_event, outcome, relation, retry_state};
use crate::error::{Error, Result};
use crate::event::{ChildClosed, Event, EventKind, NewEvent, RawEvent};
use crate::id::RunId;
use crate::store::pending::{EventSource, Precondition};
use crate::store::read::BatchCursor;
use crate::store::tx::{Step, Stepped, Transaction};

const NOT_ENDED: &str = "the child's chain has not ended";

impl Transaction<'_> {
    /// Records in `parent` how a child's chain ended, be it in this transaction, with the payload of
    /// the child's closing event. Returns the event's id. To tell it in other words, [append](Transaction::append)
    /// the outcome.
    ///
    /// # Errors
    /// [`Error::IllegalEvent`] if the child has not started or not ended, or was reported already,
    /// and as [`Transaction::append`].
    pub fn report_child(&mut self, parent: &RunId, initiated_event_id: u32) -> Result<u32> {
        self.step(|step| step.report_child(parent, initiated_event_id, Precondition::Found))
    }
}

impl Step<'_> {
    pub(crate) fn report_child(
        &mut self,
        parent: &RunId,
        initiated_event_id: u32,
        needs: Precondition,
    ) -> Stepped<u32> {
        let run = self.find_at(parent, needs)?;
        let not_ended = || {
            let (kind, why) = (EventKind::CHILD_WORKFLOW_EXECUTION_COMPLETED, NOT_ENDED);
            Error::IllegalEvent { run: *parent, kind, refers_to: initiated_event_id, why }
        };
        self.read_child(parent, initiated_event_id)?;
        let ended = self.work.draft.ended_child(self.index, *parent, initiated_event_id);
        let ended = ended.ok_or_else(not_ended)?;
        let (own, view);
        let closing = if let Some(bytes) = self.own_closing(&ended.last) {
            own = bytes;
            RawEvent::parse(&own).and_then(|raw| Event::check(1, raw)).map_err(|_| not_ended())?
        } else {
            let (batch, spot) = closing_event(self.index, &ended.last).ok_or_else(not_ended)?;
            view = self.view_of(batch)?;
            BatchCursor::default().read(&view, spot)?
        };
        let closed = ChildClosed {
            run_id: ended.last,
            initiated_event_id,
            started_event_id: ended.started,
            retry_state: retry_state(&closing.body()),
        };
        let body = outcome(ended.status, closed).ok_or_else(not_ended)?;
        let event = NewEvent::new(body).payload(closing.payload());
        Ok(self.add(run, &event, EventSource::Store)?)
    }

    /// Reads how the chain of a child stands, if it was started before this transaction.
    pub(crate) fn read_child(&mut self, parent: &RunId, initiated: u32) -> Result<()> {
        let index = self.index;
        let source = self.work.draft.source(*parent).base;
        let Some((number, own)) = relation(index, &source, initiated) else { return Ok(()) };
        let held = index.held(number, initiated).map_or(own, |held| held.relation);
        let first = held.child.and_then(|child| index.runs.get(child));
        first.map_or(Ok(None), |first| self.read_chain(first.chain)).map(|_| ())
    }

    /// The closing event of a run that this transaction closes.
    fn own_closing(&self, run: &RunId) -> Option<Vec<u8>> {
        let progress = self.work.run_by_id(run)?.progress;
        let closes = progress.count > 0 && !progress.status.is_open();
        self.work.events.get(progress.last..).filter(|_| closes).map(<[u8]>::to_vec)
    }
}
