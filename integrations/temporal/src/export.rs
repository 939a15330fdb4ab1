//! Reads a history back from a store.

use crate::{ExportError, History, RecordedEvent};

/// Puts together the Temporal history that a run was written from.
///
/// # Errors
/// [`ExportError::Store`] if the run cannot be read, and the others if it is none of Temporal's.
pub fn export(history: &kinlog::History) -> Result<History, ExportError> {
    history.iter().map(|event| RecordedEvent::from_kinlog(&event?)).collect()
}
