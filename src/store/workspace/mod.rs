//! What a transaction gathers before it is committed; needs no store.

mod gather;
mod pending;
mod read_set;
mod row_writes;
mod workspace;

pub(crate) use pending::{
    Begins, Drift, Kinship, Place, Progress, Source, Touched, check_max, too_many_runs,
};
pub(crate) use read_set::{Read, RowsRead};
pub(crate) use row_writes::{Own, Stated, StatedRow};
pub(crate) use workspace::{Workspace, Workspaces};
