//! What the index holds: each part by itself.

mod chains;
mod compare;
mod deferred;
mod deletion;
mod duties;
mod event_keys;
mod freeze;
mod frozen;
mod ids;
mod impossible;
mod index;
mod layers;
mod links;
mod namespaces;
mod read_cache;
mod record;
mod rows;
mod runs;
mod tables;
mod undo;
mod waypoints;
mod workflow_types;

pub(crate) use chains::Chain;
pub(crate) use deletion::{DELETED_TABLE, Deletion};
pub use duties::DutyKind;
pub(crate) use duties::{Duties, DutyKey};
pub(crate) use event_keys::{EVENT_KEYS_TABLE, event_in_row, event_key_row, event_of_row};
pub(crate) use freeze::FrozenIndex;
pub(crate) use impossible::{Impossible, Must};
pub(crate) use index::Index;
pub(crate) use layers::{Entry, Layer, Record};
pub(crate) use links::{ChildRef, OutgoingRequest, ParentState, Relation, RunLinks};
pub(crate) use namespaces::WorkflowSlot;
pub(crate) use namespaces::{
    NAMESPACES_TABLE, Namespaces, NewRun, Workflow, encode_limits, is_name,
};
pub(crate) use rows::ValueRef;
pub(crate) use runs::{Fork, Run, RunState};
pub use runs::{RunStatus, Size};
pub(crate) use undo::Latest;
pub(crate) use waypoints::{Waypoint, Waypoints};
