//! What a transaction gathers before it is committed; needs no store.

mod events;
mod read_set;
mod row_writes;
mod rows;
mod run;
mod validate;
mod workspace;

pub(crate) use read_set::{Read, RowsRead};
pub(crate) use row_writes::{Own, Stated, StatedRow};
pub(crate) use rows::IdleDeletes;
pub(crate) use run::{
    EventSource, NewRunState, ParentIdentity, PendingRun, Precondition, Progress, Recheck,
    RootIdentity, RunIdentity, check_max, too_many_runs,
};
pub(crate) use workspace::{Workspace, Workspaces};
