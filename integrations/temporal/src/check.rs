//! What makes events the history of a run.

use kinlog::EventKind;

use crate::schema::Schema;
use crate::{History, ImportError, RecordedEvent};

/// Refuses what is no history of a run, from its first event on.
pub(crate) fn check_events(history: &History) -> Result<(), ImportError> {
    let last = history.events().len().checked_sub(1).ok_or(ImportError::NoEvents)?;
    for (index, event) in history.events().iter().enumerate() {
        let kind = event.kind();
        let starts = kind == EventKind::WORKFLOW_EXECUTION_STARTED;
        let rule = match index {
            0 if !starts => "a history begins with WorkflowExecutionStarted",
            1.. if starts => "a history begins only once",
            _ if kind.is_closing() && index != last => "a history ends with it",
            _ => continue,
        };
        return Err(ImportError::Misplaced { id: event.id(), kind, rule });
    }
    history.events().iter().try_for_each(check_attributes)
}

/// Refuses an event that has to say what it is about, and does not.
fn check_attributes(event: &RecordedEvent) -> Result<(), ImportError> {
    let may_have_none = Schema::get()?.attributes(event.event_type()).is_none();
    match may_have_none || event.has_attributes() || speaks_for_itself(event.kind()) {
        true => Ok(()),
        false => Err(ImportError::NoAttributes { id: event.id(), kind: event.kind() }),
    }
}

/// Whether the kind alone says what happened: something to the workflow itself or to one of its
/// workflow tasks. Tools that shorten histories leave out the rest.
fn speaks_for_itself(kind: EventKind) -> bool {
    match kind {
        EventKind::WORKFLOW_TASK_SCHEDULED
        | EventKind::WORKFLOW_TASK_STARTED
        | EventKind::WORKFLOW_TASK_COMPLETED
        | EventKind::WORKFLOW_TASK_TIMED_OUT
        | EventKind::WORKFLOW_TASK_FAILED
        | EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED
        | EventKind::MARKER_RECORDED
        | EventKind::UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
        | EventKind::WORKFLOW_PROPERTIES_MODIFIED => true,
        kind => kind.is_closing(),
    }
}
