//! What the index holds: each part by itself.

mod chains;
mod deferred;
mod duties;
mod index;
mod links;
mod namespaces;
mod runs;
mod tables;
mod undo;
mod versioned;
mod waypoints;

pub(crate) use chains::Chain;
pub use duties::DutyKind;
pub(crate) use duties::{Duties, DutyKey};
pub(crate) use index::Index;
pub(crate) use links::{External, Parent, Relation, Ties};
pub(crate) use namespaces::Place as WorkflowPlace;
pub(crate) use namespaces::{
    NAMESPACES_TABLE, Namespaces, NewRun, Workflow, encode_limits, is_name,
};
pub(crate) use runs::{Extent, Fork, Run};
pub use runs::{RunStatus, Size};
pub(crate) use tables::Place as RowPlace;
pub(crate) use undo::Current;
pub(crate) use waypoints::{Waypoint, Waypoints};
