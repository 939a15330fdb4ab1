//! Deleted runs: what is kept of them, and the table that says so in the log.

use crate::bytes::array_at;
use crate::event::Malformed;
use crate::id::RunId;
use crate::log::format::Put;
use crate::retention::Keep;

/// The table of the runs that were deleted: key the run's id, value one byte, what is kept of it.
pub(crate) const DELETED_TABLE: &str = "kinlog.deleted";

/// A row that deletes a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deletion {
    pub(crate) run: RunId,
    pub(crate) keep: Keep,
}

impl Deletion {
    /// What a row says of a run, if it is of the table.
    pub(crate) fn of(row: &Put<'_>) -> Result<Option<Self>, Malformed> {
        if row.table != DELETED_TABLE {
            return Ok(None);
        }
        let run = Some(row.key).filter(|key| key.len() == 16).and_then(|key| array_at(key, 0));
        let keep = match row.value {
            Some((_, [keep])) => Keep::from_number(*keep),
            _ => None,
        };
        let (run, keep) = (RunId::from_bytes(run.ok_or(Malformed)?), keep.ok_or(Malformed)?);
        Ok(Some(Deletion { run, keep }))
    }
}
