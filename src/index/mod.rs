//! The index: a fold over commits. Nothing in it is not in the log; [`Index::check`] and
//! [`Index::apply`] are the only ways in, for a replay at opening and for a commit alike.
//!
//! Every entry knows at which position it was made, so that a reader who holds the log still at
//! one position can tell what was there.

mod apply;
pub(crate) mod cold;
#[cfg(test)]
mod forged;
mod lock;
mod pack;
mod payload;
pub(crate) mod persist;
mod prove;
mod rules;
mod state;

pub(crate) use cold::beyond_prefix;
pub(crate) use lock::{IndexLock, IndexReadGuard};
pub(crate) use payload::Payload;
pub(crate) use prove::Contradiction;
#[cfg(test)]
pub(crate) use prove::DAMAGES;
pub(crate) use rules::{
    Ancestry, Deletability, Deletions, Draft, Erasing, ForkPoint, Illegal, ParentEvent, Refusal,
    RunOrigin, outcome_kind,
};
pub(crate) use state::{
    Chain, ChildRef, DELETED_TABLE, Deletion, DutyKey, ERASED_SIZES_TABLE, ERASED_TABLE,
    EVENT_KEYS_TABLE, Entry, ErasedSize, Erasure, Fork, FrozenEntries, FrozenIndex, Index,
    ListTime, NAMESPACES_TABLE, Place, Relation, Run, RunLinks, RunList, RunState, Settings,
    ValueRef, Waypoint, Workflow, event_in_row, event_key_row, event_of_row,
};
pub use state::{DutyKind, RunStatus, Size};
